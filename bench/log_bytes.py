"""Bytes of log for each step, for outputs of 200 bytes.

Measured on the file: pages in use after a checkpoint, less those of an empty log, by the number of steps.
So the rows of the saga itself, all indexes and free space in pages are in it.

Against it stand payload and keys. The payload is the output as JSON. Keys are what says which event it is:
saga, sequence number, time and step of each of a step's two events, in the bytes that SQLite stores those
four numbers in (some 23 a step, as small numbers take one or two; as four numbers of 8 bytes they were 64).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from bench.cases import Case, Row, Side, at_most
from bench.child import Place
from bench.drive import engine_on, keep_going
from bench.operations import PAYLOAD, STEPS, catalog, limits, payloads
from sledsaga.store.open import open_store

AT_ONCE: Final = 256
COLUMNS: Final = ("saga_num", "seq", "at", "step")


def size(place: Place) -> dict[str, float]:
    """Run sagas with 200 bytes of output a step; return the bytes that each step took."""
    log, empty = place.own / "log.db", place.own / "empty.db"
    open_store(f"sqlite:///{empty}").close()
    with engine_on(log, catalog(payloads()), limits(AT_ONCE)) as engine:
        keep_going(engine, "payload", place.sizes.many, AT_ONCE)
    steps = place.sizes.many * STEPS
    per_step = (pages(log) - pages(empty)) / steps
    return {"bytes/step": per_step, "payload and keys": PAYLOAD + stored_keys(log) / steps}


def pages(log: Path) -> int:
    """Return the bytes of the pages of a log, all of it in its one file."""
    db = sqlite3.connect(log)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (count,), (each,) = db.execute("PRAGMA page_count").fetchone(), db.execute("PRAGMA page_size").fetchone()
    db.close()
    return int(count) * int(each)


def stored_keys(log: Path) -> int:
    """Return the bytes that SQLite needs for the keys of all events of steps."""
    db = sqlite3.connect(log)
    marks = ", ".join(COLUMNS)
    rows = db.execute(f"SELECT {marks} FROM event WHERE step IS NOT NULL").fetchall()  # noqa: S608 - names of ours
    db.close()
    return sum(8 if isinstance(key, float) else whole(key) for row in rows for key in row)


def whole(number: int) -> int:
    """Return the bytes that SQLite stores a whole number in."""
    bits = number.bit_length() + 1
    return 0 if number in (0, 1) else next(size for size in (1, 2, 3, 4, 6, 8) if bits <= size * 8)


CASES: Final = (
    Case(
        "bytes",
        (Side("log", "bench.log_bytes:size"),),
        (
            Row(
                "bytes of log a step; payload and keys",
                "log.bytes/step",
                "log.payload and keys",
                at_most(2.0),
                "bytes",
            ),
        ),
        rounds=1,
    ),
)
