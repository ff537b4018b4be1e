"""APSW's SQLite as Python's own `sqlite3` looks, as far as SQLAlchemy and the store ask.

Rules
- Errors are those of `sqlite3`, with SQLite's codes, so the store's translation is what is tested.
- Rows are read at once: nobody here reads a part and leaves.
- SQLite forgives a checkpoint after a commit that fails; APSW would tell of it as if the commit had. So
  the checkpoint is made by a hook here, which forgives as SQLite's does.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

import apsw

from tests.power.vfs import PowerVfs

CHECKPOINT_PAGES: Final = 1000  # SQLite's own default
ERRORS: Final[dict[type[apsw.Error], type[sqlite3.Error]]] = {
    apsw.ConstraintError: sqlite3.IntegrityError,
    apsw.CorruptError: sqlite3.DatabaseError,
    apsw.NotADBError: sqlite3.DatabaseError,
    apsw.TooBigError: sqlite3.DataError,
    apsw.BindingsError: sqlite3.ProgrammingError,
}
CHANGES: Final = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


@contextmanager
def as_sqlite3() -> Iterator[None]:
    """Let errors of APSW out as errors of `sqlite3`."""
    try:
        yield
    except apsw.Error as error:
        code = getattr(error, "extendedresult", apsw.SQLITE_ERROR)
        told = ERRORS.get(type(error), sqlite3.OperationalError)(str(error))
        told.sqlite_errorcode = code
        names = apsw.mapping_extended_result_codes | apsw.mapping_result_codes
        told.sqlite_errorname = str(names.get(code, code))
        raise told from error


class Cursor:
    """What ran last, and its rows."""

    arraysize = 1
    lastrowid = None

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._rows: Iterator[Any] = iter(())
        self.description: Sequence[Any] | None = None
        self.rowcount = -1

    def execute(self, sql: str, values: Any = ()) -> Cursor:
        return self._run(partial(self._db.cursor().execute, sql, values), sql)

    def executemany(self, sql: str, rows: Iterable[Any]) -> Cursor:
        return self._run(partial(self._db.cursor().executemany, sql, rows), sql)

    def _run(self, act: Callable[[], apsw.Cursor], sql: str) -> Cursor:
        before = self._db.total_changes()
        self.description = None
        cursor = act.func.__self__  # type: ignore[attr-defined]  # it is a partial of a cursor's method
        cursor.exec_trace = self._begin
        with as_sqlite3():
            self._rows = iter(act().fetchall())
        self.rowcount = self._db.total_changes() - before if CHANGES.match(sql) else -1
        return self

    def _begin(self, cursor: apsw.Cursor, _sql: str, _values: Any) -> bool:
        columns = [name for name, _ in cursor.get_description()]
        self.description = [(name, *[None] * 6) for name in columns] or None
        return True

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return [row for _, row in zip(range(size or self.arraysize), self._rows, strict=False)]

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def close(self) -> None:
        self._rows = iter(())


class Connection:
    """One connection through a file system of ours."""

    def __init__(self, vfs: PowerVfs, uri: str, *, timeout_s: float) -> None:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        with as_sqlite3():
            self._db = apsw.Connection(uri, flags=flags, vfs=vfs.name)
        self._db.set_busy_timeout(int(timeout_s * 1000))
        self._db.set_wal_hook(_checkpoint)

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def cursor(self) -> Cursor:
        return Cursor(self._db)

    def execute(self, sql: str, values: Any = ()) -> Cursor:
        return self.cursor().execute(sql, values)

    def executemany(self, sql: str, rows: Iterable[Any]) -> Cursor:
        return self.cursor().executemany(sql, rows)

    def commit(self) -> None:
        if self.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        if self.in_transaction:
            self.execute("ROLLBACK")

    def create_function(self, name: str, size: int, act: Any, *, deterministic: bool = False) -> None:
        self._db.create_scalar_function(name, act, size, deterministic=deterministic)

    def close(self) -> None:
        """Close; like SQLite's own close it never fails."""
        with suppress(apsw.Error, AttributeError):  # one that was never opened has none
            self._db.close(True)  # noqa: FBT003 - APSW's own

    __del__ = close  # readers that nobody disposes of end with their pool, as those of `sqlite3` do


def _checkpoint(db: apsw.Connection, name: str, pages: int) -> int:
    if pages >= CHECKPOINT_PAGES:
        try:
            db.wal_checkpoint(name, apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error:
            return apsw.SQLITE_OK  # the next commit tries again
    return apsw.SQLITE_OK


def connect_through(vfs: PowerVfs) -> Callable[..., sqlite3.Connection]:
    """Return what opens connections as `sqlite3.connect` does, through this file system."""

    def connect(uri: str, /, *, timeout: float, **_: Any) -> Any:
        return Connection(vfs, uri, timeout_s=timeout)

    return connect
