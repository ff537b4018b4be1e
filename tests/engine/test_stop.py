"""Going down: what runs is let finish or handed back, nothing new is begun, and nobody waits for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sledsaga.core.commands import Command
from sledsaga.core.define import Operation, operation, step
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.engine.limits import Limits
from sledsaga.errors import NotFound, SledsagaError, Stopping, UsageError, WaitTimedOut
from sledsaga.store.memory import MemoryStore
from tests.engine.toys import (
    NOTHING,
    PATIENCE_S,
    Gate,
    Params,
    Start,
    new_engine,
    one_step,
    until,
    waiting_at,
)

PAUSE = Command("pause", "me", "later")


def two(gate: Gate, calls: list[str]) -> Operation:
    def first() -> int:
        gate.stand()
        calls.append("first")
        return 5

    def second(first: int) -> None:
        calls.append("second")

    return operation(
        "two", version=1, params=Params, steps=[step(first, undo=NOTHING), step(second, undo=NOTHING)]
    )


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Do something in a thread; return it, and where it puts what it returned or raised."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except SledsagaError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


def outcome(thread: threading.Thread, found: list[Any]) -> Any:
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "somebody waits for ever"
    return found[0]


def test_a_drain_lets_finish_and_starts_nothing(start: Start, gate: Gate) -> None:
    """What runs is finished and recorded; the step after it is left for the next executor."""
    store, calls = MemoryStore(), list[str]()
    engine = start(two(gate, calls), store=store)
    saga = engine.submit("two").id
    gate.await_arrivals()
    assert engine.drain(timeout_s=0.01) is False
    assert engine.is_stopping
    gate.opened.set()
    assert engine.drain(timeout_s=PATIENCE_S) is True
    view = engine.view(saga)
    assert [one.state for one in view.steps] == ["succeeded", "pending"]
    assert (view.steps[0].output, calls) == (5, ["first"])
    alive = start(two(gate, calls), store=store)
    alive.recover()
    assert alive.wait(saga, PATIENCE_S).state == "succeeded"
    assert calls == ["first", "second"]


def test_a_drain_starts_nothing_that_queued_for_room(start: Start, gate: Gate) -> None:
    """A saga that was only waiting for a thread is not begun when one becomes free during a drain."""
    engine = start(waiting_at(gate), one_step("quick", lambda: None), limits=Limits(threads=1))
    engine.submit("held")
    gate.await_arrivals()
    queued = engine.submit("quick").id
    engine.drain(timeout_s=0.0)
    gate.opened.set()
    assert engine.drain(timeout_s=PATIENCE_S) is True
    assert engine.view(queued).step("only").state == "pending"


def test_nothing_new_is_taken_while_stopping(start: Start, gate: Gate) -> None:
    """While an engine drains, submissions are refused; who waits for a saga is told at the end."""
    engine = start(two(gate, []))
    saga = engine.submit("two").id
    gate.await_arrivals()
    waiter = in_thread(lambda: engine.wait(saga))
    idler = in_thread(engine.idle)
    engine.drain(timeout_s=0.0)
    until(lambda: engine.is_stopping)
    for ask in (lambda: engine.submit("two"), engine.recover):
        with pytest.raises(Stopping):
            ask()
    assert engine.command(saga, PAUSE, dry_run=True).view.state == "paused"
    gate.opened.set()
    assert isinstance(outcome(*idler), Stopping)
    assert isinstance(outcome(*waiter), Stopping)


def test_close_now_hands_back(start: Start, gate: Gate) -> None:
    """Calls are told to end; one that does not come to a good end is in doubt, which is the truth."""
    store = MemoryStore()

    def only(ctx: Context) -> None:
        gate._arrivals.release()
        ctx.pause(PATIENCE_S)

    engine = start(one_step("long", only), store=store)
    saga = engine.submit("long").id
    gate.await_arrivals()
    engine.close(now=True)
    assert store.row(saga).state == "running"
    alive = start(one_step("long", lambda: None), store=store)
    alive.recover()
    assert alive.wait(saga, PATIENCE_S).state == "succeeded"


def test_close_now_records_what_came_to_a_good_end(start: Start, gate: Gate) -> None:
    """A step that succeeds although it was told to end has succeeded."""

    def only(ctx: Context) -> int:
        gate._arrivals.release()
        assert ctx.cancelled.wait(PATIENCE_S)
        return 5

    engine = start(one_step("long", only))
    saga = engine.submit("long").id
    gate.await_arrivals()
    engine.close(now=True, timeout_s=PATIENCE_S)
    assert engine.view(saga).step("only").output == 5


def test_a_call_that_never_ends_keeps_nobody(start: Start, gate: Gate) -> None:
    """After the time given to it, close leaves a call behind; whoever waits is told; the loop is gone."""
    engine = start(two(gate, []))
    saga = engine.submit("two").id
    gate.await_arrivals()
    waiter = in_thread(lambda: engine.wait(saga))
    until(lambda: bool(engine._loop.books.replies._waiters))
    engine.close(timeout_s=0.01)
    assert isinstance(outcome(*waiter), Stopping)
    assert not engine._loop.thread.is_alive()
    gate.opened.set()
    assert engine.view(saga).step("first").state == "running"


ASKS: dict[str, Callable[[Engine, str], Any]] = {
    "submit": lambda engine, _: engine.submit("two"),
    "command": lambda engine, saga: engine.command(saga, PAUSE),
    "dry run": lambda engine, saga: engine.command(saga, PAUSE, dry_run=True),
    "wait": lambda engine, saga: engine.wait(saga),
    "wait in time": lambda engine, saga: engine.wait(saga, PATIENCE_S),
    "recover": lambda engine, _: engine.recover(),
    "idle": lambda engine, _: engine.idle(),
}


@pytest.mark.parametrize("ask", ASKS)
def test_calls_after_close_are_refused(start: Start, gate: Gate, ask: str) -> None:
    """Whatever is asked of a closed engine gets a clear error at once."""
    engine = start(two(gate, []), drive=False)
    saga = engine.submit("two").id
    engine.close()
    with pytest.raises(Stopping, match="has stopped"):
        ASKS[ask](engine, saga)


def test_closing_twice_or_from_two_threads_is_fine(start: Start, gate: Gate) -> None:
    """A second close, also one that comes during the first, returns when all is over."""
    engine = start(two(gate, []))
    engine.submit("two")
    gate.await_arrivals()
    closers = [in_thread(engine.close) for _ in range(2)]
    until(lambda: engine.is_stopping)
    gate.opened.set()
    assert [outcome(*closer) for closer in closers] == [None, None]
    engine.close()
    engine.close(now=True)


def test_nobody_is_left_waiting_who_asks_while_the_engine_closes(start: Start) -> None:
    """However a request and a close meet, the request gets an answer or an error."""
    for _ in range(30):
        engine = start(one_step("quick", lambda: None))
        askers = [in_thread(partial(engine.submit, "quick")) for _ in range(4)]
        engine.close()
        for asker in askers:
            found = outcome(*asker)
            assert isinstance(found, Stopping) or found.operation == "quick"


def test_a_second_signal_ends_a_drain(start: Start, gate: Gate) -> None:
    """A drain that waits for a step becomes a close at once when that is asked for."""

    def only(ctx: Context) -> None:
        gate._arrivals.release()
        ctx.pause(PATIENCE_S)

    engine = start(one_step("long", only))
    engine.submit("long")
    gate.await_arrivals()
    drain = in_thread(engine.drain)
    until(lambda: engine.is_stopping)
    engine.close(now=True)
    assert outcome(*drain) is True


def test_leaving_the_context_closes(gate: Gate) -> None:
    """As a context manager an engine closes itself; at once when an exception is on its way."""

    def only(ctx: Context) -> None:
        gate._arrivals.release()
        ctx.pause(PATIENCE_S)

    with new_engine(one_step("quick", lambda: 1)) as engine:
        saga = engine.wait(engine.submit("quick").id, PATIENCE_S)
    assert saga.state == "succeeded"
    with pytest.raises(KeyError), new_engine(one_step("long", only)) as engine:  # noqa: PT012 - both belong to it
        engine.submit("long")
        gate.await_arrivals()
        raise KeyError
    assert not engine._loop.thread.is_alive()


def test_a_subscriber_that_raises_or_asks_breaks_nothing(start: Start) -> None:
    """What a subscriber raises is its own trouble, and asking its own caller is refused, not a deadlock."""
    engine = start(one_step("quick", lambda: None))
    heard: list[str] = []
    refused: list[Exception] = []

    def bad(_saga: str, _events: Any) -> None:
        raise OSError

    def asks(saga: str, _events: Any) -> None:
        try:
            engine.command(saga, PAUSE)
        except UsageError as error:
            refused.append(error)

    def hears(saga: str, events: Any) -> None:
        heard.extend(type(one.event).__name__ for one in events)

    ends = [engine.subscribe(one) for one in (bad, asks, hears)]
    assert engine.wait(engine.submit("quick").id, PATIENCE_S).state == "succeeded"
    assert heard == ["Submitted", "Claimed", "StepStarted", "StepSucceeded", "Ended"]
    assert refused
    for end in ends:
        end()
    engine.wait(engine.submit("quick").id, PATIENCE_S)
    assert len(heard) == 5


def test_who_gave_up_waiting_is_forgotten(start: Start, gate: Gate) -> None:
    """Waiting in small portions leaves nothing behind."""
    engine = start(waiting_at(gate))
    saga = engine.submit("held").id
    gate.await_arrivals()
    for _ in range(50):
        with pytest.raises(WaitTimedOut, match="still running after 0"):
            engine.wait(saga, 0.0)
        assert engine.idle(0.0) is False
    replies = engine._loop.books.replies
    until(lambda: saga in replies._waiters)
    assert len(replies._waiters[saga]) <= 1
    assert len(replies._idlers) <= 1
    gate.opened.set()
    assert engine.wait(saga, PATIENCE_S).state == "succeeded"
    assert engine.idle(PATIENCE_S)


def test_waiting_for_what_is_not_there(start: Start) -> None:
    """A saga that is not in the log is NotFound, not waited for."""
    with pytest.raises(NotFound):
        start().wait("nobody")


HANGS = """
import asyncio, threading
from tests.engine.toys import new_engine, one_step
from sledsaga.store.memory import MemoryStore

