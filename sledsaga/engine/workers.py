"""Where steps run: `def` steps in threads, `async def` steps on one asyncio loop in a thread of its own.

Workers are given jobs and hand back endings through a callback; they decide nothing. Whoever gives an
executor other workers (a simulation) says in which order calls are made and end. Threads are made when they
are needed and are daemons: a step that never returns must not keep the process from ending.

Rules
- One idle thread is woken at a time, and wakes the next when it finds more than it can take: steps that take
  no time are done by the one that runs already, and steps that take some are soon on all threads.
- A thread that reports, and has no other job, may be kept for a turn of the executor. The one job that this
  turn starts is its own.
- The asyncio loop is kept only when nothing else goes on there.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Protocol

from sledsaga.core.endings import Ending, Failed
from sledsaga.engine.diagnostics import logger
from sledsaga.engine.perform import Job, perform, perform_async

GO_ON, GO_HOME = True, False  # what the bell says


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


class Threads:
    """A bounded set of threads, and an asyncio loop when the first `async def` step comes."""

    def __init__(self, threads: int) -> None:
        """Begin with no thread; at most `threads` are made."""
        self._bound = threads
        self._jobs: deque[tuple[Job, Report]] = deque()
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._mutex = threading.Lock()
        self._threads = self._idle = 0
        self._is_one_coming = False
        self._here = threading.local()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[int, asyncio.Task[Ending]] = {}
        self._fresh: deque[tuple[Job, Report]] = deque()
        self._closed = False

    def start(self, job: Job, report: Report) -> None:
        """Run a job; `report` is called with its ending, from the thread that ran it."""
        (self._fresh if job.function.is_async else self._jobs).append((job, report))

    def go(self) -> None:
        """Wake a thread, and the asyncio loop, but for what the thread that calls looks at next anyway."""
        if self._closed:
            return
        here = getattr(self._here, "looks_at", None)
        if self._jobs and (len(self._jobs) > 1 or here is not self._jobs):
            self._wake_one()
        if self._fresh and here is not self._fresh:
            with suppress(RuntimeError):  # the loop has been closed meanwhile: then nothing is started
                self._event_loop().call_soon_threadsafe(self._spawn)

    def cancel(self, job: Job) -> None:
        """Tell a job that it should end: its context says so, and an `async def` step is cancelled."""
        job.context.cancelled.set()
        if self._loop is not None and job.function.is_async:
            self._loop.call_soon_threadsafe(self._cancel, id(job))

    def close(self) -> None:
        """Let idle threads and the loop end, busy threads when their step does; no job is begun any more."""
        self._closed = True
        for _ in range(self._threads):
            self._bell.put(GO_HOME)
        if self._loop is not None:
            with suppress(RuntimeError):  # it had not begun to run, and is closed already
                self._loop.call_soon_threadsafe(self._stop)

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
        self._here.looks_at = self._jobs
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

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._run, args=(self._loop,), name="sledsaga-async", daemon=True).start()
        return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._here.looks_at = self._fresh
        while not self._closed:
            try:
                loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:  # asyncio lets these out of any task
                logger.error("a task beside an async step raised {}; the steps go on", type(error).__name__)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    def _spawn(self) -> None:
        """Make tasks of all jobs that have come, but for those that come while this goes on."""
        loop = asyncio.get_running_loop()
        while self._fresh and not self._closed:
            job, report = self._fresh.popleft()
            task = loop.create_task(perform_async(job))
            self._tasks[id(job)] = task
            task.add_done_callback(partial(self._over, job, report))
            if job.context.cancelled.is_set():  # whoever said so found no task yet
                task.cancel()

    def _over(self, job: Job, report: Report, done: asyncio.Task[Ending]) -> None:
        del self._tasks[id(job)]
        ending = Failed("cancelled before it began") if done.cancelled() else done.result()
        report(ending, has_time=not self._tasks and not self._fresh)
        self._spawn()

    def _cancel(self, job: int) -> None:
        if job in self._tasks:
            self._tasks[job].cancel()

    def _stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, loop.stop)
