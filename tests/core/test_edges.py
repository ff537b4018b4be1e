"""Edges of the core that people meet rarely: defaults, bounds, ties and empty ends."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from heapq import heappush
from typing import Any
from uuid import UUID

import pytest

from sledsaga.check.walk.drive import Driven, shape
from sledsaga.core import events as ev
from sledsaga.core.commands import Command, Verb, allowed_for, decide
from sledsaga.core.dag import DagStep, FromParams, Known, Plan, Policy, dag_from_json, dag_to_json, make_dag
from sledsaga.core.define import (
    ONCE,
    UNDO_RETRY,
    Lock,
    Operation,
    Retry,
    Step,
    exclusive,
    nest,
    no_undo,
    operation,
    output_of,
    shared,
    step,
)
from sledsaga.core.endings import ERROR_CHARS_MAX, Failed, Succeeded, conclude
from sledsaga.core.expand import expand
from sledsaga.core.machine import new_state, replay
from sledsaga.core.model import Model
from sledsaga.core.plan import PARAMS_BYTES_MAX, check_params, plan
from sledsaga.core.ready import Ready, has_due, ready
from sledsaga.core.unwind import due
from sledsaga.core.view import StuckView, saga_state, view
from sledsaga.errors import InvalidPlan, TooLarge

CHAIN = shape({"a": "", "b": "a"})
PIVOT = shape({"a": "", "b": "a"}, undo={"a": "irreversible"})
NO = no_undo("it looks")


def claimed(dag: Any = CHAIN, *, has_locks: bool = False) -> Driven:
    saga = Driven(dag, has_locks=has_locks)
    saga.tell(ev.Claimed("x"))
    return saga


def told(saga: Driven, *events: ev.Event) -> Driven:
    saga.tell(*events)
    return saga


def test_a_parked_saga_does_not_end_by_itself() -> None:
    """An end that is due waits while the saga is parked, except that of an abandoned one."""
    saga = told(claimed(shape({"a": ""})), ev.StepStarted(0, 1), ev.StepSucceeded(0, 1), ev.Parked("?"))
    assert ready(saga.state, 0.0) == Ready((), {}, None, None)
    saga.tell(ev.Abandoned("x", "y"))
    assert ready(saga.state, 0.0) == Ready((ev.Ended("abandoned"),), {}, None, None)


@pytest.mark.parametrize("holds", [(ev.Paused("x", "y"),), ()])
def test_what_is_ready_is_whole(holds: tuple[ev.Event, ...]) -> None:
    """Whatever is recorded, what runs goes on running, and nothing is None that can be empty."""
    saga = told(claimed(), ev.StepStarted(0, 1), *holds)
    wants = ready(saga.state, 0.0)
    assert wants == Ready((), saga.state.run, None, None)
    assert list(wants.run) == [0]


@pytest.mark.parametrize(("now", "wake_at", "starts"), [(8.0, 9.0, 0), (9.0, None, 1), (10.0, None, 1)])
def test_a_step_is_woken_at_its_time(now: float, wake_at: float | None, starts: int) -> None:
    """Before its time a step names it; at its time, and later, it starts."""
    saga = told(claimed(), ev.StepStarted(0, 1), ev.StepDeferred(0, "no", 9.0))
    wants = ready(saga.state, now)
    assert (wants.wake_at, len(wants.record)) == (wake_at, starts)
    assert has_due(saga.state, now) is bool(starts)


def test_nothing_is_due_while_a_saga_is_held() -> None:
    """A saga that is held starts nothing, whatever could start."""
    assert not has_due(Driven(CHAIN).state, 0.0)
    assert has_due(claimed().state, 0.0)
    unwinding = told(claimed(), ev.StepStarted(0, 1), ev.StepSucceeded(0, 1), ev.CancelRequested("x", "y"))
    assert has_due(unwinding.state, 0.0)
    assert not has_due(told(unwinding, ev.Paused("x", "y")).state, 0.0)
    assert not has_due(told(claimed(), ev.CancelRequested("x", "y")).state, 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_those_whose_time_has_come_are_found_each_once(seed: int) -> None:
    """Of any heap, with times that were changed and times that are there twice, the right steps are found."""
    rng = random.Random(seed)  # noqa: S311 - a heap that can be made again, no secret
    state = new_state(shape(dict.fromkeys("abcdefghijklmnopqrst", "")))
    for number in range(20):
        for time in rng.choices(range(9), k=rng.randint(1, 3)) * rng.randint(1, 2):
            heappush(state.backing_off, (float(time), number))
            state.next_at[number] = float(time)
    for now in range(10):
        found = list(due(state, float(now)))
        assert sorted(found) == [step for step, time in sorted(state.next_at.items()) if time <= now]


def test_a_state_has_no_locks_unless_it_is_said() -> None:
    """A saga without locks waits for none; replaying keeps what was said."""
    assert new_state(CHAIN).has_locks is False
    log = [ev.Recorded(1, 5.0, 0, ev.Submitted("x")), ev.Recorded(2, 6.0, 1, ev.Claimed("x"))]
    assert replay(CHAIN, log).has_locks is False
    assert replay(CHAIN, log, has_locks=True).has_locks is True
    assert replay(CHAIN, log).created_at == 5.0


def test_all_that_a_released_join_bares_is_taken_up() -> None:
    """Of two steps below a join that has nothing to undo, one that has an undo is undone."""
    for kinds in ({"b": "none", "c": "none"}, {"a": "none", "c": "none"}):
        saga = claimed(shape({"a": "", "b": "", "c": "a b"}, undo=kinds))  # type: ignore[arg-type]  # kinds of undo
        saga.settle()
        for path in "ab":
            saga.end(path, Succeeded(1))
        saga.end("c", Failed("no"))
        assert saga.running == [f"undo {path}" for path in "ab" if path not in kinds]


def test_a_fresh_budget_counts_from_the_attempts_of_its_own_call() -> None:
    """A retried undo may be tried as often again as its policy says, however often its do was."""
    saga = told(claimed(), ev.StepStarted(0, 1), ev.StepFailed(0, "no"), ev.UndoStarted(0, 1))
    saga.tell(ev.UndoDeferred(0, "no", 0.0), ev.UndoStarted(0, 2), ev.UndoFailed(0, "no"))
    saga.tell(ev.UndoRetried(0, "x", "y"))
    assert saga.state.budget_from == {0: 2}


def test_what_is_released_waits_for_nothing() -> None:
    """A step without undo that waited for its next attempt is let go when the saga unwinds."""
    saga = told(
        claimed(shape({"a": ""}, undo={"a": "none"})), ev.StepStarted(0, 1), ev.StepDeferred(0, "", 9.0)
    )
    saga.tell(ev.CancelRequested("x", "y"))
    assert (saga.state.next_at, saga.state.backing_off) == ({}, [])
    assert ready(saga.state, 0.0) == Ready((ev.Ended("undone"),), {}, None, None)


@pytest.mark.parametrize("length", [ERROR_CHARS_MAX - 1, ERROR_CHARS_MAX, ERROR_CHARS_MAX + 1])
def test_an_error_is_cut_only_when_it_is_too_long(length: int) -> None:
    """An error of the largest length stays whole; one more, and its end is marked."""
    saga = told(claimed(), ev.StepStarted(0, 1))
    ended = conclude(saga.state, saga.state.run[0], Failed("e" * length), 0.0)
    whole = "e" * length if length <= ERROR_CHARS_MAX else "e" * (ERROR_CHARS_MAX - 1) + "…"
    assert ended == ev.StepFailed(0, whole)


@pytest.mark.parametrize(
    ("verb", "event"),
    [
        ("pause", ev.Paused("me", "so")),
        ("cancel", ev.CancelRequested("me", "so")),
        ("abandon", ev.Abandoned("me", "so")),
    ],
)
def test_a_command_is_an_event_with_who_and_why(verb: Verb, event: ev.Event) -> None:
    """What is decided names who and why."""
    assert decide(claimed().state, Command(verb, "me", "so")) == (event,)


def test_a_resumption_names_who_and_why() -> None:
    """The same for what ends a pause."""
    state = told(claimed(), ev.Paused("x", "y")).state
    assert decide(state, Command("resume", "me", "so")) == (ev.Resumed("me", "so"),)


def test_commands_to_steps_name_who_and_why() -> None:
    """The same for each command to a step."""
    forward = told(claimed(PIVOT), ev.StepStarted(0, 1), ev.StepFailed(0, "no")).state
    assert decide(forward, Command("retry", "me", "so")) == (ev.StepRetried(0, "me", "so"),)
    assert decide(forward, Command("skip", "me", "so", "a", 5)) == (ev.StepSkipped(0, 5, "me", "so"),)
    back = told(claimed(), ev.StepStarted(0, 1), ev.StepFailed(0, "no"), ev.UndoStarted(0, 1))
    back.tell(ev.UndoFailed(0, "no"))
    assert decide(back.state, Command("retry-undo", "me", "so")) == (ev.UndoRetried(0, "me", "so"),)
    assert decide(back.state, Command("skip-undo", "me", "so", "a")) == (ev.UndoSkipped(0, "me", "so"),)


def test_what_fits_a_step_follows_the_direction() -> None:
    """A failed step may be retried forward only, a failed undo backward only, and neither after the end."""
    forward = told(claimed(PIVOT), ev.StepStarted(0, 1), ev.StepFailed(0, "no"))
    assert allowed_for(forward.state, 0) == ("retry", "skip")
    assert allowed_for(told(forward, ev.Abandoned("x", "y")).state, 0) == ()
    back = told(claimed(), ev.StepStarted(0, 1), ev.StepFailed(0, "no"))
    assert allowed_for(back.state, 0) == ()
    back.tell(ev.UndoStarted(0, 1), ev.UndoFailed(0, "no"))
    assert allowed_for(back.state, 0) == ("retry-undo", "skip-undo")
    back.tell(ev.UndoSkipped(0, "x", "y"), ev.Ended("undone"))
    assert allowed_for(back.state, 0) == ()


def test_a_saga_waits_or_runs() -> None:
    """Whoever has no lock that it needs waits; whoever is claimed, and waits for none, runs."""
    assert saga_state(Driven(CHAIN).state) == "waiting"
    assert saga_state(claimed().state) == "running"
    held = claimed(has_locks=True)
    assert saga_state(held.state) == "waiting"
    assert saga_state(told(held, ev.LocksAcquired()).state) == "running"


def test_locks_are_shown_until_the_end() -> None:
    """A saga's locks are shown as waited for, then held, then not at all."""
    plan_ = Plan(CHAIN, {"": Known({})}, (Lock("a:b", "shared"),))
    saga = claimed(has_locks=True)
    assert view("s", plan_, saga.state).locks == (("a:b", "shared", False),)
    saga.tell(ev.LocksAcquired())
    assert view("s", plan_, saga.state).locks == (("a:b", "shared", True),)
    saga.tell(ev.CancelRequested("x", "y"), ev.Ended("undone"))
    assert view("s", plan_, saga.state).locks == ()


