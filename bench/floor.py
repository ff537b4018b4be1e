"""The floor: the same rows by bare sqlite3, without an orchestrator.

The rows are read from a log that the engine wrote, and written again to a new one with the same tables
and indexes, in WAL with `synchronous=FULL`. What is timed are the statements and commits alone: the rows
are ready before, foreign keys are not checked, nothing is fenced. For each step it writes what the engine
does: two events (an end and the next start), and the saga's columns by an UPDATE. The saga's own rows and
its first start go with the first step.

- `by_step`: one transaction a step. (The engine needs one more a saga: the submission is durable by itself.)
- `by_size`: executemany in transactions of 256 rows; UPDATEs come with the rows that they belong to.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.child import Place
from bench.drive import engine_on, keep_going, one_by_one
from bench.operations import STEPS, catalog, limits
from sledsaga.core.events import Ended, StepSucceeded
from sledsaga.store.codec import to_row
from sledsaga.store.open import open_store

BATCH: Final = 256
UPDATE: Final = "UPDATE saga SET epoch = ?, seq = ?, updated_at = ? WHERE num = ?"
LAST_UPDATE: Final = "UPDATE saga SET state = ?, epoch = ?, seq = ?, updated_at = ? WHERE num = ?"
STEP_ENDED: Final = to_row(StepSucceeded(0, None)).type
SAGA_ENDED: Final = to_row(Ended("succeeded")).type
Row = dict[str, Any]


class Write(NamedTuple):
    """One row: its statement and values, and whether what a step writes begins with it."""

    text: str
    values: tuple[Any, ...]
    begins_step: bool = False


Batch = dict[str, list[tuple[Any, ...]]]


def make_logs(place: Place) -> None:
    """Have the engine write the logs whose rows are written again."""
    with engine_on(place.shared / "one.db", catalog()) as engine:
        one_by_one(engine, "async", place.sizes.one)
    with engine_on(place.shared / "many.db", catalog(), limits(BATCH)) as engine:
        keep_going(engine, "async", place.sizes.many, BATCH)


def one_commit_a_step(place: Place) -> dict[str, float]:
    """Write the rows of sagas that ran one at a time, with a commit for each step."""
    batches = list(by_step(writes(place.shared / "one.db")))
    steps = place.sizes.one * STEPS
    assert len(batches) == steps, f"{len(batches)} commits, not {steps}"
    return {"steps/s": steps / replay(place.own / "floor.db", batches)}


def batches_of_256(place: Place) -> dict[str, float]:
    """Write the rows of sagas that ran side by side, 256 rows a transaction."""
    rows = list(writes(place.shared / "many.db"))
    seconds = replay(place.own / "floor.db", list(by_size(rows)))
    return {"rows/s": inserted(rows) / seconds, "rows": inserted(rows)}


def inserted(rows: Iterable[Write]) -> int:
    """Count the rows that come new into a table."""
    return sum(not row.text.startswith("UPDATE") for row in rows)


def replay(path: Path, batches: list[Batch]) -> float:
    """Write batches to a new log, each in a transaction of its own; return the seconds."""
    open_store(f"sqlite:///{path}").close()
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        db.execute(f"PRAGMA {pragma}")
    began = time.perf_counter()
    for batch in batches:
        db.execute("BEGIN IMMEDIATE")
        for text, rows in batch.items():
            db.executemany(text, rows)
        db.execute("COMMIT")
    seconds = time.perf_counter() - began
    db.close()
    return seconds


def by_step(rows: Iterable[Write]) -> Iterator[Batch]:
    """Put together what one step writes."""
    batch: Batch = {}
    for row in rows:
        if row.begins_step and batch:
            yield batch
            batch = {}
        batch.setdefault(row.text, []).append(row.values)
    yield batch


def by_size(rows: Iterable[Write]) -> Iterator[Batch]:
    """Put together so many new rows."""
    batch: Batch = {}
    count = 0
    for row in rows:
        is_new = not row.text.startswith("UPDATE")
        if count == BATCH and is_new:
            yield in_order(batch)
            batch, count = {}, 0
        batch.setdefault(row.text, []).append(row.values)
        count += is_new
    yield in_order(batch)


def in_order(batch: Batch) -> Batch:
    """Put what is new first, and how sagas ended last: a statement runs for all of its rows at once."""
    return dict(
        sorted(batch.items(), key=lambda item: (item[0].startswith("UPDATE"), item[0] == LAST_UPDATE))
    )


def writes(log: Path) -> Iterator[Write]:
    """Yield the rows of a log in the order in which they were written, and the UPDATEs between them."""
    db = sqlite3.connect(f"file:{log}?mode=ro", uri=True)
    db.row_factory = lambda cursor, row: dict(zip([d[0] for d in cursor.description], row, strict=True))
    sagas = {row["num"]: row for row in db.execute("SELECT * FROM saga")}
    plans = {row["saga_num"]: row for row in db.execute("SELECT * FROM plan")}
    events = db.execute("SELECT * FROM event ORDER BY at, saga_num, seq").fetchall()
    dags = [insert("dag", row) for row in db.execute("SELECT * FROM dag")]
    db.close()
    ends: dict[int, int] = {}
    for event in events:
        num = event["saga_num"]
        if event["seq"] == 1:
            yield from chain([_as_submitted(sagas[num])], dags, [insert("plan", plans[num])])
            dags = []
        ended = event["type"] == STEP_ENDED
        ends[num] = ends.get(num, 0) + ended
        yield insert("event", event, begins_step=ended and ends[num] > 1)
        if (ended and ends[num] < STEPS) or event["type"] == SAGA_ENDED:
            yield _update(event, sagas[num])


def insert(table: str, row: Row, *, begins_step: bool = False) -> Write:
    """Return the INSERT of a row, its columns in the order of the table."""
    marks = ", ".join("?" * len(row))
    return Write(f"INSERT INTO {table} VALUES ({marks})", tuple(row.values()), begins_step)  # noqa: S608 - names of ours


def _as_submitted(saga: Row) -> Write:
    """Return a saga's row as it was at first, and that a step begins with it."""
    was = saga | {"state": "running", "seq": 3, "updated_at": saga["created_at"]}
    return insert("saga", was, begins_step=True)


def _update(event: Row, saga: Row) -> Write:
    values = (event["epoch"], event["seq"], event["at"], event["saga_num"])
    if event["type"] == SAGA_ENDED:
        return Write(LAST_UPDATE, (saga["state"], *values))
    return Write(UPDATE, values)
