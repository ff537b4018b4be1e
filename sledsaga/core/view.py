"""What people and scripts see of a saga: one picture, read off the state, the same everywhere.

`SagaView.to_json` is a promise to scripts (`"v": 1`). Times are RFC 3339 in UTC there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from sledsaga.core import events as ev
from sledsaga.core.commands import Verb, allowed, allowed_for
from sledsaga.core.dag import Dag, Plan
from sledsaga.core.machine import new_state
from sledsaga.core.memo import Unhashed
from sledsaga.core.state import State, Status, Times
from sledsaga.errors import LogCorrupt

SagaState = Literal["waiting", "running", "unwinding", "paused", "stuck", "succeeded", "undone", "abandoned"]
Direction = Literal["forward", "unwinding"]
ENDED: frozenset[SagaState] = frozenset({"succeeded", "undone", "abandoned"})
LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
KEPT_STEPS = 100
"""A picture of more steps is drawn anew each time, as it would take too much room to keep."""
LEAVES_NOTHING = frozenset({Status.PENDING, Status.UNDONE, Status.FAILED_CLEAN})


@dataclass(frozen=True, slots=True)
class StepView:
    """One step: where it stands, how often it was tried, and what came of it."""

    path: str
    state: str
    needs: tuple[str, ...]
    undo: str
    attempts: int
    undo_attempts: int
    started_at: float | None
    ended_at: float | None
    next_at: float | None
    output: ev.Json
    error: str | None


@dataclass(frozen=True, slots=True)
class StuckView:
    """What needs a person: a step (None: the whole saga), which call, why, since when, and what fits."""

    step: str | None
    direction: Literal["do", "undo"] | None
    error: str
    attempts: int
    since: float | None
    allowed: tuple[Verb, ...]


@dataclass(frozen=True, slots=True)
class SagaView:
    """A whole saga at one moment of its log (`seq`). Times are seconds since 1970, UTC."""

    id: str
    operation: str
    version: int
    state: SagaState
    direction: Direction
    key: str | None
    fingerprint: str
    params: ev.Json
    created_at: float
    updated_at: float
    epoch: int
    seq: int
    executor: str | None
    steps: tuple[StepView, ...]
    stuck: tuple[StuckView, ...]
    allowed: tuple[Verb, ...]
    locks: tuple[tuple[str, str, bool], ...]
    leftovers: tuple[str, ...]

    def step(self, path: str) -> StepView:
        """Return one step's view; raises KeyError when there is no such path."""
        for one in self.steps:
            if one.path == path:
                return one
        raise KeyError(path)

    def to_json(self) -> dict[str, Any]:
        """Return the picture as JSON, version 1."""
        body: dict[str, Any] = {"v": 1, "id": self.id, "operation": self.operation, "version": self.version}
        body |= {"state": self.state, "direction": self.direction, "key": self.key}
        body |= {"created_at": rfc3339(self.created_at), "updated_at": rfc3339(self.updated_at)}
        body |= {"epoch": self.epoch, "seq": self.seq, "executor": self.executor}
        body |= {"fingerprint": self.fingerprint, "params": self.params}
        body["steps"] = [_step_to_json(step) for step in self.steps]
        body["stuck"] = [_stuck_to_json(stuck) for stuck in self.stuck]
        body["allowed"] = list(self.allowed)
        body["locks"] = [{"resource": r, "mode": mode, "held": held} for r, mode, held in self.locks]
        body["leftovers"] = list(self.leftovers)
        return body


def view(saga: str, plan: Plan, state: State, *, key: str | None = None) -> SagaView:
    """Draw the picture of a saga."""
    dag = plan.dag
    return SagaView(
        id=saga,
        operation=dag.operation,
        version=dag.version,
        state=saga_state(state),
        direction=direction(state),
        key=key,
        fingerprint=plan.fingerprint,
        params=plan.params,
        created_at=state.created_at,
        updated_at=state.updated_at,
        epoch=state.epoch,
        seq=state.seq,
        executor=state.executor,
        steps=_step_views(state, dag),
        stuck=_stuck(state, dag),
        allowed=allowed(state),
        locks=tuple((lock.resource, lock.mode, state.locked) for lock in plan.locks)
        if not state.outcome
        else (),
        leftovers=leftovers(state),
    )


def saga_state(state: State) -> SagaState:
    """Return the one word for how a saga stands."""
    if state.outcome is not None or state.abandoned:
        return state.outcome or "abandoned"
    if state.parked is not None:
        return "stuck"
    if state.paused:
        return "paused"
    if state.stuck and state.at_rest:
        return "stuck"
    if state.unwinding:
        return "unwinding"
    return (
        "running"
        if state.attempts or (state.executor and (state.locked or not state.has_locks))
        else "waiting"
    )


