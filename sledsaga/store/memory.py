"""A store that forgets everything when its process ends: the reference for every other one.

Rules
- It says what a store means with as little as possible; the contract suite holds the others to it.
- A batch is checked whole before anything is changed, so there is nothing to roll back.
- Readers in other threads see a batch whole or not at all.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from sledsaga.core.dag import Plan
from sledsaga.core.events import Ended, LocksAcquired, Recorded
from sledsaga.errors import KeyConflict, NotFound
from sledsaga.store.batch import (
    check_gapless,
    check_limit,
    in_order,
    lets_through,
    merged,
    read_token,
    token_of,
)
from sledsaga.store.codec import to_row
from sledsaga.store.store import ENDED, Append, Filter, Index, LockRow, NewSaga, Page, SagaRow


@dataclass(frozen=True, slots=True)
class _Kept:
    row: SagaRow
    plan: Plan
    events: tuple[Recorded, ...]
    locks: tuple[LockRow, ...]


class MemoryStore:
    """A log of sagas in memory (see `Store`)."""

    def __init__(self) -> None:
        self._mutex = threading.RLock()
        self._sagas: dict[str, _Kept] = {}  # in the order of submission, which is that of the queues
        self._ids: list[str] = []
        self._keys: dict[str, str] = {}

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        """Record a batch; return the ids whose writer was out of date. Raises KeyConflict."""
        check_gapless(new, appends)
        rows: list[NewSaga | Append] = [*new, *appends]
        for recorded in chain.from_iterable(row.events for row in rows):
            to_row(recorded.event)  # what cannot be stored is refused here too
        one, lost = merged(appends)
        with self._mutex:
            self._check_free(new)
            at = {saga.id: (saga.index.epoch, saga.index.seq) for saga in new}
            at |= {s: (kept.row.epoch, kept.row.seq) for s in one if (kept := self._sagas.get(s))}
            lost |= {saga for saga, a in one.items() if not lets_through(at.get(saga), (a.epoch, a.seq))}
            for saga in new:
                self._add(saga)
            for saga_id, append in one.items():
                if saga_id not in lost:
                    self._sagas[saga_id] = _after(self._sagas[saga_id], append.events, append.index)
        return in_order(lost, appends)

    def _check_free(self, new: Sequence[NewSaga]) -> None:
        ids, keys = set(self._sagas), set(self._keys)
        for saga in new:
            if saga.id in ids or saga.key in keys:
                what = f"id {saga.id}" if saga.id in ids else f"key {saga.key!r}"
                raise KeyConflict(f"the {what} is taken by another saga; nothing was recorded")
            ids.add(saga.id)
            keys |= {saga.key} if saga.key is not None else set()

    def _add(self, new: NewSaga) -> None:
        dag, index = new.plan.dag, new.index
        row = SagaRow(
            id=new.id,
            operation=dag.operation,
            version=dag.version,
            key=new.key,
            digest=new.digest,
            state=index.state,
            direction=index.direction,
            epoch=index.epoch,
            seq=index.seq,
            created_at=new.created_at,
            updated_at=index.updated_at,
        )
        locks = tuple(
            LockRow(k.resource, k.mode, new.id, held=False, since=new.created_at) for k in new.plan.locks
        )
        self._sagas[new.id] = _after(_Kept(row, new.plan, (), locks), new.events, index)
        insort(self._ids, new.id)
        if new.key is not None:
            self._keys[new.key] = new.id

    def by_key(self, key: str) -> SagaRow | None:
        """Return the saga that was submitted with this key, or None."""
        with self._mutex:
            return self._sagas[self._keys[key]].row if key in self._keys else None

    def row(self, saga: str) -> SagaRow:
        """Return one saga's columns; raises NotFound."""
        return self._kept(saga).row

    def plan(self, saga: str) -> Plan:
        """Return the plan of a saga; raises NotFound."""
        return self._kept(saga).plan

    def events(self, saga: str, *, after: int = 0, limit: int | None = None) -> tuple[Recorded, ...]:
        """Return the events above `after`, in order, at most `limit`; raises NotFound."""
        first = max(after, 0)
        return self._kept(saga).events[first : None if limit is None else first + max(limit, 0)]

    def list(self, only: Filter, *, limit: int, token: str | None = None) -> Page[SagaRow]:
        """Return sagas, newest first, page by page; raises UsageError for a token that is none."""
        below, limit = read_token(token), check_limit(limit)
        with self._mutex:
            rows = (self._sagas[saga] for saga in reversed(self._ids) if below is None or saga < below)
            found = [kept.row for kept in rows if _fits(kept, only)][: limit + 1]
        more = len(found) > limit
        return Page(tuple(found[:limit]), token_of(found[limit - 1].id) if more else None)

    def unfinished(self, *, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """Return ids of sagas that are not at rest for good, ascending, above `after`."""
        with self._mutex:
            ids = (saga for saga in self._ids if saga > after)
            return tuple(saga for saga in ids if self._sagas[saga].row.state not in ENDED)[: max(limit, 0)]

    def find(self, prefix: str, *, limit: int = 10) -> tuple[str, ...]:
        """Return ids that begin with the prefix, ascending."""
        with self._mutex:
            first = bisect_left(self._ids, prefix)
            found = self._ids[first : first + max(limit, 0)]
            return tuple(saga for saga in found if saga.startswith(prefix))

    def locks(self, saga: str | None = None) -> tuple[LockRow, ...]:
        """Return who holds and who waits, by resource, holders first, then in the order of the queue."""
        with self._mutex:
            rows = [lock for kept in self._sagas.values() for lock in kept.locks]
        return tuple(
            lock for lock in sorted(rows, key=lambda k: (k.resource, not k.held)) if saga in (None, lock.saga)
        )

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def _kept(self, saga: str) -> _Kept:
        with self._mutex:
            if saga not in self._sagas:
                raise NotFound(f"there is no saga {saga}")
            return self._sagas[saga]


def _after(kept: _Kept, events: tuple[Recorded, ...], index: Index) -> _Kept:
    row = replace(
        kept.row,
        state=index.state,
        direction=index.direction,
        epoch=index.epoch,
        seq=index.seq,
        updated_at=index.updated_at,
    )
    return _Kept(row, kept.plan, kept.events + events, _locks_after(kept.locks, events))


def _locks_after(locks: tuple[LockRow, ...], events: Iterable[Recorded]) -> tuple[LockRow, ...]:
    for recorded in events if locks else ():
        match recorded.event:
            case LocksAcquired():
                locks = tuple(replace(lock, held=True, since=recorded.at) for lock in locks)
            case Ended():
                return ()
    return locks


def _fits(kept: _Kept, only: Filter) -> bool:
    return (
        (only.states is None or kept.row.state in only.states)
        and only.operation in (None, kept.row.operation)
        and only.key in (None, kept.row.key)
        and (only.resource is None or any(lock.resource == only.resource for lock in kept.locks))
        and not (only.unfinished and kept.row.state in ENDED)
    )
