"""Chains of five steps, many at once, on all cores: an executor a core, each with a log of its own.

Python runs on one core at a time in a process, so one executor leaves the others to whoever else is there.
Who wants them all runs more executors, and gives each the sagas whose keys are its own.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from bench.child import Place
from bench.drive import engine_on, keep_going
from bench.operations import STEPS, catalog, limits
from bench.together import begin_together, run_together


def best(place: Place, operation: str) -> dict[str, float]:
    """Run sagas on every core, on each so many at once as was best for one."""
    at_once, threads = json.loads((place.shared / "best.json").read_text())[operation]
    cores = os.cpu_count() or 1
    about = (operation, str(place.sizes.many), str(at_once), str(threads))
    seconds = run_together(
        [("bench.cores", str(place.own / f"log-{core}.db"), *about) for core in range(cores)]
    )
    return {"steps/s": cores * place.sizes.many * STEPS / seconds, "processes": cores}


def main() -> None:
    """Be the executor of one core."""
    log, operation, *numbers = sys.argv[1:]
    sagas, at_once, threads = map(int, numbers)
    with engine_on(Path(log), catalog(), limits(at_once, threads)) as engine:
        keep_going(engine, operation, 2, 2)
        begin_together(lambda: keep_going(engine, operation, sagas, at_once))


if __name__ == "__main__":
    main()
