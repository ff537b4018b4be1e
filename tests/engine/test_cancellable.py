"""Unwinding while steps run: those that say that they can be cancelled are told; others are let finish."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sledsaga.core.commands import Command
from sledsaga.core.define import Operation, operation, step
from sledsaga.engine.context import Context
from tests.engine.toys import NOTHING, PATIENCE_S, Gate, Params, Start, until

ENOUGH = Command("cancel", "me", "enough")


def together(*steps: Any) -> Operation:
    return operation("together", version=1, params=Params, steps=list(steps))


@pytest.mark.parametrize("is_async", [False, True])
def test_a_cancellable_step_is_told_and_then_undone(start: Start, gate: Gate, *, is_async: bool) -> None:
    """A step that can be cancelled ends soon when its saga unwinds; what it may have left is undone."""
    undone: list[Any] = []

    def long(ctx: Context) -> None:
        gate._arrivals.release()
        ctx.pause(PATIENCE_S)

    async def long_async() -> None:
        gate._arrivals.release()
        await asyncio.sleep(PATIENCE_S)

    def undo_long(output: None) -> None:
        undone.append(output)

    do = long_async if is_async else long
    engine = start(together(step(do, name="long", undo=undo_long, cancellable=True)))
    saga = engine.submit("together").id
    gate.await_arrivals()
    engine.command(saga, ENOUGH)
    view = engine.wait(saga, PATIENCE_S)
    assert (view.state, undone) == ("undone", [None])
    assert (view.step("long").error or "").startswith("cancelled: the saga unwinds")


def test_a_cancelled_step_that_succeeds_all_the_same_is_undone_with_its_output(
    start: Start, gate: Gate
) -> None:
    """Being told to end is no ending: a success counts, and its undo gets the output."""
    undone: list[Any] = []

    def long(ctx: Context) -> int:
        gate._arrivals.release()
        assert ctx.cancelled.wait(PATIENCE_S)
        return 5

    def undo_long(output: int | None) -> None:
        undone.append(output)

    engine = start(together(step(long, undo=undo_long, cancellable=True)))
    saga = engine.submit("together").id
    gate.await_arrivals()
    engine.command(saga, ENOUGH)
    assert engine.wait(saga, PATIENCE_S).state == "undone"
    assert undone == [5]


def test_a_step_that_cannot_be_cancelled_is_let_finish(start: Start, gate: Gate) -> None:
    """When a sibling fails, a running step is not told anything; it finishes, then it is undone."""
    seen: list[Any] = []

    def long(ctx: Context) -> int:
        gate.stand()
        seen.append(ctx.cancelled.is_set())
        return 5

    def undo_long(output: int | None) -> None:
        seen.append(output)

    def fails() -> None:
        gate.await_arrivals()
        raise ValueError

    engine = start(together(step(long, undo=undo_long), step(fails, undo=NOTHING)))
    saga = engine.submit("together").id
    until(lambda: engine.view(saga).state == "unwinding")
    assert seen == []
    gate.opened.set()
    assert engine.wait(saga, PATIENCE_S).state == "undone"
    assert seen == [False, 5]


def test_two_siblings_that_fail_at_once_are_an_ordinary_state(start: Start) -> None:
    """Failures that meet in one turn unwind the saga once; each failed step is undone once."""
    undone: list[str] = []

    async def left() -> None:
        raise ValueError

    async def right() -> None:
        raise OSError

    def undo_left() -> None:
        undone.append("left")

    def undo_right() -> None:
        undone.append("right")

    engine = start(together(step(left, undo=undo_left), step(right, undo=undo_right)))
    for _ in range(20):
        undone.clear()
        assert engine.wait(engine.submit("together").id, PATIENCE_S).state == "undone"
        assert len(undone) == len(set(undone)) >= 1  # one may have failed before the other began


def test_an_async_step_that_swallows_the_cancel_is_let_finish(start: Start, gate: Gate) -> None:
    """An async step that catches its cancellation and returns has succeeded."""
    undone: list[Any] = []

    async def long() -> int:
        gate._arrivals.release()
        try:
            await asyncio.sleep(PATIENCE_S)
        except asyncio.CancelledError:
            return 7
        return 8

    async def undo_long(output: int | None) -> None:
        await asyncio.sleep(0)
        undone.append(output)

    engine = start(together(step(long, undo=undo_long, cancellable=True)))
    saga = engine.submit("together").id
    gate.await_arrivals()
    engine.command(saga, ENOUGH)
    assert engine.wait(saga, PATIENCE_S).state == "undone"
    assert undone == [7]
