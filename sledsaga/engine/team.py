"""The workers of a real executor: threads for `def` steps, coroutines for `async def` steps."""

from __future__ import annotations

from sledsaga.engine.coroutines import Coroutines
from sledsaga.engine.perform import Job
from sledsaga.engine.threads import Threads
from sledsaga.engine.workers import Report


class Team:
    """Gives each job to those who can do it."""

    def __init__(self, threads: int) -> None:
        """Begin with no thread; at most `threads` are made, and one more for coroutines."""
        self.threads, self.coroutines = Threads(threads), Coroutines()

    def start(self, job: Job, report: Report) -> None:
        """Run a job; `report` is called with its ending, from where it ran."""
        (self.coroutines if job.function.is_async else self.threads).start(job, report)

    def go(self) -> None:
        """Wake those who have jobs now."""
        self.threads.go()
        self.coroutines.go()

    def cancel(self, job: Job) -> None:
        """Tell a job that it should end: its context says so, and an `async def` step is cancelled."""
        job.context.cancelled.set()
        if job.function.is_async:
            self.coroutines.cancel(job)

    def close(self) -> None:
        """Let go of all that is not busy; nothing is started any more."""
        self.threads.close()
        self.coroutines.close()
