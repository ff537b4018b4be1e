"""What runs in the virtual environment of a peer: so many sagas, so many at once, and one line of JSON.

Nothing of sledsaga is imported here, and nothing but Python's own library.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable

gc.set_threshold(50_000, 10, 10)  # as `sledsaga serve` does: a difference in this would be none of the peer


class Times:
    """Seconds from submission to rest of each saga, and how many were lost to errors of the peer."""

    def __init__(self) -> None:
        self.each: list[float] = []
        self.lost = 0
        self.seconds = 0.0

    def report(self, steps: int) -> None:
        """Print what was found, and end the process at once: peers leave threads behind."""
        if not self.each:
            raise SystemExit(f"all {self.lost} sagas were lost")
        ms = sorted(one * 1e3 for one in self.each)
        found = {
            "steps/s": len(ms) * steps / self.seconds,
            "p50 ms": ms[len(ms) // 2],
            "p99 ms": ms[int(len(ms) * 0.99)],
            "lost": self.lost,
        }
        print(json.dumps(found), flush=True)
        sys.stdout.flush()
        os._exit(0)


def parse() -> argparse.Namespace:
    """Read what each peer is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--sagas", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    return parser.parse_args()


def in_threads(one: Callable[[], object], sagas: int, at_once: int) -> Times:
    """Run one saga after the other on each of so many threads."""
    times, numbers = Times(), iter(range(sagas))

    def work() -> None:
        for _ in numbers:
            began = time.perf_counter()
            try:
                one()
            except Exception:  # noqa: BLE001 - a peer may lose sagas; those are counted
                times.lost += 1
            else:
                times.each.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.seconds = time.perf_counter() - began
    return times


async def in_tasks(one: Callable[[], Awaitable[object]], sagas: int, at_once: int) -> Times:
    """Run one saga after the other in each of so many tasks."""
    times, numbers = Times(), iter(range(sagas))

    async def work() -> None:
        for _ in numbers:
            began = time.perf_counter()
            try:
                await one()
            except Exception:  # noqa: BLE001 - a peer may lose sagas; those are counted
                times.lost += 1
            else:
                times.each.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    times.seconds = time.perf_counter() - began
    return times
