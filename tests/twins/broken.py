"""Parts of the machine, of the engine's judgement and of the store's fence, each wrong in one thing.

Each wraps the real part. `blind` is the machine with its eyes shut: it lets pass what another broken part
asks for, so that the judge of logs, who does not know the machine, is put to the test as well.
"""

from __future__ import annotations

from collections.abc import Callable

from sledsaga.core import events as ev
from sledsaga.core import machine
from sledsaga.core.endings import CleanFailure, Ending, Failed, Succeeded, TransientFailure, conclude
from sledsaga.core.ready import Ready, ready
from sledsaga.core.state import Call, State, Status
from sledsaga.engine.flights import TIMED_OUT, judged

# What to record, and what to run.


def eager(state: State, now: float) -> Ready:
    wish = ready(state, now)
    if state.hold or state.unwinding or wish.record:
        return wish
    fresh = (i for i, status in enumerate(state.status) if status is Status.PENDING)
    return wish._replace(record=tuple(ev.StepStarted(i, 1) for i in fresh))


def backwards(state: State, now: float) -> Ready:
    wish = ready(state, now)
    done = [i for i, status in enumerate(state.status) if status is Status.SUCCEEDED]
    if not (state.unwinding and wish.record and done):
        return wish
    return wish._replace(record=(ev.UndoStarted(done[0], 1),))


def impatient(state: State, now: float) -> Ready:
    wish = ready(state, now)
    return wish._replace(record=(ev.Ended("undone"),)) if state.unwinding and state.undoable else wish


def lockless(state: State, now: float) -> Ready:
    if state.has_locks and not state.locked and state.executor and state.startable:
        return Ready(tuple(ev.StepStarted(i, 1) for i in state.startable), state.run, None, None)
    return ready(state, now)


def restless(state: State, now: float) -> Ready:
    paused, state.paused = state.paused, False
    wish = ready(state, now)
    state.paused = paused
    return wish


def unrecorded(state: State, now: float) -> Ready:
    wish = ready(state, now)
    early = {e.step: Call(e.step, "do", 1) for e in wish.record if isinstance(e, ev.StepStarted)}
    return wish._replace(run={**wish.run, **early})


def deaf(state: State, now: float) -> Ready:
    return ready(state, now)._replace(wake_at=None)


def hasty(state: State, now: float) -> Ready:
    return ready(state, now + 99)


def endless(state: State, now: float) -> Ready:
    wish = ready(state, now)
    return wish._replace(record=tuple(event for event in wish.record if not isinstance(event, ev.Ended)))


def restarts(state: State, now: float) -> Ready:
    wish = ready(state, now)
    return wish if state.outcome is None else wish._replace(record=(ev.StepStarted(0, 1),))


def meddler(state: State, now: float) -> Ready:
    wish = ready(state, now)
    skips = tuple(ev.UndoSkipped(step, "nobody", "it is in the way") for step in state.stuck)
    return wish._replace(record=skips) if state.unwinding and skips else wish


def twice(state: State, now: float) -> Ready:
    wish = ready(state, now)
    again = (ev.UndoStarted(c.step, c.attempt) for c in state.run.values() if c.direction == "undo")
    return wish._replace(record=wish.record or tuple(again))


def one_sided(state: State, now: float) -> Ready:
    wish = ready(state, now)
    lone = next(iter(wish.run.items()), None)
    return wish._replace(run={} if lone is None else dict([lone]))


# What an event does to a state.


def blind(state: State, recorded: ev.Recorded) -> None:
    """Take every start as legal: whatever has not succeeded, is not undone, or runs already."""
    event, needs, leaves, locked = recorded.event, state.open_needs[:], dict(state.leaves), state.locked
    if isinstance(event, ev.StepStarted):
        state.open_needs[:] = [0] * len(needs)
        state.locked = True
    if isinstance(event, ev.UndoStarted):
        state.leaves[event.step] = None
        if state.status[event.step] is Status.UNDOING:
            state.status[event.step] = Status.UNDO_IN_DOUBT
    machine.apply(state, recorded)
    if isinstance(event, ev.StepStarted):
        state.open_needs[:] = needs
        state.locked = locked
    if isinstance(event, ev.UndoStarted):
        state.leaves = leaves


def forgetful(state: State, recorded: ev.Recorded) -> None:
    machine.apply(state, recorded)
    if isinstance(recorded.event, ev.Claimed) and state.unwinding:
        state.undoable.clear()


def amnesiac(state: State, recorded: ev.Recorded) -> None:
    machine.apply(state, recorded)
    if isinstance(recorded.event, ev.Claimed):
        doubt = (i for i, status in enumerate(state.status) if status is Status.IN_DOUBT)
        for step in doubt:
            state.status[step] = Status.FAILED_CLEAN


