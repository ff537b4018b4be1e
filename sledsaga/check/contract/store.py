"""What every store must do, written once. Each behaviour gets an empty store and asserts.

Rules
- `CONTRACT` lists them all; a test runs each over each store.
- Nothing is told here of how a store does it, and nothing is read but through the protocol.
"""
# ruff: noqa: D401 - a behaviour is told, not commanded

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from sledsaga.check.contract.samples import LIFE, STATES, T0, a_saga, refusal, saga_id, then
from sledsaga.core import events as e
from sledsaga.core.define import Lock
from sledsaga.errors import KeyConflict, LogCorrupt, NotFound, UsageError
from sledsaga.store.store import ENDED, Append, Filter, NewSaga, SagaRow, Store


def what_is_written_is_read_back(store: Store) -> None:
    """Plan, columns and events come back equal, with every kind of JSON in them."""
    output: e.Json = {"text": 'ü "q" \n \0 \ud800', "list": [1, 2.5, True, None, {}], "big": 2**70}
    saga = a_saga(1, key="k", locks=(Lock("pool:a"),))
    append = then(saga, e.Claimed("x"), e.StepStarted(0, 1), e.StepSucceeded(0, output), epoch=1)
    store.write([saga], [])
    assert store.write([], [append]) == ()
    assert store.plan(saga.id) == saga.plan
    assert store.events(saga.id) == saga.events + append.events
    assert store.row(saga.id) == SagaRow(
        id=saga.id,
        operation="build",
        version=1,
        key="k",
        digest="digest 1",
        state="running",
        direction="forward",
        epoch=1,
        seq=4,
        created_at=T0 + 1,
        updated_at=T0 + 2,
    )


def events_come_in_parts(store: Store) -> None:
    """Events are read from any place on, at most as many as asked for."""
    saga = a_saga(1, events=tuple(e.Parked(str(i)) for i in range(5)))
    store.write([saga], [])
    assert store.events(saga.id, after=2) == saga.events[2:]
    assert store.events(saga.id, after=1, limit=2) == saga.events[1:3]
    assert store.events(saga.id, after=4, limit=9) == saga.events[4:]
    assert store.events(saga.id, after=9) == ()
    assert store.events(saga.id, after=-1, limit=1) == saga.events[:1]


def a_new_saga_can_go_on_in_the_same_batch(store: Store) -> None:
    """Appends that follow one another in one batch are all written, also behind a new saga."""
    saga = a_saga(1)
    first = then(saga, e.Claimed("x"), epoch=1)
    second = then(first, e.StepStarted(0, 1), e.StepSucceeded(0, 1))
    third = then(second, e.Ended("succeeded"), state="succeeded")
    assert store.write([saga], [first, second]) == ()
    assert store.write([], [third]) == ()
    assert [r.seq for r in store.events(saga.id)] == [1, 2, 3, 4, 5]
    assert store.row(saga.id).state == "succeeded"


def a_key_is_used_once(store: Store) -> None:
    """A key or an id that is taken is a conflict, and nothing of the batch is written."""
    store.write([a_saga(1, key="k")], [])
    for taken in (a_saga(2, key="k"), a_saga(1)):
        refusal(KeyConflict, partial(store.write, [a_saga(3), taken], []))
        refusal(NotFound, lambda: store.row(saga_id(3)))
    refusal(KeyConflict, lambda: store.write([a_saga(4, key="z"), a_saga(5, key="z")], []))
    assert store.by_key("z") is None
    row = store.by_key("k")
    assert row is not None
    assert row.id == saga_id(1)
    assert store.write([a_saga(6), a_saga(7)], []) == ()  # no key is no key that is taken


