"""What to record next, and what must be in flight: the whole of execution, read off the state.

    Ready(record, run, wake_at, outcome)

First append `record` to the log and apply it; then have exactly `run` in flight. `ready` is
level-triggered: it never says "X finished, so start Y", it says "given this log, these must run". After
a crash nothing is in flight, so recovery is the same loop with no code of its own.

`room` bounds how many new calls are started (None: no bound); ask again when room is left. Cost is that
of what is returned, not of the DAG.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from sledsaga.core import events as ev
from sledsaga.core import unwind
from sledsaga.core.machine import due_outcome
from sledsaga.core.state import Call, State, Status


class Ready(NamedTuple):
    """What to append first (`record`), then to have in flight (`run`, by step).

    `wake_at` is when to ask again if nothing happens (seconds since 1970, UTC), or None.
    `outcome` is set when the saga has ended.
    """

    record: tuple[ev.Event, ...]
    run: Mapping[int, Call]
    wake_at: float | None
    outcome: ev.Outcome | None


def ready(state: State, now: float, room: int | None = None) -> Ready:
    """Say what to record and what must be in flight; records nothing when there is nothing to do."""
    if state.outcome is not None:
        return Ready((), {}, None, state.outcome)
    if ends := end_due(state):
        return Ready(ends, state.run, None, None)
    if held(state):
        return Ready((), state.run, None, None)
    starts = tuple(islice(_starts(state, now), room))
    return Ready(starts, state.run, wake_at(state, now), None)


def end_due(state: State) -> tuple[ev.Ended, ...]:
    """Return the end that is to be recorded, which comes once, when nothing is left to do."""
    end = None if state.outcome else due_outcome(state)
    return (ev.Ended(end),) if end is not None and (end == "abandoned" or state.parked is None) else ()


def held(state: State) -> bool:
    """Say whether nothing may be started: parked, paused, never claimed, or waiting for locks."""
    return bool(state.hold)


def wake_at(state: State, now: float) -> float | None:
    """Return when the first wait of a step is over, if that is still to come."""
    if not state.backing_off:
        return None
    first = state.backing_off[0][0]
    return first if first > now else None


def has_due(state: State, now: float) -> bool:
    """Say whether some call would be started if there were room."""
    if held(state):
        return False
    waiting = state.undoable if state.unwinding else state.startable
    return bool(waiting) or bool(state.backing_off and state.backing_off[0][0] <= now)


def _starts(state: State, now: float) -> Iterator[ev.Event]:
    if state.unwinding:
        yield from unwind.starts(state, now)
        return
    for step in state.startable:
        yield start_of(state, step)
    for step in unwind.due(state, now):
        yield start_of(state, step)


def start_of(state: State, step: int) -> ev.StepStarted:
    """Return the start of a step: a new attempt, or the same one again when it is in doubt."""
    again = state.status[step] is Status.IN_DOUBT
    return ev.StepStarted(step, state.attempts.get(step, 0) + (not again))
