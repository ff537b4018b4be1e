"""Large sagas: ten thousand steps of each shape come to rest, and an event costs the same in all of them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

import pytest

from sledsaga.core.define import Operation, Step, operation, step
from sledsaga.engine.engine import Engine
from sledsaga.engine.limits import Limits
from tests.engine.toys import NOTHING, Params, Quiet, Start

LONG_S = 60.0


async def nothing() -> None:
    """Do nothing, on the loop: what is measured is the engine."""


def fails() -> None:
    raise ValueError


def chain(size: int) -> list[Step]:
    names = [f"s{n}" for n in range(size)]
    return [
        step(nothing, name=name, undo=nothing, after=names[n - 1 : n] if n else ())
        for n, name in enumerate(names)
    ]


def fan(size: int) -> list[Step]:
    leaves = [step(nothing, name=f"s{n}", undo=nothing, after="root") for n in range(size - 2)]
    join = step(nothing, name="join", undo=nothing, after=[leaf.name for leaf in leaves])
    return [step(nothing, name="root", undo=nothing), *leaves, join]


def layered(size: int, width: int = 100) -> list[Step]:
    """Make layers whose steps need three steps of the layer before."""
    return [
        step(
            nothing,
            name=f"s{n}",
            undo=nothing,
            after=[f"s{(n // width - 1) * width + (n * k + k) % width}" for k in (1, 7, 13)]
            if n >= width
            else (),
        )
        for n in range(size)
    ]


def sized(name: str, steps: list[Step]) -> Operation:
    return operation(name, version=1, params=Params, steps=steps)


@pytest.mark.parametrize("shape", [chain, fan, layered])
def test_a_saga_of_ten_thousand_steps_succeeds(start: Start, shape: Callable[[int], list[Step]]) -> None:
    """Ten thousand steps in a chain, a fan, or layers all succeed, with a start and an end each."""
    engine = start(sized("large", shape(10_000)))
    saga = engine.submit("large").id
    view = engine.wait(saga, LONG_S)
    assert view.state == "succeeded"
    assert view.seq == 2 * 10_000 + 3


@pytest.mark.parametrize("shape", [chain, fan, layered])
def test_a_saga_of_thousands_of_steps_is_undone(start: Start, shape: Callable[[int], list[Step]]) -> None:
    """When the last of many steps fails, all that were done are undone."""
    steps = shape(2000)
    last = step(fails, undo=NOTHING, after=[one.name for one in steps])
    engine = start(sized("large", [*steps, last]), limits=Limits(threads=8))
    view = engine.wait(engine.submit("large").id, LONG_S)
    assert view.state == "undone"
    assert {one.state for one in view.steps[:-1]} == {"undone"}


def test_a_chain_costs_one_write_a_step(start: Start) -> None:
    """The end of a step and the start of the next one are one write, as are submission and first start."""
    store = Quiet()
    engine = start(sized("chain", chain(20)), store=store)
    assert engine.wait(engine.submit("chain").id, LONG_S).state == "succeeded"
    assert len(store.batches) == 1 + 20


class Lines:
    """Counts the lines of the engine and the core that the executor's loop runs."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        threading.settrace(self._enter)
        return self

    def __exit__(self, *_error: object) -> None:
        threading.settrace(None)

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        is_loop = threading.current_thread().name == "sledsaga-loop"
        return self._line if is_loop and "/sledsaga/" in frame.f_code.co_filename else None

    def _line(self, _frame: FrameType, event: str, _argument: Any) -> Any:
        self.count += event == "line"
        return self._line


def lines_an_event(start: Start, steps: list[Step]) -> float:
    if sys.gettrace() is not None:
        pytest.skip("something else traces already")
    with Lines() as lines:
        engine: Engine = start(sized("counted", steps), limits=Limits(async_calls=4))
        view = engine.wait(engine.submit("counted").id, LONG_S)
        assert view.state == "succeeded"
    return lines.count / view.seq


@pytest.mark.parametrize("shape", [chain, fan, layered])
def test_an_event_costs_the_same_in_a_large_saga(start: Start, shape: Callable[[int], list[Step]]) -> None:
    """The lines of code run for an event are as many in a saga of 1,000 steps as in one of 100."""
    small, large = (lines_an_event(start, shape(size)) for size in (100, 1000))
    assert large < 1.3 * small
