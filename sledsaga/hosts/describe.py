"""What a sled is, as one JSON document, by what its drivers see: the same keys on every kind of sled.

Only what is named as ours is shown: other pools, containers and links of the machine are not our business.
Nothing is changed. What cannot be told is said in its place, so that one bad disk does not hide the others.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator
from typing import Any

from sledsaga.errors import HostError, Unparsable
from sledsaga.hosts.disks import Disk
from sledsaga.hosts.ledgers import parse_copy
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zfs.spec import Dataset

Document = dict[str, Any]


def describe(sled: Sled) -> Document:
    """Return disks, pools, datasets, zones, links and ledgers. Raises HostError when a tool says no."""
    pools = sled.pools.list()
    found = sled.datasets.observe_all([name for pool in pools for name in sled.datasets.tree(pool.name)])
    return {
        "v": 1,
        "platform": sled.platform.name,
        "zfs": sled.platform.abilities.name,
        "disks": [_disk(sled, disk) for disk in sled.disks.list()],
        "pools": [{"name": pool.name, "health": pool.health.upper(), "size": pool.size} for pool in pools],
        "datasets": [_dataset(found[name]) for name in sorted(found)],
        "zones": [
            {"name": zone.name, "state": zone.state, "path": zone.path, "saga": zone.saga}
            for zone in sorted(sled.zones.observe_all(), key=lambda zone: zone.name)
        ],
        "links": sorted(_links(sled), key=lambda link: str(link["name"])),
        "ledgers": sorted(_ledgers(sled), key=lambda row: str(row["path"])),
    }


def _disk(sled: Sled, disk: Disk) -> Document:
    document: Document = {
        "serial": disk.identity.serial,
        "vendor": disk.identity.vendor,
        "model": disk.identity.model,
        "size": disk.size,
        "slot": disk.slot,
        "variant": disk.variant,
        "path": disk.path,
    }
    try:
        pool = sled.disks.identify(disk.path)
    except HostError as error:
        return document | {"condition": str(error), "pool": None}
    return document | {"condition": "ok", "pool": pool}


def _dataset(seen: Dataset) -> Document:
    return {
        "name": seen.name,
        "type": seen.type,
        "id": None if seen.id is None else str(seen.id),
        "saga": seen.saga,
        "quota": seen.quota,
        "reservation": seen.reservation,
        "compression": seen.compression,
        "encryption": "on" if seen.is_encrypted else "off",
        "keystatus": {None: None, True: "available", False: "unavailable"}[seen.is_key_loaded],
        "mounted": seen.is_mounted,
        "mountpoint": seen.mountpoint,
        "zoned": seen.is_zoned,
        "used": seen.used,
    }


def _links(sled: Sled) -> Iterator[Document]:
    found: list[tuple[str, str, str | None]] = [(name, "etherstub", None) for name in sled.links.etherstubs()]
    found += [(name, "vnic", vnic.over) for name, vnic in sled.links.vnics().items()]
    for name, kind, over in found:
        owner = sled.links.owner(name)
        if owner is not None:
            yield {"name": name, "class": kind, "over": over, "saga": owner}


def _ledgers(sled: Sled) -> Iterator[Document]:
    for place in sled.ledger_places():
        for name in () if place.problem else sled.host.list_dir(place.path):
            path = posixpath.join(place.path, name)
            data = None if name.startswith(".") else sled.host.read_file(path)
            if data is not None:
                yield {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "generation": _age(data)}


def _age(data: bytes) -> int | None:
    try:
        return parse_copy(data)
    except Unparsable:
        return None
