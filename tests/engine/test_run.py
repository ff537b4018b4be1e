"""Running: a saga is submitted and waited for by one call, which tells what either would."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sledsaga.errors import InvalidParams, KeyConflict, Stopping, UsageError, WaitTimedOut
from sledsaga.store.memory import MemoryStore
from sledsaga.store.store import Filter
from tests.engine.test_fencing import Shared
from tests.engine.toys import PATIENCE_S, Gate, Quiet, Start, one_step, until, waiting_at


def test_a_saga_is_run_to_its_end(start: Start) -> None:
    """The picture is that of the saga at rest, the same that the log gives."""
    engine = start(one_step("quick", lambda: 7))
    saga = engine.run("quick", {"name": "x"}, key="k", by="me", timeout_s=PATIENCE_S)
    assert (saga.state, saga.key, saga.step("only").output) == ("succeeded", "k", 7)
    assert saga.to_json() == engine.view(saga.id).to_json()


def test_one_whose_key_is_known_is_waited_for(start: Start, gate: Gate) -> None:
    """A saga that was submitted before with the key is the one that is run, while it goes on and later."""
    engine = start(waiting_at(gate))
    saga = engine.submit("held", key="k").id
    gate.await_arrivals()
    found: list[Any] = []
    again = threading.Thread(target=lambda: found.append(engine.run("held", key="k", timeout_s=PATIENCE_S)))
    again.start()
    until(lambda: bool(engine._loop.books.replies._waiters))
    gate.opened.set()
    again.join(PATIENCE_S)
    found.append(engine.run("held", key="k", timeout_s=PATIENCE_S))
    assert [(view.id, view.state) for view in found] == [(saga, "succeeded")] * 2


def test_what_is_refused_is_not_waited_for(start: Start, gate: Gate) -> None:
    """A key that was used, params that do not fit, an engine that stops: it is said at once."""
    engine = start(waiting_at(gate))
    engine.submit("held", key="k")
    with pytest.raises(KeyConflict):
        engine.run("held", {"name": "y"}, key="k")
    with pytest.raises(InvalidParams):
        engine.run("held", {"nobody": 1})
    engine.drain(timeout_s=0)
    with pytest.raises(Stopping):
        engine.run("held")
    gate.opened.set()


def test_one_that_takes_too_long_goes_on(start: Start, gate: Gate) -> None:
    """When the time is over the saga is named, and can be waited for again."""
    engine = start(waiting_at(gate))
    with pytest.raises(WaitTimedOut, match=r"is still running after 0\.05 s"):
        engine.run("held", timeout_s=0.05)
    gate.opened.set()
    assert engine.idle(PATIENCE_S)
    (row,) = engine.store.list(Filter(), limit=9).rows
    assert row.state == "succeeded"


def test_the_time_may_be_over_before_the_saga_is_recorded(start: Start) -> None:
    """A log that is slow does not make the call forget its saga."""
    store = Quiet()
    engine = start(one_step("quick", lambda: None), store=store)
    store.gate.opened.clear()
    threading.Timer(0.1, store.gate.opened.set).start()
    with pytest.raises(WaitTimedOut, match="it goes on"):
        engine.run("quick", timeout_s=0.01)
    assert engine.idle(PATIENCE_S)


def test_nothing_is_recorded_where_nothing_is_driven(start: Start) -> None:
    """An engine that only records refuses: its caller would wait for ever."""
    engine = start(one_step("quick", lambda: None), drive=False)
    with pytest.raises(UsageError, match="drives nothing"):
        engine.run("quick")
    assert not engine.store.list(Filter(), limit=9).rows


@pytest.mark.parametrize("name", ["x", "y"])
def test_one_that_another_engine_recorded_meanwhile(start: Start, name: str) -> None:
    """Whoever waits for a saga that came not to be gets the one that did, or the refusal; never nothing."""
    kept, quick = MemoryStore(), one_step("quick", lambda: None)
    other, mine = start(quick, store=kept), Shared(kept)
    engine = start(quick, store=mine)
    theirs: list[str] = []

    def take() -> None:
        theirs.append(other.run("quick", {"name": "x"}, key="k", timeout_s=PATIENCE_S).id)

    mine.before_write = take
    if name == "x":
        assert engine.run("quick", {"name": name}, key="k", timeout_s=PATIENCE_S).id == theirs[0]
    else:
        with pytest.raises(KeyConflict):
            engine.run("quick", {"name": name}, key="k", timeout_s=PATIENCE_S)
    assert not engine._loop.books.replies._waiters
