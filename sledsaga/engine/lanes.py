"""Who is served next when there is room for more calls.

Sagas that have begun go before those that have not, so that what was started comes to rest; but one that
has not gets its turn after FAVOUR of them, so that a saga of thousands of steps holds up nobody for all its
time. Within each, first come, first served. A saga takes as much room as it can use, then goes to the end.
Lanes keep sagas that need threads, sagas that need the asyncio loop, and operations with limits of their
own out of each other's way; they take turns.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from sledsaga.engine.limits import Limits
from sledsaga.engine.live import Live

SHARE = 64  # calls that one saga may start in one turn of its
FAVOUR = 16  # turns in a row of sagas that have begun, while one that has not waits


@dataclass(slots=True)
class Lane:
    """Sagas that compete for the same room."""

    blocking: bool
    operation: str
    begun: dict[str, Live] = field(default_factory=dict)
    fresh: dict[str, Live] = field(default_factory=dict)
    favoured: int = 0

    def add(self, live: Live) -> None:
        """Queue a saga; one that is queued keeps its place, but for one that has begun meanwhile."""
        mine, other = (self.begun, self.fresh) if live.has_begun else (self.fresh, self.begun)
        other.pop(live.id, None)
        mine[live.id] = live

    def drop(self, live: Live) -> None:
        """Take a saga out, wherever it stands."""
        self.begun.pop(live.id, None)
        self.fresh.pop(live.id, None)

    def pop(self) -> Live | None:
        """Take the next saga out, or return None."""
        is_due = bool(self.fresh) and (not self.begun or self.favoured >= FAVOUR)
        self.favoured = 0 if is_due or not self.fresh else self.favoured + 1
        queue = self.fresh if is_due else self.begun
        return queue.pop(next(iter(queue))) if queue else None


class Lanes:
    """All lanes, and how much of each kind of room is taken."""

    def __init__(self, limits: Limits) -> None:
        """Begin with all room free."""
        self._limits = limits
        self._lanes: dict[tuple[bool, str], Lane] = {}
        self._turns: deque[Lane] = deque()
        self._taken: Counter[bool | str] = Counter()

    def add(self, live: Live) -> None:
        """Queue a saga that has something to start."""
        key = self._key(live)
        if key is None:
            return
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(*key)
            self._turns.append(lane)
        lane.add(live)

    def drop(self, live: Live) -> None:
        """Take a saga out that is not to start anything any more."""
        key = self._key(live)
        if key is not None and key in self._lanes:
            self._lanes[key].drop(live)

    def _key(self, live: Live) -> tuple[bool, str] | None:
        if live.bound is None:
            return None
        operation = live.plan.dag.operation
        return live.bound.any_blocking, operation if operation in self._limits.per_operation else ""

    def served(self) -> Iterator[tuple[Live, int]]:
        """Yield sagas with the room that each may use, until no lane has both; `take` what is used.

        Lanes take turns, also from one call to the next: with little room none may starve another.
        """
        fruitless = 0
        while fruitless < len(self._turns):
            lane = self._turns[0]
            room = self._room(lane)
            live = lane.pop() if room > 0 else None
            self._turns.rotate(-1)
            fruitless = fruitless + 1 if live is None else 0
            if live is not None:
                yield live, min(room, SHARE)

    def take(self, live: Live, calls: int) -> None:
        """Note that a saga has this many calls more in flight (or fewer: negative)."""
        if live.bound is not None:
            self._taken[live.bound.any_blocking] += calls
            self._taken[live.plan.dag.operation] += calls

    def _room(self, lane: Lane) -> int:
        limits = self._limits
        free = (limits.threads if lane.blocking else limits.async_calls) - self._taken[lane.blocking]
        if lane.operation:
            free = min(free, limits.per_operation[lane.operation] - self._taken[lane.operation])
        return free
