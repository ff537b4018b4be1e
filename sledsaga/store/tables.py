"""The tables of the log.

Rules
- What changes with every event (`saga`) stands apart from what never changes (`plan`, `dag`), so that an
  append rewrites some 100 bytes, however large the params are.
- Events are appended at the end of their table in the order of time, and found by saga and sequence
  number. `saga.num` stands for the id there: 36 characters less a row.
- A DAG is stored once, whichever sagas have it.
- Every list that is shown has an index that ends in its order, so its cost does not grow with the log.
- A change here needs a revision in `migrations/` and its number in `REVISIONS`; a test compares the two.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

REVISIONS: Final = ("0001", "0002")
HEAD: Final = REVISIONS[-1]
NAMES: Final = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}
METADATA: Final = MetaData(naming_convention=NAMES)
WHOLE: Final = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER is SQLite's own row number

DAG: Final = Table(
    "dag",
    METADATA,
    Column("num", WHOLE, nullable=False, autoincrement=False),
    Column("fingerprint", Text, nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("num"),
    UniqueConstraint("fingerprint"),
)
SAGA: Final = Table(
    "saga",
    METADATA,
    Column("num", WHOLE, nullable=False, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("key", Text),
    Column("state", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("epoch", WHOLE, nullable=False),
    Column("seq", WHOLE, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    PrimaryKeyConstraint("num"),
    UniqueConstraint("id"),
    UniqueConstraint("key"),
    Index(None, "state", "id"),
    Index(None, "operation", "state", "id"),
)
PLAN: Final = Table(
    "plan",
    METADATA,
    Column("saga_num", WHOLE, nullable=False, autoincrement=False),
    Column("dag_num", WHOLE, nullable=False),
    Column("digest", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("locks", Text, nullable=False),
    PrimaryKeyConstraint("saga_num"),
    ForeignKeyConstraint(["saga_num"], ["saga.num"]),
    ForeignKeyConstraint(["dag_num"], ["dag.num"]),
)
EVENT: Final = Table(
    "event",
    METADATA,
    Column("saga_num", WHOLE, nullable=False, autoincrement=False),
    Column("seq", WHOLE, nullable=False, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("epoch", WHOLE, nullable=False),
    Column("type", Text, nullable=False),
    Column("step", Integer),
    Column("data", Text),
    PrimaryKeyConstraint("saga_num", "seq"),
    ForeignKeyConstraint(["saga_num"], ["saga.num"]),
)
SAGA_LOCK: Final = Table(
    "saga_lock",
    METADATA,
    Column("resource", Text, nullable=False),
    Column("saga_num", WHOLE, nullable=False, autoincrement=False),
    Column("mode", Text, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("since", Double, nullable=False),
    PrimaryKeyConstraint("resource", "saga_num"),
    ForeignKeyConstraint(["saga_num"], ["saga.num"]),
    Index(None, "saga_num"),
)
# Alembic's own table, just as Alembic makes it: it belongs to no revision.
REVISION: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
