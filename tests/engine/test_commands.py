"""Commands: each verb on sagas that run, that rest, and whose executor is gone."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from sledsaga.core.commands import Command
from sledsaga.core.define import Operation, Retry, irreversible, operation, step
from sledsaga.engine.limits import Limits
from sledsaga.errors import Conflict, NotFound, Refused, TooLarge, Transient, UsageError
from sledsaga.store.memory import MemoryStore
from tests.engine.toys import NOTHING, PATIENCE_S, Gate, Params, Quiet, Start, one_step, until, waiting_at


def told(verb: Any, **about: Any) -> Command:
    return Command(verb, "me@here", "because", **about)


def kinds(engine: Any, saga: str) -> list[str]:
    return [type(one.event).__name__ for one in engine.events(saga)]


def two_steps(gate: Gate, calls: list[str]) -> Operation:
    """Make an operation whose first step stands at the gate, and whose steps note their calls."""

    def first() -> None:
        gate.stand()
        calls.append("first")

    def undo_first() -> None:
        calls.append("undo first")

    def second(first: None) -> None:
        calls.append("second")

    steps = [step(first, undo=undo_first), step(second, undo=NOTHING)]
    return operation("two", version=1, params=Params, steps=steps)


def test_pause_lets_finish_and_resume_goes_on(start: Start, gate: Gate) -> None:
    """A paused saga finishes what runs, rests, and goes on when it is resumed."""
    calls: list[str] = []
    engine = start(two_steps(gate, calls))
    saga = engine.submit("two").id
    gate.await_arrivals()
    engine.command(saga, told("pause"))
    gate.opened.set()
    assert engine.wait(saga, PATIENCE_S).state == "paused"
    assert calls == ["first"]
    engine.command(saga, told("resume"))
    assert engine.wait(saga, PATIENCE_S).state == "succeeded"
    assert calls == ["first", "second"]


def test_a_command_on_a_resting_saga_claims_it_once(start: Start, gate: Gate) -> None:
    """Speaking to a saga at rest takes it over: one claim, then what was said."""
    engine = start(two_steps(gate, []))
    saga = engine.submit("two").id
    gate.await_arrivals()
    engine.command(saga, told("pause"))
    gate.opened.set()
    before = engine.wait(saga, PATIENCE_S).seq
    engine.command(saga, told("resume"))
    engine.wait(saga, PATIENCE_S)
    assert kinds(engine, saga)[before : before + 3] == ["Claimed", "Resumed", "StepStarted"]


def test_cancel_goes_back(start: Start, gate: Gate) -> None:
    """A cancelled saga finishes what runs and undoes it."""
    calls: list[str] = []
    engine = start(two_steps(gate, calls))
    saga = engine.submit("two").id
    gate.await_arrivals()
    engine.command(saga, told("cancel"))
    gate.opened.set()
    assert engine.wait(saga, PATIENCE_S).state == "undone"
    assert calls == ["first", "undo first"]


def test_a_saga_paused_and_resumed_while_it_queues_for_room_still_runs(start: Start, gate: Gate) -> None:
    """What stands in line for a thread is the saga as it is now, not as it was before it was paused."""
    engine = start(waiting_at(gate), one_step("quick", lambda: 7), limits=Limits(threads=1))
    engine.submit("held")
    gate.await_arrivals()
    queued = engine.submit("quick").id
    engine.command(queued, told("pause"))
    assert engine.wait(queued, PATIENCE_S).state == "paused"
    engine.command(queued, told("resume"))
    gate.opened.set()
    assert engine.wait(queued, PATIENCE_S).step("only").output == 7


def test_a_saga_abandoned_while_it_queues_for_room_is_gone(start: Start, gate: Gate) -> None:
    """Abandoning a saga that stands in line ends it, and the others go on."""
    engine = start(waiting_at(gate), one_step("quick", lambda: None), limits=Limits(threads=1))
    engine.submit("held")
    gate.await_arrivals()
    gone, other = engine.submit("quick").id, engine.submit("quick").id
    engine.command(gone, told("abandon"))
    assert engine.wait(gone, PATIENCE_S).state == "abandoned"
    gate.opened.set()
    assert engine.wait(other, PATIENCE_S).state == "succeeded"


def test_a_saga_abandoned_while_it_waits_in_the_backlog_is_gone(start: Start, gate: Gate) -> None:
    """A command on a saga that is not in memory yet is not overwritten when its turn comes."""
    engine = start(waiting_at(gate), limits=Limits(live=1))
    first = engine.submit("held").id
    gate.await_arrivals()
    gone, last = engine.submit("held").id, engine.submit("held").id
    engine.command(gone, told("abandon"))
    gate.opened.set()
    assert engine.idle(PATIENCE_S)
    assert [engine.view(saga).state for saga in (first, gone, last)] == [
        "succeeded",
        "abandoned",
        "succeeded",
    ]


def test_a_saga_abandoned_in_the_turn_of_its_recovery_is_gone(start: Start) -> None:
    """What was just said to a saga is not overwritten by what the log still tells of it."""
    store = Quiet()
    saga = start(one_step("quick", lambda: None), store=store, drive=False).submit("quick").id
    engine = start(one_step("quick", lambda: None), store=store)
    store.gate.opened.clear()
    store.gate.await_arrivals()
    asks = [
        threading.Thread(target=ask)
        for ask in (
            lambda: engine.submit("quick"),
            engine.recover,
            lambda: engine.command(saga, told("abandon")),
        )
    ]
    asks[0].start()
    store.gate.await_arrivals()  # the loop stands in its write: the next two are one turn
    for number, ask in enumerate(asks[1:], 1):
        ask.start()
        until(partial(lambda number: engine._loop.inbox.qsize() == number, number))
    store.gate.opened.set()
    for ask in asks:
        ask.join(PATIENCE_S)
    assert engine.idle(PATIENCE_S)
    assert engine.view(saga).state == "abandoned"


def pivoting(answers: list[Any]) -> Operation:
    """Make an operation past its pivot whose step does what the list says, call by call."""

    def only() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    def after(only: int) -> int:
        return only + 1

    steps = [step(only, undo=irreversible("it is done")), step(after, undo=NOTHING)]
    return operation("pivots", version=1, params=Params, steps=steps)


def test_retry_of_a_step_that_is_stuck_forward(start: Start) -> None:
    """After a pivot a failed step makes the saga stuck; `retry` gives it another chance."""
    engine = start(pivoting([ValueError("no"), 4]))
    saga = engine.submit("pivots").id
    view = engine.wait(saga, PATIENCE_S)
    assert (view.state, view.stuck[0].error, view.allowed) == (
        "stuck",
        "ValueError: no",
        ("pause", "retry", "skip", "abandon"),
    )
    engine.command(saga, told("retry", step="only"))
    assert engine.wait(saga, PATIENCE_S).step("after").output == 5


def test_skip_gives_the_output_and_checks_its_type(start: Start) -> None:
    """A skipped step's output is what the steps after it get; one of another type changes nothing."""
    engine = start(pivoting([ValueError("no")]))
    saga = engine.submit("pivots").id
    before = engine.wait(saga, PATIENCE_S).seq
    for bad in ("many", None, [1], float("nan"), object()):
        with pytest.raises(UsageError, match="does not fit its type"):
            engine.command(saga, told("skip", step="only", output=bad))
    assert engine.view(saga).seq == before
    engine.command(saga, told("skip", step="only", output=40))
    assert engine.wait(saga, PATIENCE_S).step("after").output == 41


