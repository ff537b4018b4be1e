"""The machine: how each event changes a saga. Everything that changes a status stands in this file.

Theory of operation. A `State` is a fold of the log: `apply(state, recorded)` for each event, in order.
For each step the literal table TRANSITIONS says which event is legal in which status and where it
leads; anything else is a LogCorrupt that names event, step and status. Beside the statuses the state
keeps counters and small sets (who may start, who must be undone, what runs), so that an event costs the
degree of its step, never the size of the DAG or of the log:

- `open_needs[i]`     needs of step i that have not succeeded yet; at 0 the step joins `startable`;
- `open_children[i]`  children of step i that were started and are not released yet. A touched step with
  none of them is a leaf of what has happened; when the saga unwinds, leaves are undone first, and each
  released leaf may turn its needs into leaves: reverse dependency order, in parallel where the DAG allows.

Two decisions live here because they follow from events alone: a step that fails for good before any
pivot has started makes the saga unwind (and lifts a pause: that decision wins over all else); after a
pivot it makes the saga stuck forward. `ready` and `unwind` only read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Literal

from sledsaga.core import events as ev
from sledsaga.core.dag import Dag
from sledsaga.core.state import Call, State, Status, Times
from sledsaga.errors import LogCorrupt

S = Status
TRANSITIONS: dict[type[ev.Event], dict[Status, Status]] = {
    ev.StepStarted: {S.PENDING: S.RUNNING, S.BACKING_OFF: S.RUNNING, S.IN_DOUBT: S.RUNNING},
    ev.StepSucceeded: {S.RUNNING: S.SUCCEEDED},
    ev.StepFailed: {S.RUNNING: S.FAILED},
    ev.StepFailedClean: {S.RUNNING: S.FAILED_CLEAN},
    ev.StepDeferred: {S.RUNNING: S.BACKING_OFF},
    ev.StepRetried: {S.FAILED: S.BACKING_OFF, S.FAILED_CLEAN: S.BACKING_OFF, S.BACKING_OFF: S.BACKING_OFF},
    ev.StepSkipped: {S.FAILED: S.SKIPPED, S.FAILED_CLEAN: S.SKIPPED},
    ev.UndoStarted: {
        S.SUCCEEDED: S.UNDOING,
        S.FAILED: S.UNDOING,
        S.IN_DOUBT: S.UNDOING,
        S.BACKING_OFF: S.UNDOING,
        S.UNDO_BACKING_OFF: S.UNDOING,
        S.UNDO_IN_DOUBT: S.UNDOING,
    },
    ev.UndoSucceeded: {S.UNDOING: S.UNDONE},
    ev.UndoDeferred: {S.UNDOING: S.UNDO_BACKING_OFF},
    ev.UndoFailed: {S.UNDOING: S.UNDO_FAILED},
    ev.UndoRetried: {S.UNDO_FAILED: S.UNDO_BACKING_OFF, S.UNDO_BACKING_OFF: S.UNDO_BACKING_OFF},
    ev.UndoSkipped: {S.UNDO_FAILED: S.UNDO_SKIPPED, S.UNDO_BACKING_OFF: S.UNDO_SKIPPED},
    ev.Claimed: {S.RUNNING: S.IN_DOUBT, S.UNDOING: S.UNDO_IN_DOUBT},
}

Verdict = Literal["release", "undo", "redo", "wait", "stuck"]
UNWINDING: dict[Status, Verdict] = {
    S.RUNNING: "wait",  # let finish, then undone
    S.BACKING_OFF: "undo",
    S.IN_DOUBT: "undo",  # or "redo", when its undo needs the output
    S.SUCCEEDED: "undo",
    S.SKIPPED: "release",
    S.FAILED: "undo",
    S.FAILED_CLEAN: "release",
    S.UNDOING: "wait",
    S.UNDO_BACKING_OFF: "wait",  # for its time
    S.UNDO_IN_DOUBT: "undo",
    S.UNDONE: "release",
    S.UNDO_FAILED: "stuck",
    S.UNDO_SKIPPED: "release",
}
del S


def new_state(dag: Dag, *, has_locks: bool = False) -> State:
    """Return a saga to which nothing has happened yet."""
    needs = [len(step.needs) for step in dag.steps]
    return State(
        dag=dag,
        has_locks=has_locks,
        status=[Status.PENDING] * len(needs),
        open_needs=needs,
        open_children=[0] * len(needs),
        unfinished=len(needs),
        startable=OrderedDict.fromkeys(i for i, count in enumerate(needs) if not count),
    )


def replay(dag: Dag, log: list[ev.Recorded] | tuple[ev.Recorded, ...], *, has_locks: bool = False) -> State:
    """Fold a log; raises LogCorrupt at the first event that is illegal where it stands."""
    state = new_state(dag, has_locks=has_locks)
    for recorded in log:
        apply(state, recorded)
    return state


def apply(state: State, recorded: ev.Recorded) -> None:
    """Let one event happen; raises LogCorrupt, and leaves the state unchanged, when it is illegal."""
    _check_place(state, recorded)
    event = recorded.event
    table = TRANSITIONS.get(type(event))
    if table is not None and not isinstance(event, ev.Claimed):
        _step_event(state, event, table, recorded.at)
    else:
        _saga_event(state, recorded)
    state.seq, state.epoch, state.updated_at = recorded.seq, recorded.epoch, recorded.at
    if recorded.seq == 1:
        state.created_at = recorded.at


def _check_place(state: State, recorded: ev.Recorded) -> None:
    claims = isinstance(recorded.event, ev.Claimed)
    if recorded.seq != state.seq + 1:
        raise _illegal(recorded, f"the last event is {state.seq}")
    if recorded.epoch != state.epoch + claims:
        raise _illegal(recorded, f"epoch {recorded.epoch} after epoch {state.epoch}")
    if state.outcome is not None:
        raise _illegal(recorded, f"the saga has ended: {state.outcome}")
    if isinstance(recorded.event, ev.Submitted) != (recorded.seq == 1):
        raise _illegal(recorded, "a log begins with Submitted, once")
    if state.abandoned and not isinstance(recorded.event, ev.Ended | ev.Claimed | ev.Parked):
        raise _illegal(recorded, "the saga is abandoned")


def _illegal(recorded: ev.Recorded, why: str) -> LogCorrupt:
    return LogCorrupt(f"event {recorded.seq} ({type(recorded.event).__name__}) is illegal: {why}")


def _step_event(state: State, event: ev.Event, table: dict[Status, Status], at: float) -> None:
    step: int = event.step  # type: ignore[union-attr]  # the table has only events of steps
    if not 0 <= step < len(state.status):
        msg = f"{type(event).__name__} names step {step}; the saga has {len(state.status)}"
        raise LogCorrupt(msg)
    before = state.status[step]
    after = table.get(before)
    reason = _forbidden(state, event, step) if after else f"the step is {before}"
    if after is None or reason:
        msg = f"{type(event).__name__} of step {state.dag.steps[step].path!r} is illegal: {reason}"
        raise LogCorrupt(msg)
    _leave(state, step)
    state.status[step] = after
    _ENTER[type(event)](state, event, at, before)
    if state.unwinding:
        _settle(state, step)


def _forbidden(state: State, event: ev.Event, step: int) -> str:
    """Say what the saga as a whole has against an event that the step's status allows; empty is nothing."""
    match event:
        case ev.StepStarted() | ev.UndoStarted() if state.hold:
            return state.hold
        case ev.StepStarted() if state.unwinding:
            return "" if step in state.leaves and needs_redo(state, step) else "the saga unwinds"
        case ev.StepStarted() if state.open_needs[step]:
            return "a need has not succeeded"
        case ev.UndoStarted() if not state.unwinding:
            return "the saga does not unwind"
        case ev.UndoStarted() if step not in state.leaves:
            return "a step that depends on it is not undone yet, or it has nothing to undo"
        case ev.UndoStarted() if needs_redo(state, step):
            return "its undo needs an output, so do runs once more first"
        case ev.StepSkipped() | ev.StepRetried() if state.unwinding:
            return "the saga unwinds"
    return ""


