"""What a step does in one call: to the machine, by chance, with all the ways in which a call can end.

Rules
- A call changes the machine in two strokes; a crash may come between them.
- Whoever promises that nothing is left takes it away first; nobody else promises anything.
- A step is given the outputs that the log has of the steps it takes them from; another one is a breach.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import dataclass
from random import Random
from types import coroutine
from typing import Any

from sledsaga.check.simulation.machine import HALF, WHOLE, Machine
from sledsaga.check.simulation.weather import happens
from sledsaga.core.define import Absent, Present, Probe
from sledsaga.engine.context import Context
from sledsaga.errors import CommandCancelled, FailedClean, Transient
from sledsaga.hosts.sled import Sled

MISHAPS = (
    "clean",
    "clean",
    "half",
    "nothing",
    "transient",
    "transient",
    "transient",
    "exit",
    "unstorable",
    "nan",
)
EXITS = (SystemExit, KeyboardInterrupt)


@coroutine
def rest(seconds: float) -> Generator[float, None, None]:
    """Let this much of the world's time pass in an `async def` step."""
    yield seconds


def token(ctx: Context, step: str | None = None) -> str:
    """Return what a step returns."""
    return f"{ctx.saga}/{step or ctx.step}"


@dataclass(frozen=True, slots=True)
class Act:
    """The sled as one call has it. `trouble` is the chance of a mishap; `reach` passes a crash point."""

    dice: Random
    machine: Machine
    trouble: float
    ctx: Context
    reach: Callable[[str, str | None], None]
    blame: Callable[[str, str], None]
    sled: Sled | None = None

    def do(self, *inputs: object) -> object:
        """Make the step's thing and return its output, or fail in one of many ways."""
        self.machine.admit(self.ctx)
        for given in inputs:
            if not str(given).startswith(f"{self.ctx.saga}/"):
                self.blame(self.ctx.saga, f"{self.ctx.step} was given {given!r}, no output of its saga")
        self._heed()
        if happens(self.dice, self.trouble):
            return self._mishap(self.dice.choice(MISHAPS))
        self.machine.make(self.ctx, HALF)
        self.reach("mid-do", self.ctx.step)
        self.machine.make(self.ctx, WHOLE)
        return token(self.ctx)

    def undo(self) -> None:
        """Take the step's thing away, or fail with some of it left."""
        self.machine.admit(self.ctx)
        self._heed()
        if happens(self.dice, self.trouble):
            if happens(self.dice, 0.5):
                self.machine.remove(self.ctx)
            raise self.dice.choice((OSError("it is busy"), Transient("later"), SystemExit(3)))
        self.reach("mid-undo", self.ctx.step)
        self.machine.remove(self.ctx)

    def probe(self) -> Probe:
        """Say whether the step's thing is whole."""
        self.machine.admit(self.ctx)
        if happens(self.dice, self.trouble):
            raise OSError("it cannot be seen")
        whole = self.machine.left(self.ctx.saga).get(self.ctx.step, 0) == WHOLE
        return Present(token(self.ctx), ours=True) if whole else Absent()

    async def rest(self) -> None:
        """Let some time pass; heed a cancel that comes meanwhile, mostly."""
        try:
            await rest(self.dice.random() * 0.2)
        except asyncio.CancelledError:
            if happens(self.dice, 0.8):
                raise

    def _heed(self) -> None:
        """End soon when told so, mostly."""
        if self.ctx.cancelled.is_set() and happens(self.dice, 0.8):
            if self.ctx.direction == "do" and happens(self.dice, 0.5):
                self.machine.make(self.ctx, HALF)
            raise CommandCancelled("told to end")

    def _mishap(self, kind: str) -> object:
        match kind:
            case "clean":
                self.machine.remove(self.ctx)
                raise FailedClean("nothing is left")
            case "transient":
                self.machine.make(self.ctx, self.dice.choice((HALF, WHOLE)))
                raise Transient("try again")
            case "unstorable" | "nan":
                self.machine.make(self.ctx, WHOLE)
                return object() if kind == "unstorable" else float("nan")
        raise self._fall(kind)

    def _fall(self, kind: str) -> BaseException:
        if kind != "nothing":
            self.machine.make(self.ctx, self.dice.choice((HALF, WHOLE)))
        return self.dice.choice(EXITS)() if kind == "exit" else OSError("no space")


def do(sled: Any) -> Any:  # noqa: ANN401 - any sled is given, and any output is tried
    """Make a thing."""
    return sled.do()


def do_with(sled: Any, given: Any) -> Any:  # noqa: ANN401 - as above
    """Make a thing of another step's output."""
    return sled.do(given)


def do_with_all(sled: Any, given: list[Any]) -> Any:  # noqa: ANN401 - as above
    """Make a thing of the outputs of several steps."""
    return sled.do(*given)


async def do_slowly(sled: Any) -> Any:  # noqa: ANN401 - as above
    """Make a thing on the loop."""
    await sled.rest()
    return sled.do()


async def do_slowly_with(sled: Any, given: Any) -> Any:  # noqa: ANN401 - as above
    """Make a thing of another step's output, on the loop."""
    await sled.rest()
    made = sled.do(given)
    await sled.rest()
    return made


def undo(sled: Any, output: Any) -> None:  # noqa: ANN401, ARG001 - as above
    """Take the thing away."""
    sled.undo()


async def undo_slowly(sled: Any) -> None:  # noqa: ANN401 - as above
    """Take the thing away, on the loop."""
    await sled.rest()
    sled.undo()


def probe(sled: Any) -> Probe:  # noqa: ANN401 - as above
    """Say whether the thing is there."""
    found: Probe = sled.probe()
    return found