began, asked = threading.Event(), threading.Event()

def hang(event):
    event.set()
    threading.Event().wait()

async def never():
    began.set()
    await asyncio.sleep(1e6)

def probe():
    hang(asked)

store = MemoryStore()
operations = [one_step("async", never, probe=probe), one_step("blocking", lambda: hang(began))]
dead = new_engine(*operations, store=store)
for name in ("async", "blocking"):
    began.clear()
    dead.submit(name)
    began.wait()
alive = new_engine(*operations, store=store)
alive.recover()
asked.wait()
for engine in (alive, dead):
    engine.close(now=True, timeout_s=0.01)
"""


def test_a_call_or_a_probe_that_never_ends_does_not_keep_the_process() -> None:
    """A process ends although a step, and the probe of an async step, never return."""
    root = str(Path(__file__).parents[2])
    words = [sys.executable, "-c", HANGS]
    ended = subprocess.run(words, cwd=root, capture_output=True, timeout=PATIENCE_S, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_call_that_was_handed_back_is_not_made_again(start: Start, gate: Gate) -> None:
    """When one call of a saga was ended by a stop and a sibling ends well later, only that is recorded."""
    calls: list[str] = []

    def yielding(ctx: Context) -> None:
        calls.append(ctx.step)
        ctx.pause(PATIENCE_S)

    steps = [step(yielding, undo=NOTHING), step(gate.stand, name="stubborn", undo=NOTHING)]
    store = MemoryStore()
    engine = start(operation("both", version=1, params=Params, steps=steps), store=store)
    saga = engine.submit("both").id
    gate.await_arrivals()
    until(lambda: bool(calls))
    thread, found = in_thread(lambda: engine.close(now=True, timeout_s=PATIENCE_S))
    until(lambda: engine._loop.flights.count == 1)
    gate.opened.set()
    assert outcome(thread, found) is None
    assert calls == ["yielding"]
    states = [one.state for one in engine.view(saga).steps]
    assert sorted(states) == ["running", "succeeded"]
