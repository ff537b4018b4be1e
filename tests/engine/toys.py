"""Small parts for tests of the engine: params, steps that can be held, and engines that are always closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sledsaga.core.define import Lock, Operation, no_undo, operation, step
from sledsaga.core.model import Model
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.engine import Engine
from sledsaga.store.memory import MemoryStore
from sledsaga.store.store import Store

PATIENCE_S = 20.0
NOTHING = no_undo("it leaves nothing")


class Params(Model):
    name: str = "a"


@dataclass
class Gate:
    """A door that steps stand at until it is opened, and a count of those that have come to it."""

    opened: threading.Event = field(default_factory=threading.Event)
    _arrivals: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def stand(self) -> None:
        """Wait at the door, whoever calls for an end."""
        self._arrivals.release()
        assert self.opened.wait(PATIENCE_S)

    def await_arrivals(self, number: int = 1) -> None:
        """Wait until so many more have come."""
        for _ in range(number):
            assert self._arrivals.acquire(timeout=PATIENCE_S)

    @property
    def has_arrivals(self) -> bool:
        """Say whether somebody came who was not awaited."""
        return self._arrivals.acquire(blocking=False)


class Quiet:
    """A store whose writes wait until they are let, so that a turn can be filled."""

    def __init__(self) -> None:
        self._kept = MemoryStore()
        self.gate = Gate()
        self.gate.opened.set()
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)

    def write(self, new: Any, appends: Any) -> tuple[str, ...]:
        self.gate.stand()
        self.batches.append(len(new))
        return self._kept.write(new, appends)


Start = Callable[..., Engine]


def one_step(name: str, do: Callable[..., Any], *, locks: Any = (), **about: Any) -> Operation:
    """Make an operation of one step."""
    settings: dict[str, Any] = {"undo": NOTHING, "name": "only"} | about
    return operation(name, version=1, params=Params, steps=[step(do, **settings)], locks=locks)


def waiting_at(gate: Gate, name: str = "held", *, locks: tuple[Lock, ...] = ()) -> Operation:
    """Make an operation whose only step stands at the gate."""

    def only() -> None:
        gate.stand()

    return one_step(name, only, locks=locks)


def new_engine(*operations: Operation, store: Store | None = None, **about: Any) -> Engine:
    """Make an engine, over a store of its own unless one is given."""
    return Engine(store or MemoryStore(), Catalog(operations), **about)


def until(holds: Callable[[], bool]) -> None:
    """Look until it holds."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.001)


def states(engine: Engine, sagas: list[str]) -> set[str]:
    """Return the states that these sagas are in."""
    return {engine.view(saga).state for saga in sagas}
