"""The simulated sled against OpenZFS: the same lines on both, and after each the same answer and state."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.real.differential.alphabet import sequence
from tests.real.differential.fuse import FuseSide
from tests.real.differential.play import play
from tests.real.differential.side import SimSide

SECONDS = float(os.environ.get("DIFFERENTIAL_S", "60"))
"""How long is compared. A command takes thirty times as long here as natively."""
LENGTH = 15


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[SimSide, FuseSide]]:
    (tmp_path / "sim").mkdir()
    sim, real = SimSide(tmp_path / "sim"), FuseSide(tmp_path / "real")
    real.name = "openzfs"
    yield sim, real
    real.renew()
    sim.close()


def test_the_simulated_sled_does_what_openzfs_does(sides: tuple[SimSide, FuseSide]) -> None:
    """The same sequences each time leave both sides with the same answers and the same state."""
    sim, real = sides
    ends_at, compared, differ = time.monotonic() + SECONDS, 0, []
    for seed in itertools.count():
        if time.monotonic() > ends_at:
            break
        made = sequence(Random(seed), LENGTH)  # noqa: S311 - nothing secret
        played = play(made, sim, real)
        compared += played.compared
        if played.difference is not None:
            differ.append(
                "\n".join((f"seed {seed}:", *made[: played.difference.place], str(played.difference)))
            )
    print(f"differential: {compared} lines compared in {seed} sequences")  # noqa: T201 - for the report
    if differ:
        pytest.fail("\n\n".join(differ))
