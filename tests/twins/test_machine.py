"""The walk tells each broken part of the machine for what it is, and is silent where the real part stands."""

from __future__ import annotations

import pytest

from sledsaga.check.explore import stroll
from sledsaga.check.walk.moves import REAL, Parts
from sledsaga.check.walk.world import begin
from tests.twins.broken import eager
from tests.twins.machine import CHAIN, PLANTS, Plant


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_a_broken_part_is_told(plant: Plant) -> None:
    """The breach is the one that was planted, and the way to it is short."""
    lines = plant.caught().splitlines()
    assert any(plant.says in line for line in lines if line.startswith("breach: ")), plant.caught()
    assert lines[0].startswith("  1. ")
    assert len(plant.report().transcript) < 9


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_the_real_parts_are_silent_there(plant: Plant) -> None:
    """Where a broken part is caught, the real parts keep every rule."""
    report = plant.report(REAL)
    assert report.breaches == (), report
    assert report.is_complete


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_symmetry_hides_no_breach(plant: Plant) -> None:
    """With symmetry or without, the same breach is found on a way of the same length."""
    reduced, full = plant.report(), plant.report(symmetry=False)
    assert reduced.breaches == full.breaches
    assert len(reduced.transcript) == len(full.transcript)


def test_a_stroll_notices_too() -> None:
    """A random walk of a broken part ends at its breach."""
    report = stroll(begin(CHAIN, parts=Parts(ready=eager)), lambda _count: 0)
    assert "a need has not succeeded" in str(report)
