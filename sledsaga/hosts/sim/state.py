"""The sled's durable state: one SQLite file, used by several processes and many threads at once.

- A command is one transaction, so a kill -9 leaves either all of it or nothing, as a kernel would; one that
  changes files on the way first keeps a word of it (`Tx.keep`), as the real tools do.
- WAL with synchronous=FULL: a command that has answered survives a power cut. Reading commits nothing.
- Threads of one process take turns, also those that only look: SQLite lets writers that wait only poll, and
  side by side threads would take the interpreter from each other at each statement, which costs more than
  the work. Writers of other processes are waited for by the busy timeout.
- Connections are kept in a pool, not per thread, so that threads may come and go.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from sledsaga.errors import HostError, Mutates
from sledsaga.hosts.sim.things import KINDS, T, Thing, dump, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCHEMA_VERSION = 1
BUSY_S = 60.0
SCHEMA = """
CREATE TABLE things (kind TEXT, key TEXT, doc TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE options (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE faults (id INTEGER PRIMARY KEY, doc TEXT NOT NULL, seen INTEGER NOT NULL DEFAULT 0);
CREATE TABLE journal (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, argv TEXT NOT NULL, code INTEGER NOT NULL);
"""


class Tx:
    """One transaction over the things of a sled. What `later` holds is done after the commit."""

    def __init__(self, db: sqlite3.Connection, *, writable: bool) -> None:
        self.db = db
        self.later: list[Callable[[], None]] = []
        self._writable = writable
        self._cache: dict[tuple[str, str], Any] = {}

    def get(self, kind: type[T], key: str) -> T | None:
        """Return the thing of that kind and key, or None."""
        name = KINDS[kind]
        if (name, key) not in self._cache:
            row = self.db.execute("SELECT doc FROM things WHERE kind = ? AND key = ?", (name, key)).fetchone()
            self._cache[name, key] = None if row is None else load(kind, row[0])
        found: T | None = self._cache[name, key]
        return found

    def under(self, kind: type[T], prefix: str = "") -> dict[str, T]:
        """Return the things whose key starts with the prefix, by key, sorted."""
        rows = self.db.execute(
            "SELECT key, doc FROM things WHERE kind = ? AND key >= ? AND key < ? ORDER BY key",
            (KINDS[kind], prefix, prefix + "\U0010ffff"),
        )
        found = {key: load(kind, doc) for key, doc in rows.fetchall()}
        self._cache.update({(KINDS[kind], key): thing for key, thing in found.items()})
        return found

    def put(self, key: str, thing: Thing) -> None:
        """Write a thing, new or changed."""
        self.changing()
        name = KINDS[type(thing)]
        self._cache[name, key] = thing
        self.db.execute("INSERT OR REPLACE INTO things VALUES (?, ?, ?)", (name, key, dump(thing)))

    def drop(self, kind: type[Thing], key: str) -> None:
        """Forget a thing."""
        self.changing()
        self._cache[KINDS[kind], key] = None
        self.db.execute("DELETE FROM things WHERE kind = ? AND key = ?", (KINDS[kind], key))

    def shelve(self, pool: str, guid: str) -> None:
        """Put the datasets of a pool out of sight, as an export does."""
        self._rekind("dataset", f"dataset@{guid}", pool)

    def unshelve(self, pool: str, guid: str) -> None:
        """Bring the datasets of a pool back, as an import does."""
        self._rekind(f"dataset@{guid}", "dataset", pool)

    def option(self, name: str, default: str = "") -> str:
        """Return a setting of the simulation."""
        row = self.db.execute("SELECT value FROM options WHERE name = ?", (name,)).fetchone()
        return default if row is None else str(row[0])

    def set_option(self, name: str, value: str) -> None:
        """Write a setting of the simulation."""
        self.changing()
        self.db.execute("INSERT OR REPLACE INTO options VALUES (?, ?)", (name, value))

    def changing(self) -> None:
        """Assert that this transaction may change the sled. Raises Mutates."""
        if not self._writable:
            raise Mutates(
                "this command changes the sled, but its driver said that it only looks: set mutates=True"
            )

    def undone(self) -> None:
        """Forget what was cached and planned: the changes were rolled back."""
        self._cache.clear()
        self.later.clear()

    def keep(self) -> None:
        """Make durable what the command has done so far: what follows may be lost without it."""
        self.db.execute("COMMIT")
        self._cache.clear()
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("SAVEPOINT command")

    def _rekind(self, old: str, new: str, pool: str) -> None:
        self.changing()
        self._cache.clear()
        for low, high in ((pool, pool + "\0"), (f"{pool}/", f"{pool}0"), (f"{pool}@", f"{pool}A")):
            self.db.execute(
                "UPDATE things SET kind = ? WHERE kind = ? AND key >= ? AND key < ?", (new, old, low, high)
            )


class State:
    """The connections to one sled's file. Safe to be used from many threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def create(self) -> None:
        """Make the file and its tables."""
        with self._troubles(), contextlib.closing(_connect(self._file)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def check(self) -> None:
        """Raise HostError when the file is no sled of this version."""
        with self._lent() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            raise HostError(
                f"{self._file} has format {version}, this program reads {SCHEMA_VERSION}: "
                "make a new sled with sled init"
            )

    @contextlib.contextmanager
    def reading(self) -> Iterator[Tx]:
        """Look at one consistent moment of the sled."""
        with self._turn, self._lent() as db:
            db.execute("BEGIN")
            try:
                yield Tx(db, writable=False)
            finally:
                db.execute("ROLLBACK")

    @contextlib.contextmanager
    def writing(self) -> Iterator[Tx]:
        """Change the sled: all that the block does, or nothing when it raises."""
        with self._turn, self._lent() as db:
            db.execute("BEGIN IMMEDIATE")
            tx = Tx(db, writable=True)
            try:
                yield tx
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        for act in tx.later:
            act()

    def close(self) -> None:
        """Close all idle connections; others are closed when they come back from use."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for db in idle:
            db.close()

    @contextlib.contextmanager
    def _lent(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            db = self._idle.pop() if self._idle else None
        with self._troubles():
            db = db or _connect(self._file)
            try:
                yield db
            finally:
                self._give_back(db)

    def _give_back(self, db: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(db)
                return
        db.close()

    @contextlib.contextmanager
    def _troubles(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise HostError(f"the simulated sled's state {self._file} cannot be used: {error}") from error


def _connect(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous = FULL")
    return db
