"""What the engine asks of a log. Free to change, hence free to stay thin; no user implements it.

Rules
- `write` is one transaction: what it returned from is durable, also after power loss.
- Every append names the saga, its epoch and its last sequence number as the writer knows them. Whoever
  is out of date loses: nothing of that saga is written, and its id is returned; the others are written.
- The events are the truth. `Index` fills columns that can be rebuilt from them at any time.
- Events are never changed or removed before the saga rests.
- One writer at a time (shown by the OS lock); readers see whole transactions and block nobody.
- Any trouble of the medium (full disk, I/O error, read-only, damaged file) is LogUnavailable or LogCorrupt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from sledsaga.core.dag import Plan
from sledsaga.core.events import Recorded
from sledsaga.core.view import ENDED, Direction, SagaState

__all__ = [
    "ENDED",
    "Append",
    "Direction",
    "Filter",
    "Index",
    "LockRow",
    "NewSaga",
    "Page",
    "SagaRow",
    "SagaState",
    "Store",
]
Row = TypeVar("Row")


class Index(NamedTuple):
    """The columns of a saga that lists show: a fold of its events, kept beside them."""

    state: SagaState
    direction: Direction
    epoch: int
    seq: int
    updated_at: float


@dataclass(frozen=True, slots=True)
class NewSaga:
    """A saga to be recorded: its id (UUIDv7 text), its plan, and its first events (from seq 1).

    `digest` is over operation and params: what the key stands for.
    """

    id: str
    plan: Plan
    key: str | None
    digest: str
    created_at: float
    events: tuple[Recorded, ...]
    index: Index


@dataclass(frozen=True, slots=True)
class Append:
    """Events to be added to a saga that stands at `seq` in `epoch`, and its columns after them."""

    saga: str
    epoch: int
    seq: int
    events: tuple[Recorded, ...]
    index: Index


@dataclass(frozen=True, slots=True)
class SagaRow:
    """One saga in a list. Times are seconds since 1970, UTC."""

    id: str
    operation: str
    version: int
    key: str | None
    digest: str
    state: SagaState
    direction: Direction
    epoch: int
    seq: int
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sagas to list; None means any. `unfinished` keeps those that are not at rest for good."""

    states: frozenset[SagaState] | None = None
    operation: str | None = None
    key: str | None = None
    resource: str | None = None
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and the token that gives the next ones (None when there are no more)."""

    rows: tuple[Row, ...]
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class LockRow:
    """One resource that a saga holds (`held`) or waits for, since when, in the order of the queue."""

    resource: str
    mode: Literal["exclusive", "shared"]
    saga: str
    held: bool
    since: float


class Store(Protocol):
    """A log of sagas. Reading is safe from any thread; `write` is called from one."""

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        """Record all of it in one durable transaction; return the ids whose writer was out of date.

        A new saga whose id or key is taken raises KeyConflict, and nothing is written.
        Locks of a saga follow its events: queued when it is new, held from LocksAcquired, freed at Ended.
        Raises LogUnavailable.
        """
        ...

    def by_key(self, key: str) -> SagaRow | None:
        """Return the saga that was submitted with this key, or None."""
        ...

    def row(self, saga: str) -> SagaRow:
        """Return one saga's columns; raises NotFound."""
        ...

    def plan(self, saga: str) -> Plan:
        """Return the plan of a saga as it was stored; raises NotFound, LogCorrupt."""
        ...

    def events(self, saga: str, *, after: int = 0, limit: int | None = None) -> tuple[Recorded, ...]:
        """Return the events with a sequence number above `after`, in order, at most `limit`.

        Raises NotFound, and LogCorrupt (naming saga and place) for a gap or an event that cannot be read.
        """
        ...

    def list(self, only: Filter, *, limit: int, token: str | None = None) -> Page[SagaRow]:
        """Return sagas, newest first, page by page; the order is fixed by the token.

        Raises UsageError for a token that is none.
        """
        ...

    def unfinished(self, *, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """Return ids of sagas that are not at rest for good, ascending, above `after`."""
        ...

    def find(self, prefix: str, *, limit: int = 10) -> tuple[str, ...]:
        """Return ids that begin with the prefix, ascending."""
        ...

    def locks(self, saga: str | None = None) -> tuple[LockRow, ...]:
        """Return who holds and who waits, by resource, holders first, then in the order of the queue."""
        ...

    def close(self) -> None:
        """Let go of files and connections; a second call does nothing."""
        ...
