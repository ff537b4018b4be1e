"""Makes logs that hold many sagas without running them: one saga is run, and its rows stand for all.

Rows are multiplied inside SQLite, so that a million finished sagas take a minute. Ids stay UUIDv7, in the
order of time. Columns are copied by name, whatever the schema has; only what tells sagas apart is made anew.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from sledsaga.store.open import open_store
from sledsaga.store.store import Filter

FIRST_MS: Final = 0x01A0_0000_0000
"""milliseconds since 1970 of the first saga's id"""
ID: Final = f"printf('%08x-%04x-7000-8000-%012x', ({FIRST_MS} + n.n) >> 16, ({FIRST_MS} + n.n) & 65535, n.n)"
APART: Final[dict[str, dict[str, str]]] = {
    "saga": {"num": "n.n", "id": ID, "created_at": "created_at + n.n", "updated_at": "updated_at + n.n"},
    "plan": {"saga_num": "n.n"},
    "event": {"saga_num": "n.n", "at": "at + n.n"},
}


def multiply(log: Path, sagas: int) -> None:
    """Fill a closed log that holds one saga with so many like it; its own rows are replaced."""
    db = sqlite3.connect(log, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "foreign_keys=OFF", "cache_size=-200000"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("BEGIN")
    for table, apart in APART.items():
        db.execute(f"CREATE TEMP TABLE one AS SELECT * FROM {table}")  # noqa: S608 - a name of ours
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of ours
        db.execute(_insertion(db, table, apart), (sagas,))
        db.execute("DROP TABLE one")
    db.execute("COMMIT")
    db.execute("PRAGMA journal_mode=WAL")
    db.close()


def _insertion(db: sqlite3.Connection, table: str, apart: dict[str, str]) -> str:
    """Return the statement that makes the rows of a table for all sagas; those of a saga stay together."""
    names = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(apart.get(name, f"one.{name}") for name in names)
    numbers = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)"
    return f"{numbers} INSERT INTO {table} SELECT {values} FROM n CROSS JOIN one"  # noqa: S608 - names of ours


def ids(log: Path, number: int) -> list[str]:
    """Return ids of sagas spread over such a log, oldest first."""
    store = open_store(f"sqlite:///{log}", create=False, read_only=True)
    newest = store.list(Filter(), limit=1).rows[0].id
    store.close()
    last = int(newest[-12:], 16)
    step = max(1, last // number)
    return [_id(at) for at in range(1, last + 1, step)][:number]


def _id(number: int) -> str:
    ms = FIRST_MS + number
    return f"{ms >> 16:08x}-{ms & 65535:04x}-7000-8000-{number:012x}"
