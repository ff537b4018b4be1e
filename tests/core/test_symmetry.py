"""States that steps in the same place turn into each other are walked once, and nothing is lost by it."""

from __future__ import annotations

import pytest

from sledsaga.check.explore import Report, Walk
from sledsaga.check.walk.drive import shape
from sledsaga.check.walk.moves import Bounds
from sledsaga.check.walk.symmetry import Fold, alike, fold_of, orders, shapes
from sledsaga.check.walk.world import begin
from sledsaga.core.dag import Dag, Policy
from sledsaga.core.define import Retry

PLAIN = Policy(undo_retry=Retry(1))
UP_TO_3 = [needs for size in (1, 2, 3) for needs in shapes(size)]
SIDE_BY_SIDE = {"a": "", "b": "", "c": ""}


def walked(dag: Dag, bounds: Bounds) -> tuple[Walk, Report, Walk, Report]:
    """Walk with and without symmetry."""
    reduced = Walk(begin(dag, bounds=bounds), fold_of(dag), 1_000_000)
    full = Walk(begin(dag, bounds=bounds), Fold(), 1_000_000)
    return reduced, reduced.all(), full, full.all()


def test_there_are_as_many_shapes_as_posets() -> None:
    """Up to renaming there are 1, 2, 5, 16 and 63 ways to order 1 to 5 steps (OEIS A000112)."""
    assert [len(shapes(size)) for size in range(1, 6)] == [1, 2, 5, 16, 63]


@pytest.mark.parametrize(
    ("needs", "count"),
    [
        ({"a": "", "b": "", "c": "", "d": ""}, 24),
        ({"a": "", "b": "a", "c": "b", "d": "c"}, 1),
        ({"a": "", "b": "a", "c": "a", "d": "b c"}, 2),
        ({"a": "", "b": "", "c": "a", "d": "b"}, 2),
        ({"a": "", "b": "", "c": "a b", "d": "a b"}, 4),
        ({"a": "", "b": "", "c": "a", "d": "a b"}, 1),
    ],
)
def test_the_automorphisms_are_counted(needs: dict[str, str], count: int) -> None:
    """Each way of putting steps into each other's places is found once; the first changes nothing."""
    found = orders(shape(needs))
    assert (len(found), len(set(found)), found[0]) == (count, count, (0, 1, 2, 3))


def test_many_steps_side_by_side_are_put_in_order() -> None:
    """Where there are too many automorphisms, steps that are alike are told apart by nothing all the same."""
    ten = shape({**dict.fromkeys("abcdefgh", ""), "i": "a b c d e f g h", "j": "i"})
    fold = fold_of(ten)
    assert (fold.orders, fold.groups) == ((), alike(ten)) == ((), (tuple(range(8)),))
    assert fold.key("x", "stcpmanbyz") == fold.key("x", "abcmnpstyz") != fold.key("x", "abcmnpstzy")


def test_steps_that_differ_do_not_change_places() -> None:
    """Another kind of undo, or another policy, tells two steps apart."""
    assert len(orders(shape(SIDE_BY_SIDE, undo={"a": "none"}))) == 2
    assert len(orders(shape(SIDE_BY_SIDE, policy={"a": PLAIN, "b": Policy(cancellable=True)}))) == 1


@pytest.mark.parametrize("needs", UP_TO_3, ids=str)
def test_symmetry_loses_no_state_and_no_end(needs: dict[str, str]) -> None:
    """Each state of the full walk folds to one that the reduced walk saw, and the other way round."""
    dag = shape(needs, policy=PLAIN)
    reduced, report, full, full_report = walked(dag, Bounds(crashes=2, commands=len(needs) < 3))
    known = {number: step for step, number in full.fold.numbers.items()}
    folded = {reduced.fold.key(whole, [known[one] for one in steps]) for whole, steps in full.seen}
    assert folded == set(reduced.seen)
    assert (report.breaches, report.ends) == (full_report.breaches, full_report.ends)


def test_symmetry_spares_nearly_all_that_it_can() -> None:
    """Three steps side by side can change places in 6 ways: the full walk sees 4 times as many states."""
    _, report, _, full = walked(shape(SIDE_BY_SIDE, policy=PLAIN), Bounds(crashes=2))
    assert 4 < full.states / report.states < 6