def _leave(state: State, step: int) -> None:
    """Take a step out of every small set; entering its new status puts it where it belongs."""
    state.in_flight.pop(step, None)
    state.run.pop(step, None)
    state.startable.pop(step, None)
    state.undoable.pop(step, None)
    state.stuck.pop(step, None)
    if state.next_at.pop(step, None) is not None:
        while state.backing_off and state.next_at.get(state.backing_off[0][1]) != state.backing_off[0][0]:
            heappop(state.backing_off)


def _started(state: State, event: ev.StepStarted, at: float, before: Status) -> None:
    step = event.step
    if before is Status.PENDING:
        _touch(state, step)
    state.attempts[step] = event.attempt
    _fly(state, Call(step, "do", event.attempt, before is Status.IN_DOUBT))
    times = state.times.setdefault(step, Times())
    times.started_at = times.started_at if times.started_at is not None else at
    if state.dag.steps[step].undo == "irreversible":
        state.pivoted = True


def _touch(state: State, step: int) -> None:
    state.unreleased += 1
    state.leaves[step] = None
    for need in state.dag.steps[step].needs:
        state.open_children[need] += 1
        state.leaves.pop(need, None)


def _fly(state: State, call: Call) -> None:
    state.in_flight[call.step] = call
    state.run[call.step] = call


