"""The judge of logs hears what follows twice, out of order, or without what should have come before."""

from __future__ import annotations

import pytest

from sledsaga.check.walk.drive import shape
from sledsaga.core import events as ev
from sledsaga.core.dag import Dag, Policy
from sledsaga.core.define import Retry
from sledsaga.core.invariants import log_breaches

CHAIN = shape({"a": "", "b": "a"})
PATIENT = shape({"a": ""}, policy=Policy(retry=Retry(3), undo_retry=Retry(3)))
NEEDY = shape({"a": ""}, policy=Policy(undo_needs_output=True))
START = (ev.Submitted("x"), ev.Claimed("x"))
RUNS = ev.StepStarted(0, 1)
AGAIN = ev.Claimed("y")
CANCEL = ev.CancelRequested("x", "y")
LATER = ev.StepDeferred(0, "no", 0.0)
BEYOND = "a: do is to be tried again, beyond what its policy grants"
UNWINDS = "a starts although the saga unwinds"

HEARD: dict[str, tuple[Dag, tuple[ev.Event, ...], tuple[str, ...]]] = {
    "what was in doubt stays so at the next takeover": (
        NEEDY,
        (*START, RUNS, AGAIN, AGAIN, CANCEL, ev.UndoStarted(0, 1)),
        ("a is undone without the output that its undo needs",),
    ),
    "a needy step that is in doubt runs again": (NEEDY, (*START, RUNS, AGAIN, CANCEL, RUNS), ()),
    "a needy step that never ran does not": (NEEDY, (*START, CANCEL, RUNS), (UNWINDS,)),
    "a step in doubt that is not needy does not": (CHAIN, (*START, RUNS, AGAIN, CANCEL, RUNS), (UNWINDS,)),
    "an undo waits for its time": (
        PATIENT,
        (
            *START,
            RUNS,
            ev.StepSucceeded(0, 1),
            CANCEL,
            ev.UndoStarted(0, 1),
            ev.UndoDeferred(0, "no", 9.0),
            ev.UndoStarted(0, 2),
        ),
        ("a starts before its time",),
    ),
    "the first undo waits for no time of its do": (
        PATIENT,
        (*START, RUNS, ev.StepDeferred(0, "no", 9.0), CANCEL, ev.UndoStarted(0, 1)),
        (),
    ),
    "a fresh budget counts from what was used": (
        shape({"a": ""}, undo={"a": "irreversible"}),
        (*START, RUNS, ev.StepFailed(0, "no"), ev.StepRetried(0, "x", "y"), ev.StepStarted(0, 2), LATER),
        (BEYOND,),
    ),
    "a budget before any attempt is a whole one": (
        CHAIN,
        (*START, ev.StepRetried(0, "x", "y"), RUNS, LATER),
        (BEYOND,),
    ),
    "a call that was never started has used nothing": (
        CHAIN,
        (*START, LATER),
        ("a: a do ends that was not started",),
    ),
}


@pytest.mark.parametrize(("dag", "events", "breaches"), HEARD.values(), ids=HEARD)
def test_the_judge_hears(dag: Dag, events: tuple[ev.Event, ...], breaches: tuple[str, ...]) -> None:
    """Exactly the rules that a log breaks are told."""
    log = [ev.Recorded(seq, 0.0, 1, event) for seq, event in enumerate(events, 1)]
    assert log_breaches(dag, log) == breaches


def test_all_that_holds_a_saga_is_named() -> None:
    """A start while several things hold the saga names each of them."""
    events: tuple[ev.Event, ...] = (*START, ev.Paused("x", "y"), RUNS)
    log = [ev.Recorded(seq, 0.0, 1, event) for seq, event in enumerate(events, 1)]
    assert log_breaches(CHAIN, log, has_locks=True) == (
        "a starts although the saga is held: paused, waits for locks",
    )
