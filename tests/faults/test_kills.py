"""The production document is applied by processes that are killed; another one always finishes the job."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sledsaga.check.kills import drive, random_kill

KILLS_IN_ALL = 200
SEEDS = 20
DURATION_S = 1.5


def passings(changes: int) -> dict[str, int]:
    """Return up to which passing each crash point is tried; a kill that does not come counts as not tried."""
    commands = changes * 4 // 5
    return {
        "before-append": 100,
        "after-append": 100,
        "before-do": 170,
        "after-do": 170,
        "before-command": commands,
        "after-command": commands,
    }


def kill_and_recover(production: Any, good_end: tuple[str, int], seed: int, kills: int) -> None:
    """Kill this many processes, one or two a trial, and hold each trial's end against the good one."""
    dice, came = random.Random(seed), 0  # noqa: S311 - dice, not keys
    while came < kills:
        trial = production.trial()
        told = []
        for _ in range(dice.choice((1, 1, 1, 2))):
            kill = random_kill(dice, passings(good_end[1]), DURATION_S)
            hit = drive(trial, kill)
            came += hit
            told.append(f"{kill}{'' if hit else ' (did not come)'}")
        assert not drive(trial)
        assert production.end(trial) == ("succeeded", good_end[0]), f"seed {seed}: {', then '.join(told)}"


def test_some_kills(production: Any, good_end: tuple[str, int]) -> None:
    """Whenever the process is killed, the next one makes of the sled what an untroubled one makes of it."""
    kill_and_recover(production, good_end, seed=4711, kills=8)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(SEEDS))
def test_many_kills(production: Any, good_end: tuple[str, int], seed: int) -> None:
    """The same for 200 kills at random moments and crash points, also during recovery."""
    kill_and_recover(production, good_end, seed=seed, kills=KILLS_IN_ALL // SEEDS)