def direction(state: State) -> Direction:
    """Return which way a saga goes."""
    return "unwinding" if state.unwinding else "forward"


def leftovers(state: State) -> tuple[str, ...]:
    """Return the paths of steps that may have left something although the saga did not succeed."""
    if not (state.unwinding or state.abandoned) or (state.outcome is None and not state.stuck):
        return ()
    return tuple(
        step.path
        for step, status in zip(state.dag.steps, state.status, strict=True)
        if status not in LEAVES_NOTHING and step.undo != "none"
    )


def event_to_json(recorded: ev.Recorded, dag: Dag) -> dict[str, Any]:
    """Return one event as JSON: `seq, at, epoch, type, step` and what is its own; raises LogCorrupt."""
    event = recorded.event
    fields = {name: getattr(event, name) for name in type(event).__dataclass_fields__}
    step = fields.pop("step", None)
    head = {
        "seq": recorded.seq,
        "at": rfc3339(recorded.at),
        "epoch": recorded.epoch,
        "type": ev.code_of(event),
    }
    if "next_at" in fields:
        fields["next_at"] = rfc3339(fields["next_at"])
    if step is not None and not 0 <= step < len(dag.steps):
        msg = f"event {recorded.seq} ({head['type']}) names step {step}; the saga has {len(dag.steps)}"
        raise LogCorrupt(msg)
    return head | {"step": None if step is None else dag.steps[step].path} | fields


def rfc3339(at: float | None) -> str | None:
    """Return seconds since 1970 as RFC 3339 in UTC, with microseconds; None stays None.

    What is later than the year 9999, which has no form there, is shown as its last second.
    """
    if at is None:
        return None
    return (
        datetime.fromtimestamp(min(at, LATEST), UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    )


def _step_views(state: State, dag: Dag) -> tuple[StepView, ...]:
    if not state.times and len(dag.steps) <= KEPT_STEPS:
        return _untouched(dag.fingerprint, Unhashed(dag))
    return tuple(_step_view(state, dag, step) for step in range(len(dag.steps)))


@lru_cache(maxsize=256)
def _untouched(_fingerprint: str, dag: Unhashed[Dag]) -> tuple[StepView, ...]:
    """Draw the steps of a saga that has just been submitted: those of one DAG look the same each time."""
    state = new_state(dag.it)
    return tuple(_step_view(state, dag.it, step) for step in range(len(dag.it.steps)))


def _step_view(state: State, dag: Dag, index: int) -> StepView:
    step, times = dag.steps[index], state.times.get(index, Times())
    return StepView(
        path=step.path,
        state=state.status[index].value,
        needs=tuple(dag.steps[need].path for need in step.needs),
        undo=step.undo if step.undo == "undo" else f"{step.undo}: {step.why}",
        attempts=state.attempts.get(index, 0),
        undo_attempts=state.undo_attempts.get(index, 0),
        started_at=times.started_at,
        ended_at=times.ended_at,
        next_at=state.next_at.get(index),
        output=state.outputs.get(index),
        error=state.errors.get(index),
    )


def _stuck(state: State, dag: Dag) -> tuple[StuckView, ...]:
    if state.outcome is not None or state.abandoned:
        return ()
    if state.parked is not None:
        return (StuckView(None, None, state.parked, 0, state.updated_at, allowed(state)),)
    return tuple(_stuck_step(state, dag, step) for step in sorted(state.stuck))


def _stuck_step(state: State, dag: Dag, step: int) -> StuckView:
    undo = state.status[step] is Status.UNDO_FAILED
    attempts = (state.undo_attempts if undo else state.attempts)[step]
    since = state.times[step].ended_at
    error = state.errors[step]
    verbs = allowed_for(state, step)
    return StuckView(dag.steps[step].path, "undo" if undo else "do", error, attempts, since, verbs)


def _step_to_json(step: StepView) -> dict[str, Any]:
    body = {name: getattr(step, name) for name in StepView.__dataclass_fields__}
    times = {name: rfc3339(body[name]) for name in ("started_at", "ended_at", "next_at")}
    return body | times | {"needs": list(step.needs)}


def _stuck_to_json(stuck: StuckView) -> dict[str, Any]:
    body = {name: getattr(stuck, name) for name in StuckView.__dataclass_fields__}
    return body | {"since": rfc3339(stuck.since), "allowed": list(stuck.allowed)}