def test_what_is_stuck_is_shown_whole() -> None:
    """A parked saga, a stuck step and a stuck undo are shown with call, error, attempts, time and verbs."""
    bare = Plan(CHAIN, {"": Known({})})
    parked = told(Driven(CHAIN, now=3.0), ev.Parked("unknown"))
    assert view("s", bare, parked.state).stuck == (
        StuckView(None, None, "unknown", 0, 3.0, ("resume", "cancel", "abandon")[::2]),
    )
    forward = told(claimed(PIVOT), ev.StepStarted(0, 1), ev.StepDeferred(0, "no", 1.0), ev.StepStarted(0, 2))
    forward.now = 4.0
    forward.tell(ev.StepFailed(0, "never"))
    assert view("s", bare, forward.state).stuck == (StuckView("a", "do", "never", 2, 4.0, ("retry", "skip")),)
    back = told(claimed(), ev.StepStarted(0, 1), ev.StepFailed(0, "no"), ev.UndoStarted(0, 1))
    back.tell(ev.UndoDeferred(0, "no", 0.0), ev.UndoStarted(0, 2), ev.UndoDeferred(0, "no", 0.0))
    back.now = 5.0
    back.tell(ev.UndoStarted(0, 3), ev.UndoFailed(0, "still no"))
    assert view("s", bare, back.state).stuck == (
        StuckView("a", "undo", "still no", 3, 5.0, ("retry-undo", "skip-undo")),
    )