def who_is_out_of_date_loses_alone(store: Store) -> None:
    """A wrong epoch, a wrong place or an unknown saga loses; the others in the batch are written."""
    sagas = [a_saga(n) for n in range(1, 5)]
    store.write(sagas, [])
    good = [then(saga, e.Claimed("x"), epoch=1) for saga in sagas]
    late = replace(
        good[1], seq=0, events=(good[1].events[0]._replace(seq=1),), index=good[1].index._replace(seq=1)
    )
    unknown = replace(good[3], saga=saga_id(9))
    batch = [good[0], replace(good[2], epoch=7), late, unknown, good[3]]
    assert store.write([], batch) == (sagas[2].id, sagas[1].id, unknown.saga)
    assert [store.row(saga.id).seq for saga in sagas] == [2, 1, 1, 2]
    assert store.events(sagas[2].id) == sagas[2].events
    assert store.write([], [good[0], good[2]]) == (sagas[0].id,)
    assert store.events(sagas[2].id) == sagas[2].events + good[2].events


def a_new_claim_shuts_the_old_one_out(store: Store) -> None:
    """After a saga was claimed again, what the former executor wants to add is lost."""
    saga = a_saga(1)
    first = then(saga, e.Claimed("one"), epoch=1)
    second = then(first, e.Claimed("two"), epoch=2)
    store.write([saga], [first])
    assert store.write([], [second]) == ()
    assert store.write([], [then(first, e.StepStarted(0, 1))]) == (saga.id,)
    same_place = replace(then(second, e.StepStarted(0, 1)), epoch=1)
    assert store.write([], [same_place]) == (saga.id,)
    assert store.row(saga.id).epoch == 2  # noqa: PLR2004 - the second claim


def of_two_writers_in_a_batch_none_is_half(store: Store) -> None:
    """Two appends to one saga that do not follow one another both lose."""
    saga, other = a_saga(1), a_saga(2)
    store.write([saga, other], [])
    append = then(saga, e.Claimed("x"), epoch=1)
    assert store.write([], [append, then(other, e.Claimed("x"), epoch=1), append]) == (saga.id,)
    assert [store.row(s.id).seq for s in (saga, other)] == [1, 2]


def a_gap_is_refused(store: Store) -> None:
    """Events that leave a gap, or columns that do not match them, are refused; nothing is written."""
    saga = a_saga(1)
    store.write([saga], [])
    good = then(saga, e.Parked("a"), e.Parked("b"))
    for bad in (
        replace(good, events=good.events[1:]),
        replace(good, events=good.events[::-1]),
        replace(good, index=good.index._replace(seq=9)),
    ):
        message = refusal(LogCorrupt, partial(store.write, [a_saga(2)], [bad]))
        assert saga.id in message
    refusal(LogCorrupt, lambda: store.write([replace(a_saga(2), events=good.events)], []))
    refusal(NotFound, lambda: store.row(saga_id(2)))
    assert store.row(saga.id).seq == 1


def what_json_cannot_hold_is_refused(store: Store) -> None:
    """An output that is no JSON is refused before anything of the batch is written."""
    saga = a_saga(1)
    store.write([saga], [])
    for output in (float("nan"), object(), {1, 2}):
        bad = then(saga, e.StepSucceeded(0, output))  # type: ignore[arg-type]  # it is no JSON
        refusal(UsageError, partial(store.write, [a_saga(2)], [bad]))
    refusal(NotFound, lambda: store.row(saga_id(2)))
    assert store.write([], [then(saga, e.StepSucceeded(0, "fine"))]) == ()


def what_is_not_there_is_not_found(store: Store) -> None:
    """Every question about one saga says when there is no such saga."""
    asked: tuple[Callable[[str], object], ...] = (store.row, store.plan, store.events)
    for ask in asked:
        assert "nobody" in refusal(NotFound, partial(ask, "nobody"))
    assert store.by_key("nobody") is None
    assert store.find("nobody") == ()
    assert store.locks("nobody") == ()


def a_list_is_newest_first_in_pages(store: Store) -> None:
    """Pages follow one another without gap or repetition, also while sagas are added."""
    store.write([a_saga(n) for n in (3, 1, 5, 2, 4)], [])
    first = store.list(Filter(), limit=2)
    store.write([a_saga(6), a_saga(7)], [])
    second = store.list(Filter(), limit=2, token=first.next_token)
    third = store.list(Filter(), limit=2, token=second.next_token)
    pages = [first, second, third]
    assert [row.id for page in pages for row in page.rows] == [saga_id(n) for n in (5, 4, 3, 2, 1)]
    assert third.next_token is None
    assert store.list(Filter(), limit=7).next_token is None
    refusal(UsageError, lambda: store.list(Filter(), limit=1, token="x y"))  # noqa: S106 - no password
    refusal(UsageError, lambda: store.list(Filter(), limit=0))


