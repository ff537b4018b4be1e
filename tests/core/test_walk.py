"""The machine walked through all that can happen to small sagas, and at random through bigger ones.

Each broken twin stands in for one part of the machine with one planted mistake; the walk must notice it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sledsaga.check.drive import all_shapes, shape
from sledsaga.check.explore import REAL, Bounds, Parts, begin, explore, stroll
from sledsaga.core import events as ev
from sledsaga.core import machine
from sledsaga.core.dag import UNDO_KINDS, Dag, Policy
from sledsaga.core.define import Retry
from sledsaga.core.endings import conclude
from sledsaga.core.ready import Ready, ready
from sledsaga.core.state import Call, State, Status

RETRIES = Policy(retry=Retry(2), undo_retry=Retry(1))
PLAIN = Policy(undo_retry=Retry(1))
BIG = Bounds(crashes=1, in_batches=True)
CHAIN = {"a": "", "b": "a"}
PAIR = {"a": "", "b": ""}
WAYS = frozenset({"succeeded", "undone", "stuck"})


@pytest.mark.parametrize("needs", [needs for size in (1, 2, 3) for needs in all_shapes(size)], ids=str)
def test_every_small_dag_is_sound(needs: dict[str, str]) -> None:
    """Whatever its steps do, wherever it crashes, a saga of up to 3 steps keeps every rule and rests."""
    wide = not any(needs.values()) and len(needs) == 3
    report = explore(shape(needs, policy=PLAIN if wide else RETRIES), bounds=BIG)
    assert (report.breaches, report.transcript) == ((), ())
    assert report.ends == WAYS


@pytest.mark.parametrize(
    "needs", [{"a": "", "b": "a", "c": "a", "d": "b c"}, {"a": "", "b": "a", "c": "b", "d": "c"}]
)
def test_dags_of_four_are_sound(needs: dict[str, str]) -> None:
    """The same holds for a chain and a diamond of 4 steps."""
    assert explore(shape(needs, policy=RETRIES), bounds=BIG).breaches == ()


@pytest.mark.parametrize("needs", [{}, {"a": ""}, CHAIN, PAIR], ids=str)
def test_a_crash_may_come_between_any_two_events(needs: dict[str, str]) -> None:
    """One crash after every single event, and two crashes anywhere, break no rule."""
    assert explore(shape(needs, policy=RETRIES), bounds=Bounds(crashes=1)).breaches == ()
    assert explore(shape(needs, policy=PLAIN), bounds=Bounds(crashes=2, in_batches=True)).breaches == ()


@pytest.mark.parametrize("needs", [{"a": ""}, CHAIN, {"a": "", "b": "a", "c": "b"}, PAIR], ids=str)
def test_a_person_may_say_anything_that_is_allowed(needs: dict[str, str]) -> None:
    """Any one command that is allowed, at any moment, with one crash anywhere, breaks no rule."""
    report = explore(shape(needs, policy=PLAIN), bounds=Bounds(crashes=1, commands=1, in_batches=True))
    assert report.breaches == ()
    assert report.ends == WAYS | {"abandoned", "paused"}


def test_two_commands_may_follow_each_other() -> None:
    """Any two commands, one after the other, break no rule."""
    assert (
        explore(shape(CHAIN, policy=PLAIN), bounds=Bounds(crashes=1, commands=2, in_batches=True)).breaches
        == ()
    )
    assert explore(shape({"a": ""}, policy=RETRIES), bounds=Bounds(crashes=1, commands=3)).breaches == ()


@pytest.mark.parametrize("first", UNDO_KINDS)
@pytest.mark.parametrize("second", UNDO_KINDS)
@pytest.mark.parametrize("needs", [CHAIN, PAIR], ids=str)
def test_every_kind_of_undo_is_sound(first: Any, second: Any, needs: dict[str, str]) -> None:
    """Pivots, steps without undo and steps with one keep every rule beside each other."""
    dag = shape(needs, undo={"a": first, "b": second}, policy=PLAIN)
    report = explore(dag, bounds=Bounds(crashes=1, commands=1, in_batches=needs is PAIR))
    assert report.breaches == ()


@pytest.mark.parametrize("policy", [Policy(cancellable=True), Policy(undo_needs_output=True)])
@pytest.mark.parametrize("needs", [CHAIN, PAIR], ids=str)
def test_every_policy_is_sound(policy: Policy, needs: dict[str, str]) -> None:
    """Steps that can be cancelled and undos that need an output keep every rule."""
    dag = shape(needs, policy=replace(policy, undo_retry=Retry(1)))
    assert (
        explore(dag, bounds=Bounds(crashes=2, commands=1, verbs=("cancel",), in_batches=True)).breaches == ()
    )


def test_locks_and_parking_are_sound() -> None:
    """A saga that waits for its locks, or is parked as unknown, keeps every rule."""
    report = explore(
        shape(CHAIN, policy=PLAIN),
        has_locks=True,
        bounds=Bounds(crashes=1, commands=1, parks=1, in_batches=True),
    )
    assert report.breaches == ()
    assert report.ends == WAYS | {"abandoned", "paused", "parked"}


def test_a_walk_can_be_cut_short() -> None:
    """A walk stops above the number of states that it may see."""
    assert 20 < explore(shape(PAIR, policy=RETRIES), states_max=20).states < 40


@st.composite
def sagas(draw: st.DrawFn) -> Dag:
    """Draw a DAG of up to 9 steps with every kind of undo and policy."""
    names = "abcdefghi"[: draw(st.integers(1, 9))]
    needs = {
        name: " ".join(other for other in names[:i] if draw(st.booleans())) for i, name in enumerate(names)
    }
    policies = st.builds(
        Policy,
        st.builds(Retry, st.integers(1, 3)),
        st.builds(Retry, st.integers(1, 3)),
        cancellable=st.booleans(),
        undo_needs_output=st.booleans(),
    )
    kinds = st.sampled_from(UNDO_KINDS)
    return shape(
        {name: " ".join(_reduced(above.split(), needs)) for name, above in needs.items()},
        undo={name: draw(kinds) for name in names},
        policy={name: draw(policies) for name in names},
    )


def _reduced(direct: list[str], needs: dict[str, str]) -> list[str]:
    above: set[str] = set()
    todo = [far for near in direct for far in needs[near].split()]
    while todo:
        one = todo.pop()
        if one not in above:
            above.add(one)
            todo += needs[one].split()
    return [one for one in direct if one not in above]


@settings(max_examples=80, deadline=None)
@given(sagas(), st.booleans(), st.randoms(use_true_random=False))
def test_a_random_walk_through_a_bigger_dag_is_sound(
    dag: Dag,
    has_locks: bool,  # noqa: FBT001 - it is drawn
    chance: Any,
) -> None:
    """On any DAG, with crashes, commands and parking in any order, no rule is broken, and the saga rests."""
    world = begin(dag, has_locks=has_locks, bounds=Bounds(crashes=3, commands=6, parks=1))
    report = stroll(world, chance.randrange, moves_max=150)
    assert (report.breaches, report.transcript if report.breaches else ()) == ((), ())
    assert "on its way" not in report.ends


# The planted mistakes.


def eager(state: State, now: float) -> Ready:
    """Start steps before their needs have succeeded."""
    wish = ready(state, now)
    fresh = [
        i
        for i, s in enumerate(state.status)
        if s is Status.PENDING and not state.hold and not state.unwinding
    ]
    return replace(wish, record=wish.record or tuple(ev.StepStarted(i, 1) for i in fresh))


def blind_apply(state: State, recorded: ev.Recorded) -> None:
    """Take every start as legal, whatever has not succeeded or is not undone."""
    event, needs, leaves = recorded.event, list(state.open_needs), dict(state.leaves)
    if isinstance(event, ev.StepStarted):
        state.open_needs[:] = [0] * len(needs)
    if isinstance(event, ev.UndoStarted):
        state.leaves[event.step] = None
    machine.apply(state, recorded)
    if isinstance(event, ev.StepStarted):
        state.open_needs[:] = needs
    if isinstance(event, ev.UndoStarted):
        state.leaves = leaves


def backwards(state: State, now: float) -> Ready:
    """Undo in the order of doing."""
    wish = ready(state, now)
    if not state.unwinding or not wish.record:
        return wish
    done = [i for i, status in enumerate(state.status) if status is Status.SUCCEEDED]
    return replace(wish, record=(ev.UndoStarted(done[0], 1),)) if done else wish


def forgetful(state: State, recorded: ev.Recorded) -> None:
    """Forget, when a saga that unwinds is claimed, that a step in doubt must be undone."""
    machine.apply(state, recorded)
    if isinstance(recorded.event, ev.Claimed) and state.unwinding:
        state.undoable.clear()


def amnesiac(state: State, recorded: ev.Recorded) -> None:
    """Take what was running for never begun after a claim."""
    machine.apply(state, recorded)
    if isinstance(recorded.event, ev.Claimed):
        for step, status in enumerate(state.status):
            if status is Status.IN_DOUBT:
                state.status[step] = Status.FAILED_CLEAN


def impatient(state: State, now: float) -> Ready:
    """Free the locks, by ending the saga, while an undo is still to be done."""
    wish = ready(state, now)
    return replace(wish, record=(ev.Ended("undone"),)) if state.unwinding and state.undoable else wish


def lockless(state: State, now: float) -> Ready:
    """Start without the locks."""
    if state.has_locks and not state.locked and state.executor and state.startable:
        return Ready(tuple(ev.StepStarted(i, 1) for i in state.startable), state.run, None, None)
    return ready(state, now)


def lockless_apply(state: State, recorded: ev.Recorded) -> None:
    """Take a start without locks as legal."""
    locked = state.locked
    state.locked = state.locked or isinstance(recorded.event, ev.StepStarted)
    machine.apply(state, recorded)
    if not isinstance(recorded.event, ev.LocksAcquired):
        state.locked = locked


def pivotless(state: State, recorded: ev.Recorded) -> None:
    """Ignore that a pivot has started."""
    machine.apply(state, recorded)
    state.pivoted = False


def restless(state: State, now: float) -> Ready:
    """Start new steps during a pause."""
    paused, state.paused = state.paused, False
    wish = ready(state, now)
    state.paused = paused
    return wish


def unrecorded(state: State, now: float) -> Ready:
    """Have a call in flight before its start is in the log."""
    wish = ready(state, now)
    early = {e.step: Call(e.step, "do", 1) for e in wish.record if isinstance(e, ev.StepStarted)}
    return replace(wish, run={**wish.run, **early})


def deaf(state: State, now: float) -> Ready:
    """Never wake up for a step that waits."""
    return replace(ready(state, now), wake_at=None)


def hasty(state: State, now: float) -> Ready:
    """Do not wait for the time of the next attempt."""
    return ready(state, now + 99)


def stale(state: State, now: float) -> Ready:
    """Never end."""
    wish = ready(state, now)
    return replace(wish, record=tuple(event for event in wish.record if not isinstance(event, ev.Ended)))


TWINS: dict[str, tuple[Parts, dict[str, Any], str]] = {
    "starts before its needs": (Parts(ready=eager, apply=blind_apply), {}, "starts before its needs"),
    "starts before its needs, seen by apply": (Parts(ready=eager), {}, "a need has not succeeded"),
    "undoes in the wrong order": (Parts(ready=backwards, apply=blind_apply), {}, "is undone before b"),
    "undoes in the wrong order, seen by apply": (Parts(ready=backwards), {}, "not undone yet"),
    "forgets what is in doubt": (Parts(apply=forgetful), {}, "at rest without an end"),
    "takes doubt for nothing": (Parts(apply=amnesiac), {}, "startable are"),
    "frees locks early": (Parts(ready=impatient), {"has_locks": True}, "undone is not how the saga stands"),
    "starts without locks": (
        Parts(ready=lockless, apply=lockless_apply),
        {"has_locks": True},
        "waits for locks",
    ),
    "ignores the pivot": (Parts(apply=pivotless), {}, "does not unwind"),
    "starts during a pause": (Parts(ready=restless), {}, "at rest, but there is something to record"),
    "runs before it records": (Parts(ready=unrecorded), {}, "its start is not in the log"),
    "sleeps for ever": (Parts(ready=deaf), {}, "nothing can happen"),
    "does not wait": (Parts(ready=hasty), {}, "starts before its time"),
    "never ends": (Parts(ready=stale), {}, "nothing can happen"),
}


@pytest.mark.parametrize("name", TWINS)
def test_a_broken_twin_is_caught(name: str) -> None:
    """A machine with one planted mistake is caught, with a way to it that starts at the beginning."""
    parts, more, says = TWINS[name]
    kind = {"b": "irreversible"} if "pivot" in name else {}
    names = CHAIN | {"c": "b"} if "pivot" in name else CHAIN
    dag = shape(names, undo=kind, policy=RETRIES)  # type: ignore[arg-type]  # a drawn kind
    verbs: Any = ("pause",) if "pause" in name else ("cancel",)
    report = explore(dag, parts=parts, bounds=Bounds(1, 1, verbs), states_max=20_000, **more)
    assert any(part in " ".join(report.breaches) for part in says.split("|")), report
    assert report.transcript[0] == "claim"
    assert len(report.transcript) < 12


def test_the_real_machine_is_the_default() -> None:
    """Without other parts the real functions are walked."""
    functions: tuple[Callable[..., Any], ...] = (REAL.apply, REAL.ready, REAL.conclude)
    assert functions == (machine.apply, ready, conclude)


def test_a_stroll_notices_too() -> None:
    """A random walk of a broken twin ends at its breach."""
    dag = shape(CHAIN, policy=RETRIES)
    report = stroll(begin(dag, parts=Parts(ready=eager)), lambda _count: 0)
    assert "a need has not succeeded" in report.breaches[0]
