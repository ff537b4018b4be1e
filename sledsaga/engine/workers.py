"""Where steps run: `def` steps in threads, `async def` steps on one asyncio loop in a thread of its own.

Workers are given jobs and hand back endings through a callback; they decide nothing. Whoever gives an
executor other workers (a simulation) says in which order calls are made and end. Threads are made when they
are needed and are daemons: a step that never returns must not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Protocol

from sledsaga.core.endings import Ending, Failed
from sledsaga.engine.diagnostics import logger
from sledsaga.engine.perform import Job, perform, perform_async

Report = Callable[[Ending], None]


class Workers(Protocol):
    """Those who make the calls. All three are asked from the executor's loop alone."""

    def start(self, job: Job, report: Report) -> None:
        """Run a job; `report` is called with its ending, once, from any thread, and not from in here."""
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
        self._threads = 0
        self._idle = threading.Semaphore(0)
        self._jobs: SimpleQueue[tuple[Job, Report] | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[int, asyncio.Task[Ending]] = {}
        self._fresh: deque[tuple[Job, Report]] = deque()
        self._closed = False

    def start(self, job: Job, report: Report) -> None:
        """Run a job; `report` is called with its ending, from the thread that ran it."""
        if job.function.is_async:
            self._fresh.append((job, report))
            if len(self._fresh) == 1:  # else the loop is awake already, and takes them all
                self._event_loop().call_soon_threadsafe(self._spawn)
            return
        self._jobs.put((job, report))
        if not self._idle.acquire(blocking=False) and self._threads < self._bound:
            self._add_thread()

    def cancel(self, job: Job) -> None:
        """Tell a job that it should end: its context says so, and an `async def` step is cancelled."""
        job.context.cancelled.set()
        if self._loop is not None and job.function.is_async:
            self._loop.call_soon_threadsafe(self._cancel, id(job))

    def close(self) -> None:
        """Let idle threads and the loop end; busy threads end when their step does."""
        for _ in range(self._threads):
            self._jobs.put(None)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop)

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
        while (item := self._jobs.get()) is not None:
            job, report = item
            report(perform(job))
            self._idle.release()

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._run, args=(self._loop,), name="sledsaga-async", daemon=True).start()
        return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
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
        while self._fresh:
            job, report = self._fresh.popleft()
            task = loop.create_task(perform_async(job))
            self._tasks[id(job)] = task
            task.add_done_callback(partial(self._over, job, report))

    def _over(self, job: Job, report: Report, done: asyncio.Task[Ending]) -> None:
        del self._tasks[id(job)]
        report(Failed("cancelled before it began") if done.cancelled() else done.result())

    def _cancel(self, job: int) -> None:
        if job in self._tasks:
            self._tasks[job].cancel()

    def _stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        loop = asyncio.get_running_loop()
        self._closed = True
        loop.call_soon(loop.call_soon, loop.stop)