def test_what_cannot_be_stored_is_refused_before_it_is_recorded(start: Start) -> None:
    """An output without a type of its own must be JSON, and of a size that is stored."""

    def only():  # type: ignore[no-untyped-def]  # noqa: ANN202 - the step says nothing of its output
        raise ValueError

    engine = start(one_step("o", only, undo=irreversible("it is done")))
    saga = engine.submit("o").id
    engine.wait(saga, PATIENCE_S)
    for bad in (float("inf"), object()):
        with pytest.raises(UsageError):
            engine.command(saga, told("skip", step="only", output=bad))
    with pytest.raises(TooLarge, match="1,048,576"):
        engine.command(saga, told("skip", step="only", output="x" * 2**21))
    assert engine.failure is None
    engine.command(saga, told("skip", step="only", output="\ud800 and all"))
    assert engine.wait(saga, PATIENCE_S).state == "succeeded"


def undo_fails(answers: list[Exception | None], *, attempts: int = 1) -> Operation:
    def only() -> None:
        raise ValueError

    def undo_only() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    return one_step("sticks", only, undo=undo_only, undo_retry=Retry(attempts, 3600.0, 1.0, 3600.0))


def test_retry_undo_and_skip_undo(start: Start) -> None:
    """A stuck undo is tried again on request, as often as is asked; or a person takes what is left."""
    engine = start(undo_fails([OSError("a"), OSError("b"), None]))
    saga = engine.submit("sticks").id
    assert engine.wait(saga, PATIENCE_S).allowed == ("pause", "retry-undo", "skip-undo", "abandon")
    engine.command(saga, told("retry-undo"))
    assert engine.wait(saga, PATIENCE_S).stuck[0].error == "OSError: b"
    engine.command(saga, told("retry-undo"))
    assert engine.wait(saga, PATIENCE_S).state == "undone"
    other = start(undo_fails([OSError("a")]))
    saga = other.submit("sticks").id
    other.wait(saga, PATIENCE_S)
    other.command(saga, told("skip-undo", step="only"))
    assert other.wait(saga, PATIENCE_S).leftovers == ("only",)


def test_a_wait_for_the_next_attempt_is_cut_short_by_a_person(start: Start) -> None:
    """`retry-undo` on an undo that waits for its time runs it now."""
    engine = start(undo_fails([OSError("a"), None], attempts=2))
    saga = engine.submit("sticks").id
    until(lambda: engine.view(saga).step("only").next_at is not None)
    engine.command(saga, told("retry-undo"))
    assert engine.wait(saga, PATIENCE_S).state == "undone"


