"""When the log cannot be written: all stops, everybody is told, and the log says no more than was true."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sledsaga.core.commands import Command
from sledsaga.core.define import operation, step
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.engine import Engine
from sledsaga.errors import LogUnavailable, SledsagaError
from sledsaga.store.memory import MemoryStore
from tests.engine.toys import NOTHING, PATIENCE_S, Gate, Params, Start, one_step, until, waiting_at

FULL = LogUnavailable("log x: the disk is full; nothing was recorded: make room, then go on")


class Failing:
    """A store that writes until it is broken; then each write, or read, raises what it was given."""

    def __init__(self) -> None:
        self.kept = MemoryStore()
        self.on_write: Exception | None = None
        self.on_read: Exception | None = None

    def write(self, new: Any, appends: Any) -> tuple[str, ...]:
        if self.on_write is not None:
            raise self.on_write
        return self.kept.write(new, appends)

    def row(self, saga: str) -> Any:
        if self.on_read is not None and threading.current_thread().name == "sledsaga-loop":
            raise self.on_read
        return self.kept.row(saga)

    def unfinished(self, **about: Any) -> Any:
        if self.on_read is not None:
            raise self.on_read
        return self.kept.unfinished(**about)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kept, name)


def waiting(*asks: Any) -> list[Any]:
    """Ask in threads of their own; the list fills with what each came to."""
    found: list[Any] = []

    def run(ask: Any) -> None:
        try:
            found.append(ask())
        except SledsagaError as error:
            found.append(error)

    for ask in asks:
        threading.Thread(target=run, args=(ask,), daemon=True).start()
    return found


def test_a_submission_that_cannot_be_recorded_is_refused_and_not_run(start: Start) -> None:
    """Nothing is run that is not recorded: the submitter gets the reason, and the step is not called."""
    store, called = Failing(), list[int]()
    engine = start(one_step("quick", lambda: called.append(1)), store=store)
    store.on_write = FULL
    with pytest.raises(LogUnavailable, match="make room"):
        engine.submit("quick")
    assert called == []
    assert str(engine.failure) == str(FULL)


def test_everybody_who_waits_is_told(start: Start, gate: Gate) -> None:
    """Whoever waits for a saga, for idleness, or asks for anything afterwards, gets the reason."""
    store = Failing()
    engine = start(waiting_at(gate), one_step("quick", lambda: None), store=store)
    saga = engine.submit("held").id
    gate.await_arrivals()
    found = waiting(lambda: engine.wait(saga), engine.idle, lambda: engine.wait(saga, PATIENCE_S))
    until(
        lambda: (
            len(engine._loop.books.replies._waiters.get(saga, ())) == 2
            and bool(engine._loop.books.replies._idlers)
        )
    )
    store.on_write = FULL
    with pytest.raises(LogUnavailable):
        engine.submit("quick")
    until(lambda: len(found) == 3)
    assert {str(one) for one in found} == {str(FULL)}
    asks = (
        lambda: engine.submit("quick"),
        lambda: engine.wait(saga),
        lambda: engine.command(saga, Command("pause", "me", "why")),
        engine.recover,
        engine.idle,
    )
    for ask in asks:
        with pytest.raises(LogUnavailable, match="disk is full"):
            ask()


def test_nothing_is_started_after_a_failure(start: Start, gate: Gate) -> None:
    """A step that ends after the log broke is in doubt there, and the next step is not called."""
    store, calls = Failing(), list[str]()

    def first() -> int:
        gate.stand()
        calls.append("first")
        return 5

    def second(first: int) -> None:
        calls.append("second")

    two = operation(
        "two", version=1, params=Params, steps=[step(first, undo=NOTHING), step(second, undo=NOTHING)]
    )
    engine = start(two, store=store)
    saga = engine.submit("two").id
    gate.await_arrivals()
    store.on_write = FULL
    gate.opened.set()
    until(lambda: engine.failure is not None)
    engine.close()
    assert [one.state for one in engine.view(saga).steps] == ["running", "pending"]
    store.on_write = None
    alive = start(two, store=store)
    alive.recover()
    assert alive.wait(saga, PATIENCE_S).state == "succeeded"
    assert calls == ["first", "first", "second"]


def test_a_failed_engine_can_be_closed(start: Start, gate: Gate) -> None:
    """Closing waits for what still runs, as always, and then is over."""
    store = Failing()
    engine = start(waiting_at(gate), one_step("quick", lambda: None), store=store)
    engine.submit("held")
    gate.await_arrivals()
    store.on_write = FULL
    with pytest.raises(LogUnavailable):
        engine.submit("quick")
    assert engine.drain(timeout_s=0.01) is False
    gate.opened.set()
    engine.close()
    assert not engine._loop.thread.is_alive()


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), TypeError("another"), SystemExit(1)])
def test_a_mistake_of_ours_is_told_too(start: Start, error: Any) -> None:
    """Whatever breaks the loop, it says so to everybody, and nobody waits for ever."""
    store = Failing()
    engine = start(one_step("quick", lambda: None), store=store)
    store.on_write = error
    with pytest.raises(LogUnavailable, match=f"the executor broke and stopped: {type(error).__name__}"):
        engine.submit("quick")
    with pytest.raises(LogUnavailable):
        engine.idle()


def test_a_request_that_breaks_the_loop_leaves_nobody_waiting(start: Start, gate: Gate) -> None:
    """Requests that came in the same turn, before and behind it, are answered too, and calls are counted."""
    store = Failing()
    engine = start(waiting_at(gate), store=store)
    saga = engine.submit("held", key="k").id
    gate.await_arrivals()
    store.on_read = RuntimeError("a mistake")
    found = waiting(
        *(lambda: engine.submit("held") for _ in range(5)),
        lambda: engine.command(saga, Command("pause", "me", "why")),
        *(lambda: engine.wait(saga) for _ in range(5)),
    )
    until(lambda: len(found) == 11)
    assert engine.failure is not None
    gate.opened.set()
    engine.close()
    assert engine._loop.books.flights.count == 0


def test_a_log_that_cannot_be_read_stops_a_recovery(start: Start) -> None:
    """When the list of sagas cannot be read, recovery says so; it does not take that for `none`."""
    store = Failing()
    engine = start(one_step("quick", lambda: None), store=store)
    store.on_read = FULL
    with pytest.raises(LogUnavailable, match="disk is full"):
        engine.recover()


def test_an_engine_does_not_start_on_a_log_that_cannot_be_read() -> None:
    """The constructor says that the log cannot be read; no thread is left behind."""

    class Broken(Failing):
        def locks(self) -> Any:
            raise FULL

    before = threading.active_count()
    with pytest.raises(LogUnavailable):
        Engine(Broken(), Catalog())  # type: ignore[arg-type]  # it passes on all that it has not itself
    assert threading.active_count() == before


def test_a_command_whose_answer_cannot_be_read_has_not_happened(start: Start, gate: Gate) -> None:
    """A command that is refused because the log cannot be read leaves no trace, now or later."""
    store = Failing()
    engine = start(waiting_at(gate), store=store)
    saga = engine.submit("held").id
    gate.await_arrivals()
    store.on_read = LogUnavailable("log x: reading failed")
    with pytest.raises(LogUnavailable, match="reading failed"):
        engine.command(saga, Command("cancel", "me", "why"))
    store.on_read = None
    gate.opened.set()
    assert engine.wait(saga, PATIENCE_S).state == "succeeded"
