"""Drives sagas on an engine as a user would, and says how long it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from sledsaga import Catalog, Engine, Limits
from sledsaga.core.events import Ended, Recorded
from sledsaga.engine.collector import collect_rarely
from sledsaga.store.open import open_store
from sledsaga.store.store import Append, NewSaga, Store

CLIENTS: Final = 32
"""threads that submit at once, each of which waits for the disk before it submits again"""


class Commits:
    """A log that counts its transactions."""

    def __init__(self, store: Store) -> None:
        """Count those of this one."""
        self._store = store
        self.count = 0

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        """Write a batch, which is one transaction."""
        self.count += 1
        return self._store.write(new, appends)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the log has
        """Ask the log for all else."""
        return getattr(self._store, name)


@contextmanager
def engine_on(log: Path, catalog: Catalog, limits: Limits | None = None) -> Iterator[Engine]:
    """Give an engine on a log in a file, with full durability, in a process such as `serve` is; close it."""
    with counted_engine_on(log, catalog, limits) as (engine, _):
        yield engine


@contextmanager
def counted_engine_on(
    log: Path, catalog: Catalog, limits: Limits | None = None
) -> Iterator[tuple[Engine, Commits]]:
    """Give such an engine, and the count of its transactions."""
    collect_rarely()
    commits = Commits(open_store(f"sqlite:///{log}"))
    with Engine(cast("Store", commits), catalog, limits=limits) as engine:
        yield engine, commits


def one_by_one(engine: Engine, operation: str, sagas: int) -> float:
    """Submit a saga and wait for it, then the next; return the seconds of all."""
    began = time.perf_counter()
    for _ in range(sagas):
        engine.run(operation)
    return time.perf_counter() - began


@dataclass(slots=True)
class Kept:
    """What keeping so many going took: seconds in all, and from submission to rest for each saga."""

    seconds: float = 0.0
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    @property
    def latencies(self) -> list[float]:
        """Return the seconds from submission to rest, sorted."""
        return sorted(self.ended[saga] - began for saga, began in self.began.items())


def keep_going(engine: Engine, operation: str, sagas: int, at_once: int) -> Kept:
    """Keep so many sagas going, until so many have ended: for all that have ended, others are submitted."""
    kept, free = Kept(), threading.Semaphore(at_once)

    def watch(saga: str, events: tuple[Recorded, ...]) -> None:
        if isinstance(events[-1].event, Ended):
            kept.ended[saga] = time.perf_counter()
            free.release()

    unsubscribe = engine.subscribe(watch)
    began, left = time.perf_counter(), sagas
    while left:
        room = _wait_for_room(free, left)
        submitted = time.perf_counter()
        for view in engine.submit_many(operation, [None] * room):
            kept.began[view.id] = submitted
        left -= room
    for _ in range(at_once):
        free.acquire()
    kept.seconds = time.perf_counter() - began
    unsubscribe()
    return kept


def _wait_for_room(free: threading.Semaphore, most: int) -> int:
    """Wait until another saga may be submitted, and return how many may be by now."""
    free.acquire()
    room = 1
    while room < most and free.acquire(blocking=False):
        room += 1
    return room


def submit_all(engine: Engine, operation: str, sagas: int) -> None:
    """Submit so many sagas, from many threads, as fast as they are recorded."""
    numbers = iter(range(sagas))

    def submit() -> None:
        for _ in numbers:
            engine.submit(operation)

    in_threads(submit, CLIENTS)


def in_threads(work: Callable[[], None], number: int) -> None:
    """Do something in so many threads, to its end."""
    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def quantile(values: list[float], part: float) -> float:
    """Return the value below which that part of the sorted values lies."""
    return values[min(len(values) - 1, int(len(values) * part))]
