"""Limits: how much runs at once, who is served first, and how much is held in memory."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from sledsaga.core.define import Operation, operation, step
from sledsaga.engine.limits import Limits
from sledsaga.errors import UsageError
from tests.engine.toys import NOTHING, PATIENCE_S, Gate, Params, Start, one_step, states, waiting_at


@dataclass
class Crowd:
    """How many are inside at once, and how many were at most."""

    now: int = 0
    most: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self.now -= 1


def wide(name: str, crowd: Crowd, *, width: int, is_async: bool = False) -> Operation:
    """Make an operation of so many independent steps, each with an undo, that are counted while inside."""

    def one() -> None:
        with crowd:
            threading.Event().wait(0.001)

    async def one_async() -> None:
        with crowd:
            await asyncio.sleep(0.001)

    do = one_async if is_async else one
    steps = [step(do, name=f"s{n}", undo=do) for n in range(width)]
    return operation(name, version=1, params=Params, steps=steps)


def test_threads_bound_what_runs_in_threads(start: Start) -> None:
    """However many sagas of however many steps there are, no more calls run than there are threads."""
    crowd = Crowd()
    engine = start(wide("wide", crowd, width=20), limits=Limits(threads=3))
    sagas = [engine.submit("wide").id for _ in range(10)]
    assert engine.idle(PATIENCE_S)
    assert crowd.most == 3
    assert states(engine, sagas) == {"succeeded"}


def test_async_calls_have_a_bound_of_their_own(start: Start) -> None:
    """Async steps take no thread, and are bounded by themselves."""
    crowd, blocking = Crowd(), Crowd()
    engine = start(
        wide("async", crowd, width=20, is_async=True),
        wide("blocking", blocking, width=20),
        limits=Limits(threads=2, async_calls=5),
    )
    for _ in range(5):
        engine.submit("async")
        engine.submit("blocking")
    assert engine.idle(PATIENCE_S)
    assert (crowd.most, blocking.most) == (5, 2)


def test_an_operation_can_have_a_bound_of_its_own(start: Start) -> None:
    """Calls of one operation are bounded over all of its sagas, and hold up no other operation."""
    bounded, free = Crowd(), Crowd()
    engine = start(
        wide("bounded", bounded, width=10),
        wide("free", free, width=10),
        limits=Limits(threads=8, per_operation={"bounded": 2}),
    )
    for _ in range(10):
        engine.submit("bounded")
        engine.submit("free")
    assert engine.idle(PATIENCE_S)
    assert bounded.most == 2
    assert 2 < free.most <= 8


def test_sagas_that_have_begun_go_first(start: Start) -> None:
    """With room for one call, a saga that has begun comes to its end before another one begins."""
    seen: list[str] = []

    def first(ctx: Any) -> None:
        seen.append(ctx.saga)

    def second(first: None, ctx: Any) -> None:
        seen.append(ctx.saga)

    steps = [step(first, undo=NOTHING), step(second, undo=NOTHING)]
    engine = start(operation("two", version=1, params=Params, steps=steps), limits=Limits(threads=1))
    sagas = [engine.submit("two").id for _ in range(20)]
    assert engine.idle(PATIENCE_S)
    assert seen == [saga for saga in sagas for _ in range(2)]


def test_no_saga_is_starved_by_a_wide_one(start: Start) -> None:
    """Small sagas end while a saga of 1,000 steps is at work, although it could use all the room."""
    crowd = Crowd()
    engine = start(wide("wide", crowd, width=1000), one_step("small", lambda: None), limits=Limits(threads=2))
    large = engine.submit("wide").id
    small = [engine.submit("small").id for _ in range(20)]
    for saga in small:
        assert engine.wait(saga, PATIENCE_S).state == "succeeded"
    assert engine.view(large).state == "running"
    engine.close(now=True)


def test_no_operation_is_starved_by_another_with_a_bound(start: Start, gate: Gate) -> None:
    """With one thread and always more to do, operations with and without a bound of their own take turns."""
    ended: list[str] = []

    def note(name: str) -> Operation:
        def only() -> None:
            ended.append(name)

        return one_step(name, only)

    limits = Limits(threads=1, per_operation={"bounded": 1})
    engine = start(waiting_at(gate), note("free"), note("bounded"), limits=limits)
    engine.submit("held")
    gate.await_arrivals()
    for name in ("free", "bounded"):
        for _ in range(50):
            engine.submit(name)
    gate.opened.set()
    assert engine.idle(PATIENCE_S)
    assert 15 <= ended[:50].count("free") <= 35


def test_none_of_two_thousand_sagas_is_starved(start: Start) -> None:
    """Two thousand sagas with four threads all come to their end, in about the order of submission."""
    order: list[str] = []

    def only(ctx: Any) -> None:
        order.append(ctx.saga)

    engine = start(one_step("small", only), limits=Limits(threads=4))
    sagas = [engine.submit("small").id for _ in range(2000)]
    assert engine.idle(PATIENCE_S)
    place = {saga: n for n, saga in enumerate(order)}
    assert max(abs(place[saga] - n) for n, saga in enumerate(sagas)) < 16


def test_memory_is_bounded_by_live_and_all_are_finished(start: Start) -> None:
    """Five thousand sagas and room for eight: never more are held in memory, and all of them end."""
    held: list[int] = []

    async def only() -> None:
        held.append(len(engine._loop.books.live))

    recorder = start(one_step("small", only), drive=False)
    sagas = [recorder.submit("small").id for _ in range(5000)]
    engine = start(one_step("small", only), store=recorder.store, limits=Limits(live=8))
    more = [engine.submit("small").id for _ in range(50)]
    assert engine.recover().claimed >= 5000
    assert engine.idle(PATIENCE_S)
    assert max(held) <= 8
    assert states(engine, sagas + more) == {"succeeded"}
    books = engine._loop.books
    assert not any(
        (books.live, books.waiting, books.replies._waiters, engine._loop._wakes, books.locks._wants)
    )


@pytest.mark.parametrize(
    "about", [{"threads": 0}, {"async_calls": 0}, {"live": 0}, {"per_operation": {"x": 0}}]
)
def test_a_bound_below_one_is_refused(about: dict[str, Any]) -> None:
    """A limit under which nothing would ever run is refused at once."""
    with pytest.raises(UsageError, match="at least 1"):
        Limits(**about)
