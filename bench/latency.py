"""From submission to rest: median and 99th percentile with 1, 32 and 256 sagas going, and fairness.

Fairness: an executor takes over 10,000 sagas. When a tenth of them has ended, one more is submitted, and
one of another operation; how long each takes stands beside what the whole crowd takes. And of all sagas,
how long the longest went without an event once it was taken over.
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from bench.cases import Case, Row, Side
from bench.child import Place
from bench.drive import engine_on, keep_going, quantile
from bench.operations import catalog, limits, nothing_async
from bench.unfinished import make_log, standing
from sledsaga import Engine
from sledsaga.core.events import Claimed, Ended, Recorded

WIDTHS: Final = (1, 32, 256)


def latencies(place: Place, at_once: int) -> dict[str, float]:
    """Keep so many going."""
    sagas = place.sizes.one if at_once == 1 else place.sizes.many
    with engine_on(place.own / "log.db", catalog(), limits(256)) as engine:
        keep_going(engine, "async", 2, 1)
        found = keep_going(engine, "async", sagas, at_once).latencies
    return {"p50 ms": quantile(found, 0.5) * 1e3, "p99 ms": quantile(found, 0.99) * 1e3}


@dataclass(slots=True)
class Watch:
    """Sees when each saga had its last event, and the longest time between two."""

    wants: int
    last: dict[str, float] = field(default_factory=dict)
    longest: float = 0.0
    ended: int = 0
    enough: threading.Event = field(default_factory=threading.Event)

    def __call__(self, saga: str, events: tuple[Recorded, ...]) -> None:
        """Be told of events that were just written."""
        now = time.perf_counter()
        self.longest = max(self.longest, now - self.last.get(saga, now))
        if saga in self.last or any(isinstance(one.event, Claimed) for one in events):
            self.last[saga] = now
        self.ended += isinstance(events[-1].event, Ended)
        if self.ended >= self.wants:
            self.enough.set()


def make_crowd(place: Place) -> None:
    """Make the log that is taken over."""
    make_log(place.shared / "crowd.db", place.sizes.crowd)


def fairness(place: Place) -> dict[str, float]:
    """Submit two more amid a crowd."""
    shutil.copyfile(place.shared / "crowd.db", place.own / "log.db")
    watch = Watch(place.sizes.crowd // 10)
    with engine_on(place.own / "log.db", catalog(standing(nothing_async)), limits(256)) as engine:
        engine.subscribe(watch)
        began = time.perf_counter()
        crowd = threading.Thread(target=engine.recover)
        crowd.start()
        watch.enough.wait()
        more = _timed(engine, ("one", "standing"))
        crowd.join()
        engine.idle()
        seconds = time.perf_counter() - began
    return {"all s": seconds, "other s": more["one"], "same s": more["standing"], "longest s": watch.longest}


def _timed(engine: Engine, operations: tuple[str, ...]) -> dict[str, float]:
    """Submit one of each operation at once; return the seconds from submission to rest."""
    found: dict[str, float] = {}

    def run(operation: str) -> None:
        began = time.perf_counter()
        engine.run(operation)
        found[operation] = time.perf_counter() - began

    threads = [threading.Thread(target=run, args=(operation,)) for operation in operations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


CASES: Final = (
    Case(
        "latency",
        tuple(Side(f"c{width}", "bench.latency:latencies", {"at_once": width}) for width in WIDTHS),
        tuple(
            Row(f"submit to rest, {width} at once, {part}", f"c{width}.{part} ms", None, None, "ms", 1)
            for width in WIDTHS
            for part in ("p50", "p99")
        ),
        rounds=3,
    ),
    Case(
        "fairness",
        (Side("crowd", "bench.latency:fairness"),),
        (
            Row("one more amid 10,000; all of them", "crowd.same s", "crowd.all s", None, "s", 2),
            Row("one more of another operation; all of them", "crowd.other s", "crowd.all s", None, "s", 2),
            Row("longest wait of a saga once begun", "crowd.longest s", "crowd.all s", None, "s", 2),
        ),
        prepare=Side("crowd", "bench.latency:make_crowd"),
        rounds=3,
    ),
)
