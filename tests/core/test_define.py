"""Definitions: names, policies, reasons and resources are checked where they are written."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sledsaga.core.define import (
    ONCE,
    Retry,
    exclusive,
    irreversible,
    nest,
    no_undo,
    operation,
    shared,
    step,
)
from sledsaga.core.model import Model
from sledsaga.errors import InvalidName, InvalidPlan, UsageError

NOTHING = no_undo("a test leaves nothing")


class Params(Model):
    pass


def make() -> int:
    return 1


@pytest.mark.parametrize("name", ["two words", "", "a/b", "-x", "a\n", "ü", "x" * 129, "<lambda>"])
def test_a_bad_name_is_refused_with_the_grammar(name: str) -> None:
    """A name that breaks the grammar is refused for step, nest and operation, and the grammar is shown."""
    if name:
        with pytest.raises(InvalidName, match="no step name: use letters"):
            step(make, undo=NOTHING, name=name)
    with pytest.raises(InvalidName, match="no operation name"):
        operation(name, version=1, params=Params, steps=[])
    inner = operation("inner", version=1, params=Params, steps=[step(make, undo=NOTHING)])
    with pytest.raises(InvalidName, match="no step name"):
        nest(name, inner, params=lambda p: p)


@pytest.mark.parametrize("name", ["a", "A9", "s01_x", "a.b:c@d+e-f", "x" * 128])
def test_a_good_name_is_taken(name: str) -> None:
    """Letters, digits and _ . : @ + - make a name of at most 128 characters."""
    assert step(make, undo=NOTHING, name=name).name == name


def test_a_function_without_a_name_needs_one() -> None:
    """A step of something that has no usable name of its own is refused until it is given one."""
    with pytest.raises(InvalidName):
        step(functools.partial(make), undo=NOTHING)
    with pytest.raises(InvalidName):
        step(lambda: 1, undo=NOTHING)
    assert step(lambda: 1, undo=NOTHING, name="one").name == "one"


@pytest.mark.parametrize("say", [no_undo, irreversible])
def test_a_step_without_undo_says_why(say: Any) -> None:
    """An empty reason for having no undo is none."""
    with pytest.raises(InvalidPlan, match="needs a reason"):
        say("  ")


def test_silence_about_undo_is_no_step() -> None:
    """A step says what its undo is: leaving it out is an error where the step is written."""
    with pytest.raises(TypeError, match="undo"):
        step(make)  # type: ignore[call-arg]  # this is what is refused


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
def test_a_timeout_is_a_positive_finite_time(seconds: float) -> None:
    """A time limit of nothing, less, or for ever is refused (None means no limit)."""
    for name in ("timeout_s", "undo_timeout_s"):
        with pytest.raises(InvalidPlan, match="positive number of seconds"):
            step(make, undo=NOTHING, **{name: seconds})  # type: ignore[arg-type]  # both take a time


@pytest.mark.parametrize(
    "policy",
    [
        {"attempts": 0},
        {"backoff_s": -1.0},
        {"factor": -1.0},
        {"max_backoff_s": -0.1},
        {"backoff_s": math.nan},
        {"max_backoff_s": math.inf},
    ],
)
def test_a_retry_policy_must_make_sense(policy: dict[str, Any]) -> None:
    """A policy tries at least once, and waits a finite time that is not negative."""
    with pytest.raises(InvalidPlan, match="at least once"):
        Retry(**policy)


def test_waits_grow_to_their_maximum() -> None:
    """The wait after attempt n is the backoff times factor to the n-1, at most the maximum."""
    retry = Retry(attempts=9, backoff_s=1.0, factor=2.0, max_backoff_s=5.0)
    assert [retry.wait_s(attempt) for attempt in (1, 2, 3, 4, 5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


@given(st.integers(1, 10**6), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_wait_is_always_a_time(attempt: int, backoff: float, factor: float, most: float) -> None:
    """However often a step was tried, its wait is a number between nothing and the maximum."""
    assert 0 <= Retry(10**6, backoff, factor, most).wait_s(attempt) <= most


@pytest.mark.parametrize("resource", ["pool", "Pool:x", "pool:", "pool: x", "pool:ü", ":x"])
def test_a_resource_is_kind_and_name(resource: str) -> None:
    """A lock names a resource as kind:name."""
    with pytest.raises(InvalidName, match="kind:name"):
        exclusive(resource)


def test_locks_are_exclusive_or_shared() -> None:
    """A resource is needed alone or together with others."""
    assert (exclusive("pool:a").mode, shared("pool:a").mode) == ("exclusive", "shared")


def test_a_version_counts_from_one() -> None:
    """An operation's version is a whole number from 1."""
    with pytest.raises(InvalidPlan, match="from 1"):
        operation("x", version=0, params=Params, steps=[])


def test_what_is_wrong_in_a_definition_is_a_usage_error() -> None:
    """Whoever catches UsageError catches every bad definition."""
    assert issubclass(InvalidName, UsageError)
    assert issubclass(InvalidPlan, UsageError)


def test_a_definition_does_not_change_behind_ones_back() -> None:
    """Steps and locks given as a list or an iterator are taken over once, as they are then."""
    steps = [step(make, undo=NOTHING)]
    made = operation("x", version=1, params=Params, steps=steps, locks=(exclusive(r) for r in ["pool:a"]))
    steps.clear()
    assert len(made.steps) == 1  # type: ignore[arg-type]  # these steps are no function
    assert len(list(made.locks)) == 1  # type: ignore[arg-type]  # nor are these locks
    assert len(list(made.locks)) == 1  # type: ignore[arg-type]  # a list by now


def test_after_takes_one_name_or_many() -> None:
    """`after` may be one name or several, for a step and for a nested operation alike."""
    inner = operation("inner", version=1, params=Params, steps=[step(make, undo=NOTHING)])
    assert step(make, undo=NOTHING, after="a").after == ("a",)
    assert step(make, undo=NOTHING, after=iter(["a", "b"])).after == ("a", "b")
    assert nest("n", inner, params=lambda p: p, after="a").after == ("a",)
    assert step(make, undo=NOTHING).retry is ONCE
