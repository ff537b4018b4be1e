"""The simulated sled against OpenZFS: the same lines on both, and after each the same answer and state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.differential.fuse import FuseSide
from tests.real.differential.side import SimSide
from tests.real.test_differential import chance, compare, report

SECONDS = float(os.environ.get("DIFFERENTIAL_S", "60"))
"""How long is compared. A command takes thirty times as long here as natively."""


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[SimSide, FuseSide]]:
    (tmp_path / "sim").mkdir()
    sim, real = SimSide(tmp_path / "sim"), FuseSide(tmp_path / "real")
    real.name = "openzfs"
    yield sim, real
    real.renew()
    sim.close()


def test_the_simulated_sled_does_what_openzfs_does(
    sides: tuple[SimSide, FuseSide], record_property: object
) -> None:
    """The same sequences each time leave both sides with the same answers and the same state."""
    report(record_property, *compare(*sides, iter(range(1000)), SECONDS))


def test_new_sequences_are_tried_each_time(sides: tuple[SimSide, FuseSide], record_property: object) -> None:
    """Sequences of chance leave both sides the same; a seed in the message makes one again."""
    report(record_property, *compare(*sides, chance(), SECONDS / 4))
