"""Killed before and after every change and every append, forward and unwinding: one of two ends, always.

A trial kills the process that drives a saga at one passing of one crash point, and lets others finish. The
passings are tried from the first on, until a kill does not come any more: so none is left out, and their
number is held against the sled's own journal. What fails in the failing variant of an operation is its last
step, so that all there is to undo is undone.
"""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sledsaga.check.kills import Kill, Trial, drive
from sledsaga.core.plan import plan
from sledsaga.hosts.sim import DiskSpec, SimSled
from tests.faults.ground import Ground
from tests.faults.variants import FAILING, VARIANTS, opened_singly

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
SCENARIOS: dict[str, tuple[str, dict[str, Any], str]] = {
    "format": ("format-u2", FORMAT, "blank"),
    "crdb": ("provision-crdb", CRDB, "formatted"),
    "crdb-on-blank-disk": ("provision-crdb", CRDB | {"disk": DISK}, "blank"),
    "crdb-on-bare-pool": ("provision-crdb", CRDB, "bare"),
    "datasets": ("ensure-datasets", DATASETS, "formatted"),
    "datasets-best-effort": ("ensure-datasets", DATASETS | {"policy": "best-effort"}, "formatted"),
}
COMMANDS = ("before-command", "after-command")
APPENDS = ("before-append", "after-append")
SECOND = (1, 2, 3, 5, 8, 13, 21, 34)
"""Passings at which the one that recovers is killed, too."""


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """Keep trials where a sync costs nothing: processes are killed here, machines are not."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder below it has a name of its own
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def grounds(home: Path) -> Callable[[str], Ground]:
    """Return the ground of a scenario."""

    def make(name: str) -> Ground:
        operation, params, kind = SCENARIOS[name]
        return Ground(home, sled_of(home, kind), operation, params, opened_singly)

    return make


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
    disk = DiskSpec(**DISK, pool=POOL if kind == "bare" else "")
    SimSled.init_from_disks(path, [disk], images={"cockroachdb": b"image"}).close()
    return path


def failing(ground: Ground) -> Ground:
    return replace(ground, operation=f"{ground.operation}{FAILING}")


def steps_of(ground: Ground) -> int:
    operation = next(each for each in VARIANTS if each.name.startswith(ground.operation))
    return len(plan(operation, ground.params).dag.steps)


def ends(ground: Ground, kills: list[str], hits: list[bool]) -> tuple[str, str, list[str]]:
    """Kill at each of the points in turn, then recover; return state, sled, and the key files left."""
    trial = ground.trial()
    try:
        hits += [drive(trial, Kill(point)) for point in kills]
        if hits[-1:] != [False]:
            assert not drive(trial)
        return (*ground.end(trial), ground.keys_left(trial))
    finally:
        ground.clear(trial)


def told(ground: Ground, kills: str, end: tuple[str, str, list[str]], wanted: tuple[str, str]) -> str:
    """Say what differs, and how to have it again."""
    lines = difflib.unified_diff(wanted[1].splitlines(), end[1].splitlines(), "wanted", "seen", n=2)
    return "\n".join((f"{ground.operation}, {kills}: {end[0]}, keys left {end[2]}", *lines))


def walk(ground: Ground, point: str, wanted: tuple[str, str], *, first: int = 1) -> int:
    """Kill at each passing of the point from the `first` on; return how many there are in all."""
    number = first
    while True:
        hits: list[bool] = []
        end = ends(ground, [f"{point}:{number}"], hits)
        assert end == (*wanted, []), told(ground, f"{point}:{number}", end, wanted)
        if not hits[0]:
            return number - 1
        number += 1


def reference(ground: Ground) -> tuple[tuple[str, str], int]:
    """Return how it ends when nobody is killed, and how many changes the sled's journal has."""
    trial = ground.trial()
    before = ground.changes(trial)
    assert not drive(trial)
    return ground.end(trial), ground.changes(trial) - before


def least(ground: Ground, point: str, changes: int) -> int:
    """Return how many passings there must be: one for each change; a commit for each step."""
    return changes if point in COMMANDS else steps_of(ground)


def forward(ground: Ground, point: str) -> int:
    """Kill at each passing on the way forward; return their number."""
    wanted, changes = reference(ground)
    assert wanted[0] == "succeeded"
    passed = walk(ground, point, wanted)
    assert passed >= least(ground, point, changes), f"{passed} passings, {changes} changes"
    return passed


def unwinding(ground: Ground, point: str, *, first: int) -> int:
    """Kill at each passing from the first on, while all is undone after the last step; return their number."""
    bad = failing(ground)
    end, changes = reference(bad)
    assert end == ("undone", ground.before())
    passed = walk(bad, point, end, first=first)
    assert passed >= least(ground, point, changes), f"{passed} passings, {changes} changes"
    assert passed > first, "nothing was undone"
    return passed


@pytest.mark.parametrize("point", [*COMMANDS, "before-append"])
@pytest.mark.parametrize("name", ["format", "crdb", "crdb-on-blank-disk", "datasets", "datasets-best-effort"])
def test_killed_at_every_point(grounds: Callable[[str], Ground], name: str, point: str) -> None:
    """Wherever the process is killed, what recovers makes the good end, or all as it was when a step failed."""
    ground = grounds(name)
    passed = forward(ground, point)
    unwinding(ground, point, first=passed + 1)


@pytest.mark.campaign
@pytest.mark.parametrize("point", [*COMMANDS, *APPENDS])
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_whole_matrix(grounds: Callable[[str], Ground], name: str, point: str) -> None:
    """The same with every scenario and point, and on the way forward of sagas that fail in the end."""
    ground = grounds(name)
    there, back = forward(ground, point), unwinding(ground, point, first=1)
    print(f"{name} {point}: {there} forward, {back} with its undoing")  # noqa: T201 - the campaign's figures


@pytest.mark.campaign
@pytest.mark.parametrize("point", COMMANDS)
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("variant", ["", FAILING])
def test_killed_twice(grounds: Callable[[str], Ground], name: str, point: str, variant: str) -> None:
    """When the one that recovers is killed as well, the third makes one of the two ends."""
    ground = grounds(name)
    ground = failing(ground) if variant else ground
    wanted, changes = reference(ground)
    for number in range(1, changes + 1):
        for second in SECOND:
            hits: list[bool] = []
            end = ends(ground, [f"{point}:{number}", f"{point}:{second}"], hits)
            kills = f"{point}:{number}, then {point}:{second}"
            assert end == (*wanted, []), told(ground, kills, end, wanted)
            assert hits[0], f"{point}:{number} was never passed"
            if not hits[1]:
                break
