"""Recovery: an engine takes over what another one left, whatever state that was in.

A crash is an engine that is dropped without a word while a step of its stands at a gate, and, for real,
a process that is killed.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sledsaga.core.commands import Command
from sledsaga.core.define import Operation, Present, Retry, operation, step
from sledsaga.core.model import Model
from sledsaga.engine.limits import Limits
from sledsaga.engine.messages import Recovered
from sledsaga.errors import LogCorrupt
from sledsaga.store.memory import MemoryStore
from sledsaga.store.open import open_store
from tests.engine.toys import NOTHING, PATIENCE_S, Gate, Params, Start, one_step, states, waiting_at

ENOUGH = Command("cancel", "me", "enough")


def kinds(engine: Any, saga: str) -> list[str]:
    return [type(one.event).__name__ for one in engine.events(saga)]


def made(calls: list[Any], gate: Gate | None = None, **about: Any) -> Operation:
    """Make an operation whose one step notes its calls and, in the engine that dies, stands at the gate."""

    def only() -> int:
        calls.append("do")
        if gate is not None:
            gate.stand()
        return 5

    def undo_only(output: int | None) -> None:
        calls.append(("undo", output))

    return one_step("made", only, undo=undo_only, **about)


def crashed(start: Start, gate: Gate, store: MemoryStore, operation: Operation) -> str:
    """Return a saga that an engine left while its step ran."""
    dead = start(operation, store=store)
    saga = dead.submit(operation.name).id
    gate.await_arrivals()
    return saga


def test_a_step_in_doubt_is_run_again(start: Start, gate: Gate) -> None:
    """What ran when its executor was lost is in doubt; forward, it is called again, as the same attempt."""
    store, calls = MemoryStore(), list[Any]()
    saga = crashed(start, gate, store, made([], gate))
    alive = start(made(calls), store=store)
    assert alive.recover().claimed == 1
    view = alive.wait(saga, PATIENCE_S)
    assert (view.state, view.step("only").attempts, calls) == ("succeeded", 1, ["do"])
    assert kinds(alive, saga)[1:] == [
        "Claimed",
        "StepStarted",
        "Claimed",
        "StepStarted",
        "StepSucceeded",
        "Ended",
    ]


def test_a_step_in_doubt_asks_its_probe_first(start: Start, gate: Gate) -> None:
    """Already so, and ours: it succeeded, and is not called again."""
    store, calls = MemoryStore(), list[Any]()

    def probe() -> Present:
        return Present(6, ours=True)

    saga = crashed(start, gate, store, made([], gate, probe=probe))
    alive = start(made(calls, probe=probe), store=store)
    alive.recover()
    assert alive.wait(saga, PATIENCE_S).step("only").output == 6
    assert calls == []


def test_unwinding_a_step_in_doubt_undoes_it_directly(start: Start, gate: Gate) -> None:
    """On the way back what is in doubt is undone without an output, and not run once more."""
    store, calls = MemoryStore(), list[Any]()
    saga = crashed(start, gate, store, made([], gate))
    alive = start(made(calls), store=store)
    alive.command(saga, ENOUGH)
    assert alive.wait(saga, PATIENCE_S).state == "undone"
    assert calls == [("undo", None)]


def test_an_undo_that_needs_the_output_gets_it(start: Start, gate: Gate) -> None:
    """A step whose undo needs its output runs once more before it is undone."""
    store, calls = MemoryStore(), list[Any]()
    saga = crashed(start, gate, store, made([], gate, undo_needs_output=True))
    alive = start(made(calls, undo_needs_output=True), store=store)
    alive.command(saga, ENOUGH)
    assert alive.wait(saga, PATIENCE_S).state == "undone"
    assert calls == ["do", ("undo", 5)]


def test_an_undo_in_doubt_is_run_again(start: Start, gate: Gate) -> None:
    """What was being undone when its executor was lost is undone again, as the same attempt."""
    store, undone = MemoryStore(), list[int]()

    def slow(params: Params) -> None:
        gate.stand()

    def quick(params: Params) -> None:
        undone.append(1)

    def fails() -> None:
        raise ValueError

    saga = crashed(start, gate, store, one_step("o", fails, undo=slow))
    alive = start(one_step("o", fails, undo=quick), store=store)
    alive.recover()
    view = alive.wait(saga, PATIENCE_S)
    assert (view.state, view.step("only").undo_attempts, undone) == ("undone", 1, [1])


class Other(Model):
    number: int


def renamed() -> Operation:
    def another() -> None: ...

    return operation("made", version=1, params=Params, steps=[step(another, undo=NOTHING)])


def retyped() -> Operation:
    def only(params: Other) -> None: ...

    return operation("made", version=1, params=Other, steps=[step(only, undo=NOTHING)])


def raising() -> Operation:
    def steps(_params: Any) -> Any:
        raise OSError("no table")

    return operation("made", version=1, params=Params, steps=steps)


UNKNOWN = {
    "unknown version: there is no operation 'made'": lambda: one_step("other", lambda: None),
    "unknown version: made v1: step 'only' is not in this program's version": renamed,
    "unknown version: made v1: step 'only' was planned with undo 'undo'": retyped,
    "unknown version: cannot be planned: operation made: its steps cannot be made": raising,
}


@pytest.mark.parametrize("why", UNKNOWN)
def test_what_this_program_does_not_know_is_parked(start: Start, gate: Gate, why: str) -> None:
    """A saga whose code is gone is parked and says why; others go on; with the code back it goes on too."""
    store = MemoryStore()
    dead = start(made([], gate), one_step("other", lambda: None), store=store)
    saga = dead.submit("made").id
    gate.await_arrivals()
    newer = start(UNKNOWN[why](), one_step("fine", lambda: None), store=store)
    assert newer.recover().parked == (saga,)
    view = newer.wait(saga, PATIENCE_S)
    assert (view.state, view.stuck[0].step, view.allowed) == ("stuck", None, ("resume", "abandon"))
    assert view.stuck[0].error.startswith(why)
    assert newer.wait(newer.submit("fine").id, PATIENCE_S).state == "succeeded"
    assert newer.recover().parked == (saga,)
    newer.command(saga, Command("resume", "me", "try again"))
    assert newer.wait(saga, PATIENCE_S).state == "stuck"
    calls: list[Any] = []
    older = start(made(calls), store=store)
    assert older.recover().claimed == 1
    assert older.wait(saga, PATIENCE_S).state == "succeeded"
    assert calls == ["do"]


def test_a_parked_saga_can_be_given_up(start: Start, gate: Gate) -> None:
    """A saga whose code is gone for good is abandoned by a person."""
    store = MemoryStore()
    saga = crashed(start, gate, store, made([], gate))
    newer = start(store=store)
    newer.recover()
    newer.command(saga, Command("abandon", "me", "the operation is gone"))
    view = newer.wait(saga, PATIENCE_S)
    assert (view.state, view.leftovers) == ("abandoned", ("only",))


def test_sagas_at_rest_are_left_as_they_are(start: Start, gate: Gate) -> None:
    """Recovery does not touch what is stuck or paused, and a second recovery finds nothing to do."""
    store = MemoryStore()

    def only() -> None:
        raise ValueError

    def undo_only() -> None:
        raise OSError

    sticks = one_step("sticks", only, undo=undo_only, undo_retry=Retry(1))
    dead = start(sticks, waiting_at(gate), store=store, limits=Limits(threads=1))
    stuck = dead.submit("sticks").id
    dead.wait(stuck, PATIENCE_S)
    running = dead.submit("held").id
    gate.await_arrivals()
    paused = dead.submit("held").id
    dead.command(paused, Command("pause", "me", "later"))
    before = [dead.view(saga) for saga in (stuck, paused)]
    alive = start(sticks, waiting_at(gate), store=store)
    assert alive.recover().claimed == 1
    gate.await_arrivals()
    seq = alive.view(running).seq
    assert alive.recover() == Recovered(0, (), ())
    assert [alive.view(saga) for saga in (stuck, paused)] == before
    assert alive.view(running).seq == seq


def test_a_paused_saga_whose_step_ran_is_shown_in_doubt(start: Start, gate: Gate) -> None:
    """A pause survives a crash; the step that ran is in doubt until somebody resumes."""
    store, calls = MemoryStore(), list[Any]()
    saga = crashed(start, gate, store, made([], gate))
    start(store=store, drive=False).command(saga, Command("pause", "me", "look first"))
    alive = start(made(calls), store=store)
    alive.recover()
    assert alive.view(saga).step("only").state == "in_doubt"
    assert alive.view(saga).state == "paused"
    alive.command(saga, Command("resume", "me", "seen"))
    assert alive.wait(saga, PATIENCE_S).state == "succeeded"


def test_a_corrupt_log_does_not_stop_the_others(start: Start, gate: Gate, tmp_path: Path) -> None:
    """A saga that cannot be read is named and left alone; every other one is taken over."""
    path = tmp_path / "log.db"
    url = f"sqlite:///{path}"
    dead = start(one_step("quick", lambda: None), store=open_store(url), drive=False)
    sagas = [dead.submit("quick").id for _ in range(4)]
    dead.close()
    db = sqlite3.connect(path)
    numbers = [number for (number,) in db.execute("SELECT num FROM saga ORDER BY num")]
    db.execute("UPDATE event SET data = 'nonsense' WHERE saga_num = ?", numbers[:1])
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("DELETE FROM event WHERE saga_num = ?", numbers[1:2])
    db.execute("UPDATE plan SET scopes = '[3]' WHERE saga_num = ?", numbers[2:3])
    db.commit()
    db.close()
    alive = start(one_step("quick", lambda: None), store=open_store(url))
    found = alive.recover()
    assert {saga for saga, _ in found.unreadable} == set(sagas[:3])
    assert alive.wait(sagas[3], PATIENCE_S).state == "succeeded"
    assert alive.idle(PATIENCE_S)
    assert alive.failure is None
    for saga in sagas[:3]:
        with pytest.raises(LogCorrupt, match=saga):
            alive.wait(saga, PATIENCE_S)
        with pytest.raises(LogCorrupt, match=saga):
            alive.command(saga, ENOUGH)


def test_more_sagas_than_fit_into_memory_are_recovered(start: Start) -> None:
    """Recovery takes sagas over as there is room; a waiter of one that is still in the log is told too."""
    store = MemoryStore()
    dead = start(one_step("quick", lambda: None), store=store, drive=False)
    sagas = [dead.submit("quick").id for _ in range(100)]
    alive = start(one_step("quick", lambda: None), store=store, limits=Limits(live=3))
    assert alive.recover().claimed == 100
    assert alive.wait(sagas[-1], PATIENCE_S).state == "succeeded"
    assert alive.idle(PATIENCE_S)
    assert states(alive, sagas) == {"succeeded"}


CHILD = """
import os, signal, sys
from sledsaga.core.define import operation, step
from sledsaga.core.model import Model
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.engine import Engine
from sledsaga.store.open import open_store
from sledsaga.store.store import Filter

