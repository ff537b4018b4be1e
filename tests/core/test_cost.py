"""Rule 13: what an event costs does not grow with the DAG or the log. Counted in lines, not timed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from sledsaga.check.walk.drive import Driven, shape
from sledsaga.core import events as ev
from sledsaga.core.dag import Policy
from sledsaga.core.endings import CleanFailure, Failed, Succeeded, Undone, conclude
from sledsaga.core.machine import apply, new_state
from sledsaga.core.ready import ready
from sledsaga.core.state import Status


def chain(size: int) -> dict[str, str]:
    return {f"s{i}": f"s{i - 1}" if i else "" for i in range(size)}


def fan_out(size: int) -> dict[str, str]:
    middle = {f"s{i}": "s0" if i else "" for i in range(size - 1)}
    return middle | {"end": " ".join(name for name in middle if name != "s0")}


def layered(size: int) -> dict[str, str]:
    return {
        f"s{i}": " ".join(f"s{(i // 10 - 1) * 10 + k}" for k in range(10 if i >= 10 else 0))
        for i in range(size)
    }


def counted(work: Callable[[], object]) -> int:
    """Return how many lines of Python the work takes."""
    lines = 0

    def count(_frame: FrameType, what: str, _more: Any) -> Any:
        nonlocal lines
        lines += what == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


def drive(saga: Driven, fails: str | None, room: int | None) -> None:
    """Drive a saga to its end as an engine would: record, run, conclude."""
    state = saga.state
    while True:
        wish = ready(state, 0.0, room if room is None else room - len(state.in_flight))
        if wish.outcome is not None:
            return
        saga.tell(*wish.record)
        if not wish.record:
            call = next(iter(state.run.values()))
            last = fails is not None and saga.dag.steps[call.step].path == fails and call.direction == "do"
            ending = CleanFailure("no") if last else Succeeded(1) if call.direction == "do" else Undone()
            saga.tell(conclude(state, call, ending, 0.0))


def cost_per_event(needs: dict[str, str], *, unwinds: bool, room: int | None) -> float:
    saga = Driven(shape(needs))
    saga.tell(ev.Claimed("x"))
    last = list(needs)[-1]
    lines = counted(lambda: drive(saga, last if unwinds else None, room))
    assert saga.state.outcome == ("undone" if unwinds else "succeeded")
    edges = sum(len(step.needs) for step in saga.dag.steps)
    return lines / (len(saga.log) + edges)


@pytest.mark.parametrize("make", [chain, fan_out, layered])
@pytest.mark.parametrize("unwinds", [False, True])
@pytest.mark.parametrize("room", [None, 1])
def test_an_event_costs_the_same_in_a_big_dag(make: Any, unwinds: Any, room: int | None) -> None:
    """Driven to its end, a saga of 1,000 steps takes no more lines of Python for an event than one of 100."""
    small, big = (cost_per_event(make(size), unwinds=unwinds, room=room) for size in (100, 1000))
    assert big < small * 1.1


@pytest.mark.parametrize("make", [chain, fan_out, layered])
@pytest.mark.parametrize("room", [None, 1])
def test_ten_thousand_steps_are_driven_to_the_end(make: Any, room: int | None) -> None:
    """A saga of 10,000 steps of each shape goes forward and all the way back."""
    needs = make(10_000)
    saga = Driven(shape(needs))
    saga.tell(ev.Claimed("x"))
    drive(saga, list(needs)[-1], room)
    assert saga.state.outcome == "undone"
    assert saga.state.status.count(Status.UNDONE) == 9_999


class Counting(dict[int, None]):
    """A set of steps that counts how many of them are looked at."""

    looked_at = 0

    def __iter__(self) -> Iterator[int]:
        for key in super().__iter__():
            self.looked_at += 1
            yield key


def test_with_room_for_one_only_one_is_looked_at() -> None:
    """Of thousands of steps that may start, as many are looked at as there is room for."""
    dag = shape({f"s{i}": "" for i in range(5000)}, policy=Policy())
    state = new_state(dag)
    apply(state, ev.Recorded(1, 0.0, 0, ev.Submitted("x")))
    apply(state, ev.Recorded(2, 0.0, 1, ev.Claimed("x")))
    state.startable = Counting(state.startable)  # type: ignore[assignment]  # it counts what is looked at
    assert len(ready(state, 0.0, room=3).record) == 3
    assert state.startable.looked_at <= 4  # type: ignore[attr-defined]  # it counts


def test_many_that_wait_do_not_slow_down_the_one_that_is_due() -> None:
    """Of thousands of steps that wait for their time, only those that are due are looked at."""
    saga = Driven(shape({f"s{i}": "" for i in range(2000)}, policy=Policy()))
    saga.claim()
    saga.tell(*(ev.StepDeferred(i, "no", 100.0 + i) for i in range(2000)))
    saga.now = 101.0
    lines = counted(lambda: ready(saga.state, saga.now))
    assert lines < 200
    assert saga.settle() == [ev.StepStarted(0, 2), ev.StepStarted(1, 2)]
    saga.end("s0", Failed("no"))
    assert saga.state.unwinding
