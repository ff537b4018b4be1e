"""Stores and connections with one planted mistake each; the campaigns with power must notice them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sledsaga.store.sql import SqlStore
from sledsaga.store.sqlite import Connect, connecting_by, current_connect
from sledsaga.store.store import Append, NewSaga, Store
from tests.power.cuts import Open


@dataclass(frozen=True, slots=True)
class _Edited:
    """A connection that says something else than what it was given."""

    db: sqlite3.Connection
    instead: dict[str, str]

    def execute(self, sql: str, *values: Any) -> Any:
        return self.db.execute(self.instead.get(sql, sql), *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)


def open_with(instead: dict[str, str]) -> Open:
    """Return what opens a store whose connections say other words to SQLite than the product's."""

    def open_log(path: Path) -> Store:
        reach = current_connect()

        def connect(*place: Any, **about: Any) -> Any:
            return _Edited(reach(*place, **about), instead)

        edited: Connect = connect
        with connecting_by(edited):
            return SqlStore(path)

    return open_log


@dataclass(slots=True)
class Late:
    """Acknowledges a batch, and writes it with the next one."""

    store: Store
    held: tuple[Sequence[NewSaga], Sequence[Append]] = ((), ())

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        due, self.held = self.held, (new, appends)
        self.store.write(*due)
        return ()

    def close(self) -> None:
        self.store.write(*self.held)
        self.store.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@dataclass(slots=True)
class Halving:
    """Writes new sagas in one transaction, and what is added to others in another."""

    store: Store

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        self.store.write(new, ())
        return self.store.write((), appends)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@dataclass(slots=True)
class Forgetful:
    """Keeps who holds which resource in memory only: after a start everything is free."""

    store: Store
    at_start: frozenset[Any] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        self.at_start = frozenset((lock.saga, lock.resource) for lock in self.store.locks())

    def locks(self, saga: str | None = None) -> tuple[Any, ...]:
        rows = self.store.locks(saga)
        return tuple(row for row in rows if (row.saga, row.resource) not in self.at_start)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


NEVER_SYNCS = open_with({"PRAGMA synchronous=FULL": "PRAGMA synchronous=OFF"})
SYNCS_SELDOM = open_with({"PRAGMA synchronous=FULL": "PRAGMA synchronous=NORMAL"})
TRUSTS_WHAT_IT_FINDS = open_with({"PRAGMA wal_checkpoint(PASSIVE)": "SELECT 0, 0, 0"})
HAS_NO_JOURNAL = open_with({"PRAGMA journal_mode=WAL": "PRAGMA journal_mode=OFF"})


def acknowledges_early(path: Path) -> Any:
    """Open a store that acknowledges before it writes."""
    return Late(SqlStore(path))


def halves(path: Path) -> Any:
    """Open a store that writes a batch in two transactions."""
    return Halving(SqlStore(path))


def forgets_locks(path: Path) -> Any:
    """Open a store that knows no locks of before."""
    return Forgetful(SqlStore(path))
