"""Time limits: what happens to a call whose time is over, in each colour, and what the log says of it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sledsaga.core.define import Retry, irreversible, operation, step
from sledsaga.core.events import StepDeferred
from sledsaga.engine.context import Context
from sledsaga.engine.live import Live
from sledsaga.errors import CommandTimedOut, Transient
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.local import LocalHost
from sledsaga.store.memory import MemoryStore
from tests.engine.toys import NOTHING, PATIENCE_S, Gate, Params, Start, one_step, until

SOON_S = 0.02
LIMIT_S = 0.3
"""Time enough for a call to begin, also on a busy machine: what has not begun by then never does."""
BEGUN_S = 1.0  # on a busy machine, too, a step has begun by then
LATER = Retry(attempts=3, backoff_s=3600.0, factor=1.0, max_backoff_s=3600.0)


def test_a_step_that_ignores_its_limit_and_succeeds_has_succeeded(start: Start, gate: Gate) -> None:
    """A `def` step cannot be ended; it is told, let finish, and what it came to is the truth."""
    contexts: list[Context] = []

    def only(ctx: Context) -> int:
        contexts.append(ctx)
        gate.stand()
        return 5

    engine = start(one_step("late", only, timeout_s=SOON_S))
    saga = engine.submit("late").id
    gate.await_arrivals()
    assert contexts[0].cancelled.wait(PATIENCE_S)
    assert engine.view(saga).state == "running"
    gate.opened.set()
    view = engine.wait(saga, PATIENCE_S)
    assert (view.state, view.step("only").output) == ("succeeded", 5)


def test_a_step_that_ends_when_it_is_told_has_timed_out(start: Start) -> None:
    """A limit without a retry policy is a failure, and it says that the time was over."""

    def only(ctx: Context) -> None:
        ctx.pause(PATIENCE_S)

    engine = start(one_step("slow", only, timeout_s=SOON_S))
    view = engine.wait(engine.submit("slow").id, PATIENCE_S)
    assert (view.state, view.step("only").attempts) == ("undone", 1)
    assert (view.step("only").error or "").startswith(f"timed out after {SOON_S:g} s: CommandCancelled")


def test_a_command_that_ends_with_its_step_has_timed_out(start: Start) -> None:
    """A host ends a command at the step's own deadline; whoever sees that first, the time was over."""

    def only(ctx: Context) -> None:
        assert ctx.deadline is not None
        while ctx.monotonic() < ctx.deadline:
            pass
        raise CommandTimedOut("its time was over")

    engine = start(one_step("ends-in-time", only, timeout_s=SOON_S / 4, retry=Retry(2, backoff_s=0.0)))
    views = [engine.wait(engine.submit("ends-in-time").id, PATIENCE_S) for _ in range(20)]
    assert [view.step("only").attempts for view in views] == [2] * 20


class SlowStore:
    """A store that writes at once, until it is told a time before which it does not."""

    def __init__(self) -> None:
        self.kept = MemoryStore()
        self.not_before = 0.0
        self.waits = threading.Event()

    def write(self, new: Any, appends: Any) -> tuple[str, ...]:
        while time.monotonic() < self.not_before:
            self.waits.set()
        return self.kept.write(new, appends)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kept, name)


def test_a_failure_that_came_in_time_is_none_of_time(start: Start) -> None:
    """A step that fails in time has failed, however late a slow disk lets the executor hear of it."""
    store = SlowStore()

    def only(ctx: Context) -> None:
        assert ctx.deadline is not None
        store.not_before = ctx.deadline
        threading.Thread(target=engine.submit, args=("other",), daemon=True).start()
        assert store.waits.wait(PATIENCE_S)
        raise ValueError("for good")

    retried = Retry(2, backoff_s=0.0)
    failing = one_step("fails", only, timeout_s=0.5, retry=retried)
    engine = start(failing, one_step("other", lambda: None), store=store)
    view = engine.wait(engine.submit("fails").id, PATIENCE_S)
    assert (view.step("only").error, view.step("only").attempts) == ("ValueError: for good", 1)


def test_an_async_step_is_cancelled(start: Start) -> None:
    """An `async def` step is cancelled where it waits, and what it cleans up is run."""
    cleaned: list[str] = []

    async def only() -> None:
        try:
            await asyncio.sleep(PATIENCE_S)
        finally:
            cleaned.append("yes")

    engine = start(one_step("slow", only, timeout_s=BEGUN_S))
    view = engine.wait(engine.submit("slow").id, PATIENCE_S)
    assert (view.state, cleaned) == ("undone", ["yes"])
    assert view.step("only").error == f"timed out after {BEGUN_S:g} s: CancelledError"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_limit_is_transient(start: Start, *, is_async: bool) -> None:
    """Under a retry policy a call whose time was over is tried again."""
    calls: list[int] = []

    def only(ctx: Context) -> int:
        calls.append(ctx.attempt)
        if ctx.attempt < 3:
            ctx.pause(PATIENCE_S)
        return ctx.attempt

    async def only_async(ctx: Context) -> int:
        calls.append(ctx.attempt)
        if ctx.attempt < 3:
            await asyncio.sleep(PATIENCE_S)
        return ctx.attempt

    do = only_async if is_async else only
    engine = start(one_step("slow", do, timeout_s=LIMIT_S, retry=Retry(3, backoff_s=0.0)))
    assert engine.wait(engine.submit("slow").id, PATIENCE_S).step("only").output == 3
    assert calls == [1, 2, 3]


