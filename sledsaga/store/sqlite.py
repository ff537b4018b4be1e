"""SQLite's side of the store: connections, making a new log, and what its troubles mean.

Rules
- The writer: WAL, `synchronous=FULL` (survives power loss), foreign keys, `BEGIN IMMEDIATE`.
- Readers open the file read-only: they see the last whole transaction, block nobody, and never write or
  checkpoint, so only one connection ever does.
- A new log is made in one transaction; whoever comes second finds it whole.
- Who opens a log for writing first makes durable what is in it: a killed process may not have come to that.
- Every error of SQLite leaves through `troubles`, once, as one line that says what to do.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from sledsaga.errors import LogCorrupt, LogUnavailable, SchemaMismatch, UsageError
from sledsaga.store.tables import HEAD, METADATA, REVISION, REVISIONS

BUSY_S: Final = 10.0  # how long to wait for another connection before saying so
EFFECTIVE: Final = os.access in os.supports_effective_ids
BEGIN_WRITING: Final = "BEGIN IMMEDIATE"
WAL_BYTES: Final = 64 * 1024 * 1024  # a larger write-ahead log is cut back to this after a checkpoint
Mode = Literal["rw", "ro"]
Connect = Callable[..., sqlite3.Connection]
_CONNECT: Final[ContextVar[Connect]] = ContextVar("connect", default=sqlite3.connect)

TROUBLES: Final[dict[int, tuple[type[LogUnavailable], str]]] = {
    sqlite3.SQLITE_FULL: (LogUnavailable, "the disk is full; nothing was recorded: make room, then go on"),
    sqlite3.SQLITE_READONLY: (
        LogUnavailable,
        "it is read-only: give write access to the file and its folder",
    ),
    sqlite3.SQLITE_IOERR: (
        LogUnavailable,
        "reading or writing failed: look at the disk and the kernel's messages",
    ),
    sqlite3.SQLITE_CANTOPEN: (LogUnavailable, "it cannot be opened: look at its path and who may use it"),
    sqlite3.SQLITE_PERM: (LogUnavailable, "access was denied: look at who may use the file and its folder"),
    sqlite3.SQLITE_AUTH: (LogUnavailable, "access was denied: look at who may use the file and its folder"),
    sqlite3.SQLITE_BUSY: (
        LogUnavailable,
        f"another program keeps it to itself for more than {BUSY_S:.0f} s: end that program, then try again",
    ),
    sqlite3.SQLITE_LOCKED: (LogUnavailable, "another connection keeps it to itself: try again"),
    sqlite3.SQLITE_PROTOCOL: (LogUnavailable, "other programs keep it too busy: try again"),
    sqlite3.SQLITE_TOOBIG: (LogUnavailable, "a row is larger than SQLite allows; nothing was recorded"),
    sqlite3.SQLITE_NOTADB: (LogCorrupt, "it is no SQLite database; it was left as it is: name another file"),
    sqlite3.SQLITE_CORRUPT: (
        LogCorrupt,
        "it is damaged: restore it from a copy, or try `sqlite3 FILE .recover`",
    ),
}


def translated(path: Path, error: Exception) -> LogUnavailable:
    """Return what an error of SQLite or SQLAlchemy means for the log at this path."""
    cause = getattr(error, "orig", None) or error
    name = getattr(cause, "sqlite_errorname", type(cause).__name__)
    kind, meaning = TROUBLES.get(error_code(error), (LogUnavailable, str(cause)))
    return kind(f"log {path}: {meaning} ({name})")


def error_code(error: Exception) -> int:
    """Return SQLite's primary code of an error of SQLite or SQLAlchemy; 0 when it has none."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the higher bits say where exactly


class troubles:  # noqa: N801 - reads like a function where it is used
    """Lets errors of SQLite out as LogUnavailable or LogCorrupt, and text that is none as UsageError.

    A class of its own as every write passes it: a generator would take three times as long.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Begin to listen."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise what the error means for the log, if it is one of ours to tell."""
        if isinstance(error, SQLAlchemyError | sqlite3.Error):
            raise translated(self._path, error) from error
        if isinstance(error, UnicodeEncodeError):
            raise UsageError(f"{error.object!r} is not valid text") from error


@contextmanager
def connecting_by(connect: Connect) -> Iterator[None]:
    """Let what is opened here reach SQLite through `connect` instead of `sqlite3.connect`, and keep to it.

    So a log can be put on a file system of one's own, such as one whose power can be cut.
    """
    token = _CONNECT.set(connect)
    try:
        yield
    finally:
        _CONNECT.reset(token)


def current_connect() -> Connect:
    """Return what opens connections here: `sqlite3.connect`, unless `connecting_by` says otherwise."""
    return _CONNECT.get()


def make_engine(path: Path, mode: Mode, *, foreign_keys: bool = True) -> Engine:
    """Return an engine for one writer (`rw`) or for many readers (`ro`); nothing is opened yet."""
    reach = current_connect()

    def connect() -> sqlite3.Connection:
        return _connect(reach, path, mode, foreign_keys=foreign_keys)

    pool = NullPool if mode == "rw" else QueuePool
    bounds = {} if mode == "rw" else {"max_overflow": -1}
    engine = create_engine("sqlite://", creator=connect, poolclass=pool, **bounds)
    begin = BEGIN_WRITING if mode == "rw" else "BEGIN"
    event.listen(engine, "begin", lambda connection: connection.connection.driver_connection.execute(begin))
    return engine


