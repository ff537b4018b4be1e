"""Who does a turn, that there is one at a time, and that nobody sleeps through what a turn has brought."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from sledsaga.core.define import Operation, Retry, operation, step
from sledsaga.core.events import Ended, Recorded
from sledsaga.engine.collector import NEW_OBJECTS, collect_rarely
from sledsaga.engine.engine import Engine
from sledsaga.engine.limits import Limits
from sledsaga.errors import Transient, UsageError
from tests.engine.toys import NOTHING, PATIENCE_S, Gate, Params, Start, one_step, until

STEPS = 5


@dataclass
class Turns:
    """A hook that notes which threads write, and how many at a time."""

    threads: list[str] = field(default_factory=list)
    inside: int = 0
    most: int = 0
    mutex: threading.Lock = field(default_factory=threading.Lock)
    pause_s: float = 0.0

    def __call__(self, point: str, _step: str | None) -> None:
        if point not in ("before-append", "after-append"):
            return
        with self.mutex:
            self.inside += 1 if point == "before-append" else -1
            self.most = max(self.most, self.inside)
            if point == "before-append":
                self.threads.append(threading.current_thread().name.rstrip("-0123456789"))
        time.sleep(self.pause_s)


def chain(do: Callable[..., Any], *, steps: int = STEPS, wide: bool = False) -> Operation:
    """Make an operation of steps of the same function, one after the other or side by side."""
    made = [
        step(do, name=f"s{n}", after=() if wide or not n else f"s{n - 1}", undo=NOTHING) for n in range(steps)
    ]
    return operation("chain", version=1, params=Params, steps=made)


def one_by_one(engine: Engine, sagas: int) -> None:
    """Submit sagas, each when the one before has ended, and ask the loop for nothing else."""
    ended = threading.Semaphore(0)

    def watch(_saga: str, events: tuple[Recorded, ...]) -> None:
        if isinstance(events[-1].event, Ended):
            ended.release()

    unsubscribe = engine.subscribe(watch)
    for _ in range(sagas):
        engine.submit("chain")
        assert ended.acquire(timeout=PATIENCE_S)
    unsubscribe()


async def awaited() -> None:
    """Do nothing, on the loop."""


@pytest.mark.parametrize(("do", "thread"), [(lambda: None, "sledsaga-step"), (awaited, "sledsaga-async")])
def test_who_brings_the_only_news_does_the_turn(start: Start, do: Any, thread: str) -> None:
    """One saga at a time changes threads when it comes and when it goes, not at each step."""
    turns = Turns()
    engine = start(chain(do), hook=turns)
    one_by_one(engine, 20)
    found = Counter(turns.threads)
    assert set(found) <= {thread, "sledsaga-loop"}
    assert found[thread] > 20 * STEPS / 2  # now and then the loop is at it when the news comes
    assert found.total() == 20 * (1 + STEPS)


def test_the_loop_of_async_steps_is_not_kept_from_those_that_go_on(start: Start) -> None:
    """A step that ends while others are awaited leaves the turn to the loop's thread."""
    turns, others_stand, done = Turns(), asyncio.Event(), []

    async def first_ends() -> None:
        done.append(1)
        if len(done) > 1:
            await others_stand.wait()

    engine = start(chain(first_ends, wide=True), hook=turns)
    saga = engine.submit("chain").id
    until(lambda: [one.state for one in engine.view(saga).steps].count("succeeded") == 1)
    assert set(turns.threads) == {"sledsaga-loop"}
    engine.close(now=True, timeout_s=1.0)


@pytest.mark.parametrize("wide", [False, True])
def test_there_is_one_turn_at_a_time(start: Start, wide: bool) -> None:  # noqa: FBT001 - a case
    """Whoever does them, turns do not overlap."""
    turns = Turns(pause_s=0.0005)
    engine = start(chain(lambda: None, wide=wide), hook=turns)
    for _ in range(40):
        engine.submit("chain")
    assert engine.idle(PATIENCE_S)
    assert (turns.most, turns.inside) == (1, 0)


def test_workers_do_not_keep_the_loop_from_its_turn(start: Start) -> None:
    """Once the loop has something, the next turn is its own, however fast the steps are."""
    turns, asked = Turns(), list[int]()

    def intrude(point: str, step: str | None) -> None:
        turns(point, step)
        if point == "after-append" and turns.threads[-1] == "sledsaga-step" and len(turns.threads) % 8 == 0:
            ask = threading.Thread(target=engine.submit, args=("other",))
            ask.start()
            until(lambda: engine._loop._has_message)  # the loop has it, and waits for its turn
            asked.append(len(turns.threads))

    steps = [
        step(lambda: None, name=f"s{n}", after=f"s{n - 1}" if n else (), undo=NOTHING) for n in range(80)
    ]
    engine = start(
        operation("long", version=1, params=Params, steps=steps), one_step("other", awaited), hook=intrude
    )
    assert engine.wait(engine.submit("long").id, PATIENCE_S).state == "succeeded"
    assert asked
    until(lambda: len(turns.threads) > asked[-1])  # the last one may be asked for as the saga ends
    assert {turns.threads[number] for number in asked} == {"sledsaga-loop"}


def test_a_wait_that_begins_in_a_workers_turn_is_seen(start: Start) -> None:
    """The loop sleeps for an hour when a step is put off; it gets up in time."""
    failures = [Transient("not yet")] * 2

    def only() -> None:
        time.sleep(0.02)  # the loop is asleep by then
        if failures:
            raise failures.pop()

    retry = Retry(attempts=3, backoff_s=0.05, factor=1.0, max_backoff_s=0.05)
    engine = start(one_step("later", only, retry=retry))
    assert engine.wait(engine.submit("later").id, PATIENCE_S).state == "succeeded"


