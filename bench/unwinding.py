"""Unwinding five steps beside running five forward, each from a gate: what comes before it is not timed.

A saga stands in a step until the gate is opened. Forward, that step succeeds and five steps follow. For
unwinding, five steps came before, and that step then fails and leaves nothing, so the five are undone.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from bench.cases import Case, Row, Side, at_most
from bench.child import Place
from bench.drive import engine_on, submit_all
from bench.operations import NOTHING, STEPS, catalog, chain, limits, made, nothing_async, undo_nothing
from sledsaga import Engine, FailedClean, Operation, step


@dataclass(slots=True)
class Gate:
    """Where async steps stand until it is opened, and a count of those that have come."""

    arrivals: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None

    async def stand(self) -> None:
        """Wait here until the gate is opened."""
        self.loop = asyncio.get_running_loop()
        opened = self.loop.create_future()
        self.waiting.append(opened)
        self.arrivals.release()
        await opened

    def await_arrivals(self, number: int) -> None:
        """Wait until so many more have come."""
        for _ in range(number):
            self.arrivals.acquire()

    def open(self) -> None:
        """Let all go that stand here."""
        assert self.loop is not None, "nobody has come"
        self.loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        waiting, self.waiting = self.waiting, []
        for opened in waiting:
            opened.set_result(None)


def forward(gate: Gate) -> Operation:
    """Return the gate, then five steps."""
    first = step(gate.stand, name="gate", undo=NOTHING)
    return made("gated", [first, *chain(nothing_async, after="gate", undo=undo_nothing)])


def unwinding(gate: Gate) -> Operation:
    """Return five steps, then the gate, behind which it fails."""

    async def fail() -> None:
        await gate.stand()
        raise FailedClean("as it should")

    last = step(fail, name="gate", after=f"s{STEPS - 1}", undo=NOTHING)
    return made("gated", [*chain(nothing_async, undo=undo_nothing), last])


def from_gate(place: Place, direction: str, *, at_once: bool) -> dict[str, float]:
    """Time sagas from the gate to rest: one at a time, or many together."""
    gate = Gate()
    sizes = place.sizes
    held, waves = (sizes.held, sizes.waves) if at_once else (1, sizes.one)
    asked = {"forward": forward, "unwinding": unwinding}[direction](gate)
    with engine_on(place.own / "log.db", catalog(asked), limits(held)) as engine:
        seconds = sum(_wave(engine, gate, held) for _ in range(waves))
    return {"us/step": seconds / (held * waves * STEPS) * 1e6}


def _wave(engine: Engine, gate: Gate, held: int) -> float:
    submit_all(engine, "gated", held)
    gate.await_arrivals(held)
    began = time.perf_counter()
    gate.open()
    engine.idle()
    return time.perf_counter() - began


def _sides(*, at_once: bool) -> tuple[Side, ...]:
    return tuple(
        Side(name, "bench.unwinding:from_gate", {"direction": name, "at_once": at_once})
        for name in ("forward", "unwinding")
    )


def _row(workload: str) -> Row:
    return Row(workload, "unwinding.us/step", "forward.us/step", at_most(1.2), "us/step")


CASES: Final = (
    Case("unwinding one", _sides(at_once=False), (_row("5 steps undone, one saga at a time; forward"),)),
    Case("unwinding many", _sides(at_once=True), (_row("5 steps undone, many sagas at once; forward"),)),
)
