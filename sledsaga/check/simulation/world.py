"""The world: one clock, one heap of what happens next, one dice. All else in it is real, or asks these three.

Rules
- The same seed gives the same run: there is no thread, no real clock and no order that is not the dice's.
- Trouble ends at some time: then the world is calm, and whatever is open must come to rest.
- The world stops at the first breach.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from sledsaga.check.simulation.calls import Calls
from sledsaga.check.simulation.ground import Ground
from sledsaga.check.simulation.life import POINTS, Life
from sledsaga.check.simulation.machine import Machine
from sledsaga.check.simulation.operations import make_operations
from sledsaga.check.simulation.shadow import Shadow
from sledsaga.check.simulation.weather import Weather, happens
from sledsaga.core.define import Operation
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.execute import Executor
from sledsaga.errors import LogUnavailable
from sledsaga.store.memory import MemoryStore
from sledsaga.store.open import open_store
from sledsaga.store.store import Store

DAWN = 1_700_000_000.0
GRACE_S = 3.0
KEPT_NOTES = 30


@dataclass(frozen=True, slots=True)
class Parts:
    """What is simulated; a broken twin stands in for it, nothing is patched."""

    executor: Callable[..., Executor] = Executor


@dataclass(slots=True, eq=False)
class World:
    """All that there is in one run."""

    dice: Random
    weather: Weather
    parts: Parts
    folder: Path
    lives_max: int
    now: float = 0.0
    skew_s: float = 0.0
    is_calm: bool = False
    is_overtaking: bool = False
    count: Counter[str] = field(default_factory=Counter)
    breaches: list[tuple[str, str]] = field(default_factory=list)
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_NOTES))
    lives: list[Life] = field(default_factory=list)
    machine: Machine = field(default_factory=Machine)
    shadow: Shadow = field(init=False)
    calls: Calls = field(init=False)
    ground: Ground | None = field(init=False)
    operations: tuple[Operation, ...] = field(init=False)
    _memory: MemoryStore = field(default_factory=MemoryStore)
    _heap: list[tuple[float, int, Callable[[], Any]]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        """Make what the others need; nobody lives yet."""
        self.shadow = Shadow(self.blame)
        self.calls = Calls(self.shadow)
        self.ground = Ground.make(self.folder) if self.weather.has_sled else None
        self.operations = (
            *make_operations(self.dice),
            *(self.ground.operations if self.ground is not None else ()),
        )

    def later(self, delay_s: float, act: Callable[[], Any]) -> None:
        """Have something happen in so many seconds."""
        heapq.heappush(self._heap, (self.now + delay_s, next(self._order), act))

    def wall(self) -> float:
        """Return the time of day, in seconds since 1970; somebody sets it now and then."""
        return DAWN + self.now + self.skew_s

    def run(self, until: Callable[[], bool], *, moves: int) -> None:
        """Let happen what is due, in order, until it is enough, nothing is left, or something is wrong."""
        while self._heap and not self.breaches and not until():
            at, _, act = heapq.heappop(self._heap)
            self.now = max(self.now, at)
            act()
            self.count["moves"] += 1
            if self.count["moves"] > moves:
                self.blame("", f"the world does not come to rest in {moves} moves")

    def blame(self, saga: str, wrong: str) -> None:
        """Note a breach, of a saga or (empty) of an executor."""
        self.breaches.append((saga, wrong))

    def note(self, text: str) -> None:
        """Keep a line for whoever looks for the way to a breach."""
        self.notes.append(f"{self.now:9.3f}  {text}")

    def trouble(self) -> float:
        """Return the chance of a mishap in a call."""
        return self.weather.step_trouble if not self.is_calm else 0.02

    def open(self) -> Store:
        """Open the log as an executor does; raises LogUnavailable."""
        return open_store(self.url) if self.weather.is_sql else self._memory

    def let_go(self, store: Store) -> None:
        """Close the log that was opened by one who is gone; the one in memory is everybody's."""
        if self.weather.is_sql:
            store.close()

    @property
    def url(self) -> str:
        """Return where the log is."""
        return f"sqlite:///{self.folder}/log.db"

    def begin_life(self) -> None:
        """Start another executor; one that cannot read the log is tried again a little later."""
        known = list(self.operations)
        if not self.is_calm and happens(self.dice, 0.1):
            known.remove(self.dice.choice(known))
        if not self.is_calm and happens(self.dice, 0.1):
            self.skew_s += self.dice.choice((-3.0, 0.5, 60.0))
        store = self.open()
        self.count["lives"] += 1
        try:
            life = Life(self, f"life-{self.count['lives']}", store, Catalog(known))
        except LogUnavailable:
            self.let_go(store)
            self.later(0.1, self.begin_life)
            return
        self.lives.append(life)
        self.note(f"{life.name} begins")
        if not self.is_calm:
            self.later(self.dice.expovariate(1 / self.weather.life_s), lambda: self._end(life))

    def overtake(self, life: Life) -> None:
        """Let another executor, if there is one, make a turn while this one is about to write."""
        others = [other for other in self.lives if other is not life and not other.is_dead]
        if others and not self.is_overtaking and happens(self.dice, 0.3):
            self.is_overtaking = True
            self.dice.choice(others).turn()
            self.is_overtaking = False

    def mourn(self, life: Life) -> None:
        """Take note of an executor that is dead; when none is left, another one is started."""
        self.note(f"{life.name} is gone")
        self.let_go(life.disk.store)
        if life in self.lives:
            self.lives.remove(life)
        self._sunset()
        if not self.lives:
            self.later(self.dice.random() * 0.3, lambda: None if self.lives else self.begin_life())

    def renew(self) -> None:
        """End all executors that know of trouble, so that the next one knows of none."""
        for life in list(self.lives):
            life.crash()

    def close(self) -> None:
        """Let go of what is open."""
        for life in self.lives:
            self.let_go(life.disk.store)
        if self.ground is not None:
            self.ground.close()

    def _sunset(self) -> None:
        if self.count["lives"] >= self.lives_max:
            self.is_calm = True

    def _end(self, life: Life) -> None:
        """Bring an executor to its end, in one of many ways."""
        if life.is_dead or self.is_calm:
            return
        if happens(self.dice, self.weather.overlap):
            self.note(f"{life.name} is believed dead")
            self.later(self.dice.expovariate(1.0), life.crash)
            self.begin_life()
        elif happens(self.dice, self.weather.orderly):
            self.note(f"{life.name} is told to stop")
            life.stop(now=happens(self.dice, 0.5))
            self.later(GRACE_S, lambda: life.stop(now=True, leave=True))
        elif happens(self.dice, 0.5):
            life.crash()
        else:
            life.armed = self.dice.choice(POINTS)
            self.note(f"{life.name} is to die at {life.armed}")
            self.later(GRACE_S, life.crash)
