"""The log: sagas, their plans and DAGs, their events and their locks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "dag",
        sa.Column("num", WHOLE, nullable=False, autoincrement=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("num", name="pk_dag"),
        sa.UniqueConstraint("fingerprint", name="uq_dag_fingerprint"),
    )
    op.create_table(
        "saga",
        sa.Column("num", WHOLE, nullable=False, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("epoch", WHOLE, nullable=False),
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("num", name="pk_saga"),
        sa.UniqueConstraint("id", name="uq_saga_id"),
        sa.UniqueConstraint("key", name="uq_saga_key"),
    )
    op.create_index("ix_saga_state_id", "saga", ["state", "id"])
    _add_what_belongs_to_a_saga()


def _add_what_belongs_to_a_saga() -> None:
    op.create_table(
        "plan",
        sa.Column("saga_num", WHOLE, nullable=False, autoincrement=False),
        sa.Column("dag_num", WHOLE, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("locks", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("saga_num", name="pk_plan"),
        sa.ForeignKeyConstraint(["saga_num"], ["saga.num"], name="fk_plan_saga_num_saga"),
        sa.ForeignKeyConstraint(["dag_num"], ["dag.num"], name="fk_plan_dag_num_dag"),
    )
    op.create_table(
        "event",
        sa.Column("saga_num", WHOLE, nullable=False, autoincrement=False),
        sa.Column("seq", WHOLE, nullable=False, autoincrement=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("epoch", WHOLE, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("step", sa.Integer),
        sa.Column("data", sa.Text),
        sa.PrimaryKeyConstraint("saga_num", "seq", name="pk_event"),
        sa.ForeignKeyConstraint(["saga_num"], ["saga.num"], name="fk_event_saga_num_saga"),
    )
    op.create_table(
        "saga_lock",
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("saga_num", WHOLE, nullable=False, autoincrement=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("resource", "saga_num", name="pk_saga_lock"),
        sa.ForeignKeyConstraint(["saga_num"], ["saga.num"], name="fk_saga_lock_saga_num_saga"),
    )
    op.create_index("ix_saga_lock_saga_num", "saga_lock", ["saga_num"])


def downgrade() -> None:
    for table in ("saga_lock", "event", "plan", "saga", "dag"):
        op.drop_table(table)
