"""The rules of the machine, one test each: its docstring is the rule."""

from __future__ import annotations

from sledsaga.check.walk.drive import Driven, shape
from sledsaga.core import events as ev
from sledsaga.core.dag import Policy
from sledsaga.core.define import Retry
from sledsaga.core.endings import CleanFailure, Failed, Succeeded, TransientFailure, Undone
from sledsaga.core.plan import plan
from sledsaga.core.ready import end_due, ready
from sledsaga.core.state import Call
from sledsaga.core.view import saga_state, view

ONE_UNDO = Policy(undo_retry=Retry(1))
DIAMOND = {"a": "", "b": "a", "c": "a", "d": "b c"}


def begun(needs: dict[str, str], policy: Policy = ONE_UNDO, **more: object) -> Driven:
    saga = Driven(shape(needs, policy=policy, **more))  # type: ignore[arg-type]  # undo kinds by step
    saga.claim()
    return saga


def test_01_first_the_log_then_the_call() -> None:
    """A start is in the log before the call is to run, and a result before what depends on it starts."""
    saga = Driven(shape({"a": "", "b": "a"}))
    saga.tell(ev.Claimed("x"))
    wish = ready(saga.state, 0.0)
    assert (wish.record, dict(wish.run)) == ((ev.StepStarted(0, 1),), {})
    saga.tell(*wish.record)
    assert dict(ready(saga.state, 0.0).run) == {0: Call(0, "do", 1)}
    assert ready(saga.state, 0.0).record == ()
    saga.tell(ev.StepSucceeded(0, 1))
    assert ready(saga.state, 0.0).record == (ev.StepStarted(1, 1),)


def test_02_a_result_and_the_next_start_go_together() -> None:
    """As soon as a step has succeeded, all starts that follow are wanted at once: one commit a step."""
    saga = begun(DIAMOND)
    assert saga.end("a", Succeeded(1)) == [ev.StepStarted(1, 1), ev.StepStarted(2, 1)]
    assert saga.end("b", Succeeded(1)) == []
    assert saga.end("c", Succeeded(1)) == [ev.StepStarted(3, 1)]
    assert saga.end("d", Succeeded(1)) == [ev.Ended("succeeded")]


def test_03_a_do_ends_in_four_ways() -> None:
    """A do succeeds, fails and leaves nothing, fails and may have left a half, or is to be tried again."""
    policy = Policy(retry=Retry(2, backoff_s=5.0))
    status = {
        type(ending).__name__: _after(policy, ending)
        for ending in (Succeeded(1), CleanFailure("no"), Failed("no"), TransientFailure("no"))
    }
    assert status == {
        "Succeeded": ("succeeded", []),
        "CleanFailure": ("failed_clean", []),
        "Failed": ("undoing", ["undo a"]),
        "TransientFailure": ("backing_off", []),
    }


def _after(
    policy: Policy, ending: Succeeded | CleanFailure | Failed | TransientFailure
) -> tuple[str, list[str]]:
    saga = begun({"a": ""}, policy)
    saga.end("a", ending)
    assert ready(saga.state, saga.now).wake_at == (5.0 if isinstance(ending, TransientFailure) else None)
    return saga.status["a"], saga.running


def test_04_unwinding_goes_back_the_way_it_came() -> None:
    """What succeeded, failed or was in flight is undone in reverse order; nothing else is."""
    saga = begun({"a": "", "b": "a", "c": "a", "d": "b c", "e": "c", "f": "c"})
    for path in ("a", "b", "c"):
        saga.end(path, Succeeded(path))
    assert saga.running == ["do d", "do e", "do f"]
    saga.end("e", CleanFailure("no"))
    assert saga.running == ["do d", "do f"]
    saga.end("f", Failed("no"))
    assert saga.running == ["do d", "undo f"]
    saga.end("d", Succeeded(1))
    assert saga.running == ["undo d", "undo f"]
    saga.end("d", Undone())
    assert saga.running == ["undo b", "undo f"]
    saga.end("f", Undone())
    assert saga.running == ["undo b", "undo c"]
    saga.end("c", Undone())
    saga.end("b", Undone())
    assert saga.running == ["undo a"]
    assert saga.end("a", Undone()) == [ev.Ended("undone")]
    assert saga.status["e"] == "failed_clean"


def test_04_what_can_be_cancelled_is() -> None:
    """When unwinding begins a step in flight is let finish, unless it says that it can be cancelled."""
    can = {"b": Policy(cancellable=True)}
    saga = Driven(shape({"a": "", "b": "", "c": ""}, policy=can))
    saga.claim()
    saga.end("c", CleanFailure("no"))
    assert saga.running == ["do a"]
    assert saga.end("b", Failed("cancelled")) == [ev.UndoStarted(1, 1)]
    assert saga.end("a", Succeeded(1)) == [ev.UndoStarted(0, 1)]


