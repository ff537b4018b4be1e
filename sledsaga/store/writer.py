"""The one writer of a SQLite log: a batch is one transaction, and one fsync.

Rules
- The fence is the UPDATE itself: it hits a saga only where epoch and sequence number are as the caller
  believes. When it hit fewer than it should, all is rolled back and done again, with a look first.
- `_known` saves looking up numbers and states; it changes only after a commit, and may be forgotten.
- A commit that failed without saying how it ended closes this writer for good: what a disk says after a
  failed fsync proves nothing. A full disk is no such case: writing goes on when there is room.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, RootTransaction
from sqlalchemy.exc import DBAPIError

from sledsaga.core.dag import Dag, dag_to_json, locks_to_json, scopes_to_json
from sledsaga.core.events import Ended, LocksAcquired, Recorded
from sledsaga.errors import KeyConflict, LogCorrupt, LogUnavailable
from sledsaga.store import statements as sql
from sledsaga.store.batch import check_gapless, in_order, lets_through, merged
from sledsaga.store.codec import to_json, to_row
from sledsaga.store.sqlite import error_code, make_engine, troubles
from sledsaga.store.store import ENDED, Append, Index, NewSaga

REMEMBERED: Final = 50_000  # sagas, and DAGs; beyond it all is forgotten, and looked up when needed
CHUNK: Final = 500  # ids in one SELECT
SURELY_NOT_COMMITTED: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY}


@dataclass(frozen=True, slots=True)
class _Known:
    num: int
    index: Index  # as written last


class Writer:
    """Writes batches to the log at a path; one batch at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = make_engine(path, "rw")
        self._connection: Connection | None = None
        self._mutex = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._dags: dict[str, int] = {}
        self._refusal: str | None = None

    def open(self) -> None:
        """Connect, which makes durable what the log has; raises LogUnavailable."""
        with self._mutex, troubles(self._path):
            self._open()

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        """Record a batch; see `Store.write`."""
        check_gapless(new, appends)
        one, lost = merged(appends)
        with self._mutex, troubles(self._path):
            connection = self._open()
            try:
                late = self._record(connection, new, one, set())
                if late is None:
                    late = self._record(connection, new, one, None)
                assert late is not None, "who has looked first cannot be late"
            except sqlite3.IntegrityError as error:
                raise self._taken(connection, new, error) from error
        return in_order(lost | late, appends)

    def close(self) -> None:
        """Let go of the connection; later writes are refused."""
        with self._mutex, troubles(self._path):
            self._refusal = self._refusal or f"log {self._path}: it was closed; open it again"
            self._let_go()

    def _open(self) -> Connection:
        if self._refusal is not None:
            raise LogUnavailable(self._refusal)
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        self._known.clear()
        if connection is not None:
            connection.close()

    def _record(
        self,
        connection: Connection,
        new: Sequence[NewSaga],
        appends: Mapping[str, Append],
        late: set[str] | None,
    ) -> set[str] | None:
        """Write all but the late ones (None: find out which) in one transaction; return the late ones.

        Returns None when a fence did not hold; then nothing was written.
        """
        with connection.begin() as transaction:
            nums = self._add(connection, new)
            late = _late(connection, appends) if late is None else late
            moved = (
                {saga: append for saga, append in appends.items() if saga not in late} if late else appends
            )
            self._find_numbers(connection, moved, nums)
            if not self._pass_fence(connection, moved, nums):
                transaction.rollback()
                self._known.clear()
                return None
            rows: list[NewSaga | Append] = [*new, *moved.values()]
            _add_events(connection, [(nums[_saga(row)], row.events) for row in rows])
            self._commit(transaction)
        self._remember(rows, nums)
        return late

    def _add(self, connection: Connection, new: Sequence[NewSaga]) -> dict[str, int]:
        """Insert sagas with their plans and locks; return their numbers."""
        if not new:
            return {}
        first = connection.execute(sql.LAST_NUM).scalar_one() + 1
        nums = {saga.id: num for num, saga in enumerate(new, first)}
        dags = self._add_dags(connection, {saga.plan.dag.fingerprint: saga.plan.dag for saga in new})
        sql.ADD_SAGA.run(connection, [_saga_row(num, saga) for num, saga in enumerate(new, first)])
        plans = [_plan_row(num, dags[saga.plan.dag.fingerprint], saga) for num, saga in enumerate(new, first)]
        sql.ADD_PLAN.run(connection, plans)
        locks = [
            (lock.resource, num, lock.mode, False, saga.created_at)
            for num, saga in enumerate(new, first)
            for lock in saga.plan.locks
        ]
        sql.ADD_LOCK.run(connection, locks)
        return nums

    def _add_dags(self, connection: Connection, dags: Mapping[str, Dag]) -> dict[str, int]:
        """Insert the DAGs that are not there yet; return the numbers of all."""
        if len(self._dags) > REMEMBERED:
            self._dags.clear()
        for fingerprint in dags.keys() - self._dags.keys():
            num = connection.execute(sql.DAG_NUM, {"fingerprint": fingerprint}).scalar()
            if num is not None:  # it was committed, so it stays
                self._dags[fingerprint] = num
        missing = dags.keys() - self._dags.keys()
        first = connection.execute(sql.LAST_DAG).scalar_one() + 1 if missing else 0
        added = {fingerprint: num for num, fingerprint in enumerate(missing, first)}
        rows = [
            (num, fingerprint, to_json(dag_to_json(dags[fingerprint]))) for fingerprint, num in added.items()
        ]
        sql.ADD_DAG.run(connection, rows)
        return {fingerprint: added.get(fingerprint) or self._dags[fingerprint] for fingerprint in dags}

    def _find_numbers(self, connection: Connection, sagas: Iterable[str], nums: dict[str, int]) -> None:
        """Add the numbers of these sagas, from memory or from the log; one that is not there has none."""
        missing = []
        for saga in sagas:
            if known := self._known.get(saga):
                nums[saga] = known.num
            elif saga not in nums:
                missing.append(saga)
        nums.update((saga, num) for saga, num, _, _ in _places(connection, missing))

    def _pass_fence(
        self, connection: Connection, appends: Mapping[str, Append], nums: Mapping[str, int]
    ) -> bool:
        """Move the columns of these sagas; False when any of them does not stand where it should."""
        moves, turns = [], []
        for saga, append in appends.items():
            num, index = nums.get(saga, -1), append.index
            row = (index.epoch, index.seq, index.updated_at, num, append.epoch, append.seq)
            if self._keeps_state(saga, append):
                moves.append(row)
            else:
                turns.append((index.state, index.direction, *row))
        return sql.MOVE.run(connection, moves) + sql.TURN.run(connection, turns) == len(appends)

    def _keeps_state(self, saga: str, append: Append) -> bool:
        known = self._known.get(saga)
        if known is None:
            return False
        was, will = known.index, append.index
        return (was.epoch, was.seq, was.state, was.direction) == (
            append.epoch,
            append.seq,
            will.state,
            will.direction,
        )

    def _commit(self, transaction: RootTransaction) -> None:
        try:
            transaction.commit()
        except DBAPIError as error:
            if error_code(error) not in SURELY_NOT_COMMITTED:
                self._refusal = (
                    f"log {self._path}: an earlier write failed and may or may not have been recorded,"
                    " so nothing more is written: look at the disk, then start again"
                )
            self._let_go()
            raise

    def _remember(self, rows: Iterable[NewSaga | Append], nums: Mapping[str, int]) -> None:
        """Keep what was just committed, but for sagas that ended."""
        if len(self._known) > REMEMBERED:
            self._known.clear()
        for row in rows:
            saga = _saga(row)
            if row.index.state in ENDED:
                self._known.pop(saga, None)
            else:
                self._known[saga] = _Known(nums[saga], row.index)

    def _taken(
        self, connection: Connection, new: Sequence[NewSaga], error: sqlite3.IntegrityError
    ) -> Exception:
        """Say which saga has the id or the key, once a batch with new ones was refused."""
        if "saga." not in str(error):
            return LogCorrupt(
                f"log {self._path}: it holds what its columns do not tell ({error}); restore it"
            )
        with connection.begin():
            for saga in new:
                if found := connection.execute(sql.TAKEN, {"id": saga.id, "key": saga.key}).first():
                    what = f"id {saga.id}" if found.id == saga.id else f"key {saga.key!r}"
                    return KeyConflict(f"the {what} is taken by saga {found.id}; nothing was recorded")
        return KeyConflict("two new sagas have the same id or key; nothing was recorded")


