"""Every statement of the log, built from the tables once.

Rules
- What the writer runs, and what is asked of one saga, is compiled here to text and the order of its values; a
  row is a tuple in that order, and SQLite's driver gets both. Handing SQLAlchemy a built statement and
  dictionaries costs several times as much a row; handing it the text costs as much again as SQLite itself, at
  one commit a step.
- What else readers run is built here and cached by SQLAlchemy from its first use on.
- The columns of a saga in a list stand in the order in which `SagaRow` has them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects import sqlite

from sledsaga.store.store import SagaRow
from sledsaga.store.tables import DAG, EVENT, PLAN, SAGA, SAGA_LOCK


class _Compiled:
    """A statement as SQLite's driver runs it; its values are a tuple in the order of the names given."""

    def __init__(self, statement: Any, names: Sequence[str]) -> None:  # noqa: ANN401 - its own type is private
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        assert compiled.positiontup == list(names), f"rows give {names}, it takes {compiled.positiontup}"
        self.text: Final = str(compiled)


class Write(_Compiled):
    """A change, made for many rows."""

    def run(self, db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Run it for each row; return how many rows of the table it hit. Raises sqlite3.Error."""
        return db.executemany(self.text, rows).rowcount if rows else 0


class Read(_Compiled):
    """A question."""

    def all(self, db: sqlite3.Connection, *values: object) -> list[Any]:
        """Return all rows, each a tuple. Raises sqlite3.Error."""
        return db.execute(self.text, values).fetchall()

    def one(self, db: sqlite3.Connection, *values: object) -> Any:  # noqa: ANN401 - as the column holds it
        """Return the first value of the first row, or None. Raises sqlite3.Error."""
        row = db.execute(self.text, values).fetchone()
        return None if row is None else row[0]


_num: BindParameter[int] = bindparam("at_num")
_fence = (SAGA.c.num == _num, SAGA.c.epoch == bindparam("at_epoch"), SAGA.c.seq == bindparam("at_seq"))
_moved: dict[str, BindParameter[Any]] = {
    name: bindparam(f"to_{name}") for name in ("epoch", "seq", "updated_at")
}
_turned: dict[str, BindParameter[Any]] = {name: bindparam(f"to_{name}") for name in ("state", "direction")}
_MOVED = ("to_epoch", "to_seq", "to_updated_at", "at_num", "at_epoch", "at_seq")

ADD_DAG: Final = Write(insert(DAG), ("num", "fingerprint", "body"))
ADD_SAGA: Final = Write(
    insert(SAGA),
    (
        *("num", "id", "operation", "version", "key", "state", "direction"),
        *("epoch", "seq", "created_at", "updated_at"),
    ),
)
ADD_PLAN: Final = Write(insert(PLAN), ("saga_num", "dag_num", "digest", "scopes", "locks"))
ADD_EVENT: Final = Write(insert(EVENT), ("saga_num", "seq", "at", "epoch", "type", "step", "data"))
ADD_LOCK: Final = Write(insert(SAGA_LOCK), ("resource", "saga_num", "mode", "held", "since"))
# Most appends leave the state as it is: then no index is touched.
MOVE: Final = Write(update(SAGA).where(*_fence).values(_moved), _MOVED)
TURN: Final = Write(
    update(SAGA).where(*_fence).values(_turned | _moved), ("to_state", "to_direction", *_MOVED)
)
HOLD_LOCKS: Final = Write(
    update(SAGA_LOCK).where(SAGA_LOCK.c.saga_num == _num).values(held=true(), since=bindparam("to_since")),
    ("to_since", "at_num"),
)
FREE_LOCKS: Final = Write(delete(SAGA_LOCK).where(SAGA_LOCK.c.saga_num == _num), ("at_num",))

_id: BindParameter[str] = bindparam("id")
_limit: BindParameter[int] = bindparam("limit")
_columns = [(PLAN if one.name == "digest" else SAGA).c[one.name] for one in fields(SagaRow)]
_sagas = select(*_columns).join_from(SAGA, PLAN, PLAN.c.saga_num == SAGA.c.num)
_of_key = _sagas.where(SAGA.c.key == bindparam("key"))
_newest = SAGA.c.id.desc()
_below = SAGA.c.id < bindparam("below")

_zero: ColumnElement[int] = literal_column("0")
LAST_NUM: Final = Read(select(func.coalesce(func.max(SAGA.c.num), _zero)), ())
LAST_DAG: Final = Read(select(func.coalesce(func.max(DAG.c.num), _zero)), ())
DAG_NUM: Final = Read(
    select(DAG.c.num).where(DAG.c.fingerprint == bindparam("fingerprint")), ("fingerprint",)
)
PLACES: Final = Read(
    select(SAGA.c.id, SAGA.c.num, SAGA.c.epoch, SAGA.c.seq).where(
        SAGA.c.id.in_(select(func.json_each(bindparam("ids")).table_valued("value").c.value))
    ),
    ("ids",),
)
TAKEN: Final = Read(
    select(SAGA.c.id).where((SAGA.c.id == _id) | (SAGA.c.key == bindparam("key"))),
    ("id", "key"),
)
BY_ID: Final = Read(_sagas.where(SAGA.c.id == _id), ("id",))
BY_KEY: Final = Read(_of_key, ("key",))
NUM_AND_SEQ: Final = Read(select(SAGA.c.num, SAGA.c.seq).where(SAGA.c.id == _id), ("id",))
PLAN_OF: Final = Read(
    select(PLAN.c.dag_num, PLAN.c.scopes, PLAN.c.locks)
    .join_from(SAGA, PLAN, PLAN.c.saga_num == SAGA.c.num)
    .where(SAGA.c.id == _id),
    ("id",),
)
DAG_BODY: Final = Read(select(DAG.c.fingerprint, DAG.c.body).where(DAG.c.num == bindparam("num")), ("num",))
EVENTS: Final = Read(
    select(EVENT.c.seq, EVENT.c.at, EVENT.c.epoch, EVENT.c.type, EVENT.c.step, EVENT.c.data)
    .where(EVENT.c.saga_num == bindparam("num"), EVENT.c.seq > bindparam("after"))
    .order_by(EVENT.c.seq)
    .limit(_limit)
    .offset(_zero),  # SQLAlchemy would bind it
    ("num", "after", "limit"),
)
LIST_ALL: Final = _sagas.where(_below).order_by(_newest).limit(_limit)
LIST_STATE: Final = LIST_ALL.where(SAGA.c.state == bindparam("state"))
LIST_OPERATION: Final = LIST_STATE.where(SAGA.c.operation == bindparam("operation"))
LIST_KEY: Final = _of_key.where(_below)
LIST_RESOURCE: Final = (
    _sagas.join(SAGA_LOCK, SAGA_LOCK.c.saga_num == SAGA.c.num)
    .where(SAGA_LOCK.c.resource == bindparam("resource"), _below)
    .order_by(_newest)
)
UNFINISHED: Final = (
    select(SAGA.c.id)
    .where(SAGA.c.state == bindparam("state"), SAGA.c.id > bindparam("after"))
    .order_by(SAGA.c.id)
    .limit(_limit)
)
FIND: Final = (
    select(SAGA.c.id)
    .where(SAGA.c.id >= bindparam("prefix"), SAGA.c.id < bindparam("beyond"))
    .order_by(SAGA.c.id)
    .limit(_limit)
)
LOCKS: Final = (
    select(SAGA_LOCK.c.resource, SAGA_LOCK.c.mode, SAGA.c.id, SAGA_LOCK.c.held, SAGA_LOCK.c.since)
    .join_from(SAGA_LOCK, SAGA, SAGA.c.num == SAGA_LOCK.c.saga_num)
    .order_by(SAGA_LOCK.c.resource, SAGA_LOCK.c.held.desc(), SAGA_LOCK.c.saga_num)
)
LOCKS_OF: Final = LOCKS.where(SAGA.c.id == _id)