def a_list_can_be_filtered(store: Store) -> None:
    """State, operation, key, resource and being unfinished narrow a list, alone and together."""
    sagas = [
        a_saga(
            n, state=state, operation=("build", "raze")[n % 2], key=f"k{n}", locks=(Lock(f"pool:{n % 3}"),)
        )
        for n, state in enumerate(STATES * 2)
    ]
    store.write(sagas, [])
    for only in (
        Filter(states=frozenset({"stuck"})),
        Filter(states=frozenset({"succeeded", "waiting", "paused"})),
        Filter(states=frozenset()),
        Filter(operation="raze"),
        Filter(operation="none"),
        Filter(operation="raze", states=frozenset({"running", "waiting", "undone"})),
        Filter(unfinished=True),
        Filter(unfinished=True, operation="build", states=frozenset({"succeeded", "stuck", "waiting"})),
        Filter(key="k3"),
        Filter(key="k3", operation="build"),
        Filter(resource="pool:1"),
        Filter(resource="pool:1", key="k4"),
        Filter(resource="pool:1", key="k5"),
        Filter(resource="pool:1", operation="raze", unfinished=True),
    ):
        expected = [saga.id for saga in reversed(sagas) if _fits(saga, only)]
        assert _all_pages(store, only, limit=3) == expected, only


def _fits(saga: NewSaga, only: Filter) -> bool:
    state = saga.index.state
    return (
        (only.states is None or state in only.states)
        and only.operation in (None, saga.plan.dag.operation)
        and only.key in (None, saga.key)
        and (only.resource is None or only.resource in {lock.resource for lock in saga.plan.locks})
        and not (only.unfinished and state in ENDED)
    )


def _all_pages(store: Store, only: Filter, *, limit: int) -> list[str]:
    page = store.list(only, limit=limit)
    ids = [row.id for row in page.rows]
    while page.next_token is not None:
        page = store.list(only, limit=limit, token=page.next_token)
        ids += [row.id for row in page.rows]
    return ids


def a_change_of_state_moves_between_lists(store: Store) -> None:
    """A saga is listed under the state it has now, and only there."""
    saga = a_saga(1)
    store.write([saga], [])
    append: NewSaga | Append = saga
    for state in ("running", "paused", "running", "unwinding", "stuck", "undone"):
        append = then(append, e.Parked(state), state=state)
        store.write([], [append])
        listed = [s for s in STATES if store.list(Filter(states=frozenset({s})), limit=9).rows]
        assert listed == [state]
    assert store.unfinished() == ()


def unfinished_sagas_come_in_pages(store: Store) -> None:
    """Ids of sagas not at rest for good come ascending, page by page."""
    sagas = [a_saga(n, state=state) for n, state in enumerate(STATES * 3)]
    store.write(sagas[::-1], [])
    expected = tuple(saga.id for saga in sagas if saga.index.state not in ENDED)
    assert store.unfinished() == expected
    assert store.unfinished(limit=4) == expected[:4]
    assert store.unfinished(after=expected[3], limit=4) == expected[4:8]
    assert store.unfinished(after=expected[-1]) == ()


def an_id_is_found_by_its_beginning(store: Store) -> None:
    """Ids with a prefix come ascending, no more than asked for; a wildcard means nothing."""
    sagas = [a_saga(n) for n in (2, 1, 30)]
    store.write(sagas, [])
    assert store.find(saga_id(2)[:9]) == tuple(
        sorted(saga.id for saga in sagas if saga.id[:9] == saga_id(2)[:9])
    )
    assert store.find(saga_id(30)) == (saga_id(30),)
    assert store.find("", limit=2) == tuple(sorted(saga.id for saga in sagas))[:2]
    assert store.find("%") == ()
    assert store.find("_") == ()


