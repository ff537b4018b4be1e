"""Chains of five steps that do nothing: one at a time beside one commit a step, many beside executemany.

The rate one at a time is what a caller sees who runs a saga, then the next. At the best concurrency
so many sagas are kept going as gave the best rate in a short trial before.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

from bench.cases import Case, Row, Side, at_least, at_most
from bench.child import Place
from bench.drive import counted_engine_on, keep_going, one_by_one
from bench.floor import BATCH, make_logs
from bench.operations import STEPS, catalog, limits

TRIALS: Final[dict[str, list[tuple[int, int]]]] = {
    "threads": [(32, 16), (256, 16), (256, 256), (1024, 256)],
    "async": [(64, 1), (256, 1), (1024, 1)],
}
"""How many sagas at once, and how many threads, to try."""
ROWS_A_SAGA: Final = 2 + 3 + 2 * STEPS
"""Saga and plan; submitted, claimed, ended; a start and an end for each step."""


def one_at_a_time(place: Place, operation: str) -> dict[str, float]:
    """Run sagas one after the other."""
    with counted_engine_on(place.own / "log.db", catalog()) as (engine, commits):
        one_by_one(engine, operation, 2)
        commits.count = 0
        seconds = one_by_one(engine, operation, place.sizes.one)
    steps = place.sizes.one * STEPS
    per_step = (commits.count - place.sizes.one) / steps  # the submissions are no steps
    return {
        "steps/s": steps / seconds,
        "commits/step": per_step,
        "commits/saga": commits.count / place.sizes.one,
    }


def try_concurrencies(place: Place) -> None:
    """Find out how many at once give the best rate, and note it; write the logs of the floor."""
    make_logs(place)
    best = {}
    for operation, trials in TRIALS.items():
        rates = {trial: rate(place, operation, trial, place.sizes.many // 4) for trial in trials}
        best[operation] = max(rates, key=lambda trial: rates[trial]["steps/s"])
    (place.shared / "best.json").write_text(json.dumps(best))


def best(place: Place, operation: str) -> dict[str, float]:
    """Run sagas side by side, so many at once as was best."""
    trial = json.loads((place.shared / "best.json").read_text())[operation]
    return rate(place, operation, trial, place.sizes.many)


def rate(place: Place, operation: str, trial: tuple[int, int], sagas: int) -> dict[str, float]:
    """Keep so many going on so many threads; return steps and rows a second."""
    at_once, threads = trial
    log = place.own / f"{operation}-{at_once}-{threads}-{time.monotonic_ns()}.db"
    with counted_engine_on(log, catalog(), limits(at_once, threads)) as (engine, commits):
        keep_going(engine, operation, 2, 2)
        commits.count = 0
        seconds = keep_going(engine, operation, sagas, at_once).seconds
    found: dict[str, Any] = {"steps/s": sagas * STEPS / seconds, "rows/s": sagas * ROWS_A_SAGA / seconds}
    return found | {"commits/step": commits.count / sagas / STEPS, "at once": at_once, "threads": threads}


CASES: Final = (
    Case(
        "one",
        (
            Side("threads", "bench.chains:one_at_a_time", {"operation": "threads"}),
            Side("async", "bench.chains:one_at_a_time", {"operation": "async"}),
            Side("floor", "bench.floor:one_commit_a_step"),
        ),
        (
            Row(
                "5 steps, one at a time, def; bare commits",
                "threads.steps/s",
                "floor.steps/s",
                at_least(0.5),
                "steps/s",
            ),
            Row("the same, async def", "async.steps/s", "floor.steps/s", at_least(0.5), "steps/s"),
            Row("commits a step beside the submission's", "async.commits/step", 1.0, at_most(1.0), "", 2),
        ),
        prepare=Side("logs", "bench.floor:make_logs"),
    ),
    Case(
        "many",
        (
            Side("threads", "bench.chains:best", {"operation": "threads"}),
            Side("async", "bench.chains:best", {"operation": "async"}),
            Side("threads on all cores", "bench.cores:best", {"operation": "threads"}),
            Side("async on all cores", "bench.cores:best", {"operation": "async"}),
            Side("floor", "bench.floor:batches_of_256"),
        ),
        (
            Row(
                f"5 steps, many at once, def; bare batches of {BATCH}",
                "threads.rows/s",
                "floor.rows/s",
                at_least(0.1),
                "rows/s",
            ),
            Row("the same, async def", "async.rows/s", "floor.rows/s", at_least(0.1), "rows/s"),
            Row("steps a second, many at once, def", "threads.steps/s", None, None, "steps/s"),
            Row("the same, async def", "async.steps/s", None, None, "steps/s"),
            Row(
                "an executor a core, def; one",
                "threads on all cores.steps/s",
                "threads.steps/s",
                None,
                "steps/s",
            ),
            Row("the same, async def", "async on all cores.steps/s", "async.steps/s", None, "steps/s"),
            Row("commits a step, many at once, async def", "async.commits/step", None, None, "", 3),
        ),
        prepare=Side("logs", "bench.chains:try_concurrencies"),
    ),
)
