"""All calls that run anywhere, held against the log at each start.

Rules
- A call is started only when the log says, under the very claim that it is made for, that it was.
- Of the calls of one step that run at the same time, the log takes one for valid at most.
- No executor has more calls in flight than its limits allow.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sledsaga.check.simulation.hands import Flying

if TYPE_CHECKING:
    from sledsaga.check.simulation.life import Life
    from sledsaga.check.simulation.shadow import Shadow, Told


@dataclass(slots=True, eq=False)
class Calls:
    """The calls in flight of all executors, by saga and step."""

    shadow: Shadow
    running: dict[tuple[str, str], list[Flying]] = field(default_factory=lambda: defaultdict(list))
    places: dict[str, dict[str, int]] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)

    def starts(self, life: Life, flying: Flying) -> None:
        """Judge a call that an executor starts."""
        ctx = flying.job.context
        told = self.shadow.sagas.get(ctx.saga)
        if told is None:
            self.shadow.blame(ctx.saga, f"{ctx.step} is called before its saga is in the log")
            return
        call = told.state.in_flight.get(self._place(told, ctx.step))
        due = None if call is None else (call.direction, call.attempt, told.state.epoch)
        if due != (ctx.direction, ctx.attempt, ctx.epoch):
            what = f"{ctx.direction} of {ctx.step} (attempt {ctx.attempt}, claim {ctx.epoch})"
            self.shadow.blame(ctx.saga, f"{what} is called; what the log says of it is {due}")
        self._room(life, told)

    def _place(self, told: Told, step: str) -> int:
        dag = told.plan.dag
        places = self.places.get(dag.fingerprint)
        if places is None:
            places = self.places[dag.fingerprint] = {one.path: i for i, one in enumerate(dag.steps)}
        return places[step]

    def _room(self, life: Life, told: Told) -> None:
        limits, operation = life.world.weather.limits, told.plan.dag.operation
        flying = life.hands.calls.values()
        bound = limits.per_operation.get(operation)
        mine = sum(one.job.context.operation == operation for one in flying)
        if bound is not None and mine > bound:
            life.world.blame("", f"{mine} calls of {operation} run at once; its limit is {bound}")
        if len(flying) > limits.threads + limits.async_calls:
            life.world.blame("", f"{len(flying)} calls run at once; the limits are {limits}")

    def begins(self, flying: Flying) -> None:
        """Judge a call that is made now: no other one of its step may be valid."""
        ctx = flying.job.context
        told = self.shadow.sagas[ctx.saga]
        others = self.running[ctx.saga, ctx.step]
        valid = [one for one in (*others, flying) if one.job.context.epoch == told.state.epoch]
        if len(valid) > 1:
            self.shadow.blame(ctx.saga, f"{ctx.step} runs twice at once under claim {ctx.epoch}")
        others.append(flying)
        self.made[ctx.direction] += 1

    def ends(self, flying: Flying) -> None:
        """Forget a call that is over."""
        if flying.has_begun:
            ctx = flying.job.context
            others = self.running[ctx.saga, ctx.step]
            if flying in others:
                others.remove(flying)
            if not others:
                del self.running[ctx.saga, ctx.step]
