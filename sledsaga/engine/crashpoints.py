"""Crash points: end this very process with SIGKILL at a chosen moment, to prove that nothing is lost.

    SLEDSAGA_CRASH=POINT[:STEP][:N]

kills at the N-th passing (1 unless told) of POINT; with a STEP only passings for that step's path count.

| point                         | is passed                                                            |
| ----------------------------- | -------------------------------------------------------------------- |
| before-append, after-append   | around each transaction of the log; it has many sagas, hence no STEP |
| before-do, after-do           | around each call of a step's `do`, before its result is recorded     |
| before-undo, after-undo       | around each call of a step's `undo`, before its result is recorded   |
| before-command, after-command | around each command or file change that changes the sled             |

When the variable is unset there is no hook at all, so it costs nothing. A last part of digits is N; write
`before-do:3:1` for the first passing of a step that is named 3.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sledsaga.errors import UsageError

VARIABLE: Final = "SLEDSAGA_CRASH"
APPENDS: Final = ("before-append", "after-append")
COMMANDS: Final = ("before-command", "after-command")
CALLS: Final = ("before-do", "after-do", "before-undo", "after-undo")
POINTS: Final = (*APPENDS, *CALLS, *COMMANDS)


@dataclass(slots=True)
class CrashPoint:
    """Where this process shall die. `hit` is safe to be called from many threads."""

    point: str
    step: str | None = None
    nth: int = 1
    _passed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> CrashPoint | None:
        """Return what the environment asks for, or None; raises UsageError for a malformed value."""
        text = (os.environ if env is None else env).get(VARIABLE, "")
        return parse(text) if text else None

    def hit(self, point: str, step: str | None = None) -> None:
        """Die here if this is the passing that was asked for."""
        if point != self.point or (self.step is not None and step != self.step):
            return
        with self._lock:
            self._passed += 1
            if self._passed == self.nth:
                os.kill(os.getpid(), signal.SIGKILL)


def parse(text: str) -> CrashPoint:
    """Read `POINT[:STEP][:N]`; raises UsageError that shows the form."""
    point, *rest = text.split(":")
    if point not in POINTS:
        raise UsageError(f"{VARIABLE}: {point!r} is no crash point; there are: {', '.join(POINTS)}")
    nth = rest.pop() if rest and rest[-1].isascii() and rest[-1].isdigit() else "1"
    step = ":".join(rest) if rest else None
    if "" in rest or int(nth) < 1:
        raise UsageError(
            f"{VARIABLE}: {text!r} is not POINT[:STEP][:N] with N from 1, such as after-do:dataset:2"
        )
    if step is not None and point in APPENDS:
        raise UsageError(
            f"{VARIABLE}: {text!r}: an append is for many sagas and has no step; write {point}:{nth}"
        )
    return CrashPoint(point, step, int(nth))
