"""How a call's ending becomes an event: by direction, policy, attempts used, and the way the saga goes."""

from __future__ import annotations

from typing import Any

import pytest

from sledsaga.check.walk.drive import Driven, shape
from sledsaga.core import events as ev
from sledsaga.core.dag import Policy
from sledsaga.core.define import Retry
from sledsaga.core.endings import (
    ERROR_CHARS_MAX,
    CleanFailure,
    Ending,
    Failed,
    Succeeded,
    TransientFailure,
    Undone,
    conclude,
)
from sledsaga.core.state import Call

THRICE = Retry(attempts=3, backoff_s=2.0, factor=2.0)
POLICY = Policy(retry=THRICE, undo_retry=THRICE)
DAG = shape({"p": "", "a": "", "b": ""}, policy=POLICY)
PIVOTED = shape({"p": "", "a": "", "b": ""}, undo={"p": "irreversible"}, policy=POLICY)


def saga(way: str) -> Driven:
    driven = Driven(PIVOTED if way == "pivoted" else DAG)
    driven.claim()
    if way == "unwinding":
        driven.tell(ev.StepFailed(2, "no"))
    return driven


@pytest.mark.parametrize(
    ("way", "ending", "attempt", "event"),
    [
        ("forward", Succeeded([1]), 1, ev.StepSucceeded(1, [1])),
        ("forward", Failed("no"), 1, ev.StepFailed(1, "no")),
        ("forward", CleanFailure("no"), 1, ev.StepFailedClean(1, "no")),
        ("forward", TransientFailure("no"), 1, ev.StepDeferred(1, "no", 102.0)),
        ("forward", TransientFailure("no"), 2, ev.StepDeferred(1, "no", 104.0)),
        ("forward", TransientFailure("no"), 3, ev.StepFailed(1, "no")),
        ("pivoted", Succeeded(None), 1, ev.StepSucceeded(1, None)),
        ("pivoted", Failed("no"), 1, ev.StepDeferred(1, "no", 102.0)),
        ("pivoted", Failed("no"), 3, ev.StepFailed(1, "no")),
        ("pivoted", CleanFailure("no"), 2, ev.StepDeferred(1, "no", 104.0)),
        ("pivoted", CleanFailure("no"), 3, ev.StepFailedClean(1, "no")),
        ("pivoted", TransientFailure("no"), 3, ev.StepFailed(1, "no")),
        ("unwinding", Succeeded(1), 1, ev.StepSucceeded(1, 1)),
        ("unwinding", Failed("no"), 1, ev.StepFailed(1, "no")),
        ("unwinding", CleanFailure("no"), 1, ev.StepFailedClean(1, "no")),
        ("unwinding", TransientFailure("no"), 1, ev.StepFailed(1, "no")),
    ],
)
def test_how_a_do_ends(way: str, ending: Ending, attempt: int, event: ev.Event) -> None:
    """A do is tried again when it says so, or after a pivot, as its policy allows; never when unwinding."""
    assert conclude(saga(way).state, Call(1, "do", attempt), ending, 100.0) == event


@pytest.mark.parametrize("ending", [Failed("no"), CleanFailure("no"), TransientFailure("no")])
@pytest.mark.parametrize(
    ("attempt", "event"),
    [
        (1, ev.UndoDeferred(1, "no", 102.0)),
        (2, ev.UndoDeferred(1, "no", 104.0)),
        (3, ev.UndoFailed(1, "no")),
    ],
)
def test_a_failing_undo_is_tried_again(ending: Ending, attempt: int, event: ev.Event) -> None:
    """Any failure of an undo is tried again while its policy allows, then a person is asked."""
    assert conclude(saga("unwinding").state, Call(1, "undo", attempt), ending, 100.0) == event


@pytest.mark.parametrize("ending", [Undone(), Succeeded(1)])
def test_an_undo_that_returns_is_done(ending: Ending) -> None:
    """Whatever an undo returns, the step is undone."""
    assert conclude(saga("unwinding").state, Call(1, "undo", 1), ending, 0.0) == ev.UndoSucceeded(1)


def test_a_do_cannot_end_as_undone() -> None:
    """Mixing up the directions is a mistake of ours, and is asserted."""
    with pytest.raises(AssertionError, match="a do cannot end as Undone"):
        conclude(saga("forward").state, Call(1, "do", 1), Undone(), 0.0)


def test_long_errors_are_cut() -> None:
    """An error keeps at most its first 4,000 characters, and shows that it was cut."""
    event: Any = conclude(saga("forward").state, Call(1, "do", 1), Failed("x" * 9999), 0.0)
    assert len(event.error) == ERROR_CHARS_MAX
    assert event.error.endswith("x…")


def test_a_person_gives_a_fresh_budget() -> None:
    """After a retry the policy's attempts and waits are counted anew; the attempt number goes on."""
    driven = Driven(shape({"a": ""}, undo={"a": "irreversible"}, policy=POLICY))
    driven.claim()
    for _ in range(3):
        driven.end("a", Failed("no"))
        driven.wait(99)
    assert driven.status == {"a": "failed"}
    assert driven.say("retry", "a") == [ev.StepStarted(0, 4)]
    driven.end("a", Failed("no"))
    assert driven.log[-1].event == ev.StepDeferred(0, "no", driven.now + 2.0)


def test_an_undo_has_a_budget_of_its_own() -> None:
    """What a person granted to a do does not lengthen the budget of its undo, nor shorten it."""
    driven = saga("forward")
    driven.end("a", TransientFailure("no"))
    driven.say("retry", "a")
    driven.say("cancel")
    driven.end("a", Failed("no"))
    for _ in range(3):
        driven.end("a", Failed("no"))
        driven.wait(99)
    assert driven.status["a"] == "undo_failed"
    driven.say("retry-undo", "a")
    driven.end("a", Failed("no"))
    assert driven.status["a"] == "undo_backing_off"


def test_a_crash_neither_gives_nor_takes_an_attempt() -> None:
    """A call in doubt is repeated with the same attempt number, and the time of a wait stays as it was."""
    driven = saga("forward")
    driven.end("a", TransientFailure("no"))
    assert ev.StepStarted(0, 1) in driven.claim()
    assert driven.state.next_at[1] == 2.0
    assert driven.wait(2.0) == [ev.StepStarted(1, 2)]