def test_times_of_steps_are_shown_in_json() -> None:
    """The three times of a step are RFC 3339 in its JSON."""
    saga = told(Driven(CHAIN), ev.Claimed("x"), ev.StepStarted(0, 1), ev.StepDeferred(0, "no", 86400.0))
    body = view("s", Plan(CHAIN, {"": Known({})}), saga.state).step("a")
    assert (body.started_at, body.ended_at, body.next_at) == (0.0, None, 86400.0)
    shown = view("s", Plan(CHAIN, {"": Known({})}), saga.state).to_json()["steps"][0]
    assert shown["started_at"] == "1970-01-01T00:00:00.000000Z"
    assert (shown["ended_at"], shown["next_at"]) == (None, "1970-01-02T00:00:00.000000Z")


def do_it() -> None: ...


def test_a_step_says_what_it_was_told_and_nothing_else() -> None:
    """Every setting of a step is kept, and one that was not given has its default."""
    assert step(do_it, undo=NO) == Step(
        "do_it", do_it, NO, (), {}, None, ONCE, UNDO_RETRY, cancellable=False, undo_needs_output=False
    )
    settings: dict[str, Any] = {
        "name": "other",
        "after": ("a", "b"),
        "inputs": {"x": output_of("a")},
        "probe": do_it,
        "retry": Retry(3),
        "undo_retry": Retry(4),
        "timeout_s": 0.5,
        "undo_timeout_s": 0.25,
        "cancellable": True,
        "undo_needs_output": True,
    }
    made = step(do_it, undo=do_it, **settings)
    assert {name: getattr(made, name) for name in settings} == settings
    assert (made.do, made.undo) == (do_it, do_it)
    assert step(do_it, undo=NO, after="ab").after == ("ab",)
    policy = (
        plan(operation("op", version=1, params=Model, steps=[replace(made, after=(), inputs={})]))
        .dag.steps[0]
        .policy
    )
    assert {one.name: getattr(policy, one.name) for one in fields(Policy)} == {
        one.name: settings[one.name] for one in fields(Policy)
    }


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_a_timeout_is_a_positive_time(seconds: float) -> None:
    """No time, negative time, endless time and no number are refused."""
    for name in ("timeout_s", "undo_timeout_s"):
        with pytest.raises(
            InvalidPlan, match=rf"\Aa timeout is a positive number of seconds; got {seconds}\Z"
        ):
            step(do_it, undo=NO, **{name: seconds})  # type: ignore[arg-type]  # one of two settings