def pivotless(state: State, recorded: ev.Recorded) -> None:
    machine.apply(state, recorded)
    state.pivoted = False


def forgets(what: str) -> Callable[[State, ev.Recorded], None]:
    """Make an apply by which a claim forgets that something is so."""

    def apply(state: State, recorded: ev.Recorded) -> None:
        machine.apply(state, recorded)
        if isinstance(recorded.event, ev.Claimed):
            setattr(state, what, False)

    return apply


def fresh_budget(state: State, recorded: ev.Recorded) -> None:
    machine.apply(state, recorded)
    if isinstance(recorded.event, ev.Claimed):
        state.budget_from.update(state.attempts)


def counts_anew(state: State, recorded: ev.Recorded) -> None:
    machine.apply(state, recorded)
    if isinstance(recorded.event, ev.Claimed):
        state.attempts.update((step, 1) for step in state.attempts)


def no_budget(state: State, recorded: ev.Recorded) -> None:
    machine.apply(state, recorded)
    if isinstance(recorded.event, ev.StepRetried):
        state.budget_from.pop(recorded.event.step)


def waits_no_more(state: State, recorded: ev.Recorded) -> None:
    machine.apply(state, recorded)
    if isinstance(recorded.event, ev.Claimed):
        state.next_at = dict.fromkeys(state.next_at, 0.0)
        state.backing_off = [(0.0, step) for step in state.next_at]


def first_failure_only(state: State, recorded: ev.Recorded) -> None:
    event = recorded.event
    if isinstance(event, ev.StepFailed) and state.unwinding:
        recorded = recorded._replace(event=ev.StepFailedClean(event.step, event.error))
    machine.apply(state, recorded)


def panics(state: State, recorded: ev.Recorded) -> None:
    if isinstance(recorded.event, ev.StepFailed) and state.unwinding:
        msg = "this cannot be"
        raise AssertionError(msg)
    machine.apply(state, recorded)


def never_clean(state: State, recorded: ev.Recorded) -> None:
    event = recorded.event
    if isinstance(event, ev.StepFailedClean):
        recorded = recorded._replace(event=ev.StepFailed(event.step, event.error))
    machine.apply(state, recorded)


def any_epoch(state: State, recorded: ev.Recorded) -> None:
    due = state.epoch + isinstance(recorded.event, ev.Claimed)
    machine.apply(state, recorded._replace(epoch=due))


# What is recorded of how a call ended.


def all_clean(state: State, call: Call, ending: Ending, now: float) -> ev.Event:
    event = conclude(state, call, ending, now)
    return ev.StepFailedClean(event.step, event.error) if isinstance(event, ev.StepFailed) else event


def tireless(state: State, call: Call, ending: Ending, now: float) -> ev.Event:
    event = conclude(state, call, ending, now)
    if isinstance(event, ev.UndoFailed):
        return ev.UndoDeferred(event.step, event.error, now + 1)
    return event


def tired(state: State, call: Call, ending: Ending, now: float) -> ev.Event:
    event = conclude(state, call, ending, now)
    return ev.StepFailed(event.step, event.error) if isinstance(event, ev.StepDeferred) else event


def tired_of_undoing(state: State, call: Call, ending: Ending, now: float) -> ev.Event:
    event = conclude(state, call, ending, now)
    return ev.UndoFailed(event.step, event.error) if isinstance(event, ev.UndoDeferred) else event


def hopeful(state: State, call: Call, ending: Ending, now: float) -> ev.Event:
    event = conclude(state, call, ending, now)
    return ev.UndoSucceeded(event.step) if isinstance(event, ev.UndoFailed) else event


def clean_when_late(ending: Ending, stopped: str | None, *, limit_s: float | None) -> Ending | None:
    ended = judged(ending, stopped, limit_s=limit_s)
    return (
        CleanFailure(ended.error) if stopped == TIMED_OUT and isinstance(ended, TransientFailure) else ended
    )


def strict_clock(ending: Ending, stopped: str | None, *, limit_s: float | None) -> Ending | None:
    late = stopped == TIMED_OUT and isinstance(ending, Succeeded)
    return Failed(stopped or "") if late else judged(ending, stopped, limit_s=limit_s)


# Who may write.


def open_fence(_at: tuple[int, int], _believed: tuple[int, int]) -> bool:
    return True


def one_behind(at: tuple[int, int], believed: tuple[int, int]) -> bool:
    return at[0] - believed[0] <= 1


def first_come(at: tuple[int, int], believed: tuple[int, int]) -> bool:
    return at == believed and at[0] <= 1
