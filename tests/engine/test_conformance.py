"""A peer's published cases that need an engine, in this project's words: how often each function is called.

The peer repeats a call by injection. Here a call is repeated for the reason that there is: the log was
out of reach when it ended (its store was unplugged), and another engine took the saga over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from sledsaga.core.commands import Command
from sledsaga.core.define import Operation, Retry, Step, operation, step
from sledsaga.core.events import Recorded
from sledsaga.core.view import SagaView
from sledsaga.errors import Conflict, FailedClean, LogUnavailable, NotFound, Stopping
from sledsaga.store.memory import MemoryStore
from sledsaga.store.store import Append, NewSaga, Store
from tests.engine.toys import PATIENCE_S, Gate, Params, Start, waiting_at

TWO = {"n1": "", "n2": "n1"}
DIAMOND = {"a": "", "b": "a", "c": "a", "d": "b c"}


class Unpluggable:
    """A store over another one, whose writes fail from the moment that it is unplugged."""

    def __init__(self, inner: MemoryStore) -> None:
        self._inner = inner
        self.is_unplugged = False

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        if self.is_unplugged:
            msg = "the store is unplugged"
            raise LogUnavailable(msg)
        return self._inner.write(new, appends)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@dataclass
class Bench:
    """An operation whose calls are counted, and what befalls them: endings, and lost results by call."""

    start: Start
    needs: Mapping[str, str] = field(default_factory=lambda: TWO)
    errors: Mapping[str, BaseException] = field(default_factory=dict)
    losses: Mapping[str, int] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    log: MemoryStore = field(default_factory=MemoryStore)
    engines: int = 0

    def operation(self, store: Unpluggable) -> Operation:
        steps = [self._step(name, above.split(), store) for name, above in self.needs.items()]
        return operation("case", version=1, params=Params, steps=steps)

    def _step(self, name: str, after: list[str], store: Unpluggable) -> Step:
        def do() -> str:
            self._called(f"do {name}", store)
            return name

        def undo() -> None:
            self._called(f"undo {name}", store)

        return step(do, undo=undo, name=name, after=after, undo_retry=Retry(1))

    def _called(self, call: str, store: Unpluggable) -> None:
        if call in self.errors:
            raise self.errors[call]
        self.calls[call] += 1
        if self.calls[call] <= self.losses.get(call, 0):
            store.is_unplugged = True

    def run(self) -> SagaView:
        """Drive one saga to its rest, by as many engines as it takes."""
        saga = None
        for _ in range(50):
            store = Unpluggable(self.log)
            engine = self.start(self.operation(store), store=store)
            self.engines += 1
            try:
                if saga is None:
                    saga = engine.submit("case", id="0192aaaa-0000-7000-8000-000000000001").id
                else:
                    engine.recover()
                return engine.wait(saga, PATIENCE_S)
            except LogUnavailable:
                saga = "0192aaaa-0000-7000-8000-000000000001"
        pytest.fail("the saga never came to rest")

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """How often the peer's four functions were called: do and undo of n1, do and undo of n2."""
        return (self.calls["do n1"], self.calls["undo n1"], self.calls["do n2"], self.calls["undo n2"])


N2_FAILS: dict[str, BaseException] = {"do n2": FailedClean("no")}


@pytest.mark.parametrize(
    ("errors", "losses", "state", "counts"),
    [
        ({}, {}, "succeeded", (1, 0, 1, 0)),
        ({}, {"do n1": 1}, "succeeded", (2, 0, 1, 0)),
        (N2_FAILS, {"do n1": 1}, "undone", (2, 1, 0, 0)),
        (N2_FAILS, {"do n1": 1, "undo n1": 1}, "undone", (2, 2, 0, 0)),
        (N2_FAILS, {"undo n1": 1}, "undone", (1, 2, 0, 0)),
        (N2_FAILS, {"do n1": 2, "undo n1": 4}, "undone", (3, 5, 0, 0)),
        ({"do n1": FailedClean("no")}, {}, "undone", (0, 0, 0, 0)),
    ],
    ids=["X1", "X2", "X3", "X4", "X5", "X6", "X7"],
)
def test_x1_x7_how_often_each_function_is_called(
    start: Start, errors: Any, losses: Any, state: str, counts: tuple[int, ...]
) -> None:
    """X1-X7: each call whose result was lost is made once more, and no other call is."""
    bench = Bench(start, errors=errors, losses=losses)
    view = bench.run()
    assert (view.state, bench.counts) == (state, counts)
    assert bench.engines == 1 + sum(losses.values())
    assert state != "succeeded" or [one.output for one in view.steps] == ["n1", "n2"]


def test_x8_x9_what_is_only_recorded_runs_when_it_is_taken_over(start: Start) -> None:
    """X8, X9: a saga that nobody drives calls nothing; an engine that takes it over runs it once."""
    bench = Bench(start)
    store = Unpluggable(bench.log)
    saga = start(bench.operation(store), store=store, drive=False).submit("case").id
    assert bench.counts == (0, 0, 0, 0)
    driver = start(bench.operation(store), store=store)
    assert driver.view(saga).state == "waiting"
    driver.recover()
    assert driver.wait(saga, PATIENCE_S).step("n1").output == "n1"
    assert bench.counts == (1, 0, 1, 0)