def _succeeded(state: State, event: ev.StepSucceeded | ev.StepSkipped, at: float, _before: Status) -> None:
    step = event.step
    state.outputs[step] = event.output
    if isinstance(event, ev.StepSucceeded):
        state.errors.pop(step, None)
    state.times[step].ended_at = at
    state.unfinished -= 1
    for child in state.dag.children[step]:
        state.open_needs[child] -= 1
        if not state.open_needs[child] and not state.unwinding:
            state.startable[child] = None


def _failed(state: State, event: ev.StepFailed | ev.StepFailedClean, at: float, _before: Status) -> None:
    state.errors[event.step] = event.error
    state.times[event.step].ended_at = at
    if state.unwinding:
        return
    if state.pivoted:
        state.stuck[event.step] = None
    else:
        _unwind(state)


def _deferred(state: State, event: ev.StepDeferred | ev.UndoDeferred, _at: float, _before: Status) -> None:
    state.errors[event.step] = event.error
    _back_off(state, event.step, event.next_at)


def _retried(state: State, event: ev.StepRetried | ev.UndoRetried, at: float, _before: Status) -> None:
    step = event.step
    counts = state.attempts if isinstance(event, ev.StepRetried) else state.undo_attempts
    state.budget_from[step] = counts[step]
    _back_off(state, step, at)


def _back_off(state: State, step: int, next_at: float) -> None:
    state.next_at[step] = next_at
    heappush(state.backing_off, (next_at, step))


def _undo_started(state: State, event: ev.UndoStarted, _at: float, before: Status) -> None:
    if event.step not in state.undo_attempts:
        state.budget_from.pop(event.step, None)
    state.undo_attempts[event.step] = event.attempt
    _fly(state, Call(event.step, "undo", event.attempt, before is Status.UNDO_IN_DOUBT))


def _undo_failed(state: State, event: ev.UndoFailed, at: float, _before: Status) -> None:
    state.errors[event.step] = event.error
    state.times[event.step].ended_at = at


def _undo_over(state: State, event: ev.UndoSucceeded | ev.UndoSkipped, at: float, _before: Status) -> None:
    state.times[event.step].ended_at = at


_ENTER: dict[type[ev.Event], Callable[..., None]] = {
    ev.StepStarted: _started,
    ev.StepSucceeded: _succeeded,
    ev.StepSkipped: _succeeded,
    ev.StepFailed: _failed,
    ev.StepFailedClean: _failed,
    ev.StepDeferred: _deferred,
    ev.StepRetried: _retried,
    ev.UndoStarted: _undo_started,
    ev.UndoSucceeded: _undo_over,
    ev.UndoDeferred: _deferred,
    ev.UndoFailed: _undo_failed,
    ev.UndoRetried: _retried,
    ev.UndoSkipped: _undo_over,
}


