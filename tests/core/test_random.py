"""Sagas at random: endings, crashes, waits and commands in any order; each seed is the same run for ever."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any, get_args

import pytest

from sledsaga.check.walk.drive import Driven, shape
from sledsaga.core import events as ev
from sledsaga.core.commands import allowed
from sledsaga.core.dag import Dag, Known, Plan, Policy, UndoKind
from sledsaga.core.define import Lock, Retry
from sledsaga.core.endings import CleanFailure, Ending, Failed, Succeeded, TransientFailure, Undone
from sledsaga.core.invariants import Judge, breaches
from sledsaga.core.machine import replay
from sledsaga.core.ready import has_due, ready
from sledsaga.core.state import State
from sledsaga.core.view import SagaView, saga_state, view
from tests.core.naive import picture

SEEDS = 400
BLOCK = 50
MOVES = 40
UNDOS: tuple[UndoKind, ...] = ("undo", "undo", "undo", "undo", "none", "irreversible")
SEEN_OF_STEP = ("state", "attempts", "undo_attempts", "started_at", "ended_at", "next_at", "output", "error")
SEEN_OF_SAGA = (
    "executor", "parked", "outcome", "locked", "paused", "unwinding", "cancelled", "pivoted", "abandoned",
    "seq", "epoch", "updated_at", "created_at",
)  # fmt: skip


def a_dag(rng: random.Random) -> Dag:
    """Return a DAG of up to six steps with policies of every kind."""
    names = "abcdef"[: rng.randint(1, 6)]
    needs = {name: " ".join(n for n in names[:i] if rng.random() < 0.4) for i, name in enumerate(names)}
    policies = {
        name: Policy(
            retry=Retry(rng.randint(1, 3), backoff_s=rng.choice([0.0, 1.0])),
            undo_retry=Retry(rng.randint(1, 2)),
            cancellable=rng.random() < 0.3,
            undo_needs_output=rng.random() < 0.3,
        )
        for name in names
    }
    return shape(needs, undo={name: rng.choice(UNDOS) for name in names}, policy=policies)


def an_ending(rng: random.Random, direction: str) -> Ending:
    ways: list[Ending] = [Undone(), Undone(), Failed("undo said no")]
    if direction == "do":
        ways = [Failed("no"), CleanFailure("nothing"), TransientFailure("later")]
        ways += [Succeeded(rng.randint(0, 9))] * 4
    return rng.choice(ways)


def move(saga: Driven, rng: random.Random) -> None:
    """Let one thing happen that can happen."""
    state = saga.state
    moves: list[Callable[[], object]] = [lambda: saga.tell(ev.Claimed(f"executor {state.epoch + 1}"))]
    moves += [lambda: saga.wait(rng.choice([0.5, 1.0, 9.0]))] * 2
    for call in state.in_flight.values():
        path = saga.dag.steps[call.step].path
        moves += [partial(saga.end, path, an_ending(rng, call.direction))] * 6
    if saga.has_locks and not state.locked and state.executor and not state.paused and state.parked is None:
        moves += [lambda: saga.tell(ev.LocksAcquired())] * 9
    if not state.in_flight and state.parked is None:
        moves.append(lambda: saga.tell(ev.Parked("unknown")))
    verbs = allowed(state)
    if verbs:
        verb = rng.choice([verb for verb in verbs if verb != "abandon" or rng.random() < 0.1] or list(verbs))
        step = path_to_skip(state) if verb == "skip" else None
        moves.append(partial(saga.say, verb, step, 7 if step else None))
    rng.choice(moves)()
    if rng.random() < 0.8:
        saga.settle()


def path_to_skip(state: State) -> str:
    return state.dag.steps[next(iter(state.stuck))].path


def run(seed: int) -> Driven:
    """Return the saga of a seed, driven until it ends or nobody has anything more to say."""
    rng = random.Random(seed)  # noqa: S311 - a run that can be repeated, no secret
    saga = Driven(a_dag(rng), has_locks=rng.random() < 0.3, now=100.0)
    for _ in range(MOVES):
        if saga.state.outcome is None:
            move(saga, rng)
    return saga


def seen(one: SagaView, state: State) -> dict[str, Any]:
    """Return what the naive picture has, from the view where it shows it, else from the state."""
    steps = [{name: getattr(step, name) for name in SEEN_OF_STEP} for step in one.steps]
    saga = {name: getattr(one if hasattr(one, name) else state, name) for name in SEEN_OF_SAGA}
    return saga | {"steps": steps, "stuck": set(state.stuck)}


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_every_log_keeps_the_rules(first: int) -> None:
    """At no event of any run does the judge of logs, or the recount of the state, find a breach."""
    for seed in range(first, first + BLOCK):
        saga = run(seed)
        judge = Judge(saga.dag, has_locks=saga.has_locks)
        state = replay(saga.dag, (), has_locks=saga.has_locks)
        for place, recorded in enumerate(saga.log, 1):
            assert judge.hear(recorded) == (), f"seed {seed}, event {place}: {recorded}"
            state = replay(saga.dag, saga.log[:place], has_locks=saga.has_locks)
            assert breaches(state) == (), f"seed {seed}, event {place}: {recorded}"


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_the_picture_is_what_a_naive_fold_draws(first: int) -> None:
    """Statuses, counts, times, outputs and errors are those that the events say."""
    for seed in range(first, first + BLOCK):
        saga = run(seed)
        plan = Plan(saga.dag, {"": Known({"seed": seed})}, (Lock("a:b"),) if saga.has_locks else ())
        for place in range(1, len(saga.log) + 1):
            state = replay(saga.dag, saga.log[:place], has_locks=saga.has_locks)
            drawn = picture(saga.dag, saga.log[:place])
            assert seen(view("s", plan, state), state) == drawn, f"seed {seed}, event {place}"


def test_a_log_that_is_read_gives_the_state_that_was_driven() -> None:
    """Replaying a log gives the very state that its writer had, field by field."""
    for seed in range(SEEDS):
        saga = run(seed)
        again = replay(saga.dag, tuple(saga.log), has_locks=saga.has_locks)
        for field in fields(State):
            kept, read = getattr(saga.state, field.name), getattr(again, field.name)
            assert read == kept, f"seed {seed}: {field.name}"


def test_has_due_says_whether_something_would_be_started() -> None:
    """Something is due exactly when the machine would record a start, at any time."""
    for seed in range(SEEDS):
        saga = run(seed)
        state = saga.state
        for now in (saga.now, saga.now + 1.0, saga.now + 99.0):
            wants = ready(state, now)
            starts = [e for e in wants.record if isinstance(e, ev.StepStarted | ev.UndoStarted)]
            ends = [e for e in wants.record if isinstance(e, ev.Ended)]
            if not ends and state.outcome is None:
                assert has_due(state, now) is bool(starts), f"seed {seed} at {now}"


def test_the_runs_come_by_everything() -> None:
    """The seeds cover every event, every end and every word for a saga."""
    happened = Counter(type(recorded.event) for seed in range(SEEDS) for recorded in run(seed).log)
    assert set(happened) == set(get_args(ev.Event))
    words = {saga_state(run(seed).state) for seed in range(SEEDS)}
    assert words >= {"succeeded", "undone", "abandoned", "stuck"}
