"""Verbs that keep the log itself in order: db current, db check, db upgrade."""

from __future__ import annotations

from pathlib import Path

from sledsaga.cli.desk import Desk, shared_options, verb
from sledsaga.cli.root import root
from sledsaga.errors import SchemaMismatch, UsageError


@root.group("db")
@shared_options
def db() -> None:
    """Look at the schema of the log, and bring it up to date."""


def _path(desk: Desk) -> Path:
    from sledsaga.wiring import log_path

    path = log_path(desk.settings)
    if path is None:
        raise UsageError(f"{desk.settings.db.value} is no file, so it has no schema to keep")
    return path


@verb(db, "current")
def current(desk: Desk) -> None:
    """Say which schema the log has, and which one this program needs. Writes nothing."""
    from sledsaga.store import migrate

    path = _path(desk)
    found, needed = migrate.current(path), migrate.head()
    if desk.terminal.as_json:
        desk.terminal.json({"v": 1, "path": str(path), "current": found, "head": needed})
        return
    way_on = "`sledsaga db upgrade`" if migrate.is_older(found) else "a newer program made it, use that one"
    need = "" if found == needed else f"; this program needs {needed}: {way_on}"
    desk.terminal.show(f"{path}: schema {found}{need}")


@verb(db, "upgrade")
def upgrade(desk: Desk) -> None:
    """Bring the log to the schema that this program needs, in one transaction.

    Writes to the log; an executor must not run meanwhile. Not reversible: copy the file before.
    """
    from sledsaga.store import migrate

    path = _path(desk)
    done = migrate.upgrade(path)
    if desk.terminal.as_json:
        desk.terminal.json({"v": 1, "path": str(path), "upgraded": list(done), "head": migrate.head()})
    elif done:
        desk.terminal.show(f"{path}: upgraded to schema {done[-1]}")
    else:
        desk.terminal.show(f"{path}: it has schema {migrate.head()} already")


@verb(db, "check")
def check(desk: Desk) -> None:
    """Compare the log's tables with those that this program needs, and look for damage.

    Reads the whole file and writes nothing; ends with 9 when something is wrong.
    """
    from sledsaga.store import migrate

    path = _path(desk)
    found = migrate.check(path)
    if desk.terminal.as_json:
        desk.terminal.json({"v": 1, "path": str(path), "differences": list(found)})
    else:
        desk.terminal.show(*(found or (f"{path}: as it should be",)))
    if found:
        raise SchemaMismatch(
            f"log {path} is not as it should be in {len(found)} places; `sledsaga db upgrade`, or restore it"
        )
