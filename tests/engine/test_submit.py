"""Submitting: what is recorded, once, and what is refused before anything is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from sledsaga.core.define import no_undo, operation, step
from sledsaga.core.model import Model
from sledsaga.engine.engine import Engine
from sledsaga.engine.ids import new_id
from sledsaga.errors import (
    Conflict,
    InvalidName,
    InvalidParams,
    InvalidPlan,
    KeyConflict,
    SledsagaError,
    TooLarge,
    UnknownOperation,
    UsageError,
)
from sledsaga.store.memory import MemoryStore
from sledsaga.store.store import Filter, Store
from tests.engine.toys import PATIENCE_S, Gate, Params, Quiet, Start, one_step, until, waiting_at


def count(store: Store) -> int:
    return len(store.list(Filter(), limit=1000).rows)


def together(number: int, work: Any) -> list[Any]:
    """Run the same work in several threads at once; return what each returned or raised."""
    barrier, results = threading.Barrier(number), []

    def run() -> None:
        barrier.wait(PATIENCE_S)
        try:
            results.append(work())
        except SledsagaError as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(results) == number
    return results


def in_one_turn(engine: Engine, store: Quiet, number: int, work: Callable[[], Iterable[Any]]) -> list[Any]:
    """Do work that sends so many messages while the loop stands in its write: all of them are one turn."""
    store.gate.opened.clear()
    first = threading.Thread(target=engine.submit, args=("quick",))
    first.start()
    store.gate.await_arrivals()
    found: list[Any] = []
    rest = threading.Thread(target=lambda: found.extend(work()))
    rest.start()
    until(lambda: engine._loop.inbox.qsize() == number)
    store.gate.opened.set()
    for thread in (first, rest):
        thread.join(PATIENCE_S)
    return found


def test_the_same_key_and_params_give_the_same_saga(start: Start) -> None:
    """A key stands for one saga: the second submission returns it and says that it is not new."""
    engine = start(one_step("quick", lambda: None))
    first, is_new = engine.submitted("quick", {"name": "x"}, key="k")
    again, is_new_again = engine.submitted("quick", Params(name="x"), key="k")
    assert (first.id, is_new, is_new_again) == (again.id, True, False)
    assert count(engine.store) == 1


def test_the_same_key_with_another_body_is_a_conflict(start: Start) -> None:
    """A key that was used with other params, or another operation, is refused and names the saga."""
    engine = start(one_step("quick", lambda: None), one_step("other", lambda: None))
    saga = engine.submit("quick", {"name": "x"}, key="k").id
    with pytest.raises(KeyConflict, match=saga):
        engine.submit("quick", {"name": "y"}, key="k")
    with pytest.raises(KeyConflict, match=saga):
        engine.submit("other", {"name": "x"}, key="k")
    assert count(engine.store) == 1


def test_a_key_is_still_known_after_its_saga_has_ended(start: Start) -> None:
    """A key is never used up: it gives the saga also when that ended long ago, and to a later engine."""
    store, quick = MemoryStore(), one_step("quick", lambda: None)
    engine = start(quick, store=store)
    saga = engine.submit("quick", key="k").id
    assert engine.wait(saga, PATIENCE_S).state == "succeeded"
    assert start(quick, store=store).submit("quick", key="k").id == saga


def test_an_id_of_ones_own_is_idempotent_too(start: Start) -> None:
    """The same id and body give the same saga; another body is refused; what is no UUIDv7 is refused."""
    engine, saga = start(one_step("quick", lambda: None)), new_id()
    assert engine.submitted("quick", id=saga)[0].id == saga
    assert engine.submitted("quick", id=saga)[1] is False
    with pytest.raises(KeyConflict, match=saga):
        engine.submit("quick", {"name": "y"}, id=saga)
    for bad in ("", "x", saga.upper(), "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(InvalidName, match="UUIDv7"):
            engine.submit("quick", id=bad)


def test_two_threads_with_one_key_make_one_saga(start: Start) -> None:
    """However two submissions of one key meet, one makes the saga and the other gets it."""
    for _ in range(20):
        engine = start(one_step("quick", lambda: None))
        found = together(2, lambda engine=engine: engine.submitted("quick", key="k"))
        assert len({view.id for view, _ in found}) == 1
        assert sorted(is_new for _, is_new in found) == [False, True]


def test_many_submissions_of_one_key_in_one_turn_make_one_saga(start: Start) -> None:
    """Submissions that meet in one transaction see each other: one saga, 31 times the same answer."""
    store = Quiet()
    engine = start(one_step("quick", lambda: None), store=store, drive=False)
    found = in_one_turn(engine, store, 32, lambda: together(32, lambda: engine.submitted("quick", key="k")))
    assert store.batches == [1, 1]
    assert len({view.id for view, _ in found}) == 1
    assert sum(is_new for _, is_new in found) == 1


def test_a_conflict_in_the_same_turn_is_seen(start: Start) -> None:
    """Two bodies under one key that arrive in one turn: one is recorded, the other is refused."""
    store = Quiet()
    engine = start(one_step("quick", lambda: None), store=store, drive=False)
    names = iter("xy")
    found = in_one_turn(
        engine, store, 2, lambda: together(2, lambda: engine.submit("quick", {"name": next(names)}, key="k"))
    )
    assert sorted(isinstance(one, KeyConflict) for one in found) == [False, True]


@pytest.mark.parametrize("key", ["", "  ", "x" * 256, "a\nb", "a\0b", "\ud800"])
def test_a_key_that_is_none_is_refused(start: Start, key: str) -> None:
    """A key is 1 to 255 printable characters."""
    engine = start(one_step("quick", lambda: None))
    with pytest.raises(InvalidName, match="printable"):
        engine.submit("quick", key=key)
    assert count(engine.store) == 0


def test_a_plan_that_was_looked_at_before_must_be_the_plan_now(start: Start) -> None:
    """A fingerprint of another plan is refused; that of this plan is taken."""
    engine = start(one_step("quick", lambda: None))
    with pytest.raises(Conflict, match="plan again"):
        engine.submit("quick", fingerprint="0" * 64)
    fingerprint = engine.plan("quick", None).fingerprint
    assert engine.submit("quick", fingerprint=fingerprint).fingerprint == fingerprint


def test_params_above_one_mebibyte_are_refused(start: Start) -> None:
    """A payload above its limit is refused at submission, and nothing is recorded."""
    engine = start(one_step("quick", lambda: None))
    with pytest.raises(TooLarge, match="1,048,576"):
        engine.submit("quick", {"name": "x" * 2**21})
    assert count(engine.store) == 0


def test_what_cannot_be_planned_is_refused(start: Start) -> None:
    """An unknown operation or field is refused, and nothing is recorded."""
    engine = start(one_step("quick", lambda: None))
    with pytest.raises(UnknownOperation, match="there are: quick"):
        engine.submit("quack")
    with pytest.raises(InvalidParams, match="colour"):
        engine.submit("quick", {"colour": "red"})
    assert count(engine.store) == 0


def test_an_operation_whose_types_cannot_be_stored_is_refused(start: Start) -> None:
    """A type that no stored value can become is found at submission, not when the saga is to run."""

    def only(params: Params) -> threading.Event:
        raise NotImplementedError

    engine = start(one_step("typed", only))
    with pytest.raises(InvalidPlan, match=r"typed v1 can be planned but not run: .*Event"):
        engine.submit("typed")
    assert count(engine.store) == 0


def test_an_engine_that_does_not_drive_only_records(start: Start) -> None:
    """With `drive=False` a saga is recorded and stays as it was submitted; nobody is left waiting for it."""
    engine = start(one_step("quick", lambda: None), drive=False)
    saga = engine.submit("quick").id
    assert [type(one.event).__name__ for one in engine.events(saga)] == ["Submitted"]
    assert engine.view(saga).state == "waiting"
    assert engine.idle(PATIENCE_S)
    for ask in (engine.recover, lambda: engine.wait(saga)):
        with pytest.raises(SledsagaError, match="drives nothing"):
            ask()


class Surrogate(Model):
    text: str


def test_text_that_is_no_utf8_does_no_harm_to_others(start: Start) -> None:
    """Whatever becomes of a lone surrogate in params or in `by`, the executor goes on."""
    engine = start(
        one_step("quick", lambda: None),
        operation("text", version=1, params=Surrogate, steps=[step(len_of, undo=no_undo("nothing"))]),
    )
    with pytest.raises(InvalidParams):
        engine.submit("text", {"text": "\ud800"})
    saga = engine.submit("quick", by="\ud800").id
    assert engine.wait(saga, PATIENCE_S).state == "succeeded"
    assert engine.failure is None


def len_of(params: Surrogate) -> int:
    return len(params.text)


def test_a_saga_that_is_held_can_be_submitted_again_by_its_key(start: Start, gate: Gate) -> None:
    """While a saga runs, its key gives it as it stands."""
    engine = start(waiting_at(gate))
    saga = engine.submit("held", key="k").id
    gate.await_arrivals()
    assert engine.submit("held", key="k").id == saga
    gate.opened.set()
    assert engine.wait(saga, PATIENCE_S).state == "succeeded"


def test_many_are_submitted_in_one_write(start: Start) -> None:
    """Those that meet in a turn are recorded together, and come back in their order."""
    store = Quiet()
    engine = start(one_step("quick", lambda: None), store=store, drive=False)
    names = [{"name": f"n{n}"} for n in range(20)]
    found = in_one_turn(engine, store, 20, lambda: engine.submit_many("quick", names))
    assert store.batches == [1, 20]
    assert [view.params for view in found] == names
    assert [engine.view(view.id).params for view in found] == names


def test_many_under_known_keys_are_those_that_are_there(start: Start) -> None:
    """Each is a submission of its own: the same key and body are the same saga, another body is refused."""
    engine = start(one_step("quick", lambda: None))
    first = engine.submit_many("quick", [None, None], keys=["a", None])
    again = engine.submit_many("quick", [None, None], keys=["a", None])
    assert (first[0].id == again[0].id, first[1].id == again[1].id) == (True, False)
    with pytest.raises(KeyConflict, match="key 'a' was used for saga"):
        engine.submit_many("quick", [{"name": "b"}, None, None], keys=["a", "new", None])
    assert engine.submitted("quick", key="new")[1] is False  # the others were recorded when that was raised


def test_of_many_none_is_recorded_when_one_cannot_be_planned(start: Start) -> None:
    """What is seen before anything is sent refuses all."""
    engine = start(one_step("quick", lambda: None))
    with pytest.raises(InvalidParams):
        engine.submit_many("quick", [None, {"nam": 1}])
    with pytest.raises(UsageError, match="1 keys for 2 sagas"):
        engine.submit_many("quick", [None, None], keys=["a"])
    assert engine.submit_many("quick", []) == ()
    assert count(engine.store) == 0


def test_a_fresh_saga_is_drawn_as_the_log_has_it(start: Start) -> None:
    """The picture of steps that nothing happened to is kept, and is the right one for each operation."""
    engine = start(one_step("one", lambda: None), one_step("two", lambda: 5, timeout_s=5.0), drive=False)
    for name in ("one", "two", "one", "two"):
        submitted = engine.submit(name)
        assert submitted == engine.view(submitted.id)
