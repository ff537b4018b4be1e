"""Views: one picture of a saga for people and scripts, with the fields that scripts rely on."""

from __future__ import annotations

from typing import Any

import pytest

from sledsaga.check.walk.drive import Driven, shape
from sledsaga.core import events as ev
from sledsaga.core.dag import Dag, Known, Plan, Policy
from sledsaga.core.define import Retry, exclusive
from sledsaga.core.endings import CleanFailure, Failed, Succeeded, TransientFailure
from sledsaga.core.state import Status
from sledsaga.core.view import KEPT_STEPS, event_to_json, leftovers, rfc3339, view

POLICY = Policy(retry=Retry(2), undo_retry=Retry(1))


def drawn(saga: Driven, **more: Any) -> Any:
    locks = (exclusive("pool:a"),) if saga.has_locks else ()
    return view("0192", Plan(saga.dag, {"": Known({"n": 1})}, locks), saga.state, **more)


def begun(needs: dict[str, str], **more: Any) -> Driven:
    saga = Driven(shape(needs, policy=POLICY, **more))
    saga.claim()
    return saga


def stuck() -> Driven:
    saga = begun({"a": "", "b": "a"})
    saga.now = 5.0
    saga.end("a", Succeeded({"x": 1}))
    saga.end("b", CleanFailure("no b"))
    saga.end("a", Failed("no undo"))
    return saga


def test_the_json_of_a_saga_has_its_promised_fields() -> None:
    """A view's JSON has exactly the promised fields, with times in RFC 3339."""
    saga = Driven(shape({"a": ""}), has_locks=True)
    body = drawn(saga, key="k").to_json()
    fingerprint = body.pop("fingerprint")
    assert len(fingerprint) == 64
    assert body == {
        "v": 1,
        "id": "0192",
        "operation": "shape",
        "version": 1,
        "state": "waiting",
        "direction": "forward",
        "key": "k",
        "created_at": "1970-01-01T00:00:00.000000Z",
        "updated_at": "1970-01-01T00:00:00.000000Z",
        "epoch": 0,
        "seq": 1,
        "executor": None,
        "params": {"n": 1},
        "steps": [
            {
                "path": "a",
                "state": "pending",
                "needs": [],
                "undo": "undo",
                "attempts": 0,
                "undo_attempts": 0,
                "started_at": None,
                "ended_at": None,
                "next_at": None,
                "output": None,
                "error": None,
            }
        ],
        "stuck": [],
        "allowed": ["pause", "cancel", "abandon"],
        "locks": [{"resource": "pool:a", "mode": "exclusive", "held": False}],
        "leftovers": [],
    }


def test_a_stuck_step_is_shown_with_what_fits() -> None:
    """What needs a person shows step, direction, error, attempts, since when, and what may be said."""
    body = drawn(stuck()).to_json()
    assert body["state"] == "stuck"
    assert body["direction"] == "unwinding"
    assert body["stuck"] == [
        {
            "step": "a",
            "direction": "undo",
            "error": "no undo",
            "attempts": 1,
            "since": "1970-01-01T00:00:05.000000Z",
            "allowed": ["retry-undo", "skip-undo"],
        }
    ]
    assert body["leftovers"] == ["a"]
    assert body["steps"][0]["output"] == {"x": 1}
    assert body["steps"][1]["error"] == "no b"
    assert body["steps"][0]["undo"] == "undo"


def test_a_step_stuck_forward_is_shown_with_what_fits() -> None:
    """After a pivot what is stuck is a do."""
    saga = begun({"p": "", "b": ""}, undo={"p": "irreversible"})
    saga.end("b", TransientFailure("no"))
    assert drawn(saga).step("b").next_at == 1.0
    saga.wait(1)
    saga.end("b", Failed("no"))
    (one,) = drawn(saga).stuck
    assert (one.step, one.direction, one.attempts, one.allowed) == ("b", "do", 2, ("retry", "skip"))
    assert drawn(saga).state == "running"
    saga.end("p", Succeeded(1))
    assert drawn(saga).state == "stuck"
    assert drawn(saga).step("p").undo == "irreversible: so it is"


def test_a_parked_saga_is_shown_as_a_whole() -> None:
    """A parked saga is stuck as a whole, with the reason."""
    saga = begun({"a": ""})
    saga.tell(ev.Claimed("x"), ev.Parked("unknown version: 9"))
    (one,) = drawn(saga).stuck
    assert (one.step, one.direction, one.error, one.allowed) == (
        None,
        None,
        "unknown version: 9",
        ("resume", "abandon"),
    )