def test_an_operation_is_what_was_defined() -> None:
    """Name, version, params, steps, locks and summary are kept, and reach the DAG."""
    steps, locks = [step(do_it, undo=NO)], [exclusive("a:b"), shared("c:d")]
    made = operation("op", version=3, params=Model, steps=steps, locks=locks, summary="It does.")
    kept = (made.name, made.version, made.params, made.steps, made.locks, made.summary)
    assert kept == ("op", 3, Model, tuple(steps), tuple(locks), "It does.")
    assert operation("op", version=1, params=Model, steps=steps).summary == ""
    dag = plan(made).dag
    assert (dag.operation, dag.version) == ("op", 3)
    assert [(lock.resource, lock.mode) for lock in locks] == [("a:b", "exclusive"), ("c:d", "shared")]


def test_a_fingerprint_is_the_same_for_ever() -> None:
    """The fingerprint of a DAG stands in logs: it is SHA-256 over the JSON in its first form."""
    dag = make_dag("op", 3, (DagStep("a", (), (("params", FromParams("")),), "none", "größe"),))
    assert dag.fingerprint == "1b06c136c494989a6796c720407c36e527fac6872404904f377f76a0bff3a6ff"
    assert dag_from_json(dag_to_json(dag)).fingerprint == dag.fingerprint


class Text(Model):
    text: str = ""


class Named(Model):
    inner: Text = Text()
    name: str = ""


class Deep(Model):
    text: str = "deep"


class Other(Model):
    inner: Deep = Deep()
    name: UUID = UUID(int=5)


def op(*steps: Any, params: Any = Text, name: str = "op") -> Operation:
    return operation(name, version=1, params=params, steps=steps)


def test_params_of_another_model_are_read_as_its_json() -> None:
    """A model of another class is taken by what it says in JSON."""
    assert check_params(op(params=Named), Other()) == Named(inner=Text(text="deep"), name=str(UUID(int=5)))


def test_params_of_the_largest_size_are_taken() -> None:
    """Params of 1 MiB of JSON are taken; one byte more is refused."""
    largest = {"text": "x" * (PARAMS_BYTES_MAX - len('{"text": ""}'))}
    assert check_params(op(step(do_it, undo=NO)), largest) == Text(**largest)
    with pytest.raises(TooLarge, match=r"params of 1,048,577 bytes; at most 1,048,576 are taken"):
        check_params(op(step(do_it, undo=NO)), {"text": largest["text"] + "x"})


def two() -> list[Any]:
    return [step(do_it, name="first", undo=NO), step(do_it, name="second", undo=NO, after="first")]


def test_only_the_first_inner_steps_wait_for_the_outer_ones() -> None:
    """What an operation comes after is put before its first steps; the others have their own order."""
    outer = op(step(do_it, name="a", undo=NO), nest("in", op(*two()), params=lambda p: p, after="a"))
    assert [(one.path, one.after) for one in expand(outer, Text())] == [
        ("a", ()),
        ("in/first", ("a",)),
        ("in/second", ("in/first",)),
    ]


def test_what_comes_after_a_nested_operation_comes_after_all_its_ends() -> None:
    """Naming one step for its output does not make it the only end."""
    inner = op(step(do_it, name="x", undo=NO), step(do_it, name="y", undo=NO))
    outer = op(nest("in", inner, params=lambda p: p, output="x"), step(do_it, name="z", undo=NO, after="in"))
    planned = plan(outer, {})
    assert [planned.dag.steps[need].path for need in planned.dag.steps[-1].needs] == ["in/x", "in/y"]


def test_a_scope_is_named_by_its_whole_path() -> None:
    """The params of a nested operation are found under its path, whatever letters that ends in."""

    def look(params: Text) -> None: ...

    planned = plan(op(nest("boX", op(step(look, undo=NO)), params=lambda p: p)), {"text": "t"})
    assert dict(planned.dag.steps[0].inputs) == {"params": FromParams("boX")}
    assert planned.scopes["boX"] == Known({"text": "t"})
