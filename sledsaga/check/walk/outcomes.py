"""How a call can end, and which records of that are true.

Rules
- An outcome is what the call says itself, and whether its time was over before it said so. What becomes of
  that is for the engine (`flights.judged`) and the machine (`endings.conclude`) to say; both are walked.
- Every call is walked as if it had a time limit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

from sledsaga.core import events as ev
from sledsaga.core.endings import CleanFailure, Ending, Failed, Succeeded, TransientFailure, Undone
from sledsaga.core.invariants import Judge
from sledsaga.engine.flights import TIMED_OUT

LIMIT_S: Final = 9.0  # for messages only


class Outcome(NamedTuple):
    """How a call ends: what it says itself, and why it was told to stop before that, if it was."""

    name: str
    ending: Ending
    stopped: str | None = None
    is_transient: bool = False


OUTCOMES: Final[dict[str, tuple[Outcome, ...]]] = {
    "do": (
        Outcome("succeeds", Succeeded(1)),
        Outcome("fails clean", CleanFailure("no")),
        Outcome("fails", Failed("no")),
        Outcome("fails, may be tried again", TransientFailure("no"), is_transient=True),
        Outcome("is out of time", Failed("no"), TIMED_OUT, is_transient=True),
        Outcome("succeeds when its time is over", Succeeded(1), TIMED_OUT),
        Outcome("fails clean when its time is over", CleanFailure("no"), TIMED_OUT),
    ),
    "undo": (
        Outcome("succeeds", Undone()),
        Outcome("fails", Failed("no")),
        Outcome("fails, may be tried again", TransientFailure("no"), is_transient=True),
        Outcome("is out of time", Failed("no"), TIMED_OUT, is_transient=True),
        Outcome("succeeds when its time is over", Undone(), TIMED_OUT),
    ),
}
FAILURES: Final = (ev.StepFailed, ev.StepDeferred, ev.UndoFailed, ev.UndoDeferred)
TRUE_RECORDS: Final[dict[type[Ending], tuple[type[ev.Event], ...]]] = {
    Succeeded: (ev.StepSucceeded,),
    Undone: (ev.UndoSucceeded,),
    CleanFailure: (ev.StepFailedClean, ev.StepDeferred),
    Failed: FAILURES,
    TransientFailure: FAILURES,
}


@cache
def concluded(judged: Callable[..., Ending | None], direction: str) -> tuple[tuple[Outcome, Ending], ...]:
    """Return each outcome of a call with what the engine makes of it."""
    all_of_them = (
        (how, judged(how.ending, how.stopped, limit_s=LIMIT_S if how.stopped else None))
        for how in OUTCOMES[direction]
    )
    return tuple((how, ending) for how, ending in all_of_them if ending is not None)


def is_true(how: Outcome, event: ev.Event) -> bool:
    """Say whether an event may be recorded of a call that ended so."""
    return isinstance(event, TRUE_RECORDS[type(how.ending)])


def gives_up(how: Outcome, event: ev.Event, judge: Judge) -> bool:
    """Say whether an event ends the attempts of a call that is to be tried again while its policy allows."""
    if isinstance(event, ev.UndoFailed):
        return True
    has_failed = isinstance(event, ev.StepFailed | ev.StepFailedClean)
    return has_failed and not judge.unwinding and (judge.pivoted or how.is_transient)