def _unwind(state: State) -> None:
    """Decide to unwind. This wins over a pause, and tells what can be cancelled to stop."""
    state.unwinding = True
    state.paused = False
    state.startable.clear()
    for step in list(state.run):
        if state.dag.steps[step].policy.cancellable:
            del state.run[step]
    for leaf in list(state.leaves):
        _settle(state, leaf)


def _settle(state: State, step: int) -> None:
    """While unwinding: say what a leaf waits for, release it when it is nothing, and go on above it."""
    todo = [step] if step in state.leaves else []
    while todo:
        leaf = todo.pop()
        match _verdict(state, leaf):
            case "release":
                todo += _release(state, leaf)
            case "undo" | "redo":
                _leave(state, leaf)
                state.undoable[leaf] = None
            case "stuck":
                state.stuck[leaf] = None


def _verdict(state: State, step: int) -> Verdict:
    status = state.status[step]
    verdict = UNWINDING[status]
    if verdict == "undo":
        if state.dag.steps[step].undo != "undo":
            return "release"
        if needs_redo(state, step):
            return "redo"
    return verdict


def needs_redo(state: State, step: int) -> bool:
    """Say whether an in-doubt step must run once more because its undo needs the output."""
    return state.status[step] is Status.IN_DOUBT and state.dag.steps[step].policy.undo_needs_output


def _release(state: State, step: int) -> list[int]:
    """Take a leaf away and return the needs that became leaves by it."""
    _leave(state, step)
    del state.leaves[step]
    state.unreleased -= 1
    bared = []
    for need in state.dag.steps[step].needs:
        state.open_children[need] -= 1
        if not state.open_children[need]:
            state.leaves[need] = None
            bared.append(need)
    return bared


def _saga_event(state: State, recorded: ev.Recorded) -> None:
    event = recorded.event
    reason = _untimely(state, event)
    if reason:
        raise _illegal(recorded, reason)
    match event:
        case ev.Claimed(executor):
            _claimed(state, executor)
        case ev.LocksAcquired():
            state.locked = True
        case ev.Parked(why):
            state.parked = why
        case ev.Paused():
            state.paused = True
        case ev.Resumed():
            state.paused, state.parked = False, None
        case ev.CancelRequested():
            state.cancelled = True
            _unwind(state)
        case ev.Abandoned():
            state.abandoned = True
        case ev.Ended(outcome):
            state.outcome = outcome


def _claimed(state: State, executor: str) -> None:
    """Nothing of what ran before is known to run now."""
    state.executor, state.parked = executor, None
    for step in list(state.in_flight):
        _leave(state, step)
        state.status[step] = TRANSITIONS[ev.Claimed][state.status[step]]
        if state.unwinding:
            _settle(state, step)
        else:
            state.startable[step] = None


def _untimely(state: State, event: ev.Event) -> str:
    """Say why an event of the whole saga cannot happen now; empty when it can."""
    match event:
        case ev.LocksAcquired() if state.locked or not state.has_locks:
            return "the saga waits for no lock"
        case ev.Parked() if state.in_flight:
            return "a step is running"
        case ev.Paused() if state.paused:
            return "the saga is paused"
        case ev.Resumed() if not state.paused and state.parked is None:
            return "the saga is neither paused nor parked"
        case ev.CancelRequested() if state.unwinding or state.pivoted:
            return "the saga unwinds already" if state.unwinding else "a pivot has started"
        case ev.Abandoned() if state.in_flight:
            return "a step is running"
        case ev.Ended(outcome) if outcome != due_outcome(state):
            return f"{outcome} is not how the saga stands"
    return ""


def due_outcome(state: State) -> ev.Outcome | None:
    """Return how the saga ends if it ends now, or None while something is left to do."""
    if state.abandoned:
        return "abandoned"
    if state.in_flight:
        return None
    if state.unwinding:
        return None if state.unreleased else "undone"
    return None if state.unfinished else "succeeded"