def test_05_a_stuck_undo_stops_only_what_is_above_it() -> None:
    """A failing undo is retried, then stuck; other branches go on, what it stands on waits for a person."""
    saga = begun(DIAMOND, Policy(undo_retry=Retry(2, backoff_s=1.0)))
    for path in ("a", "b", "c"):
        saga.end(path, Succeeded(1))
    saga.end("d", CleanFailure("no"))
    saga.end("b", Failed("no"))
    assert saga.status["b"] == "undo_backing_off"
    saga.wait(1)
    saga.end("b", Failed("no again"))
    saga.end("c", Undone())
    assert (saga.running, saga.state.at_rest, saga_state(saga.state)) == ([], True, "stuck")
    assert list(saga.state.stuck) == [1]
    assert saga.say("skip-undo", "b") == [ev.UndoStarted(0, 1)]
    assert saga.end("a", Undone()) == [ev.Ended("undone")]


def test_06_after_a_pivot_there_is_no_way_back() -> None:
    """After a pivot started, failures are retried, then it is stuck forward; retry and skip lead on."""
    saga = begun(
        {"a": "", "p": "a", "c": "p", "d": "c"},
        Policy(retry=Retry(2, backoff_s=1.0)),
        undo={"p": "irreversible"},
    )
    saga.end("a", Succeeded(1))
    saga.end("p", Failed("no"))
    assert saga.wait(1) == [ev.StepStarted(1, 2)]
    saga.end("p", Failed("no"))
    assert (saga_state(saga.state), saga.state.unwinding) == ("stuck", False)
    saga.say("retry", "p")
    saga.end("p", Succeeded(1))
    saga.end("c", Failed("no"))
    saga.wait(1)
    saga.end("c", CleanFailure("no"))
    assert saga_state(saga.state) == "stuck"
    assert saga.say("skip", "c", output={"by": "hand"}) == [ev.StepStarted(3, 1)]
    assert saga.state.outputs[2] == {"by": "hand"}
    assert saga.end("d", Succeeded(1)) == [ev.Ended("succeeded")]


def test_07_cancel_means_unwind() -> None:
    """Cancel starts nothing more and undoes what was done; a saga that did nothing is undone at once."""
    saga = begun(DIAMOND)
    saga.end("a", Succeeded(1))
    assert saga.say("cancel") == []
    assert saga.running == ["do b", "do c"]
    saga.go({"do b": CleanFailure("no")})
    assert saga.state.outcome == "undone"
    assert saga.status == {"a": "undone", "b": "failed_clean", "c": "undone", "d": "pending"}
    waiting = Driven(shape(DIAMOND), has_locks=True)
    assert waiting.say("cancel") == [ev.Ended("undone")]


def test_08_pause_starts_nothing_and_survives_a_crash() -> None:
    """A paused saga lets what runs finish and starts nothing, crash or not; deciding to unwind wins."""
    saga = begun({"a": "", "b": "", "c": "a"})
    saga.say("pause")
    assert saga.running == ["do a", "do b"]
    saga.end("a", Succeeded(1))
    assert (saga.running, saga.state.at_rest) == (["do b"], False)
    assert saga.claim() == []
    assert (saga.running, saga.state.at_rest, saga_state(saga.state)) == ([], True, "paused")
    assert saga.say("resume") == [ev.StepStarted(2, 1), ev.StepStarted(1, 1)]
    saga.say("pause")
    assert saga.end("b", Failed("no")) == [ev.UndoStarted(1, 1)]
    assert not saga.state.paused


def test_08_a_paused_saga_whose_work_is_done_ends() -> None:
    """There is nothing left to hold back when the last step finishes during a pause."""
    saga = begun({"a": ""})
    saga.say("pause")
    assert saga.end("a", Succeeded(1)) == [ev.Ended("succeeded")]


def test_09_what_a_person_says_is_in_the_log() -> None:
    """Every command is an event with who and why, at its time."""
    saga = begun({"a": ""})
    saga.now = 7.0
    saga.say("pause")
    assert saga.log[-1] == ev.Recorded(4, 7.0, 1, ev.Paused("someone", "why not"))


def test_10_many_failures_at_once_are_ordinary() -> None:
    """Siblings failing together, undos failing together, and joins that never began are ordinary."""
    saga = begun(DIAMOND | {"e": "", "f": "d e"})
    for path in ("a", "e"):
        saga.end(path, Succeeded(1))
    saga.tell(ev.StepFailed(saga.index("b"), "no"), ev.StepFailed(saga.index("c"), "no"))
    saga.settle()
    assert saga.running == ["undo b", "undo c", "undo e"]
    for path in ("b", "c", "e"):
        saga.end(path, Failed("no"))
    assert sorted(saga.state.stuck) == [saga.index(path) for path in ("b", "c", "e")]
    again = Driven(saga.dag, log=list(saga.log))
    again.claim()
    again.say("retry-undo")
    again.go()
    assert again.state.outcome == "undone"
    assert again.status["f"] == "pending"


