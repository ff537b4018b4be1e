"""A log with 100,000 unfinished sagas: from the start of a process to its first step, and its memory.

The sagas stand in their third step of five, as a process left them that was killed. The executor is a
process of its own: the time counts from before it exists, with all that Python loads. It goes on until a
thousand sagas have ended, then its peak memory is read. Beside it stands the same with 1,000 sagas; both
hold the same number in memory at once, a page of the log.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from bench.cases import Bar, Case, Row, Side, at_most
from bench.child import ROOT, Place, peak_mb
from bench.logs import multiply
from bench.operations import NOTHING, STEPS, Function, made, nothing_async
from bench.unwinding import Gate
from sledsaga import Catalog, Engine, Limits, Operation, step
from sledsaga.core.events import Ended, Recorded
from sledsaga.store.open import open_store

PAGE: Final = 500
START_S: Final = 2.0


def make_logs(place: Place) -> None:
    """Make both logs."""
    make_log(place.shared / "few.db", place.sizes.few_unfinished)
    make_log(place.shared / "many.db", place.sizes.many_unfinished)


def make_log(log: Path, sagas: int) -> None:
    """Make a log of so many sagas that were left in their third step."""
    code = f"import bench.unfinished as this; this.leave({str(log)!r})"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)  # noqa: S603 - this file
    open_store(f"sqlite:///{log}").close()  # nothing is left beside the file
    multiply(log, sagas)


def leave(log: str) -> None:
    """Die while a saga is in its third step."""
    gate = Gate()
    engine = Engine(open_store(f"sqlite:///{log}"), Catalog([standing(gate.stand)]))
    engine.submit("standing")
    gate.await_arrivals(1)
    os._exit(0)


def standing(third: Function, first: Function = nothing_async) -> Operation:
    """Return a chain of five steps, of which the third does something of its own."""
    does = [first, nothing_async, third, *[nothing_async] * (STEPS - 3)]
    steps = [
        step(do, name=f"s{n}", after=f"s{n - 1}" if n else (), undo=NOTHING) for n, do in enumerate(does)
    ]
    return made("standing", steps)


def start(place: Place, log: str) -> dict[str, float]:
    """Start an executor on a copy of a log; return when its first step was called, and its memory."""
    copy = place.own / "log.db"
    shutil.copyfile(place.shared / f"{log}.db", copy)
    argv = [sys.executable, "-m", "bench.unfinished", str(copy), str(place.sizes.few_unfinished)]
    began = time.time()
    child = subprocess.run(argv, check=True, cwd=ROOT, capture_output=True, text=True)  # noqa: S603 - this file
    found = json.loads(child.stdout)
    return {"first step s": found["first step at"] - began, "peak MB": found["peak MB"]}


def main() -> None:
    """Take over a log until so many sagas have ended, and say what that took."""
    path, until = Path(sys.argv[1]), int(sys.argv[2])
    called: list[float] = []
    ended = threading.Semaphore(0)

    async def third() -> None:
        if not called:
            called.append(time.time())

    def watch(_saga: str, events: tuple[Recorded, ...]) -> None:
        if isinstance(events[-1].event, Ended):
            ended.release()

    limits = Limits(live=min(PAGE, until))
    engine = Engine(open_store(f"sqlite:///{path}"), Catalog([standing(third)]), limits=limits)
    engine.subscribe(watch)
    threading.Thread(target=engine.recover, daemon=True).start()
    for _ in range(until):
        ended.acquire()
    print(json.dumps({"first step at": called[0], "peak MB": peak_mb()}), flush=True)
    os._exit(0)


CASES: Final = (
    Case(
        "unfinished",
        (
            Side("few", "bench.unfinished:start", {"log": "few"}),
            Side("many", "bench.unfinished:start", {"log": "many"}),
        ),
        (
            Row(
                "100,000 unfinished: start to first step; 2 s",
                "many.first step s",
                START_S,
                Bar("<", 1.0),
                "s",
                2,
            ),
            Row("100,000 unfinished: peak memory; 1,000", "many.peak MB", "few.peak MB", at_most(1.1), "MB"),
            Row("1,000 unfinished: start to first step", "few.first step s", None, None, "s", 2),
        ),
        prepare=Side("logs", "bench.unfinished:make_logs"),
    ),
)


if __name__ == "__main__":
    main()
