"""The machine: which event is legal in which status, and what of a log is refused."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import pytest

from sledsaga.check.walk.drive import Driven, shape
from sledsaga.core import events as ev
from sledsaga.core.dag import Policy
from sledsaga.core.define import Retry
from sledsaga.core.endings import CleanFailure, Failed, Succeeded, TransientFailure, Undone
from sledsaga.core.machine import TRANSITIONS, UNWINDING, apply, replay
from sledsaga.core.state import State, Status
from sledsaga.errors import LogCorrupt

TWICE = Policy(retry=Retry(3), undo_retry=Retry(2))
ONCE = Policy(undo_retry=Retry(1))
STEP_EVENTS: dict[type[ev.Event], ev.Event] = {
    ev.StepStarted: ev.StepStarted(1, 1),
    ev.StepSucceeded: ev.StepSucceeded(1, None),
    ev.StepFailed: ev.StepFailed(1, "no"),
    ev.StepFailedClean: ev.StepFailedClean(1, "no"),
    ev.StepDeferred: ev.StepDeferred(1, "no", 9.0),
    ev.UndoStarted: ev.UndoStarted(1, 1),
    ev.UndoSucceeded: ev.UndoSucceeded(1),
    ev.UndoFailed: ev.UndoFailed(1, "no"),
    ev.UndoDeferred: ev.UndoDeferred(1, "no", 9.0),
    ev.StepRetried: ev.StepRetried(1, "x", "y"),
    ev.StepSkipped: ev.StepSkipped(1, None, "x", "y"),
    ev.UndoRetried: ev.UndoRetried(1, "x", "y"),
    ev.UndoSkipped: ev.UndoSkipped(1, "x", "y"),
}


def pivoted() -> Driven:
    """Return a saga whose first step is a pivot that has succeeded; its second step runs."""
    saga = Driven(shape({"a": "", "b": "a"}, undo={"a": "irreversible"}, policy=TWICE))
    saga.claim()
    saga.end("a", Succeeded(1))
    return saga


def unwinding(*, policy: Policy = TWICE) -> Driven:
    """Return a saga whose second step has succeeded and is next to be undone, for a third one failed."""
    saga = Driven(shape({"a": "", "b": "a", "c": "b"}, policy=policy))
    saga.claim()
    saga.end("a", Succeeded(1))
    saga.end("b", Succeeded(1))
    saga.tell(ev.StepFailedClean(2, "no"))
    return saga


def at(status: Status) -> Driven:
    """Return a saga whose step 1 stands so."""
    match status:
        case Status.PENDING:
            saga = Driven(shape({"a": "", "b": "a"}, undo={"a": "irreversible"}))
            saga.claim()
            saga.tell(ev.StepSucceeded(0, 1))
        case (
            Status.RUNNING
            | Status.BACKING_OFF
            | Status.IN_DOUBT
            | Status.FAILED
            | Status.FAILED_CLEAN
            | Status.SKIPPED
        ):
            saga = pivoted()
            _forward_to(saga, status)
        case _:
            saga = unwinding(policy=ONCE if status in (Status.UNDO_FAILED, Status.UNDO_SKIPPED) else TWICE)
            _back_to(saga, status)
    assert saga.state.status[1] is status
    return saga


def _forward_to(saga: Driven, status: Status) -> None:
    match status:
        case Status.BACKING_OFF:
            saga.end("b", TransientFailure("no"))
        case Status.IN_DOUBT:
            saga.tell(ev.Claimed("other"))
        case Status.FAILED | Status.SKIPPED:
            saga.tell(ev.StepFailed(1, "no"))
        case Status.FAILED_CLEAN:
            saga.tell(ev.StepFailedClean(1, "no"))
    if status is Status.SKIPPED:
        saga.tell(STEP_EVENTS[ev.StepSkipped])


def _back_to(saga: Driven, status: Status) -> None:
    if status is Status.SUCCEEDED:
        return
    saga.settle()
    match status:
        case Status.UNDO_BACKING_OFF | Status.UNDO_FAILED | Status.UNDO_SKIPPED:
            saga.end("b", Failed("no"))
        case Status.UNDO_IN_DOUBT:
            saga.tell(ev.Claimed("other"))
        case Status.UNDONE:
            saga.end("b", Undone())
    if status is Status.UNDO_SKIPPED:
        saga.tell(STEP_EVENTS[ev.UndoSkipped])


PAIRS = [(kind, status) for kind in STEP_EVENTS for status in Status]
LEGAL = [(kind, status) for kind, table in TRANSITIONS.items() for status in table if kind in STEP_EVENTS]
# These need a saga that unwinds at once, and have a test of their own below.
UNREACHED = {(ev.UndoStarted, s) for s in (Status.FAILED, Status.IN_DOUBT, Status.BACKING_OFF)}


@pytest.mark.parametrize(("kind", "status"), [pair for pair in LEGAL if pair not in UNREACHED])
def test_a_legal_event_leads_where_the_table_says(kind: type[ev.Event], status: Status) -> None:
    """An event that is legal in a status leads to the status that TRANSITIONS names."""
    saga = at(status)
    saga.tell(STEP_EVENTS[kind])
    assert saga.state.status[1] is TRANSITIONS[kind][status]


@pytest.mark.parametrize(("kind", "status"), [pair for pair in PAIRS if pair not in LEGAL])
def test_an_illegal_event_is_refused(kind: type[ev.Event], status: Status) -> None:
    """Any other event is LogCorrupt, names event, step and status, and changes nothing."""
    saga = at(status)
    before = picture(saga.state)
    with pytest.raises(LogCorrupt, match=f"{kind.__name__} of step 'b' is illegal: the step is {status}"):
        saga.tell(STEP_EVENTS[kind])
    assert picture(saga.state) == before


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (ev.StepFailed(1, "no"), Status.FAILED),
        (ev.StepDeferred(1, "no", 9.0), Status.BACKING_OFF),
        (ev.Claimed("other"), Status.IN_DOUBT),
    ],
)
def test_what_may_have_left_a_half_may_be_undone(event: ev.Event, status: Status) -> None:
    """A step that failed, waits for another try or is in doubt is undone when the saga unwinds."""
    saga = Driven(shape({"a": "", "b": ""}, policy=TWICE))
    saga.claim()
    saga.tell(event)
    assert saga.state.status[1] is status
    if not saga.state.unwinding:
        saga.tell(ev.CancelRequested("x", "y"))
    saga.tell(STEP_EVENTS[ev.UndoStarted])
    assert saga.state.status[1] is Status.UNDOING


def picture(state: State) -> dict[str, Any]:
    return dataclasses.asdict(state)


def test_the_tables_know_every_event_and_status() -> None:
    """Every event of a step has its row; every status but pending has its verdict when the saga unwinds."""
    with_step = {kind for kind in get_args(ev.Event) if "step" in kind.__dataclass_fields__}
    assert with_step == set(STEP_EVENTS) == set(TRANSITIONS) - {ev.Claimed}
    assert set(UNWINDING) == set(Status) - {Status.PENDING}


def refused(saga: Driven, event: ev.Event, why: str) -> None:
    before = picture(saga.state)
    with pytest.raises(LogCorrupt, match=why):
        saga.tell(event)
    assert picture(saga.state) == before


def fresh(**more: Any) -> Driven:
    return Driven(shape({"a": "", "b": "a"}, policy=TWICE), **more)


def test_the_place_of_an_event_is_checked() -> None:
    """An event whose number, epoch or first place is wrong is refused."""
    saga = fresh()
    for seq, epoch, event, why in (
        (3, 0, ev.Paused("x", "y"), "the last event is 1"),
        (2, 1, ev.Paused("x", "y"), "epoch 1 after epoch 0"),
        (2, 0, ev.Claimed("x"), "epoch 0 after epoch 0"),
        (2, 0, ev.Submitted("x"), "a log begins with Submitted, once"),
    ):
        with pytest.raises(LogCorrupt, match=why):
            apply(saga.state, ev.Recorded(seq, 0.0, epoch, event))
    with pytest.raises(LogCorrupt, match="begins with Submitted"):
        replay(saga.dag, [ev.Recorded(1, 0.0, 1, ev.Claimed("x"))])


def test_a_step_that_is_not_there_is_refused() -> None:
    """An event of a step beyond the DAG is refused."""
    saga = fresh()
    refused(saga, ev.StepStarted(2, 1), "names step 2; the saga has 2")
    refused(saga, ev.StepStarted(-1, 1), "names step -1")


def test_starts_are_refused_while_the_saga_is_held() -> None:
    """No start is legal before a claim, before the locks, while paused, or while parked."""
    start = ev.StepStarted(0, 1)
    saga = fresh(has_locks=True)
    refused(saga, start, "no executor has claimed the saga")
    saga.tell(ev.Claimed("x"))
    refused(saga, start, "waits for its locks")
    saga.tell(ev.LocksAcquired(), ev.Paused("x", "y"))
    refused(saga, start, "the saga is paused")
    saga.tell(ev.Resumed("x", "y"), ev.Parked("unknown"))
    refused(saga, start, "the saga is parked")
    saga.tell(ev.Resumed("x", "y"), start)


def test_starts_are_refused_against_the_order() -> None:
    """A do before its needs, a do while unwinding, and an undo of what others stand on are refused."""
    saga = fresh()
    saga.claim()
    refused(saga, ev.StepStarted(1, 1), "a need has not succeeded")
    refused(unwinding(), ev.UndoStarted(0, 1), "not undone yet")
    saga.end("a", Succeeded(1))
    refused(saga, ev.UndoStarted(0, 1), "does not unwind")
    saga.tell(ev.Claimed("x"), ev.CancelRequested("x", "y"))
    refused(saga, ev.StepStarted(1, 1), "the saga unwinds")


def test_what_has_no_undo_is_never_undone() -> None:
    """An undo of a step that has none is refused, whatever may stand in a log."""
    saga = Driven(shape({"a": "", "b": ""}, undo={"a": "none"}))
    saga.claim()
    saga.end("a", Succeeded(1))
    saga.tell(ev.CancelRequested("x", "y"))
    refused(saga, ev.UndoStarted(0, 1), "has nothing to undo")


def test_an_undo_that_needs_an_output_waits_for_it() -> None:
    """An in-doubt step whose undo needs the output must be done once more before."""
    saga = Driven(shape({"a": ""}, policy=Policy(undo_needs_output=True)))
    saga.claim()
    saga.tell(ev.Claimed("other"), ev.CancelRequested("x", "y"))
    refused(saga, ev.UndoStarted(0, 1), "do runs once more first")
    saga.tell(ev.StepStarted(0, 1), ev.StepSucceeded(0, 1), ev.UndoStarted(0, 1))


def test_retry_and_skip_of_a_do_are_refused_while_unwinding() -> None:
    """A person cannot take a failed step forward again once the saga unwinds."""
    saga = Driven(shape({"a": "", "b": ""}))
    saga.claim()
    saga.tell(ev.StepFailed(0, "no"))
    refused(saga, ev.StepRetried(0, "x", "y"), "the saga unwinds")
    refused(saga, ev.StepSkipped(0, 1, "x", "y"), "the saga unwinds")


@pytest.mark.parametrize(
    ("saga", "event", "why"),
    [
        (fresh, ev.LocksAcquired(), "waits for no lock"),
        (fresh, ev.Resumed("x", "y"), "neither paused nor parked"),
        (fresh, ev.Ended("succeeded"), "succeeded is not how the saga stands"),
        (fresh, ev.Ended("undone"), "undone is not how"),
        (pivoted, ev.CancelRequested("x", "y"), "a pivot has started"),
        (unwinding, ev.CancelRequested("x", "y"), "unwinds already"),
        (pivoted, ev.Abandoned("x", "y"), "a step is running"),
        (pivoted, ev.Parked("?"), "a step is running"),
        (pivoted, ev.Ended("abandoned"), "abandoned is not how"),
    ],
)
def test_an_untimely_event_is_refused(saga: Any, event: ev.Event, why: str) -> None:
    """An event of the whole saga is refused when it does not fit how the saga stands."""
    refused(saga(), event, why)


def test_a_saga_is_not_paused_twice() -> None:
    """A pause of a paused saga is refused."""
    saga = fresh()
    saga.tell(ev.Paused("x", "y"))
    refused(saga, ev.Paused("x", "y"), "the saga is paused")


def test_nothing_happens_after_the_end() -> None:
    """After Ended every event is refused; after Abandoned all but the end, and a claim on the way to it."""
    saga = fresh()
    saga.tell(ev.Abandoned("x", "y"))
    refused(saga, ev.CancelRequested("x", "y"), "the saga is abandoned")
    assert not saga.state.at_rest
    saga.claim()
    assert saga.state.outcome == "abandoned"
    refused(saga, ev.Claimed("x"), "the saga has ended: abandoned")


def test_a_log_replays_to_the_same_state() -> None:
    """The state is a fold of the log: replayed, it is equal in everything."""
    saga = unwinding()
    saga.go({"undo b": Failed("no")})
    saga.wait(99)
    saga.go()
    assert saga.state.outcome == "undone"
    assert picture(replay(saga.dag, saga.log)) == picture(saga.state)


def test_stale_waits_never_start_anything() -> None:
    """A step whose wait a person cut short is not started again when the wait would have ended."""
    saga = Driven(shape({"a": "", "b": ""}, policy=Policy(retry=Retry(9, backoff_s=10, factor=1))))
    saga.claim()
    saga.end("a", TransientFailure("no"))
    saga.wait(1)
    saga.end("b", TransientFailure("no"))
    assert saga.say("retry", "b") == [ev.StepStarted(1, 2)]
    assert saga.wait(9) == [ev.StepStarted(0, 2)]
    saga.end("b", TransientFailure("no"))
    assert saga.wait(1) == []
    assert saga.wait(9) == [ev.StepStarted(1, 3)]


def test_clean_failures_leave_nothing_to_wait_for() -> None:
    """A saga whose only step failed clean is undone at once."""
    saga = Driven(shape({"a": ""}))
    saga.claim()
    assert saga.end("a", CleanFailure("no")) == [ev.Ended("undone")]
