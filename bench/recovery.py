"""1,000 sagas in flight are killed: from a new engine to all finished, beside the same work from the start.

Killed: each saga has done its first step of five and stands in the second when its process gets SIGKILL.
A new engine opens the log, recovers, and drives all to their ends: four steps each, of which the first was
in doubt. Clean: a new engine gets 1,000 sagas of four steps submitted and drives them to their ends.
Released: nobody is killed; the same 1,000 sagas go on from their second step. It has the least to do: no
log is opened, no saga is read back or claimed, no step begun again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.cases import Case, Row, Side, at_most
from bench.child import ROOT, Place
from bench.drive import engine_on, submit_all
from bench.operations import NOTHING, STEPS, Function, catalog, chain, limits, made, nothing_async
from bench.unwinding import Gate
from sledsaga import Operation, step


def held(second: Function) -> Operation:
    """Return five steps, of which the second does something of its own."""
    first = step(nothing_async, name="first", undo=NOTHING)
    gate = step(second, name="second", after="first", undo=NOTHING)
    return made("held", [first, gate, *chain(nothing_async, STEPS - 2, after="second")])


def killed(place: Place) -> dict[str, float]:
    """Kill a process with sagas in flight, and let a new engine finish them."""
    log, sagas = place.own / "log.db", place.sizes.in_flight
    argv = [sys.executable, "-m", "bench.recovery", str(log), str(sagas)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:  # noqa: S603 - this file
        assert child.stdout is not None
        assert child.stdout.readline() == "all stand\n", "the sagas did not come to stand"
        os.kill(child.pid, signal.SIGKILL)
    began = time.perf_counter()
    with engine_on(log, catalog(held(nothing_async)), limits(sagas)) as engine:
        found = engine.recover()
        engine.idle()
        seconds = time.perf_counter() - began
    assert found.claimed == sagas, f"{found} were taken over, not {sagas}"
    return {"s": seconds}


def clean(place: Place) -> dict[str, float]:
    """Run as many sagas of four steps from the start."""
    began = time.perf_counter()
    sagas = place.sizes.in_flight
    with engine_on(place.own / "log.db", catalog(), limits(sagas)) as engine:
        submit_all(engine, "four", sagas)
        engine.idle()
        return {"s": time.perf_counter() - began}


def released(place: Place) -> dict[str, float]:
    """Let as many go on that stand in their second step."""
    gate, sagas = Gate(), place.sizes.in_flight
    with engine_on(place.own / "log.db", catalog(held(gate.stand)), limits(sagas)) as engine:
        submit_all(engine, "held", sagas)
        gate.await_arrivals(sagas)
        began = time.perf_counter()
        gate.open()
        engine.idle()
        return {"s": time.perf_counter() - began}


def main() -> None:
    """Bring sagas to stand in their second step, and wait to be killed."""
    gate, log, sagas = Gate(), Path(sys.argv[1]), int(sys.argv[2])
    with engine_on(log, catalog(held(gate.stand)), limits(sagas)) as engine:
        submit_all(engine, "held", sagas)
        gate.await_arrivals(sagas)
        print("all stand", flush=True)
        signal.pause()


CASES: Final = (
    Case(
        "recovery",
        tuple(Side(name, f"bench.recovery:{name}") for name in ("killed", "clean", "released")),
        (
            Row("1,000 in flight killed; a clean run", "killed.s", "clean.s", at_most(1.2), "s", 2),
            Row("the same, not killed but let go", "killed.s", "released.s", None, "s", 2),
        ),
        rounds=4,
    ),
)


if __name__ == "__main__":
    main()
