"""Worlds of bad luck: the real executor, store and sled, turned by hand under a seed, break no promise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from sledsaga.check.simulate import Run, main, simulate
from sledsaga.check.simulation.world import Parts
from sledsaga.core.events import CODES
from tests.twins.loop import DropsAnEnd

SEEDS, CHUNK, SAGAS = 200, 25, 80
FEW, MANY = 10, 1000
LARGE = {
    10_001: 500,
    10_004: 400,
    10_003: 3000,
}  # one with a sled, one with its log in SQLite, one in memory


def told(run: Run) -> str:
    return "\n".join((*run.transcript, run.breach, run.again))


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_promise_is_broken(first: int) -> None:
    """Whatever befalls executors, disk and people: every saga ends as its log says, and the log is whole.

    Each chunk of worlds meets all that can happen, or it would prove little.
    """
    total = Counter[str]()
    for seed in range(first, first + CHUNK):
        run = simulate(seed, sagas=SAGAS)
        assert run.breach == "", told(run)
        total.update(run.count)
    reached = {f"event {code}" for code in CODES}
    reached |= {"crashes", "stops", "accepted", "decisions", "writes late", "writes refused", "writes crash"}
    assert {name for name in reached if not total[name]} == set()
    assert total["sagas"] >= 0.9 * CHUNK * SAGAS


@pytest.mark.parametrize("seed", LARGE)
def test_no_promise_is_broken_in_a_large_world(seed: int) -> None:
    """The same with thousands of sagas."""
    run = simulate(seed, sagas=LARGE[seed])
    assert run.breach == "", told(run)


@pytest.mark.campaign
@pytest.mark.parametrize("first", range(0, SEEDS, FEW))
def test_no_promise_is_broken_in_large_worlds(first: int) -> None:
    """The same worlds with a thousand sagas each."""
    for seed in range(first, first + FEW):
        run = simulate(seed, sagas=MANY)
        assert run.breach == "", told(run)


def live_through(first: int, hash_seed: str) -> str:
    """Return the digest of three worlds, lived through in a process of their own."""
    arguments = ["--seeds", "3", "--from", str(first), "--sagas", "30"]
    done = subprocess.run(
        [sys.executable, "-m", "sledsaga.check.simulate", *arguments],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def test_a_seed_is_the_same_world_each_time() -> None:
    """Two processes that order their sets differently live through the same, event by event."""
    assert live_through(4, "1") == live_through(4, "2")
    assert len({simulate(seed, sagas=10).digest for seed in (4, 5, 6)}) == 3


def test_what_is_reported_is_enough_to_do_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    """A broken executor is told with the saga's log and the one command that shows it again."""
    run = simulate(0, sagas=60, parts=Parts(executor=DropsAnEnd))
    assert "neither ends, nor goes on" in run.breach
    assert any("step-started" in line for line in run.transcript)
    assert simulate(0, sagas=60, parts=Parts(executor=DropsAnEnd)) == run
    _python, _m, _module, *arguments = run.again.split()
    assert main(arguments) == 0, "the real one does not break"
    assert "1 seeds, " in capsys.readouterr().out