def test_11_an_unknown_saga_is_parked() -> None:
    """A saga that this executor does not know rests as stuck until another claims it, and says why."""
    saga = begun({"a": ""})
    saga.tell(ev.Claimed("older"), ev.Parked("unknown version: 7"))
    assert (saga.settle(), saga.running, saga.state.at_rest) == ([], [], True)
    assert saga_state(saga.state) == "stuck"
    assert saga.claim() == [ev.StepStarted(0, 1)]


def test_12_a_claim_puts_what_ran_in_doubt() -> None:
    """A claim puts what ran in doubt: forward it is run again, unwinding it is undone (again)."""
    saga = begun({"a": "", "b": ""})
    saga.tell(ev.Claimed("other"))
    assert saga.status == {"a": "in_doubt", "b": "in_doubt"}
    assert saga.running == []
    saga.settle()
    assert list(saga.state.run.values()) == [Call(0, "do", 1, in_doubt=True), Call(1, "do", 1, in_doubt=True)]
    saga.tell(ev.CancelRequested("x", "y"))
    assert saga.claim() == [ev.UndoStarted(0, 1), ev.UndoStarted(1, 1)]
    saga.end("b", Undone())
    assert saga.claim() == [ev.UndoStarted(0, 1)]
    assert list(saga.state.run.values()) == [Call(0, "undo", 1, in_doubt=True)]


def test_12_an_undo_that_needs_an_output_gets_it() -> None:
    """A step in doubt whose undo needs the output is done once more before it is undone, and only then."""
    saga = begun({"a": "", "b": "a"}, Policy(undo_needs_output=True, undo_retry=Retry(1)))
    saga.end("a", Succeeded(1))
    saga.say("cancel")
    assert saga.claim() == [ev.StepStarted(1, 1)]
    assert saga.claim() == [ev.StepStarted(1, 1)]
    assert saga.end("b", Succeeded(2)) == [ev.UndoStarted(1, 1)]
    assert saga.state.outputs[1] == 2
    saga.end("b", Undone())
    assert saga.end("a", Undone()) == [ev.Ended("undone")]


def test_12_a_redo_that_fails_is_not_repeated() -> None:
    """When that do fails the step is undone as far as it came; when it fails clean, not at all."""
    for ending, then in ((Failed("no"), ev.UndoStarted(0, 1)), (CleanFailure("no"), ev.Ended("undone"))):
        saga = begun({"a": ""}, Policy(undo_needs_output=True, retry=Retry(5)))
        saga.say("cancel")
        saga.claim()
        assert saga.end("a", ending) == [then]


def test_room_bounds_what_is_started() -> None:
    """With room for one, one start is wanted; asked again with room for more, the rest."""
    saga = Driven(shape({"a": "", "b": "", "c": ""}))
    saga.tell(ev.Claimed("x"))
    assert ready(saga.state, 0.0, room=1).record == (ev.StepStarted(0, 1),)
    assert ready(saga.state, 0.0, room=0).record == ()
    assert len(ready(saga.state, 0.0, room=9).record) == 3


def test_the_end_has_no_wish() -> None:
    """An ended saga rests: it wants nothing recorded, nothing run and no waking, and says how it ended."""
    saga = begun({"a": ""})
    saga.end("a", Succeeded(1))
    assert (saga.state.at_rest, end_due(saga.state)) == (True, ())
    wish = ready(saga.state, 99.0)
    assert (wish.record, dict(wish.run), wish.wake_at, wish.outcome) == ((), {}, None, "succeeded")


def test_an_abandoned_saga_rests_when_its_end_is_recorded() -> None:
    """A stuck saga rests; abandoned, it does not until its end, which is due, is in the log."""
    saga = begun({"a": ""})
    saga.end("a", Failed("no"))
    saga.end("a", Failed("no undo"))
    rests = [saga.state.at_rest]
    for event in (ev.Abandoned("x", "y"), ev.Ended("abandoned")):
        saga.tell(event)
        rests.append(saga.state.at_rest)
    assert rests == [True, False, True]


def test_an_empty_saga_succeeds() -> None:
    """A saga without steps has nothing to do and succeeds as soon as it is asked."""
    saga = Driven(shape({}))
    assert saga.settle() == [ev.Ended("succeeded")]


def test_the_module_of_views_draws_every_rule() -> None:
    """Each moment of a saga has a picture, whatever stands in it."""
    from sledsaga.core.define import no_undo, operation, step
    from sledsaga.core.model import Model

    def a() -> int:
        return 1

    made = plan(operation("op", version=1, params=Model, steps=[step(a, undo=no_undo("none"))]))
    saga = Driven(made.dag)
    pictures = [view("x", made, saga.state).state]
    saga.claim()
    pictures.append(view("x", made, saga.state).state)
    saga.end("a", Succeeded(1))
    pictures.append(view("x", made, saga.state).state)
    assert pictures == ["waiting", "running", "succeeded"]
