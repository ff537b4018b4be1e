"""The workers of a simulated executor: they make its calls when the world's clock says so, one at a time.

Rules
- A `def` step's work is done in one stroke of the world; its end is reported some time later, and a crash may
  come between. An `async def` step is driven by hand, from rest to rest.
- A call that hangs does nothing until it is told to end, or for a long time.
- Each start and each call is shown to the watcher first: it knows what the log says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from sledsaga.check.simulation.weather import happens
from sledsaga.core.endings import Ending, Failed
from sledsaga.engine.perform import Job, perform, perform_async
from sledsaga.engine.workers import Report

LONG_S = 8.0
Later = Callable[[float, Callable[[], None]], None]


@dataclass(slots=True, eq=False)
class Flying:
    """A call that somebody makes. `has_begun` says that it may have changed the machine."""

    job: Job
    report: Report
    hangs: bool
    has_begun: bool = False
    is_over: bool = False
    body: Coroutine[Any, Any, Ending] | None = None


@dataclass(slots=True, eq=False)
class Hands:
    """Makes the calls of one executor, until it is dead."""

    dice: Random
    later: Later
    trouble: Callable[[], float]
    on_start: Callable[[Flying], None]
    on_begin: Callable[[Flying], None]
    on_end: Callable[[Flying], None]
    calls: dict[int, Flying] = field(default_factory=dict)
    is_dead: bool = False

    def start(self, job: Job, report: Report) -> None:
        """Take a job; it is begun later."""
        flying = Flying(job, report, hangs=happens(self.dice, self.trouble() / 4))
        self.calls[id(job)] = flying
        self.on_start(flying)
        self.later(LONG_S if flying.hangs else self._soon(), partial(self._begin, flying))

    def go(self) -> None:
        """Wake nobody: what was started ends when the world says."""

    def cancel(self, job: Job) -> None:
        """Tell a job that it should end."""
        job.context.cancelled.set()
        flying = self.calls.get(id(job))
        if flying is None:
            return
        if flying.hangs and not flying.has_begun:
            self.later(self._soon(), partial(self._begin, flying))
        elif flying.job.function.is_async:
            self.later(self._soon(), partial(self._cancel, flying))

    def close(self) -> None:
        """Do nothing: who lives, works on."""

    def drop(self) -> None:
        """Let all calls end with their process: nothing more comes of them."""
        self.is_dead = True
        for flying in list(self.calls.values()):
            self._over(flying)

    def _soon(self) -> float:
        return self.dice.random() * 0.05

    def _begin(self, flying: Flying) -> None:
        if self.is_dead or flying.has_begun:
            return
        flying.has_begun = True
        self.on_begin(flying)
        if flying.job.function.is_async:
            flying.body = perform_async(flying.job)
            self._go_on(flying, None)
        else:
            self._end(flying, perform(flying.job))

    def _go_on(self, flying: Flying, error: BaseException | None) -> None:
        """Drive an `async def` step to its next rest, or to its end."""
        if self.is_dead or flying.body is None:
            return
        try:
            rest_s = flying.body.send(None) if error is None else flying.body.throw(error)
        except StopIteration as stop:
            flying.body = None
            self._end(flying, stop.value)
        else:
            body = flying.body
            self.later(rest_s, lambda: self._go_on(flying, None) if flying.body is body else None)

    def _cancel(self, flying: Flying) -> None:
        if self.is_dead or flying.is_over:
            return
        if not flying.has_begun:
            flying.has_begun = True
            self._end(flying, Failed("cancelled before it began"))
        elif flying.body is not None:
            self._go_on(flying, asyncio.CancelledError())

    def _end(self, flying: Flying, ending: Ending) -> None:
        if not self.is_dead:
            self.later(self._soon(), lambda: self._report(flying, ending))

    def _report(self, flying: Flying, ending: Ending) -> None:
        if not self.is_dead:
            self._over(flying)
            flying.report(ending, has_time=happens(self.dice, 0.5))

    def _over(self, flying: Flying) -> None:
        flying.is_over = True
        del self.calls[id(flying.job)]
        self.on_end(flying)