def test_a_refused_command_leaves_no_trace(start: Start) -> None:
    """A verb that does not fit is refused with those that would; nothing is recorded, not even a claim."""
    engine = start(pivoting([ValueError("no")]))
    saga = engine.submit("pivots").id
    before = engine.wait(saga, PATIENCE_S).seq
    for verb in ("cancel", "resume", "retry-undo"):
        with pytest.raises(Refused, match="what fits now: pause, retry, skip, abandon"):
            engine.command(saga, told(verb))
    with pytest.raises(NotFound, match="no step 'other'"):
        engine.command(saga, told("retry", step="other"))
    assert engine.view(saga).seq == before


def test_a_command_on_a_saga_that_ended_is_refused(start: Start) -> None:
    """Nothing is left to decide about a saga that has ended; one that is not there is NotFound."""
    engine = start(one_step("quick", lambda: None))
    saga = engine.submit("quick").id
    engine.wait(saga, PATIENCE_S)
    with pytest.raises(Refused, match="has ended: succeeded"):
        engine.command(saga, told("pause"))
    with pytest.raises(NotFound):
        engine.command("nobody", told("pause"))


def test_what_was_seen_must_still_be_so(start: Start, gate: Gate) -> None:
    """With `expect_seq` a command is refused when something happened since it was looked at."""
    engine = start(waiting_at(gate))
    saga = engine.submit("held").id
    gate.await_arrivals()
    seq = engine.view(saga).seq
    with pytest.raises(Conflict, match=f"stands at event {seq}, not {seq - 1}"):
        engine.command(saga, told("pause"), expect_seq=seq - 1)
    assert engine.command(saga, told("pause"), expect_seq=seq).view.seq == seq + 1


def test_a_dry_run_changes_nothing(start: Start, gate: Gate) -> None:
    """A dry run says what would be recorded, of a saga that runs and of one that rests, and that is all."""
    engine = start(two_steps(gate, []))
    saga = engine.submit("two", key="k").id
    gate.await_arrivals()
    decision = engine.command(saga, told("cancel"), dry_run=True)
    assert (decision.view.state, decision.view.key) == ("unwinding", "k")
    assert engine.view(saga).state == "running"
    engine.command(saga, told("pause"))
    gate.opened.set()
    before = engine.wait(saga, PATIENCE_S)
    assert engine.command(saga, told("resume"), dry_run=True).view.state == "running"
    assert engine.view(saga) == before
    engine.command(saga, told("resume"))
    assert engine.wait(saga, PATIENCE_S).state == "succeeded"


@pytest.mark.parametrize(
    ("verb", "end"), [("pause", "paused"), ("cancel", "undone"), ("abandon", "abandoned")]
)
def test_a_saga_whose_executor_is_gone_can_be_spoken_to(
    start: Start, gate: Gate, verb: str, end: str
) -> None:
    """A command needs no recovery first: what ran is in doubt, then the command is as to any saga."""
    store = MemoryStore()
    dead = start(two_steps(gate, []), store=store)
    saga = dead.submit("two").id
    gate.await_arrivals()
    calls: list[str] = []
    alive = start(two_steps(gate, calls), store=store)
    alive.command(saga, told(verb))
    assert alive.wait(saga, PATIENCE_S).state == end
    assert calls == (["undo first"] if verb == "cancel" else [])
    assert "Claimed" in kinds(alive, saga)[2:]


def test_an_engine_that_does_not_drive_records_commands(start: Start, gate: Gate) -> None:
    """With `drive=False` commands are recorded for whoever drives next; only an end needs nobody."""
    store, calls = MemoryStore(), list[str]()
    engine = start(two_steps(gate, calls), store=store, drive=False)
    ended, paused = engine.submit("two").id, engine.submit("two").id
    engine.command(ended, told("cancel"))
    engine.command(paused, told("pause"))
    assert [engine.view(saga).state for saga in (ended, paused)] == ["undone", "paused"]
    engine.command(paused, told("cancel"))
    assert engine.view(paused).state == "undone"
    assert calls == []


def test_abandon_needs_nothing_to_run(start: Start, gate: Gate) -> None:
    """A saga with a running step is not abandoned; the refusal says what to do first."""
    engine = start(waiting_at(gate))
    saga = engine.submit("held").id
    gate.await_arrivals()
    with pytest.raises(Refused, match="pause it first"):
        engine.command(saga, told("abandon"))


def test_a_command_while_a_saga_waits_for_its_next_attempt(start: Start) -> None:
    """A saga that waits for an hour can be paused, and cancelled, at once."""

    def only() -> None:
        raise Transient

    engine = start(one_step("later", only, retry=Retry(2, 3600.0, 1.0, 3600.0)))
    saga = engine.submit("later").id
    until(lambda: engine.view(saga).step("only").state == "backing_off")
    engine.command(saga, told("pause"))
    assert engine.wait(saga, PATIENCE_S).state == "paused"
    engine.command(saga, told("cancel"))
    assert engine.wait(saga, PATIENCE_S).state == "undone"