def test_the_tree_of_a_command_ends_with_its_step(start: Start, tmp_path: Path) -> None:
    """A command that runs on the machine when the time is over ends, with the children that it started."""
    tick = tmp_path / "tick"
    script = f"(while :; do echo x >> {tick}; sleep 0.01; done) & wait"

    def only(ctx: Context) -> None:
        LocalHost().run(HostCommand(("sh", "-c", script), mutates=True), cancel=ctx.cancelled)

    engine = start(one_step("runs", only, timeout_s=0.3))
    view = engine.wait(engine.submit("runs").id, PATIENCE_S)
    assert view.state == "undone"
    assert (view.step("only").error or "").startswith("timed out after 0.3 s: ")
    size = tick.stat().st_size
    time.sleep(0.1)
    assert tick.stat().st_size == size


def test_an_undo_has_a_limit_of_its_own(start: Start) -> None:
    """An undo whose time was over is tried again by its policy, then it is stuck."""

    def only() -> None:
        raise ValueError

    def undo_only(ctx: Context) -> None:
        ctx.pause(PATIENCE_S)

    engine = start(
        one_step("sticks", only, undo=undo_only, undo_timeout_s=SOON_S, undo_retry=Retry(2, backoff_s=0.0))
    )
    view = engine.wait(engine.submit("sticks").id, PATIENCE_S)
    assert (view.state, view.step("only").undo_attempts) == ("stuck", 2)
    assert view.stuck[0].error.startswith("timed out")


def test_attempt_and_next_time_survive_a_crash(start: Start) -> None:
    """A new executor neither shortens nor repeats a wait, and goes on counting where the log stands."""
    store = MemoryStore()

    def only() -> None:
        raise Transient("busy")

    dead = start(one_step("busy", only, retry=LATER), store=store)
    saga = dead.submit("busy").id
    until(lambda: dead.view(saga).step("only").state == "backing_off")
    deferred = next(one for one in dead.events(saga) if isinstance(one.event, StepDeferred))
    alive = start(one_step("busy", only, retry=LATER), store=store)
    assert alive.recover().claimed == 1
    step = alive.view(saga).step("only")
    assert (step.state, step.attempts, step.next_at) == ("backing_off", 1, deferred.event.next_at)  # type: ignore[union-attr]  # it is a StepDeferred
    assert deferred.at + 3599 < (step.next_at or 0) <= deferred.at + 3601


def test_a_retry_is_not_kept_waiting_by_another_step(start: Start, gate: Gate) -> None:
    """Each step's next attempt comes at its own time, also while another step of the saga runs for long."""
    tries = {"fast": 0, "slow": 0}

    def fast(ctx: Context) -> None:
        tries["fast"] += 1
        if ctx.attempt == 1:
            raise Transient
        gate.stand()

    def slow(ctx: Context) -> None:
        tries["slow"] += 1
        if ctx.attempt == 1:
            raise Transient
        gate.opened.set()  # the other step stands at the gate until this one is tried again

    steps = [
        step(fast, undo=NOTHING, retry=Retry(2, backoff_s=0.05)),
        step(slow, undo=NOTHING, retry=Retry(2, backoff_s=0.3)),
    ]
    engine = start(operation("two", version=1, params=Params, steps=steps))
    assert engine.wait(engine.submit("two").id, PATIENCE_S).state == "succeeded"
    assert tries == {"fast": 2, "slow": 2}


@pytest.mark.parametrize("seconds", [1e9, 1e300])
def test_a_limit_of_centuries_is_no_trouble(start: Start, seconds: float) -> None:
    """Any finite time is taken, as a limit and as a wait."""

    def only() -> None:
        raise Transient

    engine = start(
        one_step("patient", lambda: 1, timeout_s=seconds),
        one_step("later", only, retry=Retry(2, seconds, 1.0, seconds), undo=irreversible("why")),
    )
    later = engine.submit("later").id
    until(lambda: engine.store.row(later).seq == 4)
    assert engine.wait(engine.submit("patient").id, PATIENCE_S).state == "succeeded"
    assert engine.failure is None


def test_deadlines_of_ended_calls_do_not_pile_up(start: Start) -> None:
    """A thousand quick calls with an hour each leave only a handful of deadlines behind."""
    engine = start(one_step("quick", lambda: None, timeout_s=3600.0))
    for _ in range(300):
        engine.submit("quick")
    assert engine.idle(PATIENCE_S)
    assert len(engine._loop.books.flights._deadlines) < 150


def test_a_deadline_keeps_no_ended_saga_in_memory(start: Start) -> None:
    """A time limit of an hour does not hold a saga, with its state and its DAG, for an hour."""

    async def only() -> None: ...

    engine = start(one_step("quick", only, timeout_s=3600.0))
    sagas = {engine.wait(engine.submit("quick").id, PATIENCE_S).id for _ in range(40)}
    assert engine.idle(PATIENCE_S)
    gc.collect()
    held = sum(isinstance(one, Live) and one.id in sagas for one in gc.get_objects())
    assert held <= 2  # those of the last turn
