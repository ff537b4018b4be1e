"""Locks: who gets which resource, who waits, and that neither crash nor unwinding frees one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from sledsaga.core.commands import Command
from sledsaga.core.dag import Plan
from sledsaga.core.define import Lock, Operation, Retry, exclusive, operation, shared, step
from sledsaga.core.model import Model
from sledsaga.engine.engine import Engine
from sledsaga.engine.limits import Limits
from sledsaga.engine.locks import LockTable
from sledsaga.errors import LogCorrupt
from sledsaga.store.memory import MemoryStore
from tests.engine.toys import NOTHING, PATIENCE_S, Gate, Start, one_step, states, waiting_at

A, B = "disk:a", "disk:b"


def queue(*asked: tuple[str, tuple[Lock, ...]]) -> LockTable:
    table = LockTable()
    for saga, locks in asked:
        table.request(saga, locks)
    return table


def free(table: LockTable, sagas: str) -> str:
    return "".join(saga for saga in sagas if table.is_free(saga))


CASES = [
    ("exclusive keeps out all", [("1", [exclusive(A)]), ("2", [exclusive(A)]), ("3", [shared(A)])], "1"),
    ("shared lets in shared", [("1", [shared(A)]), ("2", [shared(A)]), ("3", [exclusive(A)])], "12"),
    ("nobody overtakes", [("1", [shared(A)]), ("2", [exclusive(A)]), ("3", [shared(A)])], "1"),
    (
        "all or none",
        [("1", [exclusive(A)]), ("2", [exclusive(A), exclusive(B)]), ("3", [exclusive(B)])],
        "1",
    ),
    ("others are not held up", [("1", [exclusive(A)]), ("2", [exclusive(A)]), ("3", [exclusive(B)])], "13"),
    ("no lock at all", [("1", []), ("2", [exclusive(A)])], "12"),
]


@pytest.mark.parametrize(("asked", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_who_may_have_its_resources(asked: list[tuple[str, Iterable[Lock]]], expected: str) -> None:
    """A saga may have all its resources when nobody before it clashes on one of them."""
    table = queue(*((saga, tuple(locks)) for saga, locks in asked))
    assert free(table, "".join(saga for saga, _ in asked)) == expected


def test_a_release_says_who_may_be_next() -> None:
    """After a release those at the front are told, up to the first who wants the resource alone."""
    table = queue(
        ("1", (exclusive(A),)),
        ("2", (shared(A),)),
        ("3", (shared(A), exclusive(B))),
        ("4", (exclusive(A),)),
        ("5", (shared(A),)),
    )
    table.hold("1")
    assert table.release("1") == ("2", "3", "4")
    assert free(table, "2345") == "23"
    table.hold("2")
    assert table.release("3") == ("4",)
    assert free(table, "45") == ""
    assert table.release("2") == ("4",)
    assert table.release("nobody") == ()


def test_a_shared_holder_behind_a_waiter_still_counts() -> None:
    """Rows restored with a holder behind a waiter in the queue: the holder is in the way of the waiter."""
    table = LockTable()
    table.restore("waits", exclusive(A), held=False)
    table.restore("holds", shared(A), held=True)
    assert not table.is_free("waits")


def order_of(engine: Engine, resource: str) -> list[tuple[str, bool]]:
    return [(row.saga, row.held) for row in engine.store.locks() if row.resource == resource]


def test_an_exclusive_lock_lets_one_saga_run_at_a_time(start: Start) -> None:
    """Fifty sagas that need one resource alone never overlap, and run in the order of their submission."""
    inside: list[str] = []
    seen: list[str] = []

    def only(params: Named) -> None:
        inside.append(params.name)
        assert len(inside) == 1
        seen.append(params.name)
        inside.pop()

    engine = start(
        operation("o", version=1, params=Named, steps=[step(only, undo=NOTHING)], locks=[exclusive(A)])
    )
    sagas = [engine.submit("o", {"name": f"{n}"}).id for n in range(50)]
    assert engine.idle(PATIENCE_S)
    assert states(engine, sagas) == {"succeeded"}
    assert seen == [f"{n}" for n in range(50)]
    assert engine.store.locks() == ()


class Named(Model):
    name: str = ""


def test_sagas_that_share_a_resource_run_together(start: Start, gate: Gate) -> None:
    """Three sagas that share a resource are inside at once; one that wants it alone waits, and is shown."""
    engine = start(
        waiting_at(gate, "shares", locks=(shared(A),)), one_step("alone", lambda: None, locks=[exclusive(A)])
    )
    sharers = [engine.submit("shares").id for _ in range(3)]
    gate.await_arrivals(3)
    alone = engine.submit("alone").id
    assert order_of(engine, A) == [*((saga, True) for saga in sharers), (alone, False)]
    assert engine.view(alone).state == "waiting"
    gate.opened.set()
    assert engine.wait(alone, PATIENCE_S).state == "succeeded"


def test_nobody_is_held_up_by_who_waits_for_something_else(start: Start, gate: Gate) -> None:
    """A saga behind a long queue for one resource does not hold up sagas that need another."""
    engine = start(
        waiting_at(gate, "holds", locks=(exclusive(A),)),
        one_step("wants_a", lambda: None, locks=[exclusive(A)]),
        one_step("wants_b", lambda: None, locks=[exclusive(B)]),
    )
    engine.submit("holds")
    gate.await_arrivals()
    for _ in range(5):
        engine.submit("wants_a")
    assert engine.wait(engine.submit("wants_b").id, PATIENCE_S).state == "succeeded"


def test_waiters_take_no_room_from_the_saga_that_they_wait_for(start: Start, gate: Gate) -> None:
    """With room for two sagas in memory, a queue of waiters does not keep others from running."""
    engine = start(
        waiting_at(gate, "holds", locks=(exclusive(A),)),
        one_step("waits", lambda: None, locks=[exclusive(A)]),
        one_step("free", lambda: None),
        limits=Limits(live=2),
    )
    engine.submit("holds")
    gate.await_arrivals()
    waiting = [engine.submit("waits").id for _ in range(20)]
    assert engine.wait(engine.submit("free").id, PATIENCE_S).state == "succeeded"
    assert states(engine, waiting) == {"waiting"}
    gate.opened.set()
    assert engine.idle(PATIENCE_S)
    assert states(engine, waiting) == {"succeeded"}


def unwinding_slowly(gate: Gate) -> Operation:
    def made() -> None: ...

    def undo_made() -> None:
        gate.stand()

    def fails(made: None) -> None:
        raise ValueError

    steps = [step(made, undo=undo_made), step(fails, undo=NOTHING)]
    return operation("unwinds", version=1, params=Named, steps=steps, locks=[exclusive(A)])


def test_a_lock_is_kept_while_its_saga_unwinds(start: Start, gate: Gate) -> None:
    """Unwinding frees nothing: the next saga begins only when the last undo is over."""
    engine = start(unwinding_slowly(gate), one_step("next", lambda: None, locks=[exclusive(A)]))
    first = engine.submit("unwinds").id
    gate.await_arrivals()
    second = engine.submit("next").id
    assert engine.view(first).state == "unwinding"
    assert order_of(engine, A) == [(first, True), (second, False)]
    gate.opened.set()
    assert engine.wait(second, PATIENCE_S).state == "succeeded"
    assert engine.view(first).state == "undone"


def stuck_in_undo() -> Operation:
    def made() -> None:
        raise ValueError

    def undo_made() -> None:
        raise OSError

    steps = [step(made, undo=undo_made, undo_retry=Retry(1))]
    return operation("sticks", version=1, params=Named, steps=steps, locks=[exclusive(A)])


def test_a_stuck_saga_keeps_its_lock_until_a_person_ends_it(start: Start) -> None:
    """A stuck saga holds its resource, nobody waits in vain for idleness, and skip-undo hands it on."""
    engine = start(stuck_in_undo(), one_step("next", lambda: None, locks=[exclusive(A)]))
    stuck = engine.submit("sticks").id
    assert engine.wait(stuck, PATIENCE_S).state == "stuck"
    waits = engine.submit("next").id
    assert engine.idle(PATIENCE_S)
    assert order_of(engine, A) == [(stuck, True), (waits, False)]
    engine.command(stuck, Command("skip-undo", "me", "looked at it"))
    assert engine.wait(waits, PATIENCE_S).state == "succeeded"
    assert engine.view(stuck).state == "undone"


def test_a_waiter_that_is_cancelled_leaves_the_queue(start: Start, gate: Gate) -> None:
    """Cancelling, or abandoning, a saga that waits ends it at once, and nobody waits behind it."""
    engine = start(
        waiting_at(gate, "holds", locks=(shared(A),)),
        one_step("alone", lambda: None, locks=[exclusive(A)]),
        one_step("shares", lambda: None, locks=[shared(A)]),
    )
    engine.submit("holds")
    gate.await_arrivals()
    gone = [engine.submit("alone").id for _ in range(2)]
    behind = engine.submit("shares").id
    assert engine.view(behind).state == "waiting"
    engine.command(gone[0], Command("cancel", "me", "not needed"))
    engine.command(gone[1], Command("abandon", "me", "not needed"))
    assert engine.wait(behind, PATIENCE_S).state == "succeeded"
    assert [engine.view(saga).state for saga in gone] == ["undone", "abandoned"]
    assert engine.events(gone[0])[-1].epoch == 1


def taking_turns(work: Callable[[str], None]) -> Operation:
    """Make an operation that needs a resource alone and does this with its name."""

    def only(params: Named) -> None:
        work(params.name)

    return operation("o", version=1, params=Named, steps=[step(only, undo=NOTHING)], locks=[exclusive(A)])


def test_a_new_engine_takes_the_queue_over_in_the_same_order(start: Start, gate: Gate) -> None:
    """Locks survive a crash: the holder still holds, and the rest follow in the order of submission.

    Ids do not rise with it here: the order is that of the log's rows, not of ids or clocks.
    """
    store = MemoryStore()
    dead = start(taking_turns(lambda _: gate.stand()), store=store)
    ids = [f"00000000-0000-7000-8000-{n:012x}" for n in (9, 5, 7, 1, 8, 3)]
    for saga in ids:
        dead.submit("o", {"name": saga}, id=saga)
    gate.await_arrivals()
    seen: list[str] = []

    alive = start(taking_turns(seen.append), store=store, limits=Limits(live=1))
    assert order_of(alive, A) == [(ids[0], True), *((saga, False) for saga in ids[1:])]
    alive.recover()
    assert alive.idle(PATIENCE_S)
    assert seen == ids
    assert states(alive, ids) == {"succeeded"}


def test_what_waits_in_a_log_is_not_driven_before_recovery(start: Start, gate: Gate) -> None:
    """A new engine ends a saga that it was told of; those behind it in the queue wait for `recover`."""
    store, locks = MemoryStore(), (exclusive(A),)
    dead = start(waiting_at(gate, "o", locks=locks), store=store)
    first, second = (dead.submit("o").id for _ in range(2))
    gate.await_arrivals()
    alive = start(one_step("o", lambda: None, locks=locks), store=store)
    alive.command(first, Command("cancel", "me", "enough"))
    assert alive.wait(first, PATIENCE_S).state == "undone"
    assert alive.idle(PATIENCE_S)
    assert alive.view(second).state == "waiting"
    alive.recover()
    assert alive.wait(second, PATIENCE_S).state == "succeeded"


def test_a_waiter_that_is_parked_stops_nobody(start: Start, gate: Gate) -> None:
    """A saga that this program does not know, and that holds nothing, does not stop those behind it."""
    store, locks = MemoryStore(), (exclusive(A),)
    dead = start(waiting_at(gate, "gone", locks=locks), one_step("o", lambda: None, locks=locks), store=store)
    holds, waits = (dead.submit("gone").id for _ in range(2))
    behind = dead.submit("o").id
    gate.await_arrivals()
    alive = start(one_step("o", lambda: None, locks=locks), store=store)
    assert alive.recover().parked == (holds,)
    assert order_of(alive, A) == [(holds, True), (waits, False), (behind, False)]
    alive.command(holds, Command("abandon", "me", "the operation is gone"))
    assert alive.wait(behind, PATIENCE_S).state == "succeeded"
    assert alive.view(waits).stuck[0].error.startswith("unknown version")


def test_a_waiter_that_is_paused_stops_nobody(start: Start, gate: Gate) -> None:
    """A saga that is paused while it waits lets the others pass; when it is resumed it waits again."""
    engine = start(
        waiting_at(gate, "holds", locks=(exclusive(A),)), one_step("o", lambda: None, locks=[exclusive(A)])
    )
    engine.submit("holds")
    gate.await_arrivals()
    paused, behind = (engine.submit("o").id for _ in range(2))
    engine.command(paused, Command("pause", "me", "later"))
    gate.opened.set()
    assert engine.wait(behind, PATIENCE_S).state == "succeeded"
    assert engine.view(paused).state == "paused"
    engine.command(paused, Command("resume", "me", "now"))
    assert engine.wait(paused, PATIENCE_S).state == "succeeded"


def test_a_waiter_at_rest_in_the_log_stops_nobody(start: Start) -> None:
    """After a takeover too: who was paused, or cannot be read, and holds nothing, lets the others pass."""
    store = MemoryStore()
    dead = start(one_step("o", lambda: None, locks=[exclusive(A)]), store=store, drive=False)
    paused, damaged, behind = (dead.submit("o").id for _ in range(3))
    dead.command(paused, Command("pause", "me", "later"))
    alive = start(one_step("o", lambda: None, locks=[exclusive(A)]), store=Damaged(store, damaged))
    assert [saga for saga, _ in alive.recover().unreadable] == [damaged]
    assert alive.wait(behind, PATIENCE_S).state == "succeeded"
    assert states(alive, [paused]) == {"paused"}


class Damaged:
    """A store in which one saga's plan cannot be read."""

    def __init__(self, kept: MemoryStore, saga: str) -> None:
        self._kept, self._saga = kept, saga

    def plan(self, saga: str) -> Plan:
        if saga == self._saga:
            raise LogCorrupt(saga)
        return self._kept.plan(saga)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)
