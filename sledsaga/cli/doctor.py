"""The verb `doctor`: whether log, operations and machine are fit, and what to do about what is not."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Final

from sledsaga.cli.codes import ERROR
from sledsaga.cli.desk import Desk, verb
from sledsaga.cli.root import root
from sledsaga.cli.tables import Table
from sledsaga.cli.words import clean, one_line
from sledsaga.errors import SledsagaError
from sledsaga.hosts.finding import Finding

RACE_MENDED: Final = (3, 51, 3)
"""Before it, SQLite can lose a commit when two connections reset the WAL at once (its list of changes)."""
SIGNS: Final = {"ok": "ok", "note": "note", "missing": "MISSING"}


@verb(root, "doctor")
def doctor(desk: Desk) -> None:
    r"""Look whether log, operations and machine are fit, and say what to do about what is not.

    \b
        sledsaga doctor
        sledsaga doctor --sled local: --json

    Changes nothing. Ends with 0 when nothing is missing, else with 1; notes are no obstacle.
    """
    found = list(_all(desk))
    if desk.terminal.as_json:
        missing = any(one.verdict == "missing" for one in found)
        desk.terminal.json({"v": 1, "ok": not missing, "findings": [asdict(one) for one in found]})
    else:
        made = Table(("WHAT", "", "FOUND", "TO DO"))
        for one in found:
            made.add_row(clean(one.what), SIGNS[one.verdict], clean(one.found), clean(one.todo))
        desk.terminal.show(made)
    if any(one.verdict == "missing" for one in found):
        raise SystemExit(ERROR)


def _all(desk: Desk) -> Iterator[Finding]:
    yield Finding("python", "ok", sys.version.partition(" ")[0])
    yield _sqlite()
    yield _guarded("log", _log, desk)
    yield _guarded("operations", _operations, desk)
    yield from _machine(desk)


def _guarded(what: str, look: Callable[[Desk], Finding], desk: Desk) -> Finding:
    try:
        return look(desk)
    except SledsagaError as error:
        return Finding(what, "missing", one_line(str(error)))


def _sqlite() -> Finding:
    if sqlite3.sqlite_version_info >= RACE_MENDED:
        return Finding("sqlite", "ok", sqlite3.sqlite_version)
    return Finding(
        "sqlite", "note", f"{sqlite3.sqlite_version}, which has a race of two writers; the log has only one"
    )


def _log(desk: Desk) -> Finding:
    from sledsaga import wiring

    path = wiring.log_path(desk.settings)
    if path is None:
        return Finding("log", "note", "in memory: it ends with its process")
    wiring.open_reader(desk.settings).close()
    driver = wiring.holder(desk.settings)
    by = "driven by nobody now" if driver is None else f"driven by {driver.executor} (pid {driver.pid})"
    return Finding("log", "ok", f"{path}: {by if path.exists() else 'not there yet'}")


def _operations(desk: Desk) -> Finding:
    from sledsaga.wiring import open_catalog

    names = open_catalog(desk.settings).names()
    return Finding("operations", "ok" if names else "missing", ", ".join(names) or "none is installed")


def _machine(desk: Desk) -> Iterator[Finding]:
    from sledsaga.wiring import find_needs

    try:
        yield from find_needs(desk.settings.sled.value)
    except SledsagaError as error:
        yield Finding("sled", "missing", one_line(str(error)))