def test_x10_an_id_is_used_once(start: Start, gate: Gate) -> None:
    """X10: an id that is in use is the same saga for the same body, and a conflict for another."""
    engine = start(waiting_at(gate))
    first = engine.submit("held", id="0192aaaa-0000-7000-8000-000000000001")
    assert engine.submit("held", id=first.id).id == first.id
    with pytest.raises(Conflict, match="0192aaaa"):
        engine.submit("held", {"name": "b"}, id=first.id)


def test_x11_an_unknown_saga_is_not_found(start: Start) -> None:
    """X11: waiting for, looking at or commanding a saga that is not there is NotFound."""
    engine = start()
    for ask in (engine.wait, engine.view, lambda saga: engine.command(saga, Command("pause", "x", "y"))):
        with pytest.raises(NotFound):
            ask("0192aaaa-0000-7000-8000-000000000001")


def test_x12_a_second_start_disturbs_nothing(start: Start, gate: Gate) -> None:
    """X12, a bug of the peer: starting a saga twice leaves the first start alone."""
    engine = start(waiting_at(gate))
    saga = engine.submit("held", key="k").id
    gate.await_arrivals()
    assert engine.submit("held", key="k").id == saga
    engine.recover()
    gate.opened.set()
    assert engine.wait(saga, PATIENCE_S).state == "succeeded"
    assert not gate.has_arrivals


def test_i12_what_is_refused_leaves_no_saga(start: Start) -> None:
    """I12, a bug of the peer: an operation that cannot be run is refused before anything is recorded."""
    log = MemoryStore()
    engine = start(store=log)
    with pytest.raises(Exception, match="no operation"):
        engine.submit("my-saga")
    assert log.unfinished() == ()


def test_n1_what_was_lost_is_done_again_and_nothing_seemed_to_succeed(start: Start) -> None:
    """N1: with the log out of reach nothing more is run; recovery repeats what was lost, and only that."""
    bench = Bench(start, losses={"do n1": 1})
    assert bench.run().state == "succeeded"
    assert bench.counts == (2, 0, 1, 0)


def test_n2_what_has_ended_is_not_taken_over(start: Start) -> None:
    """N2: recovery finds nothing where every saga has ended, and calls nothing."""
    bench = Bench(start)
    bench.run()
    store = Unpluggable(bench.log)
    assert start(bench.operation(store), store=store).recover().claimed == 0
    assert bench.counts == (1, 0, 1, 0)


def test_n3_n5_what_cannot_be_run_here_is_parked_and_kept(start: Start, gate: Gate) -> None:
    """N3-N5: a saga of an unknown operation is stuck with its reason, and can be abandoned."""
    log = MemoryStore()
    start(waiting_at(gate, "old"), store=log, drive=False).submit("old")
    (saga,) = log.unfinished()
    engine = start(store=log)
    recovered = engine.recover()
    assert recovered.parked == (saga,)
    assert "old" in engine.view(saga).stuck[0].error
    assert log.unfinished() == (saga,)
    assert engine.command(saga, Command("abandon", "me", "it is of an older world")).view.state == "abandoned"
    assert log.unfinished() == ()


def test_n6_both_failures_are_on_show(start: Start) -> None:
    """N6: a stuck saga shows what failed first and what failed while undoing it."""
    errors: dict[str, BaseException] = {"do n2": FailedClean("n2 broke"), "undo n1": ValueError("n1 stays")}
    view = Bench(start, errors=errors).run()
    assert view.state == "stuck"
    assert (view.step("n2").error, view.stuck[0].error) == ("n2 broke", "ValueError: n1 stays")


def test_n7_what_runs_here_is_not_taken_over_again(start: Start, gate: Gate) -> None:
    """N7: recovery leaves alone what this very engine drives, however often it is asked."""
    engine = start(waiting_at(gate))
    saga = engine.submit("held").id
    gate.await_arrivals()
    assert [engine.recover().claimed for _ in range(2)] == [0, 0]
    gate.opened.set()
    assert engine.wait(saga, PATIENCE_S).epoch == 1


def test_n10_an_abandonment_keeps_who_why_and_when(start: Start) -> None:
    """N10: who abandoned a saga, why and when are in its log."""
    errors: dict[str, BaseException] = {"do n2": FailedClean("no"), "undo n1": ValueError("stays")}
    bench = Bench(start, errors=errors)
    saga = bench.run().id
    store = Unpluggable(bench.log)
    engine = start(bench.operation(store), store=store)
    engine.command(saga, Command("abandon", "me", "I saw to it"))
    (told,) = [one for one in engine.events(saga) if type(one.event).__name__ == "Abandoned"]
    assert (told.event.by, told.event.reason, told.at > 0) == ("me", "I saw to it", True)  # type: ignore[union-attr]  # Abandoned
    assert engine.view(saga).leftovers == ("n1",)