def locks_follow_their_saga(store: Store) -> None:
    """Locks wait from the submission on, are held once acquired, and are free when the saga has ended."""
    holds, waits = (
        a_saga(2, locks=(Lock("pool:b"), Lock("pool:a", "shared"))),
        a_saga(1, locks=(Lock("pool:b"),)),
    )
    store.write([holds], [])
    store.write([waits], [])
    assert [(k.resource, k.saga, k.held) for k in store.locks()] == [
        ("pool:a", holds.id, False),
        ("pool:b", holds.id, False),
        ("pool:b", waits.id, False),
    ]
    acquired = then(waits, e.LocksAcquired())
    store.write([], [acquired])
    assert [(k.resource, k.saga, k.held, k.since) for k in store.locks()] == [
        ("pool:a", holds.id, False, T0 + 2),
        ("pool:b", waits.id, True, T0 + 2),
        ("pool:b", holds.id, False, T0 + 2),
    ]
    assert [(k.resource, k.mode) for k in store.locks(holds.id)] == [
        ("pool:a", "shared"),
        ("pool:b", "exclusive"),
    ]
    store.write([], [then(acquired, e.Ended("succeeded"), state="succeeded")])
    assert store.locks(waits.id) == ()
    assert len(store.locks()) == len(holds.plan.locks)


def only_the_end_frees_locks(store: Store) -> None:
    """Whatever else happens to a saga (a claim, a failure, a cancel, being stuck), its locks stay."""
    new = a_saga(1, locks=(Lock("pool:a"),), events=(e.Submitted("me"), e.LocksAcquired()))
    store.write([new], [])
    last: NewSaga | Append = new
    for event in LIFE:
        last = then(last, event, state="stuck")
        store.write([], [last])
        assert [k.held for k in store.locks()] == [True], event
    store.write([], [then(last, e.Ended("undone"), state="undone")])
    assert store.locks() == ()


def locks_can_come_and_go_in_one_batch(store: Store) -> None:
    """A saga that acquires in its first batch holds at once; one that also ends holds nothing."""
    lock = (Lock("pool:a", "shared"),)
    began = a_saga(1, locks=lock, events=(e.Submitted("me"), e.LocksAcquired()))
    ended = a_saga(2, locks=lock, events=(e.LocksAcquired(), e.Ended("undone")), state="undone")
    store.write([began, ended], [])
    assert [(k.saga, k.held) for k in store.locks()] == [(began.id, True)]


def a_late_writer_frees_no_locks(store: Store) -> None:
    """What a writer who is out of date says of locks is not so."""
    saga = a_saga(1, locks=(Lock("pool:a"),), events=(e.Submitted("me"), e.LocksAcquired()))
    store.write([saga], [])
    end = then(saga, e.Ended("succeeded"), state="succeeded")
    assert store.write([], [replace(end, epoch=3)]) == (saga.id,)
    assert [k.held for k in store.locks()] == [True]


def an_empty_batch_is_fine(store: Store) -> None:
    """Nothing to write is written; columns alone can be moved."""
    saga = a_saga(1)
    store.write([saga], [])
    assert store.write([], []) == ()
    assert store.write([], [then(saga, state="paused")]) == ()
    assert store.row(saga.id).state == "paused"


def closing_twice_is_fine(store: Store) -> None:
    """A second close does nothing."""
    store.write([a_saga(1)], [])
    store.close()
    store.close()


CONTRACT: Final[tuple[Callable[[Store], None], ...]] = (
    what_is_written_is_read_back,
    events_come_in_parts,
    a_new_saga_can_go_on_in_the_same_batch,
    a_key_is_used_once,
    who_is_out_of_date_loses_alone,
    a_new_claim_shuts_the_old_one_out,
    of_two_writers_in_a_batch_none_is_half,
    a_gap_is_refused,
    what_json_cannot_hold_is_refused,
    what_is_not_there_is_not_found,
    a_list_is_newest_first_in_pages,
    a_list_can_be_filtered,
    a_change_of_state_moves_between_lists,
    unfinished_sagas_come_in_pages,
    an_id_is_found_by_its_beginning,
    locks_follow_their_saga,
    only_the_end_frees_locks,
    locks_can_come_and_go_in_one_batch,
    a_late_writer_frees_no_locks,
    an_empty_batch_is_fine,
    closing_twice_is_fine,
)
