"""Full disks and I/O errors at each single call: nothing acknowledged is lost, nothing is there by half."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.power.failures import Run, sweep
from tests.power.vfs import Trouble

TROUBLES_OF_DISKS: Final[tuple[Trouble, ...]] = ("full", "eio")
TROUBLES = [Run("full", count=3, cuts=1), Run("eio", making=True, count=2, cuts=1)]


@pytest.mark.parametrize("run", TROUBLES, ids=str)
def test_any_call_may_fail(folder: Path, run: Run) -> None:
    """Whichever call of the disk fails, the store says so, keeps what it acknowledged, and can go on."""
    assert sweep(run, folder) == []


LONGER = [
    Run(trouble, times=times, making=True, seed=3, count=5, cuts=3)
    for trouble in TROUBLES_OF_DISKS
    for times in (1, 3)
]


@pytest.mark.campaign
@pytest.mark.parametrize("run", LONGER, ids=str)
def test_any_call_of_a_longer_run_may_fail(folder: Path, run: Run) -> None:
    """The same for longer runs and several failures in a row, from the making of the log on."""
    assert sweep(run, folder) == []
