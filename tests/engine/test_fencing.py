"""Two engines on one log: whoever claimed last goes on, the other lets go, and nobody is misled."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sledsaga.core.commands import Command
from sledsaga.engine.limits import Limits
from sledsaga.errors import KeyConflict, LostClaim
from sledsaga.store.memory import MemoryStore
from sledsaga.store.store import Filter
from tests.engine.toys import PATIENCE_S, Gate, Start, one_step, until, waiting_at


class Shared:
    """One of two handles on a store; what is put into `before_write` runs once, before its next write."""

    def __init__(self, kept: MemoryStore) -> None:
        self._kept = kept
        self.before_write: Any = None

    def write(self, new: Any, appends: Any) -> tuple[str, ...]:
        work, self.before_write = self.before_write, None
        if work is not None:
            work()
        return self._kept.write(new, appends)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)


def test_the_loser_drops_the_saga_and_the_winner_goes_on(start: Start, gate: Gate) -> None:
    """When another engine claims a saga, the first one's result is not recorded, and its waiters are told."""
    store = MemoryStore()
    old = start(waiting_at(gate), one_step("quick", lambda: None), store=store)
    saga = old.submit("held").id
    gate.await_arrivals()
    lost: list[Any] = []

    def wait() -> None:
        try:
            old.wait(saga)
        except LostClaim as error:
            lost.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    until(lambda: bool(old._loop.books.replies._waiters))
    new = start(one_step("held", lambda: None), store=store)
    assert new.recover().claimed == 1
    view = new.wait(saga, PATIENCE_S)
    assert (view.state, view.epoch, view.executor) == ("succeeded", 2, new.executor)
    gate.opened.set()
    waiter.join(PATIENCE_S)
    assert len(lost) == 1
    assert new.view(saga) == view
    assert old.failure is None
    assert old.wait(old.submit("quick").id, PATIENCE_S).state == "succeeded"


def test_a_command_that_lost_is_not_said_to_be_done(start: Start, gate: Gate) -> None:
    """A command whose write lost to another claim is refused, for it is not in the log."""
    store = MemoryStore()
    old = start(waiting_at(gate), store=store)
    saga = old.submit("held").id
    gate.await_arrivals()
    new = start(waiting_at(gate), store=store)
    new.recover()
    gate.await_arrivals()
    with pytest.raises(LostClaim, match="look again"):
        old.command(saga, Command("pause", "me", "why"))
    assert new.view(saga).state == "running"


def test_the_calls_of_a_lost_saga_keep_their_room_until_they_end(start: Start, gate: Gate) -> None:
    """A call that goes on after its saga was lost still takes a thread; then the next saga gets it."""
    store = MemoryStore()
    old = start(waiting_at(gate), one_step("quick", lambda: None), store=store, limits=Limits(threads=1))
    saga = old.submit("held").id
    gate.await_arrivals()
    queued = old.submit("quick").id
    start(store=store, drive=False).command(saga, Command("pause", "me", "why"))
    with pytest.raises(LostClaim):
        old.command(saga, Command("cancel", "me", "why"))
    assert old.view(queued).step("only").state == "pending"
    gate.opened.set()
    assert old.wait(queued, PATIENCE_S).state == "succeeded"
    assert old.drain(PATIENCE_S)


def test_a_call_from_before_the_loss_does_not_speak_for_the_saga(start: Start, gate: Gate) -> None:
    """A saga that was lost and taken over again is not touched by what its old call came to."""
    store, calls = MemoryStore(), list[int]()

    def only() -> int:
        calls.append(1)
        number = len(calls)
        if number == 1:
            gate.stand()
        else:
            second.stand()
        return number

    second = Gate()
    engine = start(one_step("twice", only), store=store)
    saga = engine.submit("twice").id
    gate.await_arrivals()
    start(store=store, drive=False).command(saga, Command("pause", "me", "why"))
    with pytest.raises(LostClaim):
        engine.command(saga, Command("cancel", "me", "why"))
    engine.command(saga, Command("resume", "me", "why"))
    second.await_arrivals()
    found: list[Any] = []
    waiter = threading.Thread(target=lambda: found.append(engine.wait(saga, PATIENCE_S)))
    waiter.start()
    until(lambda: bool(engine._loop.books.replies._waiters))
    gate.opened.set()
    until(lambda: engine._loop.books.flights.count == 1)
    second.opened.set()
    waiter.join(PATIENCE_S)
    assert [(view.state, view.step("only").output) for view in found] == [("succeeded", 2)]


@pytest.mark.parametrize(("name", "expected"), [("x", False), ("y", KeyConflict)])
def test_a_key_that_another_engine_took_meanwhile(start: Start, name: str, expected: Any) -> None:
    """A key taken between look and write: the same body gets that saga, another body is refused.

    Others of the same turn are recorded, and the engine goes on.
    """
    kept = MemoryStore()
    quick = one_step("quick", lambda: None)
    other = start(quick, store=kept)
    mine = Shared(kept)
    engine = start(quick, store=mine)
    mine.before_write = lambda: other.submit("quick", {"name": "x"}, key="k")
    try:
        found: Any = engine.submitted("quick", {"name": name}, key="k")[1]
    except KeyConflict:
        found = KeyConflict
    assert found == expected
    assert engine.failure is None
    assert engine.wait(engine.submit("quick").id, PATIENCE_S).state == "succeeded"
    assert len(kept.list(Filter(key="k"), limit=9).rows) == 1


def test_an_id_of_ones_own_that_another_engine_took_meanwhile(start: Start) -> None:
    """The same holds for an id."""
    kept = MemoryStore()
    quick = one_step("quick", lambda: None)
    other, mine = start(quick, store=kept), Shared(kept)
    engine, saga = start(quick, store=mine), "00000000-0000-7000-8000-000000000001"
    mine.before_write = lambda: other.submit("quick", id=saga)
    assert engine.submitted("quick", id=saga)[1] is False
    assert other.wait(saga, PATIENCE_S).state == "succeeded"
    assert engine.failure is None


def test_a_full_executor_whose_new_key_was_taken_goes_on(start: Start, gate: Gate) -> None:
    """A saga that came not to be is not looked for when there is room again for those that had to wait."""
    kept = MemoryStore()
    quick = one_step("quick", lambda: None)
    other, mine = start(quick, store=kept, drive=False), Shared(kept)
    engine = start(quick, waiting_at(gate), store=mine, limits=Limits(live=1))
    held = engine.submit("held").id
    gate.await_arrivals()
    mine.before_write = lambda: other.submit("quick", key="k")
    assert engine.submitted("quick", key="k")[1] is False
    last = engine.submit("quick").id
    gate.opened.set()
    assert engine.wait(held, PATIENCE_S).state == "succeeded"
    assert engine.wait(last, PATIENCE_S).state == "succeeded"
    assert engine.failure is None
