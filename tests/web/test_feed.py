"""Watching: the engine is never kept waiting, and whoever is slow reads the log instead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from sledsaga.core.events import LocksAcquired, Recorded
from sledsaga.web.feed import QUEUE_EVENTS_MAX, Callback, Feed

SHORT_S, LONG_S = 0.01, 20.0


class Source:
    """An engine as a feed sees it."""

    def __init__(self) -> None:
        self.callbacks: list[Callback] = []

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def happen(self, saga: str, count: int, first: int = 1) -> None:
        batch = tuple(Recorded(seq, 0.0, 1, LocksAcquired()) for seq in range(first, first + count))
        for callback in self.callbacks:
            callback(saga, batch)


@pytest.fixture
def source() -> Source:
    return Source()


def test_the_engine_is_asked_only_while_somebody_watches(source: Source) -> None:
    """The first watch subscribes, the last one to go ends it."""
    counts = []

    async def watch() -> None:
        feed = Feed(source)
        with feed.watch("a"):
            counts.append(len(source.callbacks))
            with feed.watch("a"), feed.watch("b"):
                counts.append(len(source.callbacks))
            counts.append(len(source.callbacks))
        counts.append(len(source.callbacks))

    asyncio.run(watch())
    assert counts == [1, 1, 1, 0]


def test_a_watch_gets_its_own_saga_only(source: Source) -> None:
    """Events of another saga do not wake a watch."""

    async def watch() -> list[int]:
        with (feed := Feed(source)).watch("a") as watch:
            source.happen("b", 2)
            source.happen("a", 2)
            assert feed is not None
            return [recorded.seq for recorded in await watch.take(LONG_S)]

    assert asyncio.run(watch()) == [1, 2]


def test_whoever_is_too_slow_loses_the_queue(source: Source) -> None:
    """Too much at once is an empty batch, which means: read the log."""

    async def watch() -> tuple[int, int]:
        with Feed(source).watch("a") as watch:
            source.happen("a", QUEUE_EVENTS_MAX + 1)
            lost = await watch.take(LONG_S)
            source.happen("a", 1)
            return len(lost), len(await watch.take(LONG_S))

    assert asyncio.run(watch()) == (0, 1)


def test_a_silence_is_an_empty_batch(source: Source) -> None:
    """Nothing in time is nothing; a wake is nothing at once."""

    async def watch() -> tuple[int, int]:
        feed = Feed(source)
        with feed.watch("a") as watch:
            silence = await watch.take(SHORT_S)
            feed.wake()
            return len(silence), len(await watch.take(LONG_S))

    assert asyncio.run(watch()) == (0, 0)


def test_events_after_the_loop_has_ended_hurt_nobody(source: Source) -> None:
    """An engine that outlives its ear can still tell what happens."""

    async def watch() -> object:
        context = Feed(source).watch("a")
        context.__enter__()
        return context

    kept = asyncio.run(watch())
    source.happen("a", 1)
    assert kept is not None