@pytest.mark.parametrize(
    ("make", "state"),
    [
        (lambda: Driven(shape({"a": ""})), "waiting"),
        (lambda: begun({"a": ""}), "running"),
        (stuck, "stuck"),
    ],
)
def test_states_have_one_word(make: Any, state: str) -> None:
    """Each situation has its word."""
    assert drawn(make()).state == state


def test_the_words_of_a_life() -> None:
    """A saga is waiting, running, paused, unwinding and undone as its life goes."""
    saga = begun({"a": ""})
    words = [drawn(saga).state]
    for verb in ("pause", "resume", "cancel"):
        saga.say(verb)
        words.append(drawn(saga).state)
    saga.go()
    words.append(drawn(saga).state)
    assert words == ["running", "paused", "running", "unwinding", "undone"]
    assert drawn(saga).locks == ()


def test_an_abandoned_saga_is_so_at_once() -> None:
    """From the word of the person on a saga is abandoned, also before its end is recorded."""
    saga = stuck()
    saga.tell(ev.Abandoned("x", "y"))
    assert (drawn(saga).state, drawn(saga).stuck, drawn(saga).allowed) == ("abandoned", (), ())


def test_leftovers_are_what_may_have_been_left() -> None:
    """A saga that did not succeed names the steps that may have left something, those without undo not."""
    saga = stuck()
    saga.say("skip-undo", "a")
    assert (saga.state.outcome, leftovers(saga.state)) == ("undone", ("a",))
    forward = begun({"a": "", "n": "", "c": "a n"}, undo={"n": "none"})
    forward.end("a", Succeeded(1))
    forward.end("n", Succeeded(1))
    assert leftovers(forward.state) == ()
    forward.say("pause")
    forward.end("c", Succeeded(1))
    assert (forward.state.outcome, leftovers(forward.state)) == ("succeeded", ())
    left = Driven(forward.dag, log=forward.log[:-3])
    left.tell(ev.Claimed("y"), ev.Abandoned("x", "y"), ev.Ended("abandoned"))
    assert leftovers(left.state) == ("a", "c")


def test_only_what_never_was_or_is_gone_leaves_nothing() -> None:
    """Of a saga that was abandoned, a step may have left something in each status but three."""
    saga = begun({"a": ""})
    saga.tell(ev.Claimed("y"), ev.Abandoned("x", "y"), ev.Ended("abandoned"))
    clean = set()
    for status in Status:
        saga.state.status[0] = status
        clean |= set() if leftovers(saga.state) else {status}
    assert clean == {"pending", "failed_clean", "undone"}


@pytest.mark.parametrize(("steps", "shared"), [(KEPT_STEPS, True), (KEPT_STEPS + 1, False)])
def test_new_sagas_of_one_shape_share_the_picture_of_their_steps(steps: int, shared: bool) -> None:  # noqa: FBT001 - a column
    """It is drawn once, unless it is too large to be kept."""
    one, other = (drawn(Driven(shape({f"s{i}": "" for i in range(steps)}))).steps for _ in range(2))
    assert one == other
    assert len(one) == steps
    assert (one is other) is shared


def test_an_unknown_step_is_a_key_error() -> None:
    """Asking a view for a path that is not there is a KeyError."""
    with pytest.raises(KeyError, match="z"):
        drawn(stuck()).step("z")


def test_all_events_have_one_head() -> None:
    """An event's JSON begins with seq, at, epoch, type and step, and has its own fields behind."""
    dag: Dag = shape({"a": ""})
    deferred = ev.Recorded(4, 1.5, 2, ev.StepDeferred(0, "no", 3.0))
    assert event_to_json(deferred, dag) == {
        "seq": 4,
        "at": "1970-01-01T00:00:01.500000Z",
        "epoch": 2,
        "type": "step-deferred",
        "step": "a",
        "error": "no",
        "next_at": "1970-01-01T00:00:03.000000Z",
    }
    head = event_to_json(ev.Recorded(1, 0.0, 0, ev.Submitted("me")), dag)
    assert list(head) == ["seq", "at", "epoch", "type", "step", "by"]
    assert head["step"] is None


def test_no_time_is_no_text() -> None:
    """A time that is not known is null."""
    assert rfc3339(None) is None


@pytest.mark.parametrize("at", [1e12, 1e300])
def test_a_time_beyond_all_calendars_is_shown_as_the_last_one(at: float) -> None:
    """A wait of thousands of years is allowed, so what shows its end must not break on it."""
    assert rfc3339(at) == "9999-12-31T23:59:59.000000Z"
