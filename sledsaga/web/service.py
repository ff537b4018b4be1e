"""What every answer needs: the engine behind, off the event loop, and whether it is going away.

Rules
- The engine and its log block; they are called in worker threads, a bounded number at once, so that the
  event loop never waits for a disk.
- Waiting for a saga holds no thread: it is a watch (see `feed`), and a look at the saga's columns.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from threading import Event
from typing import Literal, TypeVar

import anyio
import anyio.to_thread

from sledsaga.core.dag import Dag
from sledsaga.core.events import Recorded, StepStarted, UndoStarted
from sledsaga.core.view import ENDED
from sledsaga.engine.engine import Engine
from sledsaga.errors import Stopping
from sledsaga.store.store import SagaRow
from sledsaga.web.feed import Feed, Watch
from sledsaga.web.rows import is_at_rest

CALLS_MAX = 64
"""Threads: above group commit's needs, below what hurts a small sled."""
DAGS_MAX = 32
PAGE_EVENTS = 500
SILENCE_S = 15.0
"""How long a stream is silent before it shows that it is alive: half of what proxies bear."""

STARTS = (StepStarted, UndoStarted)

Answer = TypeVar("Answer")


class Service:
    """One engine, as the HTTP API sees it."""

    def __init__(self, engine: Engine) -> None:
        """Take the engine; its owner closes it."""
        self.engine = engine
        self.feed = Feed(engine)
        self._going = Event()
        self._dags: dict[str, Dag] = {}
        self._limiter = anyio.CapacityLimiter(CALLS_MAX)

    @property
    def draining(self) -> bool:
        """Whether nothing new is taken any more."""
        return self._going.is_set() or self.engine.is_stopping

    def drain(self) -> None:
        """Take nothing new, and let those who wait go; from any thread."""
        self._going.set()
        self.feed.wake()

    def refuse_if_draining(self) -> None:
        """Raise Stopping once nothing new is taken."""
        if self.draining:
            msg = "this executor is going down and takes nothing new; ask again when the next one runs"
            raise Stopping(msg)

    async def call(self, function: Callable[[], Answer]) -> Answer:
        """Call something that blocks, in a worker thread."""
        return await anyio.to_thread.run_sync(function, limiter=self._limiter)

    async def row(self, saga: str) -> SagaRow:
        """Return a saga's columns; raises NotFound."""
        return await self.call(partial(self.engine.store.row, saga))

    async def events(self, saga: str, after: int, limit: int = PAGE_EVENTS) -> tuple[Recorded, ...]:
        """Return events above `after`; raises NotFound."""
        return await self.call(partial(self.engine.store.events, saga, after=after, limit=limit))

    def dag(self, saga: str) -> Dag:
        """Return a saga's DAG, which names the steps of its events; blocks. Raises NotFound."""
        found = self._dags.get(saga)
        if found is None:
            while len(self._dags) >= DAGS_MAX:
                self._dags.pop(next(iter(self._dags)), None)
            found = self._dags[saga] = self.engine.store.plan(saga).dag
        return found

    async def is_at_rest(self, row: SagaRow) -> bool:
        """Say whether a saga rests; only a paused one needs a look at its steps."""
        if row.state == "paused":
            return is_at_rest(await self.call(partial(self.engine.view, row.id)))
        return row.state in ENDED or row.state == "stuck"

    async def wait_for_change(self, saga: str, seq: int, wait_s: float) -> None:
        """Return when the saga stands beyond `seq` or can go no further, or after `wait_s` seconds."""
        deadline = time.monotonic() + wait_s
        with self.feed.watch(saga) as watch:
            row = await self.row(saga)
            while row.seq <= seq and row.state not in ENDED and await self._look_again(watch, deadline):
                row = await self.row(saga)

    async def wait_for_rest(self, saga: str, wait_s: float) -> None:
        """Return when the saga rests, or after `wait_s` seconds."""
        deadline = time.monotonic() + wait_s
        with self.feed.watch(saga) as watch:
            row = await self.row(saga)
            while not await self.is_at_rest(row) and await self._look_again(watch, deadline, for_rest=True):
                row = await self.row(saga)

    def waited(self, wait_s: float | None) -> dict[str, str]:
        """Return the header that says how long an answer was held back at most; none while draining."""
        return {} if wait_s is None or self.draining else {"Preference-Applied": f"wait={wait_s:g}"}

    async def _look_again(self, watch: Watch, deadline: float, *, for_rest: bool = False) -> bool:
        """Wait for something to look at; False when the time is over. Who starts a step does not rest."""
        while (left := deadline - time.monotonic()) > 0 and not self.draining:
            taken = await watch.take(min(left, SILENCE_S))
            if not (for_rest and _is_running(taken)):
                return True
        return False

    async def tail(self, saga: str, after: int, *, follow: bool) -> AsyncIterator[tuple[Recorded, ...]]:
        """Yield the events above `after` in order, without gaps, as they come; an empty batch is a silence.

        Ends when the saga has ended or this executor goes away, and without `follow` as soon as it rests.
        """
        running = False
        with self.feed.watch(saga) as watch:
            while running or not await self.why_over(saga, after, follow=follow):
                batch = () if running else await self.events(saga, after)
                batch = batch or _following(after, await watch.take(SILENCE_S))
                yield batch
                after = batch[-1].seq if batch else after
                running = _is_running(batch)

    async def why_over(self, saga: str, after: int, *, follow: bool) -> Literal["at-rest", "draining"] | None:
        """Say why a stream that is at `after` ends here, or None: it goes on."""
        row = await self.row(saga)
        if row.seq <= after and (row.state in ENDED or (not follow and await self.is_at_rest(row))):
            return "at-rest"
        return "draining" if self.draining else None


def _following(after: int, taken: tuple[Recorded, ...]) -> tuple[Recorded, ...]:
    """Return what follows `after` without a gap; empty when only the log can tell."""
    fresh = tuple(recorded for recorded in taken if recorded.seq > after)
    return fresh if fresh and fresh[0].seq == after + 1 else ()


def _is_running(batch: tuple[Recorded, ...]) -> bool:
    """Say whether a saga cannot be at rest, by its newest event alone: then no look at the log is needed."""
    return bool(batch) and isinstance(batch[-1].event, STARTS)