def connector(path: Path) -> Callable[[], sqlite3.Connection]:
    """Return what opens a connection that writes, without SQLAlchemy; whoever uses it says BEGIN_WRITING."""
    reach = current_connect()
    return lambda: _connect(reach, path, "rw", foreign_keys=True)


def _connect(reach: Connect, path: Path, mode: Mode, *, foreign_keys: bool) -> sqlite3.Connection:
    db = reach(_uri(path, mode), uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    if mode == "rw":
        try:
            _set_up_writer(db, foreign_keys=foreign_keys)
        except BaseException:
            db.close()
            raise
    return db


def _uri(path: Path, mode: Mode) -> str:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return uri + "&immutable=1" if mode == "ro" and nobody_can_write(path) else uri


def nobody_can_write(path: Path) -> bool:
    """Tell whether a closed log lies in a folder that we cannot change, such as on a read-only disk.

    SQLite then has to be told that it may do without its shared-memory file.
    """
    beside = (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm"))
    return not os.access(path.parent, os.W_OK, effective_ids=EFFECTIVE) and not any(
        file.exists() for file in beside
    )


def _set_up_writer(db: sqlite3.Connection, *, foreign_keys: bool) -> None:
    _use_wal(db)
    db.execute(f"PRAGMA foreign_keys={int(foreign_keys)}")
    for pragma in ("synchronous=FULL", f"journal_size_limit={WAL_BYTES}"):
        db.execute(f"PRAGMA {pragma}")
    _settle(db)


def _settle(db: sqlite3.Connection) -> None:
    """Put on the disk what a process that was killed in a commit may have left in the system's memory.

    SQLite takes it for committed. Whoever reads it may act upon it, so it must outlive the power from now on.
    """
    busy, frames, copied = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if busy or copied < frames:  # a reader is in the way; any commit syncs the whole write-ahead log too
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute(f"PRAGMA user_version={int(version)}")


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait here when another connection does the same."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def make_log(path: Path) -> None:
    """Make a new log at head when there is none (no file, or an empty one); raises LogUnavailable."""
    try:
        if not path.exists():
            _make_folder(path.parent)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise LogUnavailable(
            f"log {path}: it cannot be made: {error.strerror}; choose another place"
        ) from error
    if not is_empty(path):
        return
    with troubles(path), make_engine(path, "rw").connect() as connection, connection.begin():
        if not _tables(connection):  # nobody was faster
            METADATA.create_all(connection)
            REVISION.create(connection)
            connection.execute(REVISION.insert(), {"version_num": HEAD})


def _make_folder(folder: Path) -> None:
    """Make a folder for its owner alone, and those above it; each is on the disk before it is used.

    SQLite syncs the folder that the log is in, but not the way to it. As it does, we forgive a file system
    that cannot sync folders.
    """
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    with suppress(OSError):
        above = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(above)
        finally:
            os.close(above)


def is_empty(path: Path) -> bool:
    """Tell whether a database has no tables: a new one, or one that another process is about to fill."""
    with troubles(path):
        if path.stat().st_size == 0:
            return True
        _undo_half_made(path)
        engine = make_engine(path, "ro")
        try:
            with engine.connect() as connection:
                return not _tables(connection)
        finally:
            engine.dispose()  # or its connection would stay open in its pool


def _undo_half_made(path: Path) -> None:
    """Let SQLite take back what was begun when a log was being made and power was lost.

    Only then does a log have a journal to roll back, which who reads only may not do.
    """
    if path.with_name(f"{path.name}-journal").exists():
        db = current_connect()(_uri(path, "rw"), uri=True, timeout=BUSY_S, isolation_level=None)
        try:
            db.execute("SELECT 1 FROM sqlite_master").fetchall()
        finally:
            db.close()


def _tables(connection: Connection) -> set[str]:
    return set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())


def read_schema(connection: Connection, path: Path) -> str:
    """Return the schema's revision; raises SchemaMismatch for a file that is no log of ours."""
    tables = _tables(connection)
    if tables >= {"alembic_version", "saga", "event"}:
        revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        if revision is not None:
            return str(revision)
    found = f"has the tables {', '.join(sorted(tables)[:5])}" if tables else "is empty"
    raise SchemaMismatch(f"{path} is no log of sledsaga: it {found}; it was left as it is: name another file")


def check_schema(connection: Connection, path: Path) -> None:
    """Refuse a log whose schema is not this program's; raises SchemaMismatch with the way on."""
    found = read_schema(connection, path)
    if found == HEAD:
        return
    has = f"log {path} has schema {found}, this program needs {HEAD}"
    if found in REVISIONS:
        raise SchemaMismatch(f"{has}; run: sledsaga db upgrade")
    raise SchemaMismatch(f"{has}; a newer program made it: use that one, or name another log")
