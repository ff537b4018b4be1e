"""Where `async def` steps run: one asyncio loop in a thread of its own.

Rules
- One task makes call after call; when a step makes it wait, the next task takes over. So steps that wait for
  nothing cost no task each, and those that wait do so side by side.
- A step leaves nothing to the next one: a task that was cancelled, or whose context variables a step has set,
  makes no more calls.
- Steps that end together are reported together, so that they are written together.
- The loop is kept for a turn of the executor only when nothing else goes on there; after that turn, whatever
  else wants the loop comes first.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from contextvars import Context, copy_context

from sledsaga.core.endings import Ending, Failed
from sledsaga.engine.diagnostics import logger
from sledsaga.engine.perform import Job, perform_async
from sledsaga.engine.workers import Report


class Coroutines:
    """Makes the calls of `async def` steps."""

    def __init__(self) -> None:
        """Begin without a loop: one is made when the first job comes."""
        self._fresh: deque[tuple[Job, Report]] = deque()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ended: list[tuple[Report, Ending]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: int | None = None
        self._is_one_coming = False
        self._closed = False

    def start(self, job: Job, report: Report) -> None:
        """Run a job; `report` is called with its ending, on the loop."""
        self._fresh.append((job, report))

    def go(self) -> None:
        """Wake the loop, unless it is the loop that calls: it looks for jobs next anyway."""
        if self._fresh and not self._closed and threading.get_ident() != self._thread:
            loop = self._running_loop()
            with suppress(RuntimeError):  # it has been closed meanwhile: then nothing is started
                loop.call_soon_threadsafe(self._serve)

    def cancel(self, job: Job) -> None:
        """Cancel the task that makes a call; one that is not made yet is not begun."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel, id(job))

    def close(self) -> None:
        """Let the loop end; what it is at is cancelled."""
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it had not begun to run, and is closed already
                self._loop.call_soon_threadsafe(self._stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=self._run, args=(loop,), name="sledsaga-async", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the machine has no more threads; without one nobody would make a call
                loop.close()
                raise
            self._loop = loop
        return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._thread = threading.get_ident()
        while not self._closed:
            try:
                loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:  # asyncio lets these out of any task
                logger.error("a task beside an async step raised {}; the steps go on", type(error).__name__)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    def _serve(self) -> None:
        """Have one more task make calls, unless one is on its way."""
        if self._fresh and not self._is_one_coming and not self._closed:
            self._is_one_coming = True
            loop = asyncio.get_running_loop()
            loop.create_task(self._make_calls(), context=Context())  # noqa: RUF006 - while it waits, _tasks has it

    async def _make_calls(self) -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None, "a coroutine of ours is run by a task"
        self._is_one_coming = False
        loop.call_soon(self._serve)  # it has its turn when this one waits, or has ended
        while self._fresh and not self._closed and not task.cancelling() and not copy_context():
            job, report = self._fresh.popleft()
            ending: Ending = Failed("cancelled before it began")
            if not job.context.cancelled.is_set():
                self._tasks[id(job)] = task
                ending = await perform_async(job)
                del self._tasks[id(job)]
            self._ended.append((report, ending))
            if not self._tasks and not self._fresh:
                self._tell(is_all=True)
                break
            if len(self._ended) == 1:
                loop.call_soon(self._tell)
        self._serve()

    def _tell(self, *, is_all: bool = False) -> None:
        """Report what has ended; the only one has time for a turn if that was all there was to do."""
        ended, self._ended = self._ended, []
        for report, ending in ended:
            report(ending, has_time=is_all and len(ended) == 1)

    def _cancel(self, job: int) -> None:
        if job in self._tasks:
            self._tasks[job].cancel()

    def _stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, loop.stop)
