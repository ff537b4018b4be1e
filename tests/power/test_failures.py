"""Full disks and I/O errors at each single call: nothing acknowledged is lost, nothing is there by half."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.power.failures import Run, sweep

TROUBLES = [Run("full", count=3, cuts=1), Run("eio", making=True, count=2, cuts=1)]


@pytest.mark.parametrize("run", TROUBLES, ids=str)
def test_any_call_may_fail(folder: Path, run: Run) -> None:
    """Whichever call of the disk fails, the store says so, keeps what it acknowledged, and can go on."""
    assert sweep(run, folder) == []


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("trouble", ["full", "eio"])
def test_any_call_of_a_longer_run_may_fail(folder: Path, trouble: str, times: int, seed: int) -> None:
    """The same for longer runs and several failures in a row, from the making of the log on."""
    run = Run("full" if trouble == "full" else "eio", times=times, making=True, seed=seed, count=7, cuts=6)
    assert sweep(run, folder) == []
