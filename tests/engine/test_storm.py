"""A storm: many sagas with locks, failures, retries and limits, spoken to at random by several threads."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest

from sledsaga.core.commands import VERBS, Command
from sledsaga.core.define import (
    Operation,
    Retry,
    exclusive,
    irreversible,
    operation,
    shared,
    step,
)
from sledsaga.core.machine import replay
from sledsaga.core.model import Model
from sledsaga.core.view import ENDED
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.engine.limits import Limits
from sledsaga.errors import Conflict, FailedClean, LogUnavailable, NotFound, Transient
from sledsaga.store.open import open_store
from sledsaga.store.store import Store
from tests.engine.toys import PATIENCE_S, Start

RETRY = Retry(3, backoff_s=0.001)
ONCE = Retry(1)


class Weather(Model):
    seed: int
    resource: str = "a"
    alone: bool = False


def luck(params: Weather, ctx: Context) -> float:
    return random.Random(f"{params.seed} {ctx.step} {ctx.direction} {ctx.attempt}").random()  # noqa: S311 - a dice


def do(params: Weather, ctx: Context) -> int:
    chance = luck(params, ctx)
    if chance < 0.1:
        raise Transient("again")
    if chance < 0.14:
        raise FailedClean("no")
    if chance < 0.18:
        raise ValueError("no")
    return ctx.attempt


def undo(params: Weather, ctx: Context) -> None:
    if luck(params, ctx) < 0.1:
        raise OSError("cannot")


async def do_async(params: Weather, ctx: Context) -> int:
    await asyncio.sleep(0.001 * luck(params, ctx))
    return do(params, ctx)


def storm() -> Operation:
    about: dict[str, Any] = {"retry": RETRY, "undo_retry": ONCE, "timeout_s": 5.0}
    steps = [
        step(do, name="a", undo=undo, **about),
        step(do_async, name="b", undo=undo, after="a", cancellable=True, **about),
        step(do, name="c", undo=undo, after="a", undo_needs_output=True, **about),
        step(do_async, name="d", undo=undo, after=("b", "c"), **about),
        step(do, name="e", undo=irreversible("it is out"), after="d", **about),
        step(do, name="f", undo=undo, after="e", **about),
    ]

    def locks(params: Weather) -> Any:
        mode = exclusive if params.alone else shared
        return [mode(f"disk:{params.resource}")] if params.resource else []

    return operation("storm", version=1, params=Weather, steps=steps, locks=locks)


def submit_all(engine: Engine, dice: random.Random, number: int) -> list[str]:
    return [
        engine.submit(
            "storm",
            {
                "seed": dice.randrange(10**9),
                "resource": dice.choice(["a", "b", ""]),
                "alone": dice.random() < 0.3,
            },
        ).id
        for _ in range(number)
    ]


def speak(engine: Engine, sagas: list[str], dice: random.Random, times: int) -> None:
    """Tell random sagas random things; most are refused, which is fine."""
    for _ in range(times):
        verb: Any = dice.choice(VERBS)
        where = dice.choice("abcdef") if verb == "skip" or dice.random() < 0.2 else None
        if verb in ("pause", "resume", "cancel", "abandon"):
            where = None
        command = Command(verb, "me", "at random", step=where, output=1 if verb == "skip" else None)
        try:
            engine.command(dice.choice(sagas), command, dry_run=dice.random() < 0.2)
        except (Conflict, NotFound):
            continue


def settle(engine: Engine, sagas: list[str]) -> None:
    """End what rests without having ended, as a person would."""
    while True:
        assert engine.idle(PATIENCE_S), "the storm never ends"
        assert engine.failure is None
        views = [engine.view(saga) for saga in sagas]
        open_ones = [view for view in views if view.state not in ENDED]
        if not open_ones:
            return
        for view in open_ones:
            for verb in ("resume", "retry", "retry-undo"):
                if verb in view.allowed:
                    engine.command(view.id, Command(verb, "me", "after the storm"))
                    break


def check(store: Store, sagas: list[str]) -> None:
    """Each log can be folded, its end is in its columns, and no lock is left."""
    for saga in sagas:
        plan = store.plan(saga)
        state = replay(plan.dag, store.events(saga), has_locks=bool(plan.locks))
        row = store.row(saga)
        assert (row.state, row.seq, row.epoch) == (state.outcome, state.seq, state.epoch)
    assert store.locks() == ()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("live", [3, 2048])
def test_everything_comes_to_rest_after_a_storm(start: Start, seed: int, live: int) -> None:
    """However many people say whatever they like, nothing breaks, and everything can be brought to an end."""
    dice = random.Random(seed)  # noqa: S311 - a dice
    engine = start(storm(), limits=Limits(threads=3, async_calls=3, live=live, per_operation={"storm": 4}))
    sagas = submit_all(engine, dice, 60)
    speakers = [
        threading.Thread(target=speak, args=(engine, sagas, random.Random(dice.random()), 80))  # noqa: S311 - a dice
        for _ in range(3)
    ]
    for thread in speakers:
        thread.start()
    sagas += submit_all(engine, dice, 40)
    for thread in speakers:
        thread.join(PATIENCE_S)
    settle(engine, sagas)
    check(engine.store, sagas)
    books = engine._loop.books
    assert not any(
        (books.live, books.waiting, books.replies._waiters, books.locks._wants, books.flights.count)
    )


class Cut:
    """A handle on a store that can be cut off: as of a process that dies, no write comes through after it."""

    def __init__(self, store: Store) -> None:
        self._store, self._mutex, self._is_cut = store, threading.Lock(), False

    def cut(self) -> None:
        with self._mutex:
            self._is_cut = True

    def write(self, new: Any, appends: Any) -> tuple[str, ...]:
        with self._mutex:
            if self._is_cut:
                raise LogUnavailable("this process is dead")
            return self._store.write(new, appends)

    def close(self) -> None:
        """Leave the store open, for the others."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("url", ["memory:", "sqlite:///{}/log.db"])
def test_a_storm_of_takeovers(start: Start, seed: int, url: str, tmp_path: Any) -> None:
    """Engines that are dropped in the middle, one after the other, leave nothing in between."""
    dice = random.Random(seed)  # noqa: S311 - a dice
    store = open_store(url.format(tmp_path))
    sagas: list[str] = []
    for _ in range(5):
        handle = Cut(store)
        engine = start(storm(), store=handle, limits=Limits(threads=2, async_calls=2, live=16))
        engine.recover()
        sagas += submit_all(engine, dice, 10)
        speak(engine, sagas, dice, 10)
        handle.cut()
    last = start(storm(), store=store)
    last.recover()
    settle(last, sagas)
    check(store, sagas)
