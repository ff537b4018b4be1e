"""What a machine does between boot and cut: tell what is there, recover, tell how it rests, run new sagas.

Rules
- What the log and the pool hold is told before anything is driven: that is what the cut has left.
- Each event is told once the store has acknowledged it, each command before it is run.
- Of the sagas of a round some go forward while others unwind.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sledsaga.core import events as e
from sledsaga.core.dag import Plan
from sledsaga.core.invariants import log_breaches
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.engine.limits import Limits
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.step import StepHost
from sledsaga.store.sql import SqlStore
from sledsaga.store.sqlite import connecting_by
from sledsaga.store.store import Append, Filter, NewSaga, SagaRow, Store
from tests.blackout.orders import Orders, digest, tell
from tests.blackout.work import Work, find_work

DISK: Final = Path("/disk")
LOG: Final = DISK / "log.db"
PREPARED: Final = DISK / "prepared"
PATIENCE_S: Final = 60.0
EVERYTHING: Final = 10_000


@dataclass(frozen=True, slots=True)
class Telling:
    """A store that tells of each event once it is recorded."""

    store: Store

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        late = self.store.write(new, appends)
        told = [(one.id, one.events) for one in new]
        told += [(one.saga, one.events) for one in appends if one.saga not in late]
        for saga, events in told:
            for recorded in events:
                tell("ack", saga=saga, seq=recorded.seq, digest=digest(recorded))
        return late

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@dataclass(frozen=True, slots=True)
class Slack:
    """A connection that syncs less than the product asks for: what the cuts must then notice."""

    db: sqlite3.Connection
    synchronous: str

    def execute(self, sql: str, *values: Any) -> Any:
        return self.db.execute(sql.replace("synchronous=FULL", f"synchronous={self.synchronous}"), *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)


def live(orders: Orders) -> None:
    """Live until the cut."""
    work = find_work(orders.work)
    if not PREPARED.exists():
        work.prepare()
        PREPARED.touch()
        os.sync()  # hardware and its description are there before any saga

    def connect(*place: Any, **about: Any) -> Any:
        return Slack(sqlite3.connect(*place, **about), orders.synchronous)

    with connecting_by(connect if orders.synchronous != "FULL" else sqlite3.connect):
        telling: Any = Telling(SqlStore(LOG))
    tell("found", sagas=logs(telling), **state_of_disk(work))
    engine = Engine(telling, Catalog(work.operations), sled=telling_sleds(work), limits=Limits(threads=3))
    engine.recover()
    assert engine.idle(PATIENCE_S), "the sagas do not come to rest"
    tell("rest", sagas=ends(telling), **state_of_disk(work))
    first = len(rows(telling))
    for number in range(first, first + orders.rounds):
        work.round(engine, number)
    tell("rest", sagas=ends(telling), **state_of_disk(work))


def telling_sleds(work: Work) -> Callable[[Context], Sled]:
    """Return what makes sleds that tell of each change before it is made."""

    def sled_for(context: Context) -> Sled:
        def before(_command: HostCommand) -> None:
            tell("begin", saga=context.saga, step=context.step, direction=context.direction)

        sled = work.sled(context)
        return replace(sled, host=StepHost(sled.host, context.cancelled, context.deadline, before))

    return sled_for


def rows(store: Store) -> tuple[SagaRow, ...]:
    return store.list(Filter(), limit=EVERYTHING).rows


def logs(store: Store) -> list[dict[str, Any]]:
    """Return for each saga the digests of its events, the calls that began, and what should be there."""
    return [log_of(store, row.id) for row in rows(store)]


def log_of(store: Store, saga: str) -> dict[str, Any]:
    plan, recorded = store.plan(saga), store.events(saga)
    begun, made = [], []
    for event in (one.event for one in recorded):
        if isinstance(event, e.StepStarted):
            begun.append((plan.dag.steps[event.step].path, "do"))
        if isinstance(event, e.UndoStarted):
            begun.append((plan.dag.steps[event.step].path, "undo"))
        if isinstance(event, e.StepSucceeded):
            made.append(plan.dag.steps[event.step].path)
    kept = [path for path in made if (path, "undo") not in begun]
    digests = [digest(one) for one in recorded]
    return {**who(plan), "id": saga, "digests": digests, "begun": begun, "kept": kept}


def state_of_disk(work: Work) -> dict[str, Any]:
    return {"integrity": integrity(), "there": [*datasets(), *work.files()], "health": health()}


def ends(store: Store) -> list[dict[str, Any]]:
    """Return how each saga stands, and which rules its log breaks."""
    found = []
    for row in rows(store):
        plan = store.plan(row.id)
        breaches = log_breaches(plan.dag, store.events(row.id), has_locks=bool(plan.locks))
        found.append({**who(plan), "state": row.state, "breaches": breaches, "errors": errors(store, row.id)})
    return found


def who(plan: Plan) -> dict[str, Any]:
    return {"operation": plan.dag.operation, "params": plan.params}


def errors(store: Store, saga: str) -> list[str]:
    """Return what failed in a saga, as its log tells it."""
    return [str(one.event.error) for one in store.events(saga) if hasattr(one.event, "error")]


def integrity() -> str:
    db = sqlite3.connect(f"file:{LOG}?mode=ro", uri=True)
    try:
        return str(db.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        db.close()


def datasets() -> list[str]:
    """Return the names of all datasets and snapshots of all pools."""
    return said("zfs", "list", "-H", "-t", "all", "-o", "name").split()


def health() -> str:
    return said("zpool", "status", "-x").strip()


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