def test_n11_events_are_read_in_pages_without_a_gap(start: Start) -> None:
    """N11: read in pages of any size, the log is whole and in order."""
    bench = Bench(start, needs=DIAMOND)
    saga = bench.run().id
    whole = bench.log.events(saga)
    for size in (1, 2, 3, 7):
        pages: list[Recorded] = []
        after = 0
        while page := bench.log.events(saga, after=after, limit=size):
            pages += page
            after = page[-1].seq
        assert tuple(pages) == whole


def test_n12_n14_a_take_over_raises_the_epoch_once(start: Start, gate: Gate) -> None:
    """N12-N14: whoever takes a saga over raises its epoch by one, once."""
    log = MemoryStore()
    dead = start(waiting_at(gate), store=log)
    saga = dead.submit("held").id
    gate.await_arrivals()
    gate.opened.clear()
    alive = start(waiting_at(gate), store=log)
    assert (alive.recover().claimed, alive.recover().claimed) == (1, 0)
    assert alive.view(saga).epoch == 2
    gate.opened.set()
    assert alive.wait(saga, PATIENCE_S).epoch == 2


def test_n15_an_engine_that_stops_takes_nothing_new(start: Start, gate: Gate) -> None:
    """N15: a drain refuses what is new and ends when what runs has ended."""
    engine = start(waiting_at(gate))
    saga = engine.submit("held").id
    gate.await_arrivals()
    assert not engine.drain(timeout_s=0.01)
    with pytest.raises(Stopping):
        engine.submit("held")
    gate.opened.set()
    assert engine.drain(timeout_s=PATIENCE_S)
    assert engine.view(saga).step("only").state == "succeeded"


def test_n16_a_saga_runs_until_it_is_told_to_finish(start: Start, gate: Gate) -> None:
    """N16: a step that waits for somebody keeps its saga running until then, through a take-over too."""
    log = MemoryStore()
    saga = start(waiting_at(gate), store=log).submit("held").id
    gate.await_arrivals()
    alive = start(waiting_at(gate), store=log)
    alive.recover()
    gate.await_arrivals()
    assert alive.view(saga).state == "running"
    gate.opened.set()
    assert alive.wait(saga, PATIENCE_S).state == "succeeded"


def test_g1_every_step_can_be_done_twice(start: Start) -> None:
    """G1: with the first result of every step lost, the saga succeeds, each step done twice."""
    bench = Bench(start, needs=DIAMOND, losses={f"do {name}": 1 for name in DIAMOND})
    assert bench.run().state == "succeeded"
    assert all(bench.calls[f"do {name}"] >= 2 for name in DIAMOND)


@pytest.mark.parametrize("at", DIAMOND)
@pytest.mark.parametrize("losses", [{}, {f"undo {name}": 1 for name in DIAMOND}], ids=["G2", "G3"])
def test_g2_g3_a_failure_of_any_step_unwinds(start: Start, at: str, losses: Any) -> None:
    """G2, G3: whichever step fails, it fails at that very one and is undone, with every undo twice too."""
    bench = Bench(start, needs=DIAMOND, errors={f"do {at}": FailedClean("here")}, losses=losses)
    view = bench.run()
    assert view.state == "undone"
    assert [one.path for one in view.steps if one.state == "failed_clean"] == [at]
    assert [one.path for one in view.steps if one.error == "here"] == [at]
    done = {name for name in DIAMOND if bench.calls[f"do {name}"]}
    assert {name for name in DIAMOND if bench.calls[f"undo {name}"]} == done
    assert view.leftovers == ()


@pytest.mark.parametrize(
    "error", [BaseException("everything"), SystemExit(3), KeyboardInterrupt(), RecursionError("deep")]
)
def test_b_whatever_a_step_raises_ends_it(start: Start, error: BaseException) -> None:
    """A bug of the peer: a panic hangs its saga; here any exception is a failure, and the saga is undone."""
    view = Bench(start, errors={"do n2": error, "undo n2": FailedClean("x")}).run()
    assert view.state == "stuck"
    assert type(error).__name__ in (view.step("n2").error or "") or "x" in view.stuck[0].error
    assert Bench(start, errors={"do n2": error}).run().state == "undone"


def test_b_an_output_that_cannot_be_stored_is_undone(start: Start) -> None:
    """A bug of the peer: a step whose output cannot be stored is never undone; here it failed, and is."""
    undone: list[str] = []

    def odd() -> Any:
        return object()

    def undo_odd() -> None:
        undone.append("odd")

    made = operation("odd", version=1, params=Params, steps=[step(odd, undo=undo_odd)])
    engine = start(made)
    view = engine.wait(engine.submit("odd").id, PATIENCE_S)
    assert (view.state, undone) == ("undone", ["odd"])
    assert "cannot be stored as JSON" in (view.step("odd").error or "")


def test_the_store_of_these_cases_is_a_store() -> None:
    """The store that can be unplugged has all that a store has."""
    store = Unpluggable(MemoryStore())
    names = [name for name in vars(Store) if not name.startswith("_")]
    assert [name for name in names if not callable(getattr(store, name))] == []
