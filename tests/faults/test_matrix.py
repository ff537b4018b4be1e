"""Killed before and after every change and every append, forward and unwinding: one of two ends, always."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from sledsaga.check.kills.child import picture_of
from sledsaga.check.kills.ground import Ground
from sledsaga.check.kills.matrix import CHECKS, RANDOM, TWICE, UNWINDING, Extent, real_kills
from sledsaga.check.report import Row
from sledsaga.check.subject import Subject
from sledsaga.engine.crashpoints import COMMANDS
from sledsaga.hosts.sim import SimSled
from tests.faults.scenarios import APPLY, SCENARIOS

SOME = {APPLY: 12}
"""One point in how many is tried, of those that have many hundreds."""
EVERY_TIME = {"format": 1, "crdb-on-blank-disk": 4, "datasets-best-effort": 1}
"""Which point in how many is tried by each run of the tests; the campaign tries all."""
SINGLE = tuple(name for name in CHECKS if not name.startswith((TWICE, RANDOM)))
"""One kill a trial, at every point."""
DOUBLE = (TWICE, f"{TWICE}{UNWINDING}", RANDOM, f"{RANDOM}{UNWINDING}")


def told(row: Row) -> str:
    """Return a row in one line, with what went wrong."""
    failures = [f"{point.name}: {point.why}" for point in row.failures]
    return f"{row.check} {row.passed}/{len(row.points)} of {row.total} {row.seconds:.1f} s {failures}"


@pytest.mark.parametrize(("name", "every"), EVERY_TIME.items())
def test_killed_at_every_point(subjects: Callable[[str], Subject], name: str, every: int) -> None:
    """Wherever the process is killed, the next one makes the good end, or all as it was if a step failed."""
    rows = real_kills(subjects(name), only=SINGLE, extent=Extent(every=every, strict=True))
    assert [told(row) for row in rows if not row.ok] == []
    assert all(row.points for row in rows if "calls" not in row.check)


def test_killed_twice_here_and_there(subjects: Callable[[str], Subject]) -> None:
    """When the one that recovers is killed as well, or anyone at any moment, the end is one of the two."""
    rows = real_kills(subjects("format"), only=DOUBLE, extent=Extent(every=8, moments=4, strict=True))
    assert [told(row) for row in rows if not row.ok or not row.points] == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_change_is_a_point(
    ground_of: Callable[[str], AbstractContextManager[Ground]], name: str
) -> None:
    """No entry of the sled's journal came without its two points, and no key is left at the end."""
    with ground_of(name) as ground, ground.trial() as trial:
        sim = SimSled.open(trial.sled)
        before = sim.changes()
        ran = trial.run()
        assert ran.state == "succeeded"
        points = [each.point for each in ran.passings]
        changes = sim.changes() - before
        assert changes > 0
        assert min(points.count(point) for point in COMMANDS) >= changes
        assert picture_of(sim)["keys"] == []
        sim.close()


@pytest.mark.campaign
@pytest.mark.parametrize("way", ["", UNWINDING])
@pytest.mark.parametrize("name", [*SCENARIOS, APPLY])
def test_the_whole_matrix(subjects: Callable[[str], Subject], name: str, way: str) -> None:
    """The same for every scenario and row, and on the way forward of sagas that fail in the end."""
    only = [check for check in CHECKS if check.endswith(UNWINDING) == bool(way) and "calls" not in check]
    extent = Extent(every=SOME.get(name, 1), moments=25, strict=True, whole=True)
    rows = real_kills(subjects(name), only=only, extent=extent)
    for row in rows:
        print(f"{name}: {told(row)}")  # noqa: T201 - the campaign's figures
    assert [told(row) for row in rows if not row.ok or not row.points] == []