def test_a_limit_that_begins_in_a_workers_turn_is_kept(start: Start) -> None:
    """The second step starts in the turn of the first, while the loop sleeps; its time ends all the same."""

    def first() -> None:
        time.sleep(0.02)

    def second(ctx: Any) -> None:
        ctx.pause(PATIENCE_S)

    steps = [
        step(first, undo=NOTHING),
        step(second, undo=NOTHING, after="first", timeout_s=0.05),
    ]
    engine = start(operation("limited", version=1, params=Params, steps=steps))
    view = engine.wait(engine.submit("limited").id, PATIENCE_S)
    assert (view.step("second").error or "").startswith("timed out after 0.05 s")


def test_a_limit_that_is_over_before_the_step_begins_ends_it(start: Start) -> None:
    """An `async def` step whose time is over when its turn ends is cancelled all the same."""

    async def never() -> None:
        await asyncio.Event().wait()

    engine = start(one_step("late", never, timeout_s=1e-9))
    view = engine.wait(engine.submit("late").id, PATIENCE_S)
    assert (view.state, (view.step("only").error or "")[:9]) == ("undone", "timed out")


def test_a_subscriber_may_not_ask_the_turn_that_it_is_in(start: Start) -> None:
    """Whoever does the turn, the subscriber would wait for itself; between turns any thread may ask."""
    refusals: list[str] = []

    def nosy(saga: str, _events: Any) -> None:
        with pytest.raises(UsageError, match="hand the work to another thread"):
            engine.wait(saga)
        refusals.append(threading.current_thread().name)

    def asks() -> int:
        return len(engine.submit("chain", key="same").steps)

    engine = start(chain(lambda: None), one_step("asks", asks))
    engine.subscribe(nosy)
    one_by_one(engine, 3)
    assert any(name.startswith("sledsaga-step") for name in refusals)
    assert engine.wait(engine.submit("asks").id, PATIENCE_S).step("only").output == STEPS


def test_steps_that_take_their_time_are_soon_on_all_threads(start: Start) -> None:
    """One thread is woken at a time, but each wakes the next: sixteen steps that wait are sixteen threads."""
    gate = threading.Barrier(16)

    def only() -> None:
        gate.wait(PATIENCE_S)

    engine = start(one_step("meet", only), limits=Limits(threads=16))
    for _ in range(3):
        sagas = [engine.submit("meet").id for _ in range(16)]
        assert {engine.wait(saga, PATIENCE_S).state for saga in sagas} == {"succeeded"}


class Intruder:
    """A lock before which something happens, the first time that a step's thread takes it."""

    def __init__(self, lock: Any, happens: Callable[[], None]) -> None:
        self._lock, self._todo = lock, [happens]

    def __enter__(self) -> None:
        if threading.current_thread().name.startswith("sledsaga-step") and self._todo:
            self._todo.pop()()
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


def test_a_job_that_comes_while_the_thread_goes_to_rest_is_done(start: Start) -> None:
    """A thread looks once more before it rests: whoever gave it a job meanwhile found it busy."""
    engine = start(one_step("quick", lambda: None), limits=Limits(threads=1))
    team: Any = engine._loop.workers
    workers = team.threads
    sagas: list[str] = []

    def intrude() -> None:
        threading.Thread(target=lambda: sagas.append(engine.submit("quick").id)).start()
        until(lambda: bool(workers._jobs))
        time.sleep(0.05)  # and its giver has looked for an idle thread

    workers._mutex = Intruder(workers._mutex, intrude)
    engine.submit("quick")
    until(lambda: bool(sagas))
    assert engine.wait(sagas[0], PATIENCE_S).state == "succeeded"


def test_a_worker_with_news_does_no_turn_for_an_executor_that_stops(start: Start, gate: Gate) -> None:
    """The loop has to see the last call end, or it would wait for ever."""
    engine = start(one_step("held", gate.stand))
    engine.submit("held")
    gate.await_arrivals()
    assert not engine.drain(0.05)
    gate.opened.set()
    assert engine.drain(PATIENCE_S)


@pytest.mark.parametrize("do", [awaited, lambda: None])
def test_a_turn_that_ends_after_the_end_starts_nothing(start: Start, do: Any) -> None:
    """A worker may still be in its turn when its executor lets go; the job that came of it is not begun."""
    jobs: list[Any] = []
    engine = start(one_step("quick", do))
    workers: Any = engine._loop.workers
    begin = workers.start

    def noting(job: Any, report: Any) -> None:
        jobs.append(job)
        begin(job, report)

    workers.start = noting
    engine.wait(engine.submit("quick").id, PATIENCE_S)
    engine.close()
    until(lambda: workers.coroutines._loop is None or workers.coroutines._loop.is_closed())
    reports: list[Any] = []
    begin(jobs[0], reports.append)
    workers.go()
    time.sleep(0.02)
    assert reports == []


def test_the_collector_is_told_once_and_never_hurried() -> None:
    """A higher threshold, or none at all, is somebody's decision."""
    before = gc.get_threshold()
    try:
        for young, then in ((700, NEW_OBJECTS), (NEW_OBJECTS + 1, NEW_OBJECTS + 1), (0, 0)):
            gc.set_threshold(young, 11, 12)
            collect_rarely()
            assert gc.get_threshold() == (then, 11, 12)
    finally:
        gc.set_threshold(*before)
