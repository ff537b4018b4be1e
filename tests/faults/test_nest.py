"""Operations without a sled, killed for real: what is reached, what is refused, and what is told of it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

import pytest

from sledsaga.check.kills.child import Kill
from sledsaga.check.kills.ground import Grounds
from sledsaga.check.kills.matrix import Extent, real_kills
from sledsaga.check.kills.place import Place, place_of
from sledsaga.check.kills.processes import Nest
from sledsaga.check.report import UNSEEN
from sledsaga.check.subject import Subject
from sledsaga.core.define import no_undo, operation, step
from sledsaga.core.model import Model
from sledsaga.errors import UsageError
from tests.faults import letters

CALLS: Final = ("kill_at_appends", "kill_at_appends_unwinding", "kill_at_calls", "kill_at_calls_unwinding")


def in_folder(folder: Path, **more: str) -> dict[str, Any]:
    return {"folder": str(folder), **more}


def test_an_operation_is_found_where_it_stands() -> None:
    """An operation is known by a module and a name in it; one made inside a function has no place."""
    assert str(place_of(letters.MIXED)) == "tests.faults.letters:MIXED"
    homeless = operation("homeless", version=1, params=Model, steps=[step(print, undo=no_undo("x"))])
    with pytest.raises(UsageError, match="operation homeless: another process cannot find it"):
        real_kills(Subject(homeless, {}))


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (Place("no_such_module", "ONE", "one", 1), "cannot be loaded in another process: ModuleNotFound"),
        (Place("tests.faults.letters", "MIXED", "mixed", 2), "operation mixed v2 is not in"),
    ],
)
def test_what_another_process_cannot_load_is_refused(place: Place, told: str) -> None:
    """A process that cannot have the operation says so in one line, and nothing is tried."""
    with pytest.raises(UsageError, match=told):
        Nest(place)


def test_every_kind_of_step_can_be_killed(capfd: pytest.CaptureFixture[str]) -> None:
    """Steps that are async, nested or pivots are killed at each call and append; children are silent."""
    rows = real_kills(Subject(letters.MIXED, in_folder), only=CALLS, extent=Extent(strict=True))
    assert [(row.check, row.ok, row.failures) for row in rows] == [(name, True, ()) for name in CALLS]
    named = {point.name for point in rows[2].points}
    assert {"before-do 2: inner/stamp", "after-do 3: send"} <= named
    assert {point.name for point in rows[3].points} >= {"after-undo 1: inner/stamp", "before-undo 2: letter"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("check", "point"), [("kill_at_calls", "before-do 2: late"), ("kill_twice", "after-append 3: ")]
)
def test_a_point_that_is_not_reached_is_a_failure(tmp_path: Path, check: str, point: str) -> None:
    """A passing that came only in the untroubled run is told by its name, and the row fails."""
    params = functools.partial(in_folder, notes=str(tmp_path / "late"))
    [row] = real_kills(Subject(letters.LATE, params), only=[check])
    missed = [(each.reached, each.why) for each in row.failures if each.name.startswith(point)]
    assert (row.ok, missed) == (False, [(False, "the kill did not come")])


def test_either_end_is_good_unless_one_is_wanted() -> None:
    """A saga that is undone after a kill has one of the two ends; who is strict wants it to succeed."""
    subject = Subject(letters.CAREFUL, in_folder)
    [lax] = real_kills(subject, only=["kill_at_calls"])
    [strict] = real_kills(subject, only=["kill_at_calls"], extent=Extent(strict=True))
    assert lax.ok
    assert ["it should be succeeded" in point.why for point in strict.failures] == [True] * len(strict.points)


def test_a_process_that_does_not_end_is_told() -> None:
    """A child that outlasts the subject's patience is ended, and its nest goes on."""
    with Grounds(Subject(letters.ENDLESS, in_folder, patience_s=0.5)) as grounds:
        for _ in range(2):
            with grounds.one.trial() as trial:
                assert trial.run().error == "the process did not end within 0.5 s"
        with grounds.one.trial() as trial:
            assert trial.run(Kill("before-do")).killed


def test_a_saga_that_does_not_end_well_is_not_killed() -> None:
    """When the saga fails without any kill, that is the only point of a row, and it fails."""
    [row] = real_kills(Subject(letters.MIXED, {"folder": "/nowhere"}), only=["kill_at_appends"])
    assert [(point.name, point.reached) for point in row.points] == [("without a kill", False)]
    assert "it should be succeeded" in row.points[0].why


def test_several_grounds_try_all(tmp_path: Path) -> None:
    """With more jobs than one the points are the same, in the same order."""
    subject = Subject(letters.MIXED, in_folder)
    one, two = (real_kills(subject, only=["kill_twice"], extent=Extent(jobs=n, every=6)) for n in (1, 2))
    assert one == two
    assert one[0].points


def test_a_sample_of_kills_has_both_moments() -> None:
    """Appends pass before and after in turn; one point in two is not all of one of them."""
    [row] = real_kills(Subject(letters.MIXED, in_folder), only=["kill_at_appends"], extent=Extent(every=2))
    moments = [point.name.partition(" ")[0] for point in row.points[:-1]]  # the last is always taken
    assert set(moments) == {"before-append", "after-append"}
    assert len(row.points) < row.total


def test_kills_of_what_is_not_seen_are_noted(tmp_path: Path) -> None:
    """A saga that works outside of its trials' folders passes; that nothing of it was seen is said."""
    [row] = real_kills(Subject(letters.MIXED, {"folder": str(tmp_path)}), only=["kill_at_calls_unwinding"])
    assert row.note == UNSEEN
