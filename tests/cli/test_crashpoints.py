"""Crash points: read from the environment, passed in order, fatal at the one that was asked for."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from sledsaga.engine.crashpoints import POINTS, CrashPoint, parse
from sledsaga.errors import UsageError


def test_unset_means_none() -> None:
    """Without the variable there is no crash point at all, so nothing is ever called."""
    assert CrashPoint.from_env({}) is None
    assert CrashPoint.from_env({"SLEDSAGA_CRASH": ""}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("before-do", CrashPoint("before-do")),
        ("after-append:7", CrashPoint("after-append", None, 7)),
        ("after-do:dataset", CrashPoint("after-do", "dataset")),
        ("after-undo:disk/pool:2", CrashPoint("after-undo", "disk/pool", 2)),
        ("before-command:image:ab:c:3", CrashPoint("before-command", "image:ab:c", 3)),
        ("before-do:3:1", CrashPoint("before-do", "3", 1)),
    ],
)
def test_the_form_is_point_step_and_number(text: str, expected: CrashPoint) -> None:
    """POINT[:STEP][:N] is read; a step's name may hold colons."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["soon", "before-do:", "before-do:0", "before-do::2", "after-append:dataset", ":1", "before-do:x:"],
)
def test_a_malformed_value_is_refused(text: str) -> None:
    """A value that is not of the form is refused in one line that names the variable."""
    with pytest.raises(UsageError, match="SLEDSAGA_CRASH"):
        parse(text)


@pytest.mark.parametrize("point", POINTS)
def test_the_process_dies_at_the_passing_asked_for(point: str) -> None:
    """The N-th passing kills with SIGKILL; passings before it, and of other points or steps, do nothing."""
    step = None if point.endswith("append") else "b"
    code = (
        "from sledsaga.engine.crashpoints import CrashPoint\n"
        f"crash = CrashPoint({point!r}, {step!r}, 3)\n"
        f"for n in range(1, 9):\n    crash.hit('other', {step!r}); crash.hit({point!r}, {step!r})\n"
        f"    if {step!r}: crash.hit({point!r}, 'a')\n    print(n, flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (-signal.SIGKILL, ["1", "2"])
