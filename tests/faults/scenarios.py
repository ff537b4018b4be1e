"""What is tried on small sleds: an operation, its params, and the sled that it starts from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import sagas
from sledsaga.check.kills.ground import Grounds
from sledsaga.check.subject import Subject
from sledsaga.core.define import Operation
from sledsaga.hosts.sim import DiskSpec, SimSled
from tests.sagas.conftest import HASHES, NAMES, document, give_secrets

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
    "clickhouse": ("provision-clickhouse", CRDB, "formatted"),
    "rotate": ("rotate-keys", {"pools": [POOL], "policy": "all-or-nothing"}, "two epochs"),
    "datasets": ("ensure-datasets", DATASETS, "formatted"),
    "datasets-best-effort": ("ensure-datasets", DATASETS | {"policy": "best-effort"}, "formatted"),
}


APPLY: Final = "apply"
"""A sled's config with four zones on two disks: hundreds of points, so only some of them are tried."""


def operation_of(name: str) -> Operation:
    """Return an operation of the catalog."""
    return next(each for each in sagas.CATALOG if each.name == name)


def subject_of(home: Path, name: str) -> Subject:
    """Return a scenario, its sled in a folder that is for all of them."""
    if name == APPLY:
        return Subject(operation_of("apply-sled-config"), document(), sled_of(home, "wide"))
    operation, params, kind = SCENARIOS[name]
    return Subject(operation_of(operation), params, sled_of(home, kind))


def sled_of(home: Path, kind: str) -> Path:
    """Return a sled: its disk blank, bare, formatted, or with new secrets; or two blank ones (wide)."""
    path = home / kind
    if path.exists():
        return path
    if kind == "formatted":
        subject = Subject(operation_of("format-u2"), FORMAT, sled_of(home, "blank"))
        with Grounds(subject) as grounds, grounds.one.trial() as trial:
            assert trial.run().state == "succeeded"
            shutil.copytree(trial.sled, path)
        return path
    if kind == "two epochs":
        shutil.copytree(sled_of(home, "formatted"), path)
        give_secrets(path, 0, 1)
        return path
    if kind == "wide":
        disks = [DiskSpec(DISK["vendor"], DISK["model"], serial) for serial in ("A0", "A1")]
        artifacts = dict.fromkeys(HASHES, b"image")
        SimSled.init_from_disks(
            path, disks, images=dict.fromkeys(NAMES, b"image"), artifacts=artifacts
        ).close()
        return path
    disk = DiskSpec(DISK["vendor"], DISK["model"], DISK["serial"], pool=POOL if kind == "bare" else "")
    SimSled.init_from_disks(
        path, [disk], images=dict.fromkeys(("cockroachdb", "clickhouse"), b"image")
    ).close()
    return path


def mended(
    sled: dict[str, Any], wanted: dict[str, Any], before: dict[str, Any], params: Any
) -> dict[str, Any]:
    """Return the sled with what may lack in it: a copy of a ledger, or datasets that are best-effort."""
    if sled["ledgers"] and all(copy in wanted["ledgers"] for copy in sled["ledgers"]):
        sled = sled | {"ledgers": wanted["ledgers"]}
    if params.get("policy") == "best-effort":
        allowed = [*wanted["datasets"], *before["datasets"]]
        if all(dataset in allowed for dataset in sled["datasets"]):
            sled = sled | {"datasets": wanted["datasets"]}
    return sled
