"""What a step is told of the call that it is in, and how it says how far it is.

A context is made for one call and given as `ctx`. Its key is the same for every call of one step of one
saga, whatever the attempt, the epoch or the process: hand it to whatever can refuse to do a thing twice.
Its epoch rises with each claim: hand it to whatever can refuse an old executor.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from sledsaga.engine.flag import Flag
from sledsaga.errors import CommandCancelled

Note = Callable[[str, dict[str, object]], None]


def _silent(_message: str, _fields: dict[str, object]) -> None:
    """Take a note nowhere."""


@dataclass(frozen=True, slots=True)
class Context:
    """One call of `do`, `undo` or `probe`.

    `step` is its path; `attempt` counts from 1; `in_doubt` says that an earlier call may have run under a
    lost executor; `cancelled` is set when the call should end soon (time over, unwinding, shutdown);
    `deadline` is on the clock `monotonic`, or None.
    """

    saga: str
    operation: str
    step: str
    direction: Literal["do", "undo", "probe"] = "do"
    attempt: int = 1
    epoch: int = 0
    in_doubt: bool = False
    deadline: float | None = None
    cancelled: threading.Event = field(default_factory=Flag, compare=False)
    monotonic: Callable[[], float] = field(default=time.monotonic, compare=False, repr=False)
    note: Note = field(default=_silent, compare=False, repr=False)

    @property
    def key(self) -> str:
        """The idempotency key of this step of this saga, for `do` and `undo` alike."""
        return f"{self.saga}/{self.step}"

    def log(self, message: str, **fields: object) -> None:
        """Write one line to the diagnostics, marked with saga and step. Never write a secret."""
        self.note(message, {"saga": self.saga, "step": self.step, **fields})

    def progress(self, done: int, total: int) -> None:
        """Say how much of the step is done."""
        self.log(f"{done} of {total}", done=done, total=total)

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than until the call is cancelled; raises CommandCancelled then."""
        if self.cancelled.wait(seconds):
            msg = f"step {self.step} was cancelled while it waited"
            raise CommandCancelled(msg)
