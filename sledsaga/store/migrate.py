"""How a log's schema grows: the revisions in `migrations/`, run by Alembic.

Rules
- A new log is made at head without Alembic (see `sqlite.make_log`); a test holds both ways equal.
- An upgrade is one transaction: a log is at the old schema or at the new one, never between.
- It takes the log's lock, so no executor writes while the tables change.
- The revisions are found beside the program: in a checkout or an editable install as `migrations/`, in a
  wheel as `sledsaga/_migrations/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from sledsaga.errors import LogCorrupt, LogUnavailable, SchemaMismatch
from sledsaga.store.oslock import OsLock
from sledsaga.store.sqlite import Mode, make_engine, read_schema, troubles
from sledsaga.store.tables import HEAD, METADATA, REVISIONS

if TYPE_CHECKING:
    from alembic.config import Config

PACKAGE: Final = Path(__file__).parent.parent
PLACES: Final = (PACKAGE / "_migrations", PACKAGE.parent / "migrations")
DAMAGES: Final = 20  # of each kind; who reads more than that restores a copy


def folder() -> Path:
    """Return the folder of the revisions; raises LogUnavailable when this installation has none."""
    for place in PLACES:
        if (place / "env.py").is_file():
            return place
    raise LogUnavailable(f"the migrations are missing from {PACKAGE}: install sledsaga again")


def head() -> str:
    """Return the revision of the schema that this program needs."""
    return HEAD


def is_older(revision: str) -> bool:
    """Tell whether a log of this revision can be upgraded."""
    return revision in REVISIONS[:-1]


def current(path: Path) -> str:
    """Return the revision of the schema that the log at `path` has.

    Raises LogUnavailable, LogCorrupt, and SchemaMismatch for a file that is no log.
    """
    with _opened(path, "ro") as connection:
        return read_schema(connection, path)


def upgrade(path: Path, *, executor: str = "db upgrade") -> tuple[str, ...]:
    """Bring the log at `path` to head; return the revisions that were run, none when it was there.

    Raises ExecutorBusy while a process drives its sagas, SchemaMismatch for a newer log or none of ours.
    """
    from alembic import command

    _check_known(path, current(path))  # what is refused is not touched: opening to write changes a file
    with OsLock.acquire(path, executor=executor), _opened(path, "rw") as connection:
        found = read_schema(connection, path)
        _check_known(path, found)
        command.upgrade(_config(connection), "head")
        if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise LogCorrupt(
                f"log {path}: table {broken[0]} has rows that belong to nothing; it was not upgraded"
            )
        return REVISIONS[REVISIONS.index(found) + 1 :]


def _check_known(path: Path, found: str) -> None:
    if found not in REVISIONS:
        raise SchemaMismatch(
            f"log {path} has schema {found}, this program knows {HEAD}; a newer one made it: use that"
        )


def check(path: Path) -> tuple[str, ...]:
    """Return what is wrong with the log at `path`: tables that are not the program's, and damage.

    Raises LogUnavailable, LogCorrupt, SchemaMismatch.
    """
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with _opened(path, "ro") as connection:
        found = read_schema(connection, path)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return (
            *([] if found == HEAD else [f"it has schema {found}; this program needs {HEAD}"]),
            *(str(difference) for difference in compare_metadata(context, METADATA)),
            *_damages(connection),
        )


def _damages(connection: Connection) -> Iterator[str]:
    """Yield what SQLite finds wrong with the file, and rows that belong to nothing."""
    for (damage,) in connection.exec_driver_sql(f"PRAGMA integrity_check({DAMAGES})"):
        if damage != "ok":
            yield f"it is damaged: {damage}"
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(DAMAGES):
        yield f"it is damaged: row {row} of {table} belongs to no {parent}"


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _opened(path: Path, mode: Mode) -> Iterator[Connection]:
    if not path.exists():
        raise LogUnavailable(f"there is no log at {path}: submit a saga, or name another log")
    engine = make_engine(path, mode, foreign_keys=False)  # a table that is copied must not take others along
    try:
        with troubles(path), engine.connect() as connection, connection.begin():
            yield connection
    finally:
        engine.dispose()
