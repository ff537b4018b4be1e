"""Those who make the calls: they are given jobs, hand back endings through a callback, and decide nothing.

Whoever gives an executor other workers (a simulation) says in which order calls are made and end.
"""

from __future__ import annotations

from typing import Protocol

from sledsaga.core.endings import Ending
from sledsaga.engine.perform import Job


class Report(Protocol):
    """Hears the ending of a job."""

    def __call__(self, ending: Ending, *, has_time: bool = False) -> None:
        """Hear it, once, from any thread; one that `has_time` may be kept for a turn of the executor."""
        ...


class Workers(Protocol):
    """Those who make the calls. All are asked by one thread at a time: `start` and `cancel` in a turn."""

    def start(self, job: Job, report: Report) -> None:
        """Run a job; `report` is called with its ending, once, from any thread, and not from in here."""
        ...

    def go(self) -> None:
        """Wake those who are to run what was started: the turn is over, and they may have news at once."""
        ...

    def cancel(self, job: Job) -> None:
        """Tell a job that it should end."""
        ...

    def close(self) -> None:
        """Let go of all that is not busy; nothing is started any more."""
        ...
