"""The tasks that make the calls of `async def` steps: those that wait for nothing share one."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from sledsaga.core.commands import Command
from sledsaga.core.define import Operation, operation, step
from sledsaga.engine.limits import Limits
from sledsaga.errors import Stopping
from tests.engine.toys import NOTHING, PATIENCE_S, Params, Start, one_step, until

STEPS = 40
MARK: ContextVar[str] = ContextVar("MARK", default="unset")


def of(name: str, *functions: Any, wide: bool = False) -> Operation:
    """Make an operation of these functions, one after the other or side by side."""
    steps = [
        step(do, name=f"s{n}", after=() if wide or not n else f"s{n - 1}", undo=NOTHING)
        for n, do in enumerate(functions)
    ]
    return operation(name, version=1, params=Params, steps=steps)


def task_name() -> str:
    task = asyncio.current_task()
    assert task is not None
    return task.get_name()


async def waits_for_nothing() -> str:
    """Say which task makes this call."""
    return task_name()


async def waits() -> str:
    """Say which task makes this call, which was made to wait once."""
    await asyncio.sleep(0.001)
    return task_name()


def outputs(start: Start, made: Operation) -> list[Any]:
    view = start(made).run(made.name, timeout_s=PATIENCE_S)
    assert view.state == "succeeded"
    return [one.output for one in view.steps]


def test_steps_that_wait_for_nothing_share_a_task(start: Start) -> None:
    """A task for each call would cost more than the call."""
    tasks = outputs(start, of("quick", *[waits_for_nothing] * STEPS, wide=True))
    assert len(set(tasks)) < STEPS / 4


def test_steps_that_end_together_are_written_together(start: Start) -> None:
    """None of them is written alone, by the thread that it ended on."""
    writers: set[str] = set()

    def hook(point: str, _step: str | None) -> None:
        if point == "before-append":
            writers.add(threading.current_thread().name)

    engine = start(of("quick", *[waits_for_nothing] * STEPS, wide=True), hook=hook)
    assert engine.run("quick", timeout_s=PATIENCE_S).state == "succeeded"
    assert writers == {"sledsaga-loop"}


def test_steps_that_wait_do_so_side_by_side(start: Start) -> None:
    """However many wait, the next one is begun: all of them can meet."""
    here: list[str] = []
    all_here = asyncio.Event()

    async def meet() -> str:
        here.append(task_name())
        if len(here) == STEPS:
            all_here.set()
        await all_here.wait()
        return task_name()

    tasks = outputs(start, of("meeting", *[meet] * STEPS, wide=True))
    assert len(set(tasks)) == STEPS


def test_those_that_wait_hold_up_nobody(start: Start) -> None:
    """Sagas of steps that wait for nothing go on beside steps that wait for long."""
    opened = asyncio.Event()

    async def stand() -> None:
        await opened.wait()

    engine = start(
        one_step("long", stand), of("quick", *[waits_for_nothing] * STEPS), limits=Limits(async_calls=8)
    )
    long = [engine.submit("long").id for _ in range(4)]
    assert engine.run("quick", timeout_s=PATIENCE_S).state == "succeeded"
    assert {engine.view(saga).state for saga in long} == {"running"}
    engine.close(now=True, timeout_s=1.0)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("other", [waits_for_nothing, waits])
def test_no_step_sees_context_variables_of_another(start: Start, other: Any, *, wide: bool) -> None:
    """What a step sets in its context is gone when it has ended."""

    async def sets() -> str:
        before = MARK.get()
        MARK.set("set")
        await other()
        return before

    async def looks() -> str:
        return MARK.get()

    assert outputs(start, of("marks", sets, looks, sets, looks, wide=wide)) == ["unset"] * 4


def test_a_task_that_a_step_has_cancelled_makes_no_more_calls(start: Start) -> None:
    """Asyncio would cancel it where it waits next, which is in another step."""

    async def cancels() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return task.get_name()

    tasks = outputs(start, of("cancelling", cancels, waits, cancels, waits, wide=True))
    assert len(set(tasks)) == len(tasks)


def test_a_task_that_was_cancelled_makes_no_more_calls(start: Start) -> None:
    """A step that swallows its cancellation leaves none of it to the next call."""
    stands: list[bool] = []
    cancelling: list[int] = []

    async def swallows() -> None:
        stands.append(True)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async def after() -> None:
        task = asyncio.current_task()
        assert task is not None
        cancelling.append(task.cancelling())
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.sleep(0)

    long = step(swallows, name="long", undo=after, cancellable=True)
    engine = start(operation("cancelled", version=1, params=Params, steps=[long]))
    for number in range(1, 6):
        saga = engine.submit("cancelled").id
        until(lambda number=number: len(stands) == number)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        engine.command(saga, Command("cancel", "me", "enough"))
        assert engine.wait(saga, PATIENCE_S).state == "undone"
    assert cancelling == [0] * 5


def test_a_chain_that_waits_for_nothing_leaves_the_loop_to_others(start: Start) -> None:
    """What a step left running on the loop has its turn between the steps that follow."""
    beats: list[int] = []
    left: list[asyncio.Task[None]] = []

    async def beat() -> None:
        while True:
            beats.append(1)
            await asyncio.sleep(0)

    async def leaves() -> int:
        left.append(asyncio.get_running_loop().create_task(beat()))
        return 0

    async def counts() -> int:
        return len(beats)

    async def ends() -> int:
        left.pop().cancel()
        return len(beats)

    found = outputs(start, of("beating", leaves, *[counts] * STEPS, ends))
    assert found == sorted(found)
    assert found[-1] >= STEPS / 2


def test_without_a_thread_for_the_loop_it_is_said_so(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the machine has no more threads, nobody waits for ever for a step that nobody makes."""
    engine = start(one_step("quick", waits_for_nothing))
    begin = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "sledsaga-async":
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(threading, "excepthook", lambda _args: None)  # it ends the executor
    with pytest.raises(Stopping, match="the executor has stopped"):
        engine.run("quick", timeout_s=PATIENCE_S)
