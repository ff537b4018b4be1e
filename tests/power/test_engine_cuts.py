"""Power cuts under a running engine: what anybody was told, or a step has seen, is in the log afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sledsaga.core import events as e
from sledsaga.core.define import Operation, exclusive, operation, step
from sledsaga.core.invariants import log_breaches
from sledsaga.core.model import Model
from sledsaga.core.view import ENDED
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.engine.limits import Limits
from sledsaga.store.memory import MemoryStore
from sledsaga.store.sql import SqlStore
from sledsaga.store.sqlite import connecting_by
from sledsaga.store.store import Append, NewSaga, Store
from tests.power.cuts import LOG, Allowed, Cut, chosen_places, cuts, integrity
from tests.power.dbapi import connect_through
from tests.power.vfs import PowerVfs, Tape, lay_out
from tests.power.workload import Picture, difference, look

PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Called:
    """A step was called and saw these outputs of earlier steps."""

    saga: str
    step: int
    saw: tuple[e.Json, ...]
    direction: str


@dataclass(frozen=True, slots=True)
class Told:
    """A client was told that there is this saga, in this state."""

    saga: str
    state: str


class Params(Model):
    number: int
    fails: bool = False
    alone: bool = False


def journey(tape: Tape) -> Operation:
    """Make an operation whose steps say on the tape what they see; half of its sagas fail at the end."""

    def saw(ctx: Context, index: int, *outputs: e.Json) -> None:
        tape.note(Called(ctx.saga, index, outputs, ctx.direction))

    def first(ctx: Context, params: Params) -> str:
        saw(ctx, 0)
        return f"first of {params.number}, epoch {ctx.epoch}"

    def second(ctx: Context, first: str) -> str:
        saw(ctx, 1, first)
        return f"second after {first}" + "." * 3000

    def third(ctx: Context, params: Params, first: str, second: str) -> None:
        saw(ctx, 2, first, second)
        if params.fails:
            raise ValueError("no")

    def undo_first(ctx: Context, output: str | None) -> None:
        saw(ctx, 0, output)

    def undo(ctx: Context) -> None:
        saw(ctx, 1)

    steps = [
        step(first, undo=undo_first),
        step(second, undo=undo),
        step(third, undo=undo_third),
    ]
    locks: Any = lambda params: [exclusive("pool:a")] if params.alone else []  # noqa: E731 - one line
    return operation("journey", version=1, params=Params, steps=steps, locks=locks)


def undo_third() -> None:
    """Leave nothing."""


@dataclass(slots=True)
class Noting:
    """A store that says on the tape which batches may, and which must, be in the log."""

    store: Store
    tape: Tape
    model: MemoryStore = field(default_factory=MemoryStore)
    found: list[Picture] = field(default_factory=list)

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        self.found = self.found or [look(self.model)]
        self.model.write(new, appends)
        self.found.append(look(self.model))
        last = len(self.found) - 1
        self.tape.note(Allowed((last - 1, last), "a write has begun"))
        lost = self.store.write(new, appends)
        self.tape.note(Allowed((last,), "a write was acknowledged"))
        return lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def drive(folder: Path, seed: int) -> tuple[Tape, list[Picture]]:
    """Drive some sagas by an engine on a tape, to their ends; return the tape and what the log was."""
    folder.mkdir()
    tape = Tape()
    with connecting_by(connect_through(PowerVfs(tape))):
        noting: Any = Noting(SqlStore(folder / LOG), tape)
    with Engine(noting, Catalog([journey(tape)]), limits=Limits(threads=2)) as engine:
        sagas = []
        for number in range(4):
            params = Params(number=number, fails=(number + seed) % 2 == 0, alone=number > 1)
            saga = engine.submit("journey", params, key=f"key {number}").id
            tape.note(Told(saga, "waiting"))
            sagas.append(saga)
        for saga in sagas:
            tape.note(Told(saga, engine.wait(saga, PATIENCE_S).state))
    return tape, noting.found


def broken_promises(cut: Cut, store: Store) -> list[str]:
    """Return what was told, or seen by a step, and is not in the log."""
    told = []
    for one in cut.heard:
        events = [recorded.event for recorded in store.events(one.saga)]
        if isinstance(one, Told) and one.state in ENDED and store.row(one.saga).state != one.state:
            told.append(f"{one} is not so")
        if isinstance(one, Called):
            outputs = [event.output for event in events if isinstance(event, e.StepSucceeded)]
            kind = e.StepStarted if one.direction == "do" else e.UndoStarted
            if not any(isinstance(event, kind) and event.step == one.step for event in events):
                told.append(f"{one} was not started")
            told += [f"{one}: {saw} is not in the log" for saw in one.saw if saw not in (*outputs, None)]
    return told


def recovered(path: Path) -> list[str]:
    """Drive what is in the log to its end; return the rules that the logs break then."""
    store = SqlStore(path)
    before = {row.id: events for row, _, events in look(store)[0]}
    with Engine(store, Catalog([journey(Tape())])) as engine:
        engine.recover()
        assert engine.idle(PATIENCE_S)
        told: list[str] = []
        for saga, events in before.items():
            plan, log = store.plan(saga), store.events(saga)
            told += log_breaches(plan.dag, log, has_locks=bool(plan.locks))
            told += [] if log[: len(events)] == events else [f"{saga}: its log was changed"]
            told += [] if store.row(saga).state in ENDED else [f"{saga} is {store.row(saga).state}"]
        return told + [f"{lock} is left" for lock in store.locks()]


def judge(cut: Cut, found: list[Picture], folder: Path) -> list[str]:
    """Cut the power, look what is there, then recover; return what is broken."""
    lay_out(cut.disk.after_cut(cut.seed)[1], folder)
    store = SqlStore(folder / LOG)
    told = difference(look(store), [found[n] for n in cut.allowed.counts] if found else [((), (), ())])
    broken = [told] if told else broken_promises(cut, store)
    store.close()
    return [*broken, *recovered(folder / LOG), *filter(None, [integrity(folder / LOG)])]


def cut_engine(folder: Path, seed: int, count: int) -> None:
    tape, found = drive(folder / "log", seed)
    assert {type(entry.what) for entry in tape.entries if hasattr(entry, "what")} == {Allowed, Called, Told}
    places = chosen_places(len(tape.entries), count, seed)
    for cut in cuts(tape, places, seed=seed):
        assert judge(cut, found, folder / "after") == [], f"cut at {cut.place} of seed {seed}"
    print(f"{len(places)} power cuts")  # noqa: T201 - the figure


@pytest.mark.parametrize("seed", range(2))
def test_what_clients_and_steps_saw_survives_a_power_cut(folder: Path, seed: int) -> None:
    """Sagas submitted, ends told, and outputs that later steps got are there, and all comes to rest."""
    cut_engine(folder, seed, 40)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(10, 13))
def test_many_power_cuts_under_an_engine(folder: Path, seed: int) -> None:
    """The same at every place."""
    cut_engine(folder, seed, 10_000)
