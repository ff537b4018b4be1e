"""The log in an SQL database, by SQLAlchemy Core; SQLite here.

Rules
- Reading takes a connection from the readers' pool for one call, and sees one whole transaction.
- One saga is read past SQLAlchemy's execution: each submission under a key or an id asks for it in the
  executor's turn, and whoever takes over a log reads thousands.
- A list asks for each state apart, for each has an index in the order of the list, and merges the few rows.
- Events are read back with the same suspicion as they are written: a gap is LogCorrupt.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, get_args

from sqlalchemy import Connection

from sledsaga.core.dag import Dag, Plan, dag_from_json, locks_from_json, scopes_from_json
from sledsaga.core.events import Recorded
from sledsaga.errors import LogCorrupt, LogUnavailable, NotFound
from sledsaga.store import statements as sql
from sledsaga.store.batch import check_limit, read_token, token_of
from sledsaga.store.codec import EventRow, from_row
from sledsaga.store.sqlite import check_schema, make_engine, make_log, nobody_can_write, troubles
from sledsaga.store.store import ENDED, Append, Filter, LockRow, NewSaga, Page, SagaRow, SagaState
from sledsaga.store.writer import Writer

STATES: Final[frozenset[SagaState]] = frozenset(get_args(SagaState))
Found = Any  # a row; its type is spelt otherwise in each release of SQLAlchemy
LAST: Final = "\U0010ffff"  # no id begins with it
COLUMNS: Final[dict[str, type | tuple[type, ...]]] = {
    **dict.fromkeys(("id", "operation", "state"), str),
    **dict.fromkeys(("version", "epoch", "seq"), int),
    **dict.fromkeys(("created_at", "updated_at"), (int, float)),
}
"""What SQLite, which would take anything, must have in a column."""
WHOLE_MAX: Final = 2**63 - 1  # SQLite has no larger number, and no log has so many rows
DAGS: Final = 256  # DAGs that are kept in memory, read back once
DAG_STEPS: Final = 100_000  # steps of all of them together, which is some 50 MB


class SqlStore:
    """A log of sagas in a SQLite file (see `Store`)."""

    def __init__(self, path: Path, *, create: bool = True, read_only: bool = False) -> None:
        """Open the log at `path`, making it when there is none and `create` says so.

        Raises LogUnavailable, LogCorrupt (no database), SchemaMismatch (another program's, older, newer).
        """
        self._path = path
        if create and not read_only:
            make_log(path)
        elif not path.exists():
            raise LogUnavailable(f"there is no log at {path}: submit a saga, or name another log")
        self._readers = make_engine(path, "ro")
        self._writer = None if read_only else Writer(path)
        self._dags: dict[int, Dag] = {}
        self._closed = False
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        """Look whether the log is ours; only then let the writer touch it."""
        with self._reading() as connection:
            check_schema(connection, self._path)
        if self._writer is not None and not nobody_can_write(self._path):
            self._writer.open()

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        """Record all of it in one durable transaction; return the ids whose writer was out of date.

        Raises KeyConflict, LogUnavailable.
        """
        if self._writer is None:
            raise LogUnavailable(f"log {self._path}: it was opened for reading only")
        return self._writer.write(new, appends)

    def by_key(self, key: str) -> SagaRow | None:
        """Return the saga that was submitted with this key, or None."""
        return self._saga(sql.BY_KEY, key)

    def row(self, saga: str) -> SagaRow:
        """Return one saga's columns; raises NotFound."""
        row = self._saga(sql.BY_ID, saga)
        if row is None:
            raise _missing(saga)
        return row

    def _saga(self, question: sql.Read, name: str) -> SagaRow | None:
        """Return the saga of this name, or None; one statement sees one state without a transaction."""
        with self._lent() as db:
            rows = question.all(db, name)
        return _saga_row(rows[0]) if rows else None

    def plan(self, saga: str) -> Plan:
        """Return the plan of a saga as it was stored; raises NotFound, LogCorrupt."""
        with self._lent() as db:
            db.execute("BEGIN")
            num, scopes, locks = _one(sql.PLAN_OF.all(db, saga), saga)
            dag = self._dags.get(num) or self._read_dag(db, num, saga)
        try:
            return Plan(dag, scopes_from_json(json.loads(scopes)), locks_from_json(json.loads(locks)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise LogCorrupt(
                f"saga {saga}: its plan cannot be read back ({error}); restore the log"
            ) from error

    def _read_dag(self, db: sqlite3.Connection, num: int, saga: str) -> Dag:
        found = sql.DAG_BODY.all(db, num)
        if not found:
            raise LogCorrupt(f"saga {saga}: its DAG is missing; restore the log from a copy")
        ((fingerprint, body),) = found
        try:
            dag = dag_from_json(json.loads(body))
        except (ValueError, TypeError, LogCorrupt) as error:
            raise LogCorrupt(
                f"saga {saga}: its DAG cannot be read back ({error}); restore the log from a copy"
            ) from error
        if dag.fingerprint != fingerprint:
            raise LogCorrupt(
                f"saga {saga}: its DAG is not the one that was stored; restore the log from a copy"
            )
        kept = list(self._dags.values())
        if len(kept) >= DAGS or sum(len(one.steps) for one in kept) + len(dag.steps) > DAG_STEPS:
            self._dags.clear()
        self._dags[num] = dag
        return dag

    def events(self, saga: str, *, after: int = 0, limit: int | None = None) -> tuple[Recorded, ...]:
        """Return the events with a sequence number above `after`, in order, at most `limit`.

        Raises NotFound, and LogCorrupt (naming saga and place) for a gap or an event that cannot be read.
        """
        after, limit = _bound(after), WHOLE_MAX if limit is None else _bound(limit)
        with self._lent() as db:
            db.execute("BEGIN")
            num, last = _one(sql.NUM_AND_SEQ.all(db, saga), saga)
            rows = sql.EVENTS.all(db, num, after, limit)
        due = min(max(last - after, 0), limit)
        _check_gapless(saga, [row[0] for row in rows], range(after + 1, after + due + 1))
        return tuple(_recorded(saga, *row) for row in rows)

    def list(self, only: Filter, *, limit: int, token: str | None = None) -> Page[SagaRow]:
        """Return sagas, newest first, page by page; raises UsageError for a token that is none."""
        bounds = {"below": read_token(token) or LAST, "limit": _bound(check_limit(limit) + 1)}
        with self._reading() as connection:
            found = _first(_listed(connection, only, bounds), limit + 1)
        rows = tuple(_saga_row(row) for row in found[:limit])
        return Page(rows, token_of(rows[-1].id) if len(found) > limit else None)

    def unfinished(self, *, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """Return ids of sagas that are not at rest for good, ascending, above `after`."""
        with self._reading() as connection:
            bounds: dict[str, Any] = {"after": after, "limit": _bound(limit)}
            ids = [
                connection.execute(sql.UNFINISHED, {**bounds, "state": state}).scalars().all()
                for state in STATES - ENDED
            ]
        return tuple(heapq.merge(*ids))[: _bound(limit)]

    def find(self, prefix: str, *, limit: int = 10) -> tuple[str, ...]:
        """Return ids that begin with the prefix, ascending."""
        bounds = {"prefix": prefix, "beyond": prefix + LAST, "limit": _bound(limit)}
        with self._reading() as connection:
            return tuple(connection.execute(sql.FIND, bounds).scalars())

    def locks(self, saga: str | None = None) -> tuple[LockRow, ...]:
        """Return who holds and who waits, by resource, holders first, then in the order of the queue."""
        with self._reading() as connection:
            asked = (
                connection.execute(sql.LOCKS)
                if saga is None
                else connection.execute(sql.LOCKS_OF, {"id": saga})
            )
            return tuple(LockRow(row.resource, row.mode, row.id, row.held, row.since) for row in asked)

    def close(self) -> None:
        """Let go of files and connections; a second call does nothing."""
        self._closed = True
        self._readers.dispose()
        if self._writer is not None:  # who leaves last tidies up, and readers cannot
            self._writer.close()

    @contextmanager
    def _lent(self) -> Iterator[sqlite3.Connection]:
        """Lend a reader's connection; what was begun on it ends with the loan."""
        self._refuse_when_closed()
        with troubles(self._path), closing(self._readers.raw_connection()) as pooled:
            db = pooled.driver_connection
            assert db is not None, "what was just taken from the pool is open"
            yield db

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the log throughout."""
        self._refuse_when_closed()
        with troubles(self._path), self._readers.connect() as connection, connection.begin():
            yield connection

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise LogUnavailable(f"log {self._path}: it was closed; open it again")


def _bound(number: int) -> int:
    """Return a bound as SQLite can hold it; less than nothing is nothing."""
    return min(max(number, 0), WHOLE_MAX)


def _listed(connection: Connection, only: Filter, bounds: dict[str, Any]) -> Iterable[Found]:
    """Read the newest sagas that fit, by the index that fits; those of one state come in order."""
    states = (STATES if only.states is None else only.states) - (ENDED if only.unfinished else set())
    if only.key is not None or only.resource is not None:
        few = sql.LIST_KEY if only.resource is None else sql.LIST_RESOURCE
        rows = connection.execute(few, {**bounds, "key": only.key, "resource": only.resource})
        return [row for row in rows if row.state in states and _is_asked_for(row, only)]
    if states == STATES and only.operation is None:
        return connection.execute(sql.LIST_ALL, bounds)
    one = sql.LIST_STATE if only.operation is None else sql.LIST_OPERATION
    lists = [
        connection.execute(one, {**bounds, "state": state, "operation": only.operation}).all()
        for state in states
    ]
    return heapq.merge(*lists, key=attrgetter("id"), reverse=True)


def _is_asked_for(row: Found, only: Filter) -> bool:
    return only.operation in (None, row.operation) and only.key in (None, row.key)


def _first(rows: Iterable[Found], limit: int) -> list[Found]:
    return [row for row, _ in zip(rows, range(limit), strict=False)]


def _one(rows: Sequence[Found], saga: str) -> Found:
    if not rows:
        raise _missing(saga)
    return rows[0]


def _missing(saga: str) -> NotFound:
    return NotFound(f"there is no saga {saga}")


def _saga_row(row: Found) -> SagaRow:
    found = SagaRow(*row)
    for name, kind in COLUMNS.items():
        if not isinstance(value := getattr(found, name), kind):
            raise LogCorrupt(f"saga {found.id}: its {name} is {value!r}; restore the log from a copy")
    if found.state not in STATES:
        raise LogCorrupt(f"saga {found.id}: its state is {found.state!r}; restore the log from a copy")
    return found


def _recorded(saga: str, seq: int, at: Any, epoch: Any, *event: Any) -> Recorded:  # noqa: ANN401 - columns
    if not (isinstance(at, (int, float)) and isinstance(epoch, int)):
        what = f"its time is {at!r}, its epoch {epoch!r}"
        raise LogCorrupt(f"saga {saga}, event {seq} cannot be read back: {what}; restore the log from a copy")
    return Recorded(seq, at, epoch, from_row(EventRow(*event), saga=saga, seq=seq))


def _check_gapless(saga: str, found: Sequence[int], due: range) -> None:
    for place, seq in zip(due, found, strict=False):
        if place != seq:
            raise LogCorrupt(f"saga {saga}, event {place}: it is missing; restore the log from a copy")
    if len(found) != len(due):
        place = due.start + min(len(found), len(due))
        what = "it is missing" if len(found) < len(due) else "it is beyond the end that the columns tell"
        raise LogCorrupt(f"saga {saga}, event {place}: {what}; restore the log from a copy")