class Params(Model):
    name: str = "a"

def note(text):
    with open(sys.argv[2], "a") as file:
        file.write(text + chr(10))

def first(params: Params) -> int:
    note("first " + params.name)
    return 1

def undo_first(params: Params) -> None:
    note("undo first " + params.name)

def second(first: int, params: Params) -> int:
    note("second " + params.name)
    if sys.argv[3] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return first + 1

def undo_second(params: Params) -> None:
    note("undo second " + params.name)

OPERATION = operation("two", version=1, params=Params, steps=[
    step(first, undo=undo_first), step(second, undo=undo_second)])

with Engine(open_store(sys.argv[1]), Catalog([OPERATION])) as engine:
    if sys.argv[3] == "die":
        engine.wait(engine.submit("two", {"name": "x"}, key="k").id)
    else:
        print(engine.recover().claimed)
        engine.idle(20)
        print(*(row.state for row in engine.store.list(Filter(), limit=9).rows))
"""


def test_a_process_that_is_killed_is_taken_over_by_another(tmp_path: Path) -> None:
    """SIGKILL in the middle of a step, on SQLite: another process runs it again, and nothing but it."""
    script, notes = tmp_path / "child.py", tmp_path / "notes"
    script.write_text(CHILD)
    url = f"sqlite:///{tmp_path}/log.db"
    words = [sys.executable, str(script), url, str(notes)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run([*words, "die"], env=env, capture_output=True, timeout=PATIENCE_S, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = subprocess.run(
        [*words, "live"], env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert done.stdout.split() == ["1", "succeeded"]
    assert notes.read_text().splitlines() == ["first x", "second x", "second x"]
