"""Killed before and after every change and every append, forward and unwinding: one of two ends, always.

A trial kills the process that drives a saga at one passing of one crash point, and lets others finish. The
passings are tried from the first on, until a kill does not come any more: so none is left out, and their
number is held against the sled's own journal. What fails in the failing variant of an operation is its last
step, so that all there is to undo is undone.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace

import pytest

from sledsaga.check.kills import Kill, drive
from sledsaga.core.plan import plan
from tests.faults.ground import Ground
from tests.faults.scenarios import SCENARIOS
from tests.faults.variants import FAILING, VARIANTS

COMMANDS = ("before-command", "after-command")
APPENDS = ("before-append", "after-append")
EVERY_TIME = (
    *(("crdb-on-blank-disk", point) for point in COMMANDS),
    ("crdb", "before-append"),
    *((name, point) for name in ("format", "datasets") for point in (*COMMANDS, "before-append")),
    *(("datasets-best-effort", point) for point in COMMANDS),
)
"""What is tried by each run of the tests: every command of every operation, and every append of each kind."""
SECOND = (1, 2, 5, 13)
"""Passings at which the one that recovers is killed, too."""


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
    """Kill at each passing from the first on, while all is undone; return how many there are."""
    bad = failing(ground)
    end, changes = reference(bad)
    assert end == ("undone", ground.before())
    passed = walk(bad, point, end, first=first)
    assert passed >= least(ground, point, changes), f"{passed} passings, {changes} changes"
    assert passed > first, "nothing was undone"
    return passed


@pytest.mark.parametrize(("name", "point"), EVERY_TIME)
def test_killed_at_every_point(grounds: Callable[[str], Ground], name: str, point: str) -> None:
    """Wherever the process is killed, the next one makes the good end, or all as it was if a step failed."""
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
