"""A machine of the simplest kind: what is on it, which saga made it, and which claim spoke to it last.

Each step makes a thing of two parts, so there can be a half. The machine refuses a claim that is older than
one that it has heard of the same saga: that is what the epoch of a context is for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sledsaga.engine.context import Context
from sledsaga.errors import ForeignObject

HALF, WHOLE = 1, 2


@dataclass(slots=True, eq=False)
class Machine:
    """Things by saga and step, with how much of each is there."""

    things: dict[str, dict[str, int]] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)

    def admit(self, ctx: Context) -> None:
        """Hear who speaks; raises ForeignObject for a claim that is out of date."""
        if ctx.epoch < self.epochs.get(ctx.saga, 0):
            raise ForeignObject(f"claim {ctx.epoch} of saga {ctx.saga} is out of date")
        self.epochs[ctx.saga] = ctx.epoch

    def make(self, ctx: Context, parts: int) -> None:
        """Make a step's thing, or more of it than there is."""
        mine = self.things.setdefault(ctx.saga, {})
        mine[ctx.step] = max(mine.get(ctx.step, 0), parts)

    def remove(self, ctx: Context) -> None:
        """Take a step's thing away, whatever there is of it."""
        self.things.get(ctx.saga, {}).pop(ctx.step, None)

    def left(self, saga: str) -> dict[str, int]:
        """Return what there is of a saga, by step."""
        return self.things.get(saga, {})
