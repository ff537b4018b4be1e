"""Lists of one operation's sagas: an index, so that they cost the same in a large log."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("ix_saga_operation_state_id", "saga", ["operation", "state", "id"])


def downgrade() -> None:
    op.drop_index("ix_saga_operation_state_id", "saga")
