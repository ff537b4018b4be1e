"""A saga that this executor drives: its plan, its state, its code, and the calls that are in flight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sledsaga.core import events as ev
from sledsaga.core.bind import Bound, stored_inputs
from sledsaga.core.dag import Plan
from sledsaga.core.machine import apply
from sledsaga.core.state import Call, State
from sledsaga.core.view import direction, saga_state
from sledsaga.engine.clock import SYSTEM, Clock
from sledsaga.engine.context import Context
from sledsaga.engine.perform import Hook, Job, SledFactory
from sledsaga.store.store import Append, Index, NewSaga


@dataclass(slots=True)
class Flight:
    """A call in flight: the job, why it was told to stop, if it was, and whether it has ended."""

    call: Call
    job: Job
    stopped: str | None = None
    is_over: bool = False


@dataclass(slots=True, eq=False)
class Live:
    """One saga in memory. `durable` is the last (epoch, seq) that the log has; `pending` is not in it yet.

    `wake_at` is when the executor will look at it again by itself.
    """

    id: str
    plan: Plan
    state: State
    bound: Bound | None = None
    key: str | None = None
    digest: str = ""
    is_new: bool = False
    durable: tuple[int, int] = (0, 0)
    pending: list[ev.Recorded] = field(default_factory=list)
    flights: dict[int, Flight] = field(default_factory=dict)
    wake_at: float | None = None
    clock: Clock = SYSTEM

    def record(self, events: Iterable[ev.Event], now: float | None = None) -> None:
        """Let events happen; they are in the log only after the next write."""
        at = self.clock.now() if now is None else now
        for event in events:
            epoch = self.state.epoch + isinstance(event, ev.Claimed)
            recorded = ev.Recorded(self.state.seq + 1, at, epoch, event)
            apply(self.state, recorded)
            self.pending.append(recorded)

    def index(self) -> Index:
        """Return the columns that lists show, as of now."""
        state = self.state
        return Index(saga_state(state), direction(state), state.epoch, state.seq, state.updated_at)

    def to_create(self) -> NewSaga:
        """Return what is to be written for a saga that the log does not have."""
        created_at, events = self.state.created_at, tuple(self.pending)
        return NewSaga(self.id, self.plan, self.key, self.digest, created_at, events, self.index())

    def to_append(self) -> Append:
        """Return what is to be written for a saga that the log has."""
        epoch, seq = self.durable
        return Append(self.id, epoch, seq, tuple(self.pending), self.index())

    def wrote(self) -> tuple[ev.Recorded, ...]:
        """Note that the log has all of it now; return what was new."""
        events, self.pending = tuple(self.pending), []
        self.durable, self.is_new = (self.state.epoch, self.state.seq), False
        return events

    def make_job(self, call: Call, context: Context, sled: SledFactory | None, hook: Hook | None) -> Job:
        """Return the job of a call; raises KeyError only when the machine broke its own rules."""
        if self.bound is None:
            msg = f"saga {self.id} runs without code"
            raise AssertionError(msg)
        step, outputs = self.plan.dag.steps[call.step], self.state.outputs
        values = stored_inputs(step, self.plan.scopes, outputs)
        output, has_output = outputs.get(call.step), call.step in outputs
        return Job(self.bound.steps[call.step], context, values, output, has_output, sled, hook)

    @property
    def was_submitted_here(self) -> bool:
        """Say whether all of it came from a submission to this executor, so that its key is known."""
        return bool(self.digest)

    @property
    def has_begun(self) -> bool:
        """Say whether any step was ever started."""
        return bool(self.state.attempts)

    @property
    def needs_locks(self) -> bool:
        """Say whether it must have its resources before it can go on; unwinding from nothing needs none."""
        state = self.state
        return state.has_locks and not state.locked and not state.unwinding
