"""The simulated sled against OpenZFS: the same lines on both, and after each the same answer and state."""

from __future__ import annotations

import itertools
import os
import re
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
POOL = "zpool create -o ashift=12 -m ROOT/pa pa DISK0"
ALLOWED = (
    (
        "OpenZFS says that there is nothing to import, with exit code 0; older tools say nothing, with 1",
        r"line \d+: zpool import(?s:.*)sim : '1: '(?s:.*)real: '0: no pools available to import'",
        ("zpool import -d DISKS",),
    ),
    (
        "OpenZFS ends a wrong command line by its usage, where older tools say only what is wrong",
        r"sim : '2: '(?s:.*)real: '2: usage:'",
        (POOL, "zfs snapshot pb/z"),
    ),
    (
        "OpenZFS keeps a limit of nothing as one that was set",
        r"(quota|reservation): \('0', 'default'\) \| \('0', 'local'\)",
        (POOL, "zfs create pa/x", "zfs set reservation=0 pa/x"),
    ),
    (
        "OpenZFS tells in more words that a path is no mountpoint: it looks in /proc",
        r"line \d+: zfs u(n)?mount ROOT(?s:.*)sim : \"1: cannot unmount(?s:.*)real: \"1: cannot open",
        (POOL, "zfs umount ROOT/m1/in"),
    ),
    (
        "OpenZFS cannot resolve a path where nothing is, which illumos cannot open",
        r"sim : \"1: cannot open 'DISK\d+': \[no device\]\"(?s:.*)real: \"1: cannot resolve path 'DISK",
        ("zpool create -o ashift=12 -m none pa DISK3",),
    ),
)
"""What may differ: why, how it shows, and a sequence that ends by it. None of it is a driver's line."""


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
        text = str(played.difference)
        if played.difference is not None and not any(re.search(shows, text) for _, shows, _ in ALLOWED):
            differ.append("\n".join((f"seed {seed}:", *made[: played.difference.place], text)))
    print(f"differential: {compared} lines compared in {seed} sequences")  # noqa: T201 - for the report
    if differ:
        pytest.fail("\n\n".join(differ))


@pytest.mark.parametrize("row", ALLOWED, ids=range(len(ALLOWED)))
def test_what_may_differ_still_does(
    row: tuple[str, str, tuple[str, ...]], sides: tuple[SimSide, FuseSide]
) -> None:
    """Each allowed difference shows at the end of its sequence; a dead one is to be removed."""
    _, shows, lines = row
    found = play(lines, *sides).difference
    assert found is not None
    assert found.place == len(lines)
    assert re.search(shows, str(found)), found
