"""The commands `explore` and `simulate` refuse what would prove nothing, and end when they are told to."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from sledsaga.check.command import INTERRUPTED, NOBODY_READS


def begin(module: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"sledsaga.check.{module}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "explore --steps 0",
        "explore --steps 7",
        "explore --crashes -1",
        "explore --attempts 0",
        "explore --jobs 0",
        "simulate --seeds 0",
        "simulate --sagas 0",
        "simulate --jobs 0",
        "simulate --from x",
    ],
)
def test_what_would_prove_nothing_is_refused(arguments: str) -> None:
    """A count that makes no sense is an error of one line that says which would, never a success."""
    with begin(*arguments.split()) as process:
        said, error = process.communicate()
    assert (process.returncode, said) == (2, "")
    assert "; give one " in error.splitlines()[-1]


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("much", ["explore --steps 5", "simulate --sagas 9000"])
def test_ctrl_c_is_no_breach(much: str, jobs: str) -> None:
    """Whoever interrupts a command is told so in a line, and not that a promise is broken."""
    with begin(*much.split(), "--jobs", jobs) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said, error = process.communicate()
    assert (process.returncode, error) == (INTERRUPTED, "interrupted: what was not reached is not proven\n")
    assert "failed by itself" not in said


def test_a_reader_may_go_away() -> None:
    """Whoever closes the pipe early sees no traceback."""
    with begin("explore", "--steps", "4", "--crashes", "1") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == NOBODY_READS
