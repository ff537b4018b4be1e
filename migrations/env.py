"""How a revision is run: on the connection that the program gives, all in one transaction.

Rules
- The program opens the log (`sledsaga db upgrade`); this file never does.
- Revisions are numbered 0001, 0002, … and written by hand; a test holds them against the tables.
"""

from __future__ import annotations

from alembic import context

from sledsaga.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite changes a table by copying it
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
