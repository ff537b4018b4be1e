"""What a person may tell a saga, as values, and whether it fits how the saga stands.

A command becomes an event (or is refused with the verbs that would fit); it never changes a state itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from sledsaga.core import events as ev
from sledsaga.core.state import State, Status
from sledsaga.errors import NotFound, Refused, UsageError

Verb = Literal["pause", "resume", "cancel", "retry", "skip", "retry-undo", "skip-undo", "abandon"]
VERBS: tuple[Verb, ...] = get_args(Verb)
STEP_VERBS: frozenset[Verb] = frozenset({"retry", "skip", "retry-undo", "skip-undo"})
REASON_CHARS_MAX = 2000

FITTING: dict[Verb, frozenset[Status]] = {
    "retry": frozenset({Status.FAILED, Status.FAILED_CLEAN, Status.BACKING_OFF}),
    "skip": frozenset({Status.FAILED, Status.FAILED_CLEAN}),
    "retry-undo": frozenset({Status.UNDO_FAILED, Status.UNDO_BACKING_OFF}),
    "skip-undo": frozenset({Status.UNDO_FAILED, Status.UNDO_BACKING_OFF}),
}


@dataclass(frozen=True, slots=True)
class Command:
    """One decision of a person. `step` is a path; None means every step that the verb fits.

    `output` is for `skip`: what the step would have returned, as JSON.
    """

    verb: Verb
    by: str
    reason: str
    step: str | None = None
    output: ev.Json = None

    def __post_init__(self) -> None:
        """Refuse unknown verbs, missing reasons, and steps where none belongs."""
        if self.verb not in VERBS:
            msg = f"{self.verb!r} is no command; there are: {', '.join(VERBS)}"
            raise UsageError(msg)
        if not self.reason.strip() or len(self.reason) > REASON_CHARS_MAX:
            msg = f"{self.verb} needs a reason of 1 to {REASON_CHARS_MAX} characters"
            raise UsageError(msg)
        if self.step is not None and self.verb not in STEP_VERBS:
            msg = f"{self.verb} is for a whole saga, not for step {self.step!r}"
            raise UsageError(msg)
        if self.step is None and self.verb == "skip":
            msg = "skip needs a step: each step has an output of its own"
            raise UsageError(msg)


def decide(state: State, command: Command) -> tuple[ev.Event, ...]:
    """Return the events that the command is. Raises Refused (with what would fit), NotFound for a step."""
    refusal = _refusal(state, command.verb)
    if refusal:
        raise Refused(f"{command.verb} does not fit: {refusal}; {_would_fit(state)}")
    if command.verb in STEP_VERBS:
        return tuple(_step_event(command, step) for step in _steps(state, command))
    by, why = command.by, command.reason
    events: dict[Verb, ev.Event] = {
        "pause": ev.Paused(by, why),
        "resume": ev.Resumed(by, why),
        "cancel": ev.CancelRequested(by, why),
        "abandon": ev.Abandoned(by, why),
    }
    return (events[command.verb],)


def allowed(state: State) -> tuple[Verb, ...]:
    """Return the verbs that fit how the saga stands, in the order of VERBS."""
    return tuple(verb for verb in VERBS if not _refusal(state, verb))


def allowed_for(state: State, step: int) -> tuple[Verb, ...]:
    """Return the verbs that fit one step."""
    if state.outcome is not None or state.abandoned:
        return ()
    return tuple(verb for verb in FITTING if _fits(state, verb, step))


def _refusal(state: State, verb: Verb) -> str:
    """Say what speaks against a verb; empty means it fits."""
    if state.outcome is not None:
        return f"the saga has ended: {state.outcome}"
    if state.abandoned:
        return "the saga is abandoned"
    if verb in STEP_VERBS:
        return "" if next(_fitting(state, verb), None) is not None else "no step stands so"
    match verb:
        case "pause":
            return "it is paused already" if state.paused else _parked(state)
        case "resume":
            return "" if state.paused or state.parked is not None else "it is not paused"
        case "cancel" if state.unwinding:
            return "it unwinds already"
        case "cancel" if state.pivoted:
            return "a step that cannot be undone has started, so it can only go forward"
        case "cancel":
            return _parked(state)
        case _:
            return "steps are running; pause it first" if state.in_flight else ""


def _parked(state: State) -> str:
    return "" if state.parked is None else f"it is parked: {state.parked}"


def _fits(state: State, verb: Verb, step: int) -> bool:
    forward = verb in ("retry", "skip")
    return state.status[step] in FITTING[verb] and forward is not state.unwinding


def _fitting(state: State, verb: Verb) -> Iterator[int]:
    candidates: Iterable[int] = (*state.stuck, *state.next_at)
    return (step for step in candidates if _fits(state, verb, step))


def _steps(state: State, command: Command) -> tuple[int, ...]:
    if command.step is None:
        return tuple(sorted(_fitting(state, command.verb)))
    step = state.dag.index(command.step)
    if step is None:
        msg = f"the saga has no step {command.step!r}"
        raise NotFound(msg)
    if not _fits(state, command.verb, step):
        fitting = ", ".join(state.dag.steps[i].path for i in sorted(_fitting(state, command.verb)))
        stands = f"step {command.step}, which is {state.status[step]}"
        msg = f"{command.verb} does not fit {stands}; it fits: {fitting}"
        raise Refused(msg)
    return (step,)


def _step_event(command: Command, step: int) -> ev.Event:
    by, why = command.by, command.reason
    match command.verb:
        case "retry":
            return ev.StepRetried(step, by, why)
        case "skip":
            return ev.StepSkipped(step, command.output, by, why)
        case "retry-undo":
            return ev.UndoRetried(step, by, why)
        case _:
            return ev.UndoSkipped(step, by, why)


def _would_fit(state: State) -> str:
    verbs = allowed(state)
    return f"what fits now: {', '.join(verbs)}" if verbs else "nothing is left to decide"
