"""How a call ended, and which event that is under the step's policy. Pure: the clock is an argument."""

from __future__ import annotations

from dataclasses import dataclass

from sledsaga.core import events as ev
from sledsaga.core.define import Retry
from sledsaga.core.state import Call, State

ERROR_CHARS_MAX = 4000


@dataclass(frozen=True, slots=True)
class Succeeded:
    """`do` returned this output, as JSON."""

    output: ev.Json


@dataclass(frozen=True, slots=True)
class Undone:
    """`undo` returned."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The call failed; it is not known what is left."""

    error: str


@dataclass(frozen=True, slots=True)
class CleanFailure:
    """`do` failed and left nothing."""

    error: str


@dataclass(frozen=True, slots=True)
class TransientFailure:
    """The call failed and may be tried again."""

    error: str


Ending = Succeeded | Undone | Failed | CleanFailure | TransientFailure


def conclude(state: State, call: Call, ending: Ending, now: float) -> ev.Event:
    """Return the event that a call's ending is, by direction, policy and attempts used.

    Any failure of an undo, and of a `do` after a pivot, is tried again while its policy allows: giving up
    there needs a person. Before a pivot a `do` is tried again only when it says so. A `do` is never tried
    again once the saga unwinds.
    """
    if call.direction == "undo":
        return _undo_event(state, call, ending, now)
    if isinstance(ending, Succeeded):
        return ev.StepSucceeded(call.step, ending.output)
    if isinstance(ending, Undone):
        msg = f"a do cannot end as {ending}"
        raise AssertionError(msg)  # noqa: TRY004 - a mistake of ours, not of a type that somebody gave
    if not state.unwinding and (state.pivoted or isinstance(ending, TransientFailure)):
        next_at = _next_at(state, call, state.dag.steps[call.step].policy.retry, now)
        if next_at is not None:
            return ev.StepDeferred(call.step, _cut(ending.error), next_at)
    failed = ev.StepFailedClean if isinstance(ending, CleanFailure) else ev.StepFailed
    return failed(call.step, _cut(ending.error))


def _undo_event(state: State, call: Call, ending: Ending, now: float) -> ev.Event:
    if isinstance(ending, Succeeded | Undone):
        return ev.UndoSucceeded(call.step)
    next_at = _next_at(state, call, state.dag.steps[call.step].policy.undo_retry, now)
    if next_at is None:
        return ev.UndoFailed(call.step, _cut(ending.error))
    return ev.UndoDeferred(call.step, _cut(ending.error), next_at)


def _next_at(state: State, call: Call, retry: Retry, now: float) -> float | None:
    used = call.attempt - state.budget_from.get(call.step, 0)
    return now + retry.wait_s(used) if used < retry.attempts else None


def _cut(error: str) -> str:
    return error if len(error) <= ERROR_CHARS_MAX else error[: ERROR_CHARS_MAX - 1] + "…"
