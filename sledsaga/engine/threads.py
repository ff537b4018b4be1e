"""Where `def` steps run: a bounded set of threads.

Threads are made when they are needed and are daemons: a step that never returns must not keep the process
from ending.

Rules
- One idle thread is woken at a time, and wakes the next when it finds more than it can take: steps that take
  no time are done by the one that runs already, and steps that take some are soon on all threads.
- A thread that reports, and has no other job, may be kept for a turn of the executor. The one job that this
  turn starts is its own.
"""

from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue

from sledsaga.engine.perform import Job, perform
from sledsaga.engine.workers import Report

GO_ON, GO_HOME = True, False  # what the bell says


class Threads:
    """Makes the calls of `def` steps."""

    def __init__(self, bound: int) -> None:
        """Begin with no thread; at most `bound` are made."""
        self._bound = bound
        self._jobs: deque[tuple[Job, Report]] = deque()
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._mutex = threading.Lock()
        self._threads = self._idle = 0
        self._is_one_coming = False
        self._here = threading.local()
        self._closed = False

    def start(self, job: Job, report: Report) -> None:
        """Run a job; `report` is called with its ending, from the thread that ran it."""
        self._jobs.append((job, report))

    def go(self) -> None:
        """Wake a thread, but for the one job that the thread that calls looks at next anyway."""
        if self._jobs and not self._closed and (len(self._jobs) > 1 or not hasattr(self._here, "is_ours")):
            self._wake_one()

    def close(self) -> None:
        """Let idle threads end, busy ones when their step does; no job is begun any more."""
        self._closed = True
        for _ in range(self._threads):
            self._bell.put(GO_HOME)

    def _wake_one(self) -> None:
        """Have one more thread look for jobs, unless one is on its way, or all are busy."""
        with self._mutex:
            if self._is_one_coming:
                return
            if self._idle:
                self._idle -= 1
                self._is_one_coming = True
                self._bell.put(GO_ON)
            elif self._threads < self._bound:
                self._add_thread()

    def _add_thread(self) -> None:
        """Start one more thread; without it the others do the work, if there are any."""
        thread = threading.Thread(target=self._work, name=f"sledsaga-step-{self._threads + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no more threads
            if not self._threads:
                raise
        else:
            self._threads += 1

    def _work(self) -> None:
        self._here.is_ours = True
        while True:
            self._take_jobs()
            with self._mutex:
                if self._jobs and not self._closed:
                    continue
                self._idle += 1
            if self._bell.get() is GO_HOME:
                return
            self._is_one_coming = False

    def _take_jobs(self) -> None:
        while self._jobs and not self._closed:
            try:
                job, report = self._jobs.popleft()
            except IndexError:  # another thread was faster
                return
            if self._jobs and not self._is_one_coming:
                self._wake_one()
            report(perform(job), has_time=not self._jobs)
