"""Who watches which saga: from the engine's thread to the subscribers of the event loop.

Rules
- The engine is told of us only while somebody watches, and is never kept waiting.
- What a watcher has not taken is bounded. One that is too slow loses its queue, not the events: an empty
  or gapped batch means "read the log", and so does a silence.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from sledsaga.core.events import Recorded

QUEUE_EVENTS_MAX = 1000
GATHER_S = 0.03
"""A burst is taken in pieces of this length: no eye sees the difference, and a saga of many quick steps
does not cost each watcher a look at the log for each of them."""

Callback = Callable[[str, tuple[Recorded, ...]], None]


class Source(Protocol):
    """Where events come from, once they are durable: the engine."""

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call back with each saga and its new events, from another thread; return the way to stop."""
        ...


class Watch:
    """One subscriber of one saga. All but `tell` belongs to the event loop."""

    def __init__(self) -> None:
        """Begin with an empty queue, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Recorded] = deque()
        self._woken = asyncio.Event()
        self._not_before = 0.0

    def tell(self, events: tuple[Recorded, ...]) -> None:
        """Pass events on to the loop, from any thread; a loop that has ended needs none."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._offer, events)

    async def take(self, timeout_s: float) -> tuple[Recorded, ...]:
        """Wait for what comes next and return it; empty when nothing came in time, or too much.

        What comes after a pause is given at once, and a burst in pieces.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), timeout_s)
            await asyncio.sleep(self._not_before - self._loop.time())
            self._not_before = self._loop.time() + GATHER_S
        self._woken.clear()
        taken = tuple(self._queue)
        self._queue.clear()
        return taken

    def _offer(self, events: tuple[Recorded, ...]) -> None:
        self._queue.extend(events)
        if len(self._queue) > QUEUE_EVENTS_MAX:
            self._queue.clear()
        self._woken.set()


class Feed:
    """All watches of one engine."""

    def __init__(self, source: Source) -> None:
        """Take the engine; nothing is subscribed yet."""
        self._source = source
        self._watches: dict[str, tuple[Watch, ...]] = {}
        self._unsubscribe: Callable[[], None] | None = None

    @contextlib.contextmanager
    def watch(self, saga: str) -> Iterator[Watch]:
        """Watch one saga while the block runs; on the event loop."""
        watch = Watch()
        self._watches[saga] = (*self._watches.get(saga, ()), watch)
        if self._unsubscribe is None:
            self._unsubscribe = self._source.subscribe(self._on_events)
        try:
            yield watch
        finally:
            self._drop(saga, watch)

    def wake(self) -> None:
        """Let every watcher look again, from any thread: something other than an event has changed."""
        for watches in list(self._watches.values()):
            for watch in watches:
                watch.tell(())

    def _on_events(self, saga: str, events: tuple[Recorded, ...]) -> None:
        for watch in self._watches.get(saga, ()):
            watch.tell(events)

    def _drop(self, saga: str, watch: Watch) -> None:
        left = tuple(other for other in self._watches[saga] if other is not watch)
        if left:
            self._watches[saga] = left
        else:
            del self._watches[saga]
        if not self._watches and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
