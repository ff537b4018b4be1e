"""What the log costs, in counts and not in time: commits, statements and bytes for each step."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sledsaga.core.define import no_undo, operation, step
from sledsaga.core.model import Model
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.engine import Engine
from sledsaga.engine.ids import new_id
from sledsaga.engine.limits import Limits
from sledsaga.store.open import open_store
from sledsaga.store.sqlite import connecting_by

STEPS = 5
ROWS = 2 + 3 + 2 * STEPS  # the saga and its plan; submitted, claimed, ended; a start and an end for each step
AT_ONCE = 200
PATIENCE_S = 60.0
OUTPUT = "0123456789" * 20


class Params(Model):
    name: str = "a"


@dataclass
class Counted:
    """Counts statements by the first word of each, run for one row; reads and writes apart, and commits.

    It is also a hook that keeps the loop from its first write until it is let go.
    """

    writes: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    stands: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def connect(self, where: str, **how: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = sqlite3.connect(where, **how)
        counter = self.writes if "mode=rw" in where else self.reads
        db.set_trace_callback(lambda text: counter.update([text.split(maxsplit=1)[0]]))
        return db

    def clear(self) -> None:
        self.writes.clear()
        self.reads.clear()

    def __call__(self, point: str, _step: str | None) -> None:
        if point == "before-append":
            self.stands.set()
            assert self.go.wait(PATIENCE_S)


@contextmanager
def running(log: Path, counted: Counted) -> Iterator[Engine]:
    """Give an engine whose statements are counted from here on."""

    async def output() -> str:
        return OUTPUT

    nothing = no_undo("it leaves nothing")
    steps = [step(output, name=f"s{n}", after=f"s{n - 1}" if n else (), undo=nothing) for n in range(STEPS)]
    catalog = Catalog([operation("chain", version=1, params=Params, steps=steps)])
    with connecting_by(counted.connect):
        store = open_store(f"sqlite:///{log}")
    with Engine(store, catalog, limits=Limits(async_calls=AT_ONCE), executor="e", hook=counted) as engine:
        counted.clear()
        yield engine


def submit_together(engine: Engine, counted: Counted, sagas: int) -> None:
    """Submit one saga, and all others while the loop stands before its first write; wait for all."""

    def submit() -> None:
        engine.submit("chain", by="somebody")

    threads = [threading.Thread(target=submit) for _ in range(sagas)]
    threads[0].start()
    assert counted.stands.wait(PATIENCE_S)
    for thread in threads[1:]:
        thread.start()
    while engine._loop.inbox.qsize() < sagas - 1:
        time.sleep(0.001)
    counted.go.set()
    for thread in threads:
        thread.join()
    engine.idle()


def pages(log: Path) -> int:
    """Return the bytes of a log whose last user has gone."""
    with sqlite3.connect(log) as db:
        (count,), (size,) = (db.execute(f"PRAGMA page_{what}").fetchone() for what in ("count", "size"))
    db.close()
    return int(count) * int(size)


def test_one_saga_costs_a_commit_a_step_and_no_reading(tmp_path: Path) -> None:
    """Alone, a saga of 5 steps is 6 commits: its submission with the first start, and one for each end."""
    counted = Counted()
    counted.go.set()
    with running(tmp_path / "log.db", counted) as engine:
        for _ in range(3):  # the third finds its DAG stored and known
            counted.clear()
            engine.submit("chain", by="somebody")
            engine.idle()
        assert counted.writes == {
            "BEGIN": 1 + STEPS,
            "COMMIT": 1 + STEPS,
            "SELECT": 1,  # the last number
            "INSERT": ROWS,
            "UPDATE": STEPS,
            "DELETE": 1,  # its locks, if it had any
        }
        assert counted.reads == {}


def test_a_key_or_an_id_costs_one_question(tmp_path: Path) -> None:
    """A submission under a key or an id asks the log one question, which is no transaction of its own."""
    counted = Counted()
    counted.go.set()
    with running(tmp_path / "log.db", counted) as engine:
        for key, saga in (("k", None), (None, new_id())):
            counted.clear()
            assert engine.submitted("chain", key=key, id=saga)[1]
            assert counted.reads == {"SELECT": 1}


def test_many_sagas_share_their_commits(tmp_path: Path) -> None:
    """Of 200 sagas at once each writes the same rows as alone, and at least ten steps share a commit."""
    counted = Counted()
    with running(tmp_path / "log.db", counted) as engine:
        submit_together(engine, counted, AT_ONCE)
        writes = counted.writes
        assert (writes["INSERT"], writes["UPDATE"]) == (ROWS * AT_ONCE + 1, STEPS * AT_ONCE)
        assert writes["DELETE"] == AT_ONCE
        assert writes["COMMIT"] <= STEPS * AT_ONCE / 10
        assert writes["SELECT"] <= 5
        assert counted.reads == {}


def test_a_step_costs_little_more_than_twice_its_output(tmp_path: Path) -> None:
    """A step whose output is 200 bytes takes at most 440 bytes of log, with its part of the saga's rows."""
    counted, empty = Counted(), tmp_path / "empty.db"
    open_store(f"sqlite:///{empty}").close()
    with running(tmp_path / "log.db", counted) as engine:
        submit_together(engine, counted, AT_ONCE)
    assert (pages(tmp_path / "log.db") - pages(empty)) / (AT_ONCE * STEPS) <= 440
