"""The judges themselves: each breach that they can tell is told of a state, or a log, that has it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sledsaga.check.walk.drive import Driven, shape
from sledsaga.core import events as ev
from sledsaga.core.dag import Dag, Policy
from sledsaga.core.invariants import breaches, log_breaches
from sledsaga.core.state import Call, State, Status

CHAIN = shape({"a": "", "b": "a"})


def begun(dag: Dag = CHAIN) -> State:
    saga = Driven(dag)
    saga.claim()
    return saga.state


def _turned(state: State) -> None:
    state.pivoted = state.unwinding = True


def _stranded(state: State) -> None:
    state.in_flight.clear()
    state.startable.clear()
    state.status[0] = Status.SUCCEEDED


SPOILT: dict[str, Callable[[State], object]] = {
    "b: open_needs is 0, counted 1": lambda s: s.open_needs.__setitem__(1, 0),
    "a: open_children is 1, counted 0": lambda s: s.open_children.__setitem__(0, 1),
    "unreleased is 7, counted 1": lambda s: setattr(s, "unreleased", 7),
    "unfinished is 1": lambda s: setattr(s, "unfinished", 1),
    "leaves are [], counted [0]": lambda s: s.leaves.clear(),
    "in flight are [], by status [0]": lambda s: s.in_flight.clear(),
    "a call is to run that is not in flight by the log": lambda s: s.run.update({1: Call(1, "do", 1)}),
    "waiting for their time are [1], by status []": lambda s: s.next_at.update({1: 1.0}),
    "the heap's top is not the next time": lambda s: s.backing_off.append((1.0, 1)),
    "startable are [1], counted []": lambda s: s.startable.update({1: None}),
    "a saga unwinds although a pivot has started": _turned,
    "succeeded, but a step did not": lambda s: setattr(s, "outcome", "succeeded"),
    "undone, but a step was not": lambda s: setattr(s, "outcome", "undone"),
    "ended while a call is in flight": lambda s: setattr(s, "outcome", "abandoned"),
    "stuck forward before any pivot": lambda s: s.stuck.update({0: None}),
    "at rest without an end, a pause or a question to a person": _stranded,
}


@pytest.mark.parametrize("sentence", SPOILT)
def test_a_spoilt_state_is_told(sentence: str) -> None:
    """A state in which one thing is not as it must be is told by its sentence; the real one has none."""
    state = begun()
    assert breaches(state) == ()
    SPOILT[sentence](state)
    assert sentence in breaches(state)


START: list[ev.Event] = [ev.Submitted("x"), ev.Claimed("x")]
DONE: list[ev.Event] = [ev.StepStarted(0, 1), ev.StepSucceeded(0, 1)]
CANCEL = ev.CancelRequested("x", "y")
LOGS: dict[str, list[ev.Event]] = {
    "a starts although the saga is held: unclaimed": [ev.Submitted("x"), ev.StepStarted(0, 1)],
    "a starts although the saga is held: paused": [*START, ev.Paused("x", "y"), ev.StepStarted(0, 1)],
    "a starts although the saga is held: parked": [*START, ev.Parked("?"), ev.StepStarted(0, 1)],
    "a is called while a call of it runs": [*START, ev.StepStarted(0, 1), ev.StepStarted(0, 2)],
    "a starts with attempt 2 of do, out of turn": [*START, ev.StepStarted(0, 2)],
    "a starts before its time": [
        *START,
        ev.StepStarted(0, 1),
        ev.StepDeferred(0, "no", 9.0),
        ev.StepStarted(0, 2),
    ],
    "a: a do ends that was not started": [*START, ev.StepSucceeded(0, 1)],
    "a: a undo ends that was not started": [*START, *DONE, CANCEL, ev.UndoSucceeded(0)],
    "a is done again although it has succeeded": [*START, *DONE, ev.StepStarted(0, 2)],
    "b starts before its needs have succeeded": [*START, ev.StepStarted(1, 1)],
    "b starts although the saga unwinds": [*START, *DONE, CANCEL, ev.StepStarted(1, 1)],
    "a is undone although the saga does not unwind": [*START, *DONE, ev.UndoStarted(0, 1)],
    "b is undone although it cannot have run": [*START, CANCEL, ev.UndoStarted(1, 1)],
    "a is undone before b": [
        *START,
        *DONE,
        ev.StepStarted(1, 1),
        ev.Claimed("y"),
        CANCEL,
        ev.UndoStarted(0, 1),
    ],
    "a: do is to be tried again, beyond what its policy grants": [
        *START,
        ev.StepStarted(0, 1),
        ev.StepDeferred(0, "no", 9.0),
    ],
    "a: undo is to be tried again, beyond what its policy grants": [
        *START,
        *DONE,
        CANCEL,
        ev.UndoStarted(0, 5),
        ev.UndoDeferred(0, "no", 9.0),
    ],
    "locks are taken by a saga that waits for none": [*START, ev.LocksAcquired()],
    "succeeded while a call runs": [*START, ev.StepStarted(0, 1), ev.Ended("succeeded")],
    "succeeded, but not every step did": [*START, *DONE, ev.Ended("succeeded")],
    "undone, but something may be left": [*START, *DONE, CANCEL, ev.Ended("undone")],
    "something happens after the end": [*START, CANCEL, ev.Ended("undone"), ev.Paused("x", "y")],
}


def log_of(events: list[ev.Event]) -> list[ev.Recorded]:
    return [ev.Recorded(seq, 0.0, 1, event) for seq, event in enumerate(events, start=1)]


@pytest.mark.parametrize("sentence", LOGS)
def test_a_log_that_breaks_a_rule_is_told(sentence: str) -> None:
    """A log in which a rule is broken is told by its sentence, without asking the machine."""
    assert sentence in log_breaches(CHAIN, log_of(LOGS[sentence]))


def test_the_policy_of_a_step_is_heard_too() -> None:
    """An undo of a step without one, without locks, or without the output that it needs is told."""
    none = shape({"a": ""}, undo={"a": "none"})
    assert "a is undone although it has no undo" in log_breaches(
        none, log_of([*START, *DONE, CANCEL, ev.UndoStarted(0, 1)])
    )
    needy = shape({"a": ""}, policy=Policy(undo_needs_output=True))
    doubt: list[ev.Event] = [*START, ev.StepStarted(0, 1), ev.Claimed("y"), CANCEL, ev.UndoStarted(0, 1)]
    assert "a is undone without the output that its undo needs" in log_breaches(needy, log_of(doubt))
    held = log_breaches(CHAIN, log_of([*START, ev.StepStarted(0, 1)]), has_locks=True)
    assert held == ("a starts although the saga is held: waits for locks",)


def test_a_gap_is_told() -> None:
    """An event that stands in another place than it says is told."""
    log = log_of([*START])
    assert log_breaches(CHAIN, [log[0], ev.Recorded(3, 0.0, 1, ev.Claimed("x"))]) == (
        "event 3 stands at place 2",
    )


def test_a_far_join_is_seen() -> None:
    """What stands on a step is seen through all that lies between, each step once."""
    dag = shape({"a": "", "b": "a", "c": "a", "d": "b c"}, undo={"b": "none", "c": "none"})
    events: list[ev.Event] = [
        *START,
        *DONE,
        ev.StepStarted(1, 1),
        ev.StepSucceeded(1, 1),
        ev.StepStarted(2, 1),
    ]
    events += [
        ev.StepSucceeded(2, 1),
        ev.StepStarted(3, 1),
        ev.StepSucceeded(3, 1),
        CANCEL,
        ev.UndoStarted(0, 1),
    ]
    assert log_breaches(dag, log_of(events)) == ("a is undone before d",)


def test_a_good_log_has_no_breach() -> None:
    """A saga that went well, and one that was undone, break no rule."""
    for fails in (False, True):
        saga = Driven(CHAIN)
        saga.claim()
        if fails:
            saga.say("cancel")
        saga.go()
        assert log_breaches(CHAIN, saga.log) == ()
