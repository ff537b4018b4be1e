"""The production document is applied by processes that are killed; another one always finishes the job.

Steps run at the same time here, so a kill may come anywhere: the same dice need not give the same run.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from sledsaga.check.kills.child import Kill, Passing
from sledsaga.check.kills.ground import Ground, Grounds
from sledsaga.check.subject import Subject

KILLS_IN_ALL = 200
SEEDS = 10
THREADS = 16


def some_kill(dice: random.Random, passings: Sequence[Passing], duration_s: float) -> Kill:
    """Return a kill at one of the passings, or (one in four) at a random moment."""
    if dice.randrange(4) == 0:
        return Kill(after_s=dice.uniform(0, duration_s))
    return dice.choice(passings).kill


def kill_and_recover(ground: Ground, seed: int, kills: int) -> None:
    """Kill this many processes, one or two a trial, and hold each trial's end against the good one."""
    dice, came = random.Random(seed), 0  # noqa: S311 - dice, not keys
    with ground.trial(threads=THREADS) as trial:
        untroubled = trial.run()
        wanted = trial.end(untroubled)
    assert wanted.state == "succeeded"
    while came < kills:
        told = []
        with ground.trial(threads=THREADS) as trial:
            for _ in range(dice.choice((1, 1, 1, 2))):
                kill = some_kill(dice, untroubled.passings, untroubled.seconds)
                hit = trial.run(kill).killed
                came += hit
                told.append(f"{kill}{'' if hit else ' (did not come)'}")
            assert trial.end(trial.run()) == wanted, f"seed {seed}: {', then '.join(told)}"


def test_some_kills(production: Subject) -> None:
    """Whenever the process is killed, the next one makes of the sled what an untroubled one makes of it."""
    with Grounds(production) as grounds:
        kill_and_recover(grounds.one, seed=4711, kills=5)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(SEEDS))
def test_many_kills(production: Subject, seed: int) -> None:
    """The same for 200 kills at random moments and crash points, also during recovery."""
    with Grounds(production) as grounds:
        kill_and_recover(grounds.one, seed=seed, kills=KILLS_IN_ALL // SEEDS)
