"""The state of a saga as data: where each step stands, and the small sets and counters kept beside it.

Only `machine` writes to a state; everybody else reads.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

from sledsaga.core import events as ev
from sledsaga.core.dag import Dag


class Status(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    RUNNING = "running"
    BACKING_OFF = "backing_off"  # failed, and will be tried again
    IN_DOUBT = "in_doubt"  # was running when its executor was lost
    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"  # a person vouched for it
    FAILED = "failed"  # may have left a half
    FAILED_CLEAN = "failed_clean"  # left nothing
    UNDOING = "undoing"
    UNDO_BACKING_OFF = "undo_backing_off"
    UNDO_IN_DOUBT = "undo_in_doubt"
    UNDONE = "undone"
    UNDO_FAILED = "undo_failed"  # stuck: a person is needed
    UNDO_SKIPPED = "undo_skipped"


class Call(NamedTuple):
    """A call that must be in flight: which step, `do` or `undo`, and its attempt (from 1).

    `in_doubt` says that an earlier call of it may have run under a lost executor.
    """

    step: int
    direction: Literal["do", "undo"]
    attempt: int
    in_doubt: bool = False


@dataclass(slots=True)
class Times:
    """When a step was first started and last ended, for people to read."""

    started_at: float | None = None
    ended_at: float | None = None


@dataclass(slots=True, eq=False)
class State:
    """A saga as its log tells it. Only `machine` writes to it; everybody else reads."""

    dag: Dag
    has_locks: bool = False
    seq: int = 0
    epoch: int = 0
    updated_at: float = 0.0
    created_at: float = 0.0
    executor: str | None = None
    locked: bool = False
    paused: bool = False
    parked: str | None = None
    unwinding: bool = False
    cancelled: bool = False
    pivoted: bool = False
    outcome: ev.Outcome | None = None
    abandoned: bool = False
    status: list[Status] = field(default_factory=list)
    open_needs: list[int] = field(default_factory=list)
    open_children: list[int] = field(default_factory=list)
    attempts: dict[int, int] = field(default_factory=dict)
    undo_attempts: dict[int, int] = field(default_factory=dict)
    budget_from: dict[int, int] = field(default_factory=dict)
    next_at: dict[int, float] = field(default_factory=dict)
    outputs: dict[int, ev.Json] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    times: dict[int, Times] = field(default_factory=dict)
    unfinished: int = 0
    unreleased: int = 0
    startable: OrderedDict[int, None] = field(default_factory=OrderedDict)
    undoable: OrderedDict[int, None] = field(default_factory=OrderedDict)
    stuck: dict[int, None] = field(default_factory=dict)
    leaves: dict[int, None] = field(default_factory=dict)
    run: dict[int, Call] = field(default_factory=dict)
    in_flight: dict[int, Call] = field(default_factory=dict)
    backing_off: list[tuple[float, int]] = field(default_factory=list)

    @property
    def at_rest(self) -> bool:
        """Nothing runs, and nothing will happen before a person or an executor does something."""
        if self.outcome or self.abandoned or self.in_flight:
            return self.outcome is not None
        if self.parked is not None:
            return True
        if not (self.unreleased if self.unwinding else self.unfinished):
            return False  # its end is due, even when it is paused
        return self.paused or not (self.next_at or self.startable or self.undoable)

    @property
    def hold(self) -> str:
        """Why nothing may be started now; empty when something may."""
        if self.parked is not None or self.paused:
            return "the saga is paused" if self.parked is None else "the saga is parked"
        if self.executor is None:
            return "no executor has claimed the saga"
        return "the saga waits for its locks" if self.has_locks and not self.locked else ""
