"""Commands: what fits how a saga stands, as a table, and what is told when it does not."""

from __future__ import annotations

from typing import Any

import pytest

from sledsaga.check.walk.drive import Driven, shape
from sledsaga.core import events as ev
from sledsaga.core.commands import VERBS, Command, allowed, allowed_for, decide
from sledsaga.core.dag import Policy
from sledsaga.core.define import Retry
from sledsaga.core.endings import CleanFailure, Failed, Succeeded, TransientFailure
from sledsaga.errors import NotFound, Refused, UsageError

ONE = Policy(undo_retry=Retry(1))
MORE = Policy(retry=Retry(2), undo_retry=Retry(2))


def waiting() -> Driven:
    return Driven(shape({"a": ""}), has_locks=True)


def running(policy: Policy = ONE, **more: Any) -> Driven:
    saga = Driven(shape({"a": "", "b": ""}, policy=policy, **more))
    saga.claim()
    return saga


def paused() -> Driven:
    saga = running()
    saga.say("pause")
    return saga


def _still() -> Driven:
    saga = Driven(shape({"a": "", "b": "a"}))
    saga.claim()
    saga.say("pause")
    saga.end("a", Succeeded(1))
    return saga


def backing_off() -> Driven:
    saga = running(MORE)
    saga.end("a", TransientFailure("no"))
    return saga


def unwinding() -> Driven:
    saga = running()
    saga.end("a", Failed("no"))
    return saga


def undo_backing_off() -> Driven:
    saga = running(MORE)
    saga.end("b", CleanFailure("no"))
    saga.end("a", Failed("no"))
    saga.end("a", Failed("no"))
    return saga


def stuck_back() -> Driven:
    saga = running()
    saga.end("b", CleanFailure("no"))
    saga.end("a", Failed("no"))
    saga.end("a", Failed("no"))
    return saga


def stuck_forward() -> Driven:
    saga = running(undo={"a": "irreversible"})
    saga.end("a", Succeeded(1))
    saga.end("b", Failed("no"))
    return saga


def pivoted() -> Driven:
    return running(undo={"a": "irreversible"})


def parked() -> Driven:
    saga = running()
    saga.tell(ev.Claimed("x"), ev.Parked("unknown version: 9"))
    return saga


def abandoned() -> Driven:
    saga = Driven(shape({"a": ""}))
    saga.tell(ev.Abandoned("x", "y"))
    return saga


def ended() -> Driven:
    saga = running()
    saga.go()
    return saga


TABLE: dict[Any, str] = {
    waiting: "pause cancel abandon",
    running: "pause cancel",
    paused: "resume cancel",
    _still: "resume cancel abandon",
    backing_off: "pause cancel retry",
    pivoted: "pause",
    unwinding: "pause",
    undo_backing_off: "pause retry-undo skip-undo abandon",
    stuck_back: "pause retry-undo skip-undo abandon",
    stuck_forward: "pause retry skip abandon",
    parked: "resume abandon",
    abandoned: "",
    ended: "",
}


@pytest.mark.parametrize("make", TABLE, ids=lambda make: make.__name__)
def test_what_is_allowed(make: Any) -> None:
    """In each situation exactly these commands fit; the others are refused, and what fits is named."""
    saga = make()
    fitting = TABLE[make].split()
    assert list(allowed(saga.state)) == fitting
    for verb in VERBS:
        command = Command(verb, "x", "y", "a" if verb == "skip" else None)
        if verb not in fitting:
            with pytest.raises(Refused, match=f"^{verb} does not fit: "):
                decide(saga.state, command)
        elif make is not stuck_forward or verb != "skip":
            assert decide(saga.state, command)


def test_a_refusal_says_what_would_fit() -> None:
    """The message names the verb, why it does not fit, and what does; after the end nothing does."""
    for make, says in (
        (running, "resume does not fit: it is not paused; what fits now: pause, cancel"),
        (ended, "resume does not fit: the saga has ended: succeeded; nothing is left to decide"),
        (parked, "resume"),
    ):
        saga = make()
        if make is parked:
            assert saga.say("resume") == [ev.StepStarted(0, 1), ev.StepStarted(1, 1)]
            continue
        with pytest.raises(Refused) as caught:
            decide(saga.state, Command("resume", "x", "y"))
        assert str(caught.value) == says


def test_a_step_that_does_not_fit_is_told_how_it_stands() -> None:
    """A command for the wrong step says how that stands and which would fit; an unknown one is not found."""
    saga = stuck_forward()
    with pytest.raises(Refused, match="retry does not fit step a, which is succeeded; it fits: b"):
        decide(saga.state, Command("retry", "x", "y", "a"))
    with pytest.raises(NotFound, match="no step 'z'"):
        decide(saga.state, Command("retry", "x", "y", "z"))
    assert (allowed_for(saga.state, 0), allowed_for(saga.state, 1)) == ((), ("retry", "skip"))
    assert allowed_for(abandoned().state, 0) == ()


def test_without_a_step_every_fitting_step_is_meant() -> None:
    """retry-undo without a step is for all stuck steps, in the order of the DAG."""
    saga = running()
    saga.tell(ev.StepFailed(1, "no"), ev.StepFailed(0, "no"))
    saga.settle()
    saga.end("b", Failed("no"))
    saga.end("a", Failed("no"))
    assert decide(saga.state, Command("retry-undo", "x", "y")) == (
        ev.UndoRetried(0, "x", "y"),
        ev.UndoRetried(1, "x", "y"),
    )
    assert decide(saga.state, Command("skip-undo", "x", "y", "b")) == (ev.UndoSkipped(1, "x", "y"),)


@pytest.mark.parametrize(
    ("verb", "more", "says"),
    [
        ("explode", {}, "'explode' is no command; there are: pause, resume"),
        ("pause", {"reason": " "}, "pause needs a reason"),
        ("pause", {"reason": "x" * 2001}, "pause needs a reason of 1 to 2000"),
        ("pause", {"step": "a"}, "pause is for a whole saga, not for step 'a'"),
        ("skip", {}, "skip needs a step"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(verb: Any, more: dict[str, Any], says: str) -> None:
    """Unknown verbs, missing reasons and misplaced steps are refused before any saga is looked at."""
    with pytest.raises(UsageError, match=says):
        Command(verb, "x", **({"reason": "y"} | more))


def test_deciding_changes_nothing() -> None:
    """A command becomes events; the state is as before until they happen."""
    saga = running()
    decide(saga.state, Command("cancel", "x", "y"))
    assert not saga.state.unwinding
