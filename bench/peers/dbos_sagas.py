"""DBOS on SQLite: a saga is a workflow of steps that do nothing, called from threads.

As it ships it keeps a rollback journal, with four syncs a commit. Here it gets the write-ahead log and
`synchronous=FULL` by an engine of ours: so it is about twice as fast, and as durable.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import sqlalchemy
from dbos import DBOS
from loops import in_threads, parse

ASKED = parse()
URL = f"sqlite:///{ASKED.folder}/dbos.db"
ENGINE = sqlalchemy.create_engine(URL, pool_size=20)


@sqlalchemy.event.listens_for(ENGINE, "connect")
def _set_up(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
    connection.isolation_level = "IMMEDIATE"
    for pragma in ("busy_timeout=30000", "foreign_keys=on", "journal_mode=wal", "synchronous=full"):
        connection.execute(f"PRAGMA {pragma}")


DBOS(
    config={
        "name": "bench",
        "system_database_url": URL,
        "system_database_engine": ENGINE,
        "log_level": "ERROR",
        "executor_id": "local",
        "application_version": "1",
    }
)


@DBOS.step()
def nothing(number: int) -> int:
    """Do nothing."""
    return number


@DBOS.workflow()
def chain() -> None:
    """Run the steps, one after the other."""
    for number in range(ASKED.steps):
        nothing(number)


DBOS.launch()
chain()
in_threads(chain, ASKED.sagas, ASKED.at_once).report(ASKED.steps)