def _saga(row: NewSaga | Append) -> str:
    return row.id if isinstance(row, NewSaga) else row.saga


def _saga_row(num: int, saga: NewSaga) -> tuple[Any, ...]:
    dag, index = saga.plan.dag, saga.index
    return (
        *(num, saga.id, dag.operation, dag.version, saga.key, index.state, index.direction),
        *(index.epoch, index.seq, saga.created_at, index.updated_at),
    )


def _plan_row(num: int, dag: int, saga: NewSaga) -> tuple[Any, ...]:
    plan = saga.plan
    scopes, locks = to_json(scopes_to_json(plan.scopes)), to_json(locks_to_json(plan.locks))
    return num, dag, saga.digest, scopes, locks


def _add_events(connection: Connection, batch: Iterable[tuple[int, tuple[Recorded, ...]]]) -> None:
    """Insert events; hold and free the locks of sagas as their events say."""
    rows, held, freed = [], [], []
    for num, events in batch:
        for recorded in events:
            event = recorded.event
            rows.append((num, recorded.seq, recorded.at, recorded.epoch, *to_row(event)))
            if isinstance(event, LocksAcquired):
                held.append((recorded.at, num))
            elif isinstance(event, Ended):
                freed.append((num,))
    sql.ADD_EVENT.run(connection, rows)
    sql.HOLD_LOCKS.run(connection, held)
    sql.FREE_LOCKS.run(connection, freed)


def _places(connection: Connection, sagas: Sequence[str]) -> list[tuple[str, int, int, int]]:
    """Read number, epoch and sequence number of these sagas, as far as they are in the log."""
    return [
        (row.id, row.num, row.epoch, row.seq)
        for at in range(0, len(sagas), CHUNK)
        for row in connection.execute(sql.PLACES, {"ids": list(sagas[at : at + CHUNK])})
    ]


def _late(connection: Connection, appends: Mapping[str, Append]) -> set[str]:
    """Find the sagas that do not stand where their append believes."""
    at = {saga: (epoch, seq) for saga, _, epoch, seq in _places(connection, list(appends))}
    return {saga for saga, a in appends.items() if not lets_through(at.get(saga), (a.epoch, a.seq))}
