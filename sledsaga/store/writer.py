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

from sledsaga.core.dag import Dag, dag_to_json, locks_to_json, scopes_to_json
from sledsaga.core.events import Ended, LocksAcquired, Recorded
from sledsaga.errors import KeyConflict, LogCorrupt, LogUnavailable
from sledsaga.store import statements as sql
from sledsaga.store.batch import check_gapless, in_order, lets_through, merged
from sledsaga.store.codec import to_json, to_row
from sledsaga.store.sqlite import BEGIN_WRITING, connector, error_code, troubles
from sledsaga.store.store import ENDED, Append, Index, NewSaga

REMEMBERED: Final = 50_000  # sagas, and DAGs; beyond it all is forgotten, and looked up when needed
SURELY_NOT_COMMITTED: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY}


@dataclass(frozen=True, slots=True)
class _Known:
    num: int
    index: Index  # as written last


class Writer:
    """Writes batches to the log at a path; one batch at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connect = connector(path)
        self._db: sqlite3.Connection | None = None
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
            db = self._open()
            try:
                late = self._record(db, new, one, set())
                if late is None:
                    late = self._record(db, new, one, None)
                assert late is not None, "who has looked first cannot be late"
            except sqlite3.IntegrityError as error:
                raise self._taken(db, new, error) from error
        return in_order(lost | late, appends)

    def close(self) -> None:
        """Let go of the connection; later writes are refused."""
        with self._mutex, troubles(self._path):
            self._refusal = self._refusal or f"log {self._path}: it was closed; open it again"
            self._let_go()

    def _open(self) -> sqlite3.Connection:
        if self._refusal is not None:
            raise LogUnavailable(self._refusal)
        if self._db is None:
            self._db = self._connect()
        return self._db

    def _let_go(self) -> None:
        db, self._db = self._db, None
        self._known.clear()
        if db is not None:
            db.close()

    def _record(
        self,
        db: sqlite3.Connection,
        new: Sequence[NewSaga],
        appends: Mapping[str, Append],
        late: set[str] | None,
    ) -> set[str] | None:
        """Write all but the late ones (None: find out which) in one transaction; return the late ones.

        Returns None when a fence did not hold; then nothing was written.
        """
        db.execute(BEGIN_WRITING)
        try:
            nums = self._add(db, new)
            late = _late(db, appends) if late is None else late
            moved = (
                {saga: append for saga, append in appends.items() if saga not in late} if late else appends
            )
            self._find_numbers(db, moved, nums)
            if not self._pass_fence(db, moved, nums):
                self._roll_back(db)
                self._known.clear()
                return None
            rows: list[NewSaga | Append] = [*new, *moved.values()]
            _add_events(db, [(nums[_saga(row)], row.events) for row in rows])
            self._commit(db)
        except BaseException:
            self._roll_back(db)
            raise
        self._remember(rows, nums)
        return late

    def _roll_back(self, db: sqlite3.Connection) -> None:
        """Undo what the transaction has done; a connection that cannot is let go of, which undoes it."""
        if self._db is not db:
            return
        try:
            db.rollback()
        except sqlite3.Error:
            self._let_go()

    def _add(self, db: sqlite3.Connection, new: Sequence[NewSaga]) -> dict[str, int]:
        """Insert sagas with their plans and locks; return their numbers."""
        if not new:
            return {}
        first = sql.LAST_NUM.one(db) + 1
        nums = {saga.id: num for num, saga in enumerate(new, first)}
        dags = self._add_dags(db, {saga.plan.dag.fingerprint: saga.plan.dag for saga in new})
        sql.ADD_SAGA.run(db, [_saga_row(num, saga) for num, saga in enumerate(new, first)])
        plans = [_plan_row(num, dags[saga.plan.dag.fingerprint], saga) for num, saga in enumerate(new, first)]
        sql.ADD_PLAN.run(db, plans)
        locks = [
            (lock.resource, num, lock.mode, False, saga.created_at)
            for num, saga in enumerate(new, first)
            for lock in saga.plan.locks
        ]
        sql.ADD_LOCK.run(db, locks)
        return nums

    def _add_dags(self, db: sqlite3.Connection, dags: Mapping[str, Dag]) -> dict[str, int]:
        """Insert the DAGs that are not there yet; return the numbers of all."""
        if len(self._dags) > REMEMBERED:
            self._dags.clear()
        for fingerprint in dags.keys() - self._dags.keys():
            num = sql.DAG_NUM.one(db, fingerprint)
            if num is not None:  # it was committed, so it stays
                self._dags[fingerprint] = num
        missing = dags.keys() - self._dags.keys()
        first = sql.LAST_DAG.one(db) + 1 if missing else 0
        added = {fingerprint: num for num, fingerprint in enumerate(missing, first)}
        rows = [
            (num, fingerprint, to_json(dag_to_json(dags[fingerprint]))) for fingerprint, num in added.items()
        ]
        sql.ADD_DAG.run(db, rows)
        return {fingerprint: added.get(fingerprint) or self._dags[fingerprint] for fingerprint in dags}

    def _find_numbers(self, db: sqlite3.Connection, sagas: Iterable[str], nums: dict[str, int]) -> None:
        """Add the numbers of these sagas, from memory or from the log; one that is not there has none."""
        missing = []
        for saga in sagas:
            if known := self._known.get(saga):
                nums[saga] = known.num
            elif saga not in nums:
                missing.append(saga)
        nums.update((saga, num) for saga, num, _, _ in _places(db, missing))

    def _pass_fence(
        self, db: sqlite3.Connection, appends: Mapping[str, Append], nums: Mapping[str, int]
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
        return sql.MOVE.run(db, moves) + sql.TURN.run(db, turns) == len(appends)

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

    def _commit(self, db: sqlite3.Connection) -> None:
        try:
            db.commit()
        except sqlite3.Error as error:
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
        self, db: sqlite3.Connection, new: Sequence[NewSaga], error: sqlite3.IntegrityError
    ) -> Exception:
        """Say which saga has the id or the key, once a batch with new ones was refused."""
        if "saga." not in str(error):
            return LogCorrupt(
                f"log {self._path}: it holds what its columns do not tell ({error}); restore it"
            )
        for saga in new:
            if taker := sql.TAKEN.one(db, saga.id, saga.key):
                what = f"id {saga.id}" if taker == saga.id else f"key {saga.key!r}"
                return KeyConflict(f"the {what} is taken by saga {taker}; nothing was recorded")
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


def _add_events(db: sqlite3.Connection, batch: Iterable[tuple[int, tuple[Recorded, ...]]]) -> None:
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
    sql.ADD_EVENT.run(db, rows)
    sql.HOLD_LOCKS.run(db, held)
    sql.FREE_LOCKS.run(db, freed)


def _places(db: sqlite3.Connection, sagas: Sequence[str]) -> list[tuple[str, int, int, int]]:
    """Read number, epoch and sequence number of these sagas, as far as they are in the log."""
    return sql.PLACES.all(db, to_json(sagas)) if sagas else []


def _late(db: sqlite3.Connection, appends: Mapping[str, Append]) -> set[str]:
    """Find the sagas that do not stand where their append believes."""
    at = {saga: (epoch, seq) for saga, _, epoch, seq in _places(db, list(appends))}
    return {saga for saga, a in appends.items() if not lets_through(at.get(saga), (a.epoch, a.seq))}
