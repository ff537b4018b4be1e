"""The simulated sled against real ZFS: the same lines on both, and after each the same answer and state.

The number of lines that were compared is in the report (`make test -rP`, JUnit property `lines`).
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import pytest

from sledsaga.check.room import Room
from tests.real.differential.allowed import ALLOWED, Allowed
from tests.real.differential.alphabet import sequence
from tests.real.differential.fuse import FuseSide
from tests.real.differential.learned import LEARNED
from tests.real.differential.play import play, shortest
from tests.real.differential.side import SimSide

LENGTH = 15
TRIES = 5
"""How often a learned sequence is played at most, for FUSE lets go late."""
SEQUENCES = 30
FIXED_S, PATIENCE_S = 10.0, 400.0
"""How long the same sequences are compared at most, in seconds: by default, and in the campaign."""
CAMPAIGN = range(1000, 1100)
CAMPAIGN_S = float(os.environ.get("DIFFERENTIAL_S", "0"))
"""How long the campaign compares sequences of chance, in seconds; unless told, it has its own ones."""


@pytest.fixture
def real(room: Room, tmp_path: Path) -> Iterator[FuseSide]:
    side = FuseSide(tmp_path / "real")
    yield side
    side.renew()


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimSide]:
    (tmp_path / "sim").mkdir()
    side = SimSide(tmp_path / "sim")
    yield side
    side.close()


def chance() -> Iterator[int]:
    """Return seeds from a place that is another each time."""
    return itertools.count(secrets.randbelow(2**32))


@dataclass
class Compared:
    """What a run has compared. `passing` counts differences that did not show again: moods of FUSE."""

    sequences: int = 0
    lines: int = 0
    passing: int = 0


def compare(sim: SimSide, real: FuseSide, seeds: Iterator[int], for_s: float) -> Compared:
    """Play sequences until the time is over; one that differs is played again, for FUSE lets go late."""
    ends_at = time.monotonic() + for_s
    done = Compared()
    for seed in seeds:
        if time.monotonic() > ends_at:
            break
        made = sequence(Random(seed), LENGTH)  # noqa: S311 - nothing secret
        played = play(made, sim, real)
        done.sequences += 1
        done.lines += played.compared
        if played.difference is not None:
            if play(made, sim, real).difference is not None:
                pytest.fail(told(seed, made[: played.difference.place], sim, real))
            done.passing += 1
    return done


def told(seed: int, made: Sequence[str], sim: SimSide, real: FuseSide) -> str:
    """Say how the sides differ, by the shortest sequence that still shows it."""
    fewest = shortest(made, lambda lines: play(lines, sim, real).difference is not None)
    return "\n".join(
        (
            f"seed {seed}; the shortest sequence that shows it:",
            *fewest,
            str(play(fewest, sim, real).difference),
        )
    )


def report(record_property: Callable[[str, object], None], done: Compared) -> None:
    """Put the figures into the report; a run that compared nothing, or was moody, proves nothing."""
    for name, number in asdict(done).items():
        record_property(name, number)
    text = f"{done.lines} lines in {done.sequences} sequences compared, {done.passing} passing differences"
    print(f"differential: {text}")  # noqa: T201 - for the report
    assert done.lines > done.sequences
    assert done.passing <= 1 + done.sequences // 50


def test_the_simulated_sled_does_what_real_zfs_does(
    sim: SimSide, real: FuseSide, record_property: Callable[[str, object], None]
) -> None:
    """The same sequences each time leave both sides with the same answers and the same state."""
    report(record_property, compare(sim, real, iter(range(SEQUENCES)), FIXED_S))


@pytest.mark.parametrize("title", LEARNED)
def test_what_once_differed_does_so_no_more(title: str, sim: SimSide, real: FuseSide) -> None:
    """Each learned sequence leaves both sides with the same answers and the same state."""
    found = [play(LEARNED[title].whole, sim, real).difference]
    while found[-1] is not None and len(found) < TRIES:
        found.append(play(LEARNED[title].whole, sim, real).difference)
    assert found[-1] is None, found[-1]


@pytest.mark.campaign
@pytest.mark.timeout(CAMPAIGN_S * 2 + 900)
def test_a_campaign_finds_no_difference(
    sim: SimSide, real: FuseSide, record_property: Callable[[str, object], None]
) -> None:
    """More sequences leave both sides the same; with DIFFERENTIAL_S, so many seconds of new ones."""
    if CAMPAIGN_S:
        report(record_property, compare(sim, real, chance(), CAMPAIGN_S))
    else:
        report(record_property, compare(sim, real, iter(CAMPAIGN), PATIENCE_S))


@pytest.mark.parametrize("row", ALLOWED, ids=lambda row: row.name)
def test_what_may_differ_still_does(row: Allowed, sim: SimSide, real: FuseSide) -> None:
    """Each row of the table of allowed differences is needed by its witness; a dead one is to be removed."""
    played = play(row.witness, sim, real)
    assert played.difference is None
    assert row.name in played.used


def forgetful(argv: Sequence[str]) -> Sequence[str]:
    """Hear a command line as a simulator would that says yes to quotas and forgets them."""
    return ["quota=none" if word.startswith("quota=") else word for word in argv]


def test_a_simulated_sled_that_forgets_is_found_out(tmp_path: Path, real: FuseSide) -> None:
    """A mistake in the simulator is found, and the sequence is cut down to the lines that it needs."""
    (tmp_path / "sim").mkdir()
    sim = SimSide(tmp_path / "sim", forgetful)
    needed = ["zpool create -m ROOT/pa pa DISK0", "zfs create pa/x", "zfs set quota=8M pa/x"]
    lines = [*needed[:2], "zfs snapshot pa@s", "zfs create pa/y", needed[2]]

    def shows(some: Sequence[str]) -> bool:
        return "pa/x quota: ('0', 'default') | ('8388608', 'local')" in str(play(some, sim, real).difference)

    assert shows(lines)
    assert shortest(lines, shows) == needed
    sim.close()
