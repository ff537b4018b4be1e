"""How a call ends, whatever a step returns or raises: there is always an ending, and the engine goes on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Never

import pytest

from sledsaga.core.bind import bind
from sledsaga.core.define import (
    Absent,
    Conflicting,
    Operation,
    Present,
    irreversible,
    operation,
    step,
)
from sledsaga.core.model import Model
from sledsaga.engine.context import Context
from sledsaga.engine.perform import Job, describe, perform
from sledsaga.errors import FailedClean, Transient
from tests.engine.toys import NOTHING, PATIENCE_S, Params, Start, one_step


class Boxed(Model):
    inside: Any


@dataclass
class Plain:
    number: int


def circle() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def deep(levels: int) -> list[Any]:
    nest: list[Any] = []
    for _ in range(levels):
        nest = [nest]
    return nest


BAD = {
    "an object": object,
    "a function": lambda: print,
    "not a number": lambda: float("nan"),
    "infinity within": lambda: {"a": [float("inf")]},
    "within a model": lambda: Boxed(inside=float("nan")),
    "a circle": circle,
    "too deep": lambda: deep(sys.getrecursionlimit() + 10),
    "bytes that are no text": lambda: b"\xff",
    "a number of 5,000 digits": lambda: 10**5000,
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_an_output_that_cannot_be_stored_is_a_failure(start: Start, make: Callable[[], Any]) -> None:
    """What JSON cannot hold is no success: the step failed, what it made is undone, the engine goes on."""
    undone: list[Any] = []

    def only():  # type: ignore[no-untyped-def]  # noqa: ANN202 - the step says nothing of its output
        return make()

    def undo_only(output: Any) -> None:
        undone.append(output)

    engine = start(one_step("bad", only, undo=undo_only), one_step("good", lambda: 1))
    view = engine.wait(engine.submit("bad").id, PATIENCE_S)
    assert (view.state, undone) == ("undone", [None])
    assert "cannot be stored as JSON" in (view.step("only").error or "")
    assert engine.wait(engine.submit("good").id, PATIENCE_S).state == "succeeded"


def test_an_output_of_more_than_one_mebibyte_is_a_failure(start: Start) -> None:
    """A large output is refused with both sizes and the way out."""
    engine = start(one_step("large", lambda: "x" * 2**21))
    error = engine.wait(engine.submit("large").id, PATIENCE_S).step("only").error or ""
    assert error == "the output has 2,097,154 bytes; at most 1,048,576 are stored. Return a reference."


def test_an_output_of_another_type_than_promised_is_a_failure(start: Start) -> None:
    """What a step says that it returns is held to."""

    def only() -> Plain:
        return "plain"  # type: ignore[return-value]  # this is the point

    engine = start(one_step("wrong", only))
    view = engine.wait(engine.submit("wrong").id, PATIENCE_S)
    assert view.state == "undone"
    assert "Plain" in (view.step("only").error or "")


def test_an_output_becomes_its_type_again(start: Start) -> None:
    """A step gets the output of another in the type that it is annotated with."""

    def first() -> Plain:
        return Plain(20)

    def second(first: Plain) -> int:
        return first.number + 1

    steps = [step(first, undo=NOTHING), step(second, undo=NOTHING)]
    engine = start(operation("types", version=1, params=Params, steps=steps))
    assert engine.wait(engine.submit("types").id, PATIENCE_S).step("second").output == 21


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Own(BaseException):
    pass


def recurse() -> None:
    recurse()


def raising(error: BaseException) -> Callable[[], None]:
    def only() -> None:
        raise error

    return only


RAISED = {
    "SystemExit: 3": raising(SystemExit(3)),
    "KeyboardInterrupt": raising(KeyboardInterrupt()),
    "GeneratorExit": raising(GeneratorExit()),
    "CancelledError": raising(asyncio.CancelledError()),
    "StopIteration: 1": raising(StopIteration(1)),
    "MemoryError": raising(MemoryError()),
    "Own: a b": raising(Own("a\n  b")),
    "Mute: its text cannot be had": raising(Mute()),
    "RecursionError: maximum recursion depth exceeded": recurse,
}


def both_colours(name: str, do: Callable[[], Any]) -> list[Operation]:
    async def only() -> Any:
        await asyncio.sleep(0)
        return do()

    return [one_step(name, do), one_step(f"{name}-async", only)]


@pytest.mark.parametrize("error", RAISED)
def test_whatever_a_step_raises_is_how_it_ended(start: Start, error: str) -> None:
    """Any exception, also one that would end a program, is a failure of that step, in both colours."""
    engine = start(*both_colours("raises", RAISED[error]), *both_colours("good", lambda: 1))
    for name in ("raises", "raises-async"):
        view = engine.wait(engine.submit(name).id, PATIENCE_S)
        assert view.state == "undone"
        shown = view.step("only").error or ""
        assert shown == error or (name.endswith("async") and "StopIteration" in shown)
    for name in ("good", "good-async"):
        assert engine.wait(engine.submit(name).id, PATIENCE_S).state == "succeeded"


def test_a_task_beside_an_async_step_cannot_stop_the_others(start: Start) -> None:
    """SystemExit in a task that a step started goes through asyncio's loop; async steps go on after it."""

    async def stray() -> None:
        raise SystemExit

    async def only() -> None:
        task = asyncio.create_task(stray())
        await asyncio.wait([task])
        task.exception()

    async def fine() -> int:
        await asyncio.sleep(0)
        return 1

    engine = start(one_step("strays", only), one_step("fine", fine))
    assert engine.wait(engine.submit("strays").id, PATIENCE_S).state == "succeeded"
    assert engine.wait(engine.submit("fine").id, PATIENCE_S).state == "succeeded"


