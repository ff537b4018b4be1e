"""A sled config as a production rack has one, scaled down: ten disks, all their datasets, thirteen zones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from sledsaga.hosts.linux.image import shipped

PRODUCTION = Path(__file__).parents[3] / "shared" / "data" / "omicron-sled-config-v14.json"
SPACE = UUID("7f1d7cf0-0d0f-4a7e-8b0f-3f3c4b0e2a11")
NET = "fd00:1122:3344:103::"
GIB = 2**30
DISKS = 10
PREFIX = {"internal_ntp": "ntp"}
TRACKING = "7F7F0101,,1,0,0,0,0,0,0,0,0,0,0,Normal"
"""What chrony says of a clock that follows its source."""


def steady(what: str) -> str:
    """Return the id of something: the same each time, and a version 4 UUID as pools need it."""
    return str(UUID(bytes=uuid5(SPACE, what).bytes, version=4))


def images() -> dict[str, bytes]:
    """Return what zones of the config are made from, by name: `any`, and `ntp` whose clock is in step."""
    responder = shipped("responder")
    in_step = json.loads(responder) | {"name": "ntp", "time": ["/usr/bin/echo", TRACKING]}
    return {"any": responder, "ntp": json.dumps(in_step).encode()}


def artifacts() -> dict[str, bytes]:
    """Return the same by sha256, as artifacts are stored."""
    return {hashlib.sha256(data).hexdigest(): data for data in images().values()}


def _source(kind: str) -> dict[str, str]:
    data = images()["ntp" if kind == "internal_ntp" else "any"]
    return {"type": "artifact", "hash": hashlib.sha256(data).hexdigest()}


def document(*, disks: int = DISKS, generation: int = 1) -> dict[str, Any]:
    """Return a config whose zones run a tiny real service.

    Each disk has a crucible zone with its data; the first disk has DNS, Nexus and NTP besides. In a later
    generation the last disk's zone is gone.
    """
    zones = [*_zones(disks if generation == 1 else disks - 1)]
    datasets = [*_datasets(disks, zones)]
    return {
        "generation": generation,
        "disks": {one["id"]: one for one in map(_disk, range(disks))},
        "datasets": {one["id"]: one for one in datasets},
        "zones": {zone["id"]: zone for zone in zones},
    }


def production() -> dict[str, Any] | None:
    """Return the real document with the same artifacts, or None when it is not at hand."""
    if not PRODUCTION.exists():
        return None
    found: dict[str, Any] = json.loads(PRODUCTION.read_text())
    for zone in found["zones"].values():
        zone["image_source"] = _source(zone["zone_type"]["type"])
    return found


def _pool(number: int) -> str:
    return f"oxp_{steady(f'pool {number}')}"


def _disk(number: int) -> dict[str, Any]:
    identity = {"vendor": "1b96", "model": "WUS4C6432DSP3X3", "serial": f"TEN{number}"}
    return {"identity": identity, "id": steady(f"disk {number}"), "pool_id": steady(f"pool {number}")}


def _zones(disks: int) -> Iterator[dict[str, Any]]:
    for number in range(disks):
        own = {"address": f"[{NET}{number + 4}]:32345", "dataset": {"pool_name": _pool(number)}}
        yield _zone("crucible", number, own)
    yield _zone("internal_ntp", 0, {"address": f"[{NET}45]:123"})
    dns = {"http_address": f"[{NET}46]:5353", "dataset": {"pool_name": _pool(0)}}
    yield _zone("external_dns", 0, dns)
    yield _zone("nexus", 0, {"internal_address": f"[{NET}47]:12221"})


def _zone(kind: str, number: int, own: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": steady(f"{kind} {number}"),
        "filesystem_pool": _pool(number),
        "zone_type": {"type": kind, **own},
        "image_source": _source(kind),
    }


def _datasets(disks: int, zones: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for number in range(disks):
        for kind in ("zone", "debug", "local_storage", "crucible"):
            yield _dataset(_pool(number), kind)
    yield _dataset(_pool(0), "external_dns")
    for zone in zones:
        kind = zone["zone_type"]["type"]
        yield _dataset(zone["filesystem_pool"], f"zone/oxz_{PREFIX.get(kind, kind)}_{zone['id']}")


def _dataset(pool: str, kind: str) -> dict[str, Any]:
    is_debug = kind == "debug"
    return {
        "id": steady(f"dataset {pool} {kind}"),
        "name": {"pool_name": pool, "kind": kind},
        "compression": {"type": "gzip_n", "level": 9} if is_debug else {"type": "off"},
        "quota": 100 * GIB if is_debug else None,
        "reservation": None,
    }
