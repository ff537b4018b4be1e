"""What a sled is, as one JSON document: two equal documents mean that the sled is the same.

Random ids of pools, datasets and zones, times, sizes in use and ids of running zones are left out: they
differ after the same work was done again. Everything is sorted.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sledsaga.hosts.sim.argv import Call
from sledsaga.hosts.sim.dladm import field_of
from sledsaga.hosts.sim.things import (
    Address,
    Dataset,
    Disk,
    Exported,
    Interface,
    Link,
    Pool,
    Route,
    Service,
    Zone,
)
from sledsaga.hosts.sim.zfs_props import LIMITS, encryption_root, fact, is_mounted, mountpoint, setting
from sledsaga.hosts.sim.zpool_show import health, value

Document = dict[str, Any]
LEDGER_DATASETS = ("config", "cluster")


def describe(call: Call) -> Document:
    """Return the whole sled: version, disks, pools, datasets, zones, links, addresses, services, ledgers."""
    tx = call.tx
    pools = [_pool(call, name, each) for name, each in tx.under(Pool).items()]
    pools += [
        {"name": each.name, "health": "EXPORTED", "disk": each.pool["disk"]}
        for each in tx.under(Exported).values()
    ]
    services = tx.under(Service, "global ").items()
    return {
        "v": 1,
        "disks": sorted(
            (_disk(each) for each in tx.under(Disk).values()), key=lambda row: (row["slot"], row["serial"])
        ),
        "pools": sorted(pools, key=lambda row: (row["name"], row["disk"])),
        "datasets": [_dataset(call, name, each) for name, each in tx.under(Dataset).items()],
        "zones": [_zone(name, each) for name, each in tx.under(Zone).items()],
        "links": [_link(name, each) for name, each in tx.under(Link).items()],
        "interfaces": [
            {"name": name, "properties": each.props} for name, each in tx.under(Interface).items()
        ],
        "addresses": [
            {"name": name, "type": each.kind, "address": each.address}
            for name, each in tx.under(Address).items()
        ],
        "routes": list(tx.under(Route)),
        "services": [{"fmri": key.partition(" ")[2], "state": each.state} for key, each in services],
        "ledgers": sorted(_ledgers(call), key=lambda row: str(row["path"])),
    }


def _disk(disk: Disk) -> Document:
    fields = ("serial", "vendor", "model", "size", "slot", "variant", "condition")
    return {
        **{field: getattr(disk, field) for field in fields},
        "path": disk.path,
        "pool": disk.label or None,
    }


def _pool(call: Call, name: str, pool: Pool) -> Document:
    keys = ("failmode", "ashift", "feature@encryption")
    return {
        "name": name,
        "health": health(call, pool),
        "disk": pool.disk,
        "size": pool.size,
        "properties": {key: value(call, name, key, exact=True)[0] for key in keys},
    }


def _dataset(call: Call, name: str, dataset: Dataset) -> Document:
    own = {key: text for key, text in dataset.props.items() if ":" in key}
    document: Document = {
        "name": name,
        "type": dataset.type,
        "id": own.pop("oxide:uuid", None),
        "saga": own.pop("sledsaga:saga", None),
        "user": own,
    }
    if dataset.type == "snapshot":
        return document
    limits = {key: int(dataset.props.get(key, "0")) or None for key in LIMITS}
    document |= limits | {"compression": setting(call, name, "compression")[0]}
    document |= {
        "encryption": setting(call, name, "encryption")[0],
        "keystatus": fact(call, name, "keystatus"),
    }
    document |= {"encryptionroot": None if (root := encryption_root(call, name)) == "-" else root}
    if dataset.type == "volume":
        return document | {"mounted": False, "mountpoint": None, "volsize": int(dataset.props["volsize"])}
    flags = {key: setting(call, name, key)[0] for key in ("canmount", "zoned", "atime")}
    return (
        document
        | flags
        | {"mounted": is_mounted(call, name) is not None, "mountpoint": mountpoint(call, name)[0]}
    )


def _zone(name: str, zone: Zone) -> Document:
    resources = sorted((dict(sorted(each.items())) for each in zone.resources), key=json.dumps)
    document = {"name": name, "state": zone.state, "path": zone.path, "brand": zone.props.get("brand", "")}
    return {**document, "properties": dict(sorted(zone.props.items())), "resources": resources}


def _link(name: str, link: Link) -> Document:
    fields = {"over": link.over or None, "mac": link.mac, "vlan": int(link.vlan), "temporary": link.temporary}
    return {"name": name, "class": link.kind, **fields, "mtu": int(field_of(name, link, "mtu"))}


def _ledgers(call: Call) -> list[Document]:
    found = []
    for name, dataset in call.tx.under(Dataset).items():
        pool = call.tx.get(Pool, name.partition("/")[0])
        disk = None if pool is None else call.tx.get(Disk, pool.disk)
        if disk is not None and disk.variant == "M.2" and name.partition("/")[2] in LEDGER_DATASETS:
            folder = call.tree.folder(dataset.guid)
            found += [
                _ledger(mountpoint(call, name)[0], folder, file)
                for file in folder.rglob("*")
                if _counts(file)
            ]
    return found


def _counts(file: Path) -> bool:
    """Say whether a file is part of the sled: half-written ones have a dot before their name."""
    return file.is_file() and not file.name.startswith(".")


def _ledger(point: str, folder: Path, file: Path) -> Document:
    data = file.read_bytes()
    document: Document = {
        "path": f"{point}/{file.relative_to(folder)}",
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    try:
        content = json.loads(data)
    except ValueError:
        return document
    if isinstance(content, dict) and isinstance(content.get("generation"), int):
        document["generation"] = content["generation"]
    return document