def test_an_error_of_any_length_is_cut(start: Start) -> None:
    """The log keeps the beginning of an endless message."""
    engine = start(one_step("long", raising(ValueError("x" * 10**6))))
    error = engine.wait(engine.submit("long").id, PATIENCE_S).step("only").error or ""
    assert len(error) == 4000
    assert error.endswith("x…")


def test_what_an_ending_is_called() -> None:
    """An outcome raised on purpose speaks for itself; other errors are named by their kind."""
    found = [describe(error) for error in (Transient("busy"), FailedClean(), OSError("no\nroom"), OSError())]
    assert found == ["busy", "FailedClean", "OSError: no room", "OSError"]


def test_a_sled_that_cannot_be_had_is_a_failure(start: Start) -> None:
    """When the sled of a step cannot be opened, the step failed; nothing hangs."""

    def no_sled(_context: Context) -> Never:
        raise OSError("no sled")

    def only(sled: Any) -> None: ...

    engine = start(one_step("needs", only), sled=no_sled)
    view = engine.wait(engine.submit("needs").id, PATIENCE_S)
    assert (view.state, view.step("only").error) == ("undone", "OSError: no sled")


ANSWERS = [
    (Present(5, ours=True), 5),
    (Present(5, ours=False), 1),
    (Absent(), 1),
    (Conflicting("another"), 1),
    ("nonsense", 1),
]


@pytest.mark.parametrize(("answer", "output"), ANSWERS)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_call_in_doubt_asks_first(start: Start, answer: object, output: int, *, is_async: bool) -> None:
    """In doubt, only `already so and ours` stands for a success; a probe may be of either colour."""

    def probe() -> object:
        return answer

    async def probe_async() -> object:
        await asyncio.sleep(0)
        return answer

    engine = start(one_step("probed", lambda: 1, probe=probe_async if is_async else probe))
    planned = engine.plan("probed", None)
    bound = bind(engine.catalog.get("probed"), planned).steps[0]
    ending: Any = perform(Job(bound, Context("s", "probed", "only", in_doubt=True), {}))
    assert ending.output == output


def test_a_failure_past_the_pivot_is_stuck_not_lost(start: Start) -> None:
    """An output that cannot be stored past a pivot needs a person, for there is no way back."""
    engine = start(one_step("bad", object, undo=irreversible("done")))
    assert engine.wait(engine.submit("bad").id, PATIENCE_S).state == "stuck"
