"""What can happen to a saga. Events are facts: past tense, immutable, in one gapless order per saga.

Rules
- A step is named by its index in the saga's DAG; a view turns it into its path.
- An event says what happened; what follows from it is for `machine` to say, and what to do about it
  for `ready`.
- Operators' commands are events too: who (`by`) and why (`reason`) are in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Outcome = Literal["succeeded", "undone", "abandoned"]


@dataclass(frozen=True, slots=True)
class Submitted:
    """The saga was recorded, by whom."""

    by: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """An executor took the saga over; what was running is in doubt from here on."""

    executor: str


@dataclass(frozen=True, slots=True)
class LocksAcquired:
    """All resources of the saga are its own until it rests."""


@dataclass(frozen=True, slots=True)
class Parked:
    """This executor cannot run the saga: its operation, version or a step is unknown to it."""

    why: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """`do` is about to be called. An in-doubt call that is repeated keeps its attempt number."""

    step: int
    attempt: int


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """`do` returned; this is its output."""

    step: int
    output: Json


@dataclass(frozen=True, slots=True)
class StepFailed:
    """`do` failed for good and may have left a half."""

    step: int
    error: str


@dataclass(frozen=True, slots=True)
class StepFailedClean:
    """`do` failed for good and promises that nothing is left."""

    step: int
    error: str


@dataclass(frozen=True, slots=True)
class StepDeferred:
    """`do` failed and will be tried again at `next_at` (seconds since 1970, UTC)."""

    step: int
    error: str
    next_at: float


@dataclass(frozen=True, slots=True)
class UndoStarted:
    """`undo` is about to be called."""

    step: int
    attempt: int


@dataclass(frozen=True, slots=True)
class UndoSucceeded:
    """Nothing of the step is left."""

    step: int


@dataclass(frozen=True, slots=True)
class UndoFailed:
    """`undo` failed for good: the step is stuck until a person decides."""

    step: int
    error: str


@dataclass(frozen=True, slots=True)
class UndoDeferred:
    """`undo` failed and will be tried again at `next_at` (seconds since 1970, UTC)."""

    step: int
    error: str
    next_at: float


@dataclass(frozen=True, slots=True)
class Paused:
    """What runs is let finish; nothing new is started."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """A pause, or a parking, is over."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Stop going forward, then unwind."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepRetried:
    """A person wants the failed step tried again, with a fresh budget of attempts."""

    step: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepSkipped:
    """A person vouches for the failed step and gives its output."""

    step: int
    output: Json
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class UndoRetried:
    """A person wants the stuck undo tried again, with a fresh budget of attempts."""

    step: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class UndoSkipped:
    """A person takes what the step left upon themselves; unwinding goes on above it."""

    step: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A person ends the saga as it stands; nothing more is done or undone."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The saga is at rest for good; its locks are free."""

    outcome: Outcome


Event = (
    Submitted | Claimed | LocksAcquired | Parked
    | StepStarted | StepSucceeded | StepFailed | StepFailedClean | StepDeferred
    | UndoStarted | UndoSucceeded | UndoFailed | UndoDeferred
    | Paused | Resumed | CancelRequested
    | StepRetried | StepSkipped | UndoRetried | UndoSkipped | Abandoned
    | Ended
)  # fmt: skip


CODES: Final[dict[str, type[Event]]] = {
    "submitted": Submitted,
    "claimed": Claimed,
    "locks-acquired": LocksAcquired,
    "parked": Parked,
    "step-started": StepStarted,
    "step-succeeded": StepSucceeded,
    "step-failed": StepFailed,
    "step-failed-clean": StepFailedClean,
    "step-deferred": StepDeferred,
    "undo-started": UndoStarted,
    "undo-succeeded": UndoSucceeded,
    "undo-failed": UndoFailed,
    "undo-deferred": UndoDeferred,
    "paused": Paused,
    "resumed": Resumed,
    "cancel-requested": CancelRequested,
    "step-retried": StepRetried,
    "step-skipped": StepSkipped,
    "undo-retried": UndoRetried,
    "undo-skipped": UndoSkipped,
    "abandoned": Abandoned,
    "ended": Ended,
}
_CODE_OF: Final = {event: code for code, event in CODES.items()}


def code_of(event: Event) -> str:
    """Return the one name of an event, in the log and wherever it is shown; names are durable."""
    return _CODE_OF[type(event)]


class Recorded(NamedTuple):
    """An event as it stands in the log: its place, its time (seconds since 1970, UTC) and the epoch."""

    seq: int
    at: float
    epoch: int
    event: Event
