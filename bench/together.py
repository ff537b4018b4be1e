"""Processes that begin together, and how long they took from the first begin to the last end.

Each says that it is ready, hears when all are, and says when it began and when it ended.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from bench.child import ROOT

READY, GO = "ready\n", "go\n"


def run_together(commands: Sequence[Sequence[str]]) -> float:
    """Run modules of ours (each with its arguments) as processes that begin together; return the seconds."""
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(  # noqa: S603 - a module of ours
                    [sys.executable, "-m", *command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    cwd=ROOT,
                )
            )
            for command in commands
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == READY, "a process did not come up"
        for child in children:
            assert child.stdin is not None
            child.stdin.write(GO)
            child.stdin.flush()
        answers = [child.communicate()[0] for child in children]
    times = [tuple(map(float, answer.split())) for answer in answers]
    return max(end for _, end in times) - min(begin for begin, _ in times)


def begin_together(work: Callable[[], object]) -> None:
    """Be one of them: do the work when all are ready."""
    sys.stdout.write(READY)
    sys.stdout.flush()
    sys.stdin.readline()
    began = time.monotonic()
    work()
    print(began, time.monotonic(), flush=True)
