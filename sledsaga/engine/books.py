"""The books of the loop: which sagas it has in memory, which wait, and what this turn is about.

Rules
- Only the loop's thread writes to them; others may read `failure`, `stopping` and `subscribers`.
- A saga that waits for its locks stays in the log: it takes no room from those that it waits for.
- A saga that rests is let out of memory. If it holds nothing, it lets those behind it pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sledsaga.core import events as ev
from sledsaga.engine.adopt import Backlog, claim
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.clock import SYSTEM, Clock
from sledsaga.engine.flights import Flights
from sledsaga.engine.lanes import Lanes
from sledsaga.engine.limits import Limits
from sledsaga.engine.live import Live
from sledsaga.engine.locks import LockTable
from sledsaga.engine.perform import Hook
from sledsaga.engine.replies import Replies
from sledsaga.errors import SledsagaError
from sledsaga.store.store import Store

OnEvents = Callable[[str, tuple[ev.Recorded, ...]], None]
ADOPTED_MAX = 256  # sagas read from the log in one turn, so that those that run need not wait for all of them


@dataclass(slots=True, eq=False)
class Books:
    """All that a loop knows. `touched` and `new_keys` are of this turn; `waiting` are ids that want locks."""

    store: Store
    catalog: Catalog
    executor: str
    limits: Limits
    drive: bool
    flights: Flights
    hook: Hook | None
    clock: Clock = SYSTEM
    live: dict[str, Live] = field(default_factory=dict)
    touched: dict[str, Live] = field(default_factory=dict)
    new_keys: dict[str, Live] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    locks: LockTable = field(default_factory=LockTable)
    replies: Replies = field(default_factory=Replies)
    lanes: Lanes = field(init=False)
    backlog: Backlog = field(init=False)
    subscribers: tuple[OnEvents, ...] = ()
    failure: SledsagaError | None = None
    stopping: bool = False

    def __post_init__(self) -> None:
        """Begin with no saga in memory."""
        self.lanes = Lanes(self.limits)
        self.backlog = Backlog(self.store, self.step_aside, self.clock)

    def open_turn(self) -> None:
        """Begin a turn: nothing is touched yet."""
        self.touched, self.new_keys = {}, {}

    def touch(self, live: Live) -> None:
        """See to a saga in this turn."""
        self.touched[live.id] = live

    @property
    def room(self) -> int:
        """How many more sagas may be taken over."""
        return 0 if self.stopping or not self.drive else self.limits.live - len(self.live)

    def adopt_more(self) -> None:
        """Take sagas over from the log, as many as there is room for and one turn can bear."""
        if self.backlog.is_empty:
            return
        room = min(self.room, ADOPTED_MAX)
        for live in self.backlog.load(room, lambda saga: saga in self.live or saga in self.touched):
            if self.adopt(live):
                self.backlog.claimed += 1
            else:
                self.backlog.parked.append(live.id)

    def adopt(self, live: Live) -> bool:
        """Take a saga over and see to it; park it, and say no, when it cannot be run.

        One that waits for its locks is taken over when they are free.
        """
        self.locks.request(live.id, live.plan.locks, held=live.state.locked)
        self.waiting.discard(live.id)
        if live.needs_locks and not self.locks.is_free(live.id):
            self.waiting.add(live.id)
            return True
        self.touch(live)
        if not claim(live, self.catalog, self.executor):
            return False
        self.live[live.id] = live
        if live.needs_locks:
            self.locks.hold(live.id)
            live.record([ev.LocksAcquired()])
        return True

    def pass_on(self, saga: str) -> None:
        """Free the resources of a saga that has ended; whoever can have them now is taken over."""
        self.waiting.discard(saga)
        for other in self.locks.release(saga):
            if other in self.waiting and self.locks.is_free(other):
                self.waiting.discard(other)
                self.backlog.add(other)

    def step_aside(self, saga: str) -> None:
        """Let the others pass, if the saga, which is not going on by itself, only waits for its resources."""
        if not self.locks.holds(saga):
            self.pass_on(saga)

    def forget(self, live: Live) -> None:
        """Drop a saga that is not ours, with all that it was about to do."""
        self.touched.pop(live.id, None)
        self._let_out(live)

    def rest(self, live: Live) -> None:
        """Let a saga out of memory that rests, and tell whoever waits for it."""
        self._let_out(live)
        self.replies.rests(live)

    def _let_out(self, live: Live) -> None:
        self.live.pop(live.id, None)
        self.lanes.drop(live)

    def pass_point(self, point: str) -> None:
        """Pass a crash point."""
        if self.hook is not None:
            self.hook(point, None)
