"""`list`, `show` and `events` on a log with 1,000,000 finished sagas, beside one with 1,000.

Each figure is the median of many calls in one process, through what the engine and the command line read
with. `list` is five of them: all, those of a state that nearly all have, of one that none has, of an
operation, and a page from the middle by its token. The large log is made once and kept in `bench/cache/`
until the schema changes.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

from bench.cases import Case, Row, Side, at_most
from bench.child import Place
from bench.drive import engine_on, one_by_one
from bench.logs import ids, multiply
from bench.operations import catalog
from bench.rounds import SCRATCH
from sledsaga.engine.read import read_view
from sledsaga.store.batch import token_of
from sledsaga.store.open import open_store
from sledsaga.store.store import Filter, Store
from sledsaga.store.tables import HEAD

PAGE: Final = 50
FILTERS: Final = (
    Filter(),
    Filter(states=frozenset({"succeeded"})),
    Filter(states=frozenset({"stuck"})),
    Filter(operation="one"),
)


def make_logs(place: Place) -> None:
    """Make the logs that are not there yet."""
    for sagas in (place.sizes.few_finished, place.sizes.many_finished):
        log = finished(sagas)
        if log.exists():
            continue
        half = log.with_suffix(".half")
        for old in half.parent.glob(f"{half.name}*"):
            old.unlink()
        with engine_on(half, catalog()) as engine:
            one_by_one(engine, "one", 1)
        multiply(half, sagas)
        half.replace(log)


def finished(sagas: int) -> Path:
    """Return where the log with so many finished sagas is kept."""
    return SCRATCH / f"finished-{sagas}-{HEAD}.db"


def read(place: Place, *, many: bool) -> dict[str, float]:
    """Time each way to read one of the logs."""
    log = finished(place.sizes.many_finished if many else place.sizes.few_finished)
    store = open_store(f"sqlite:///{log}", create=False, read_only=True)
    some = ids(log, place.sizes.reads)
    lists = [_each(partial(_list, store, only), some) for only in FILTERS]
    lists.append(_each(lambda saga: store.list(Filter(), limit=PAGE, token=token_of(saga)), some))
    found = {
        "list us": sum(lists),
        "show us": _each(lambda saga: _show(store, saga), some),
        "events us": _each(store.events, some),
    }
    store.close()
    return found


def _list(store: Store, only: Filter, _saga: str) -> None:
    store.list(only, limit=PAGE)


def _show(store: Store, saga: str) -> None:
    """Find a saga by the beginning of its id, and read it."""
    read_view(store, store.find(saga[:-1])[0])


def _each(call: Callable[[str], object], sagas: Iterable[str]) -> float:
    """Return the median time of a call in microseconds, over these sagas."""
    times = []
    for saga in itertools.chain(list(sagas)[:2], sagas):  # the first two only warm up
        began = time.perf_counter()
        call(saga)
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:]) * 1e6


CASES: Final = (
    Case(
        "reading",
        (
            Side("few", "bench.reading:read", {"many": False}),
            Side("many", "bench.reading:read", {"many": True}),
        ),
        tuple(
            Row(
                f"{verb} with 1,000,000 finished; with 1,000",
                f"many.{verb} us",
                f"few.{verb} us",
                at_most(2.0),
                "us",
            )
            for verb in ("list", "show", "events")
        ),
        prepare=Side("logs", "bench.reading:make_logs"),
    ),
)
