"""How fast sagas are, beside the bare disk in the same run: steps per second, commits per step, peak memory.

    make bench

Every figure is of full durability (WAL, synchronous=FULL; a start is in the log before its call). The floor
is a bare sqlite3 loop that writes the same rows with one commit a step. Machines are noisy: the ratio is
what counts, and it is taken within this one run. The last line is the same as JSON.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sledsaga import Catalog, Engine, Limits, Model, Operation, no_undo, operation, step
from sledsaga.store.open import open_store

SAGAS, STEPS, LARGE, WIDTH, CLIENTS = 2000, 5, 10_000, 100, 32
WHY = no_undo("it changes nothing")


class Params(Model):
    """Which shape of large saga to make: chain, fan-out or layered."""

    shape: str = "chain"


def nothing() -> int:
    """Do nothing, in a thread."""
    return 1


async def nothing_async() -> int:
    """Do nothing, on the loop."""
    return 1


def chain(name: str, do: Callable[..., Any]) -> Operation:
    """Return a chain of no-op steps."""
    steps = [step(do, name=f"s{i}", after=f"s{i - 1}" if i else (), undo=WHY) for i in range(STEPS)]
    return operation(name, version=1, params=Params, steps=steps)


def large(params: Params) -> Iterator[Any]:
    """Yield the steps of one large saga."""
    before: dict[str, Callable[[int], list[int]]] = {
        "chain": lambda i: [i - 1] if i else [],
        "fan-out": lambda i: [0] if i else [],
        "layered": lambda i: [i - WIDTH, (i // WIDTH - 1) * WIDTH + i * 7919 % WIDTH] if i >= WIDTH else [],
    }
    needs = before[params.shape]
    for i in range(LARGE):
        yield step(nothing_async, name=f"s{i}", after={f"s{n}" for n in needs(i)}, undo=WHY)


CATALOG = Catalog(
    [
        chain("threads", nothing),
        chain("async", nothing_async),
        operation("large", version=1, params=Params, steps=lambda params: list(large(params))),
    ]
)


def peak_mb() -> float:
    """Return the most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def floor(folder: Path, steps: int) -> float:
    """Return the steps per second of a bare loop: two rows and one commit a step."""
    db = sqlite3.connect(folder / "floor.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE event (saga INTEGER, seq INTEGER, at REAL, type TEXT, data TEXT)")
    began = time.perf_counter()
    for number in range(steps):
        db.execute("BEGIN IMMEDIATE")
        rows = [(1, 2 * number + i, time.time(), "step-succeeded", "[1]") for i in range(2)]
        db.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", rows)
        db.execute("COMMIT")
    seconds = time.perf_counter() - began
    db.close()
    return steps / seconds


def many(folder: Path, name: str, sagas: int, at_once: int) -> dict[str, Any]:
    """Run many small sagas, so many at once; return what that took."""
    commits = 0

    def count(point: str, _step: str | None) -> None:
        nonlocal commits
        commits += point == "after-append"

    store = open_store(f"sqlite:///{folder}/{name}-{at_once}.db")
    limits = Limits(threads=min(at_once, 64), async_calls=at_once)
    with Engine(store, CATALOG, limits=limits, hook=count) as engine:
        began = time.perf_counter()
        if at_once == 1:
            for _ in range(sagas):
                engine.wait(engine.submit(name).id)
        else:
            with ThreadPoolExecutor(CLIENTS) as clients:
                list(clients.map(lambda _: engine.submit(name), range(sagas)))
            engine.idle()
        seconds = time.perf_counter() - began
    steps = sagas * STEPS
    return {"steps/s": steps / seconds, "commits/step": commits / steps, "peak MB": peak_mb()}


def one_large(folder: Path, shape: str) -> dict[str, Any]:
    """Run one saga of 10,000 steps; return what that took."""
    with Engine(open_store(f"sqlite:///{folder}/{shape}.db"), CATALOG) as engine:
        began = time.perf_counter()
        view = engine.wait(engine.submit("large", {"shape": shape}).id)
        seconds = time.perf_counter() - began
    assert view.state == "succeeded", view.state
    return {"steps/s": LARGE / seconds, "peak MB": peak_mb()}


def measured(case: str) -> dict[str, Any]:
    """Measure one case; the argument of a child process, so that each case has a memory peak of its own."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        cases: dict[str, Callable[[], dict[str, Any]]] = {
            "floor: bare sqlite3, a commit a step": lambda: {"steps/s": floor(folder, 5000)},
            "one at a time, threads": lambda: many(folder, "threads", 200, 1),
            "one at a time, async": lambda: many(folder, "async", 200, 1),
            "2,000 sagas, 256 at once, threads": lambda: many(folder, "threads", SAGAS, 256),
            "2,000 sagas, 256 at once, async": lambda: many(folder, "async", SAGAS, 256),
            "one saga of 10,000 steps: chain": lambda: one_large(folder, "chain"),
            "one saga of 10,000 steps: fan-out": lambda: one_large(folder, "fan-out"),
            "one saga of 10,000 steps: layered": lambda: one_large(folder, "layered"),
        }
        if case == "names":
            return dict.fromkeys(cases)
        return cases[case]()


def main() -> None:
    """Measure every case in a process of its own, and print the table."""
    found: dict[str, dict[str, Any]] = {}
    print(f"{'':40}{'steps/s':>10}{'of floor':>10}{'commits/step':>14}{'peak MB':>9}")
    for case in measured("names"):
        child = subprocess.run(  # noqa: S603 - this very file
            [sys.executable, __file__, case], check=True, capture_output=True, text=True
        )
        row = found[case] = json.loads(child.stdout)
        base = next(iter(found.values()))["steps/s"]
        row["of floor"] = row["steps/s"] / base
        commits = f"{row['commits/step']:.3f}" if "commits/step" in row else ""
        memory = f"{row['peak MB']:.0f}" if "peak MB" in row else ""
        print(
            f"{case:40}{row['steps/s']:>10,.0f}{row['of floor']:>10.2f}{commits:>14}{memory:>9}", flush=True
        )
    print(json.dumps({"v": 1, "cases": found}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measured(sys.argv[1])))
    else:
        main()
