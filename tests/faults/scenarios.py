"""What is tried on small sleds: an operation, its params, and the sled that it starts from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

from sledsaga.check.kills import drive
from sledsaga.hosts.sim import DiskSpec, SimSled
from tests.faults.ground import Ground
from tests.faults.variants import opened_singly

POOL_ID = "11111111-1111-4111-8111-111111111111"
POOL = f"oxp_{POOL_ID}"
DISK = {"vendor": "1b96", "model": "WUS4", "serial": "A0"}
FORMAT = {"disk": DISK, "pool_id": POOL_ID}
CRDB = {
    "pool": POOL,
    "zone_id": "a0000000-0000-4000-8000-000000000003",
    "address": "fd00:1122:3344:101::3",
    "quota": 10 * 2**30,
}
DATASETS = {
    "datasets": [
        {"pool": POOL, "kind": "crucible", "id": "b0000000-0000-4000-8000-000000000001"},
        {"pool": POOL, "kind": "zone/oxz_nexus_a0000000-0000-4000-8000-000000000004"},
        {"pool": POOL, "kind": "debug", "quota": 2**31, "compression": "lz4"},
    ]
}
SCENARIOS: Final[dict[str, tuple[str, dict[str, Any], str]]] = {
    "format": ("format-u2", FORMAT, "blank"),
    "crdb": ("provision-crdb", CRDB, "formatted"),
    "crdb-on-blank-disk": ("provision-crdb", CRDB | {"disk": DISK}, "blank"),
    "crdb-on-bare-pool": ("provision-crdb", CRDB, "bare"),
    "datasets": ("ensure-datasets", DATASETS, "formatted"),
    "datasets-best-effort": ("ensure-datasets", DATASETS | {"policy": "best-effort"}, "formatted"),
}


def ground_of(home: Path, name: str) -> Ground:
    """Return the ground of a scenario, in a folder that is for all of them."""
    operation, params, kind = SCENARIOS[name]
    return Ground(home, sled_of(home, kind), operation, params, opened_singly)


def sled_of(home: Path, kind: str) -> Path:
    """Return a sled whose disk is blank, has a pool without datasets (bare), or is formatted."""
    path = home / kind
    if path.exists():
        return path
    if kind == "formatted":
        ground = Ground(home, sled_of(home, "blank"), "format-u2", FORMAT, opened_singly)
        trial = ground.trial()
        assert not drive(trial)
        shutil.copytree(trial.sled.removeprefix("sim:"), path)
        return path
    disk = DiskSpec(DISK["vendor"], DISK["model"], DISK["serial"], pool=POOL if kind == "bare" else "")
    SimSled.init_from_disks(path, [disk], images={"cockroachdb": b"image"}).close()
    return path
