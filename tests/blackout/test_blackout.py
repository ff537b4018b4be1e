"""The power is cut under sagas on a real pool; the machine boots again, and all is as it was told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.blackout.cuts import Figures, count_lost, cut_again_and_again, moments
from tests.blackout.machine import Machine
from tests.blackout.orders import Orders, Synchronous

CUTS = {"disks": 6, "furnish": 8}
"""In each chain; two chains of each make 28."""
Tell = Callable[[str, object], None]
pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("work", ["disks", "furnish"])
@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_lost_and_nothing_is_left_half(
    make: Callable[[], Machine], record_property: Tell, work: str, seed: int
) -> None:
    """After each cut, forward, unwinding or recovering, log and pool have all that was acknowledged."""
    figures = cut_again_and_again(make(), Orders(work), moments(seed, CUTS[work]))
    record_property("cuts", str(figures))
    assert figures.wrong == []
    assert figures.cuts.total() == CUTS[work]


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_a_log_that_syncs_less_is_caught(
    make: Callable[[], Machine], record_property: Tell, synchronous: Synchronous
) -> None:
    """The same cuts lose acknowledged events of a log that does not wait for the disk."""
    figures = Figures()
    for acks in (30, 55):
        acknowledged, lost = count_lost(make(), Orders(synchronous=synchronous), acks)
        figures.cuts["control"] += 1
        figures.acknowledged += acknowledged
        figures.lost += lost
    record_property("cuts", f"synchronous={synchronous}: {figures}")
    assert figures.lost > 0


def test_a_log_that_syncs_is_not_accused(make: Callable[[], Machine]) -> None:
    """The judge of those controls finds nothing lost where the log waits for the disk."""
    acknowledged, lost = count_lost(make(), Orders(), 30)
    assert (acknowledged >= 30, lost) == (True, 0)
