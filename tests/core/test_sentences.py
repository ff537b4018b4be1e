"""What the core says when it refuses something, word for word: people read it, and scripts may."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pydantic import field_validator, model_validator

from sledsaga.check.walk.drive import Driven, shape
from sledsaga.core import events as ev
from sledsaga.core.commands import Command, decide
from sledsaga.core.dag import Dag, Policy, dag_from_json, dag_to_json
from sledsaga.core.define import (
    Node,
    Operation,
    Retry,
    nest,
    no_undo,
    operation,
    outputs_of,
    step,
)
from sledsaga.core.machine import apply
from sledsaga.core.model import Model
from sledsaga.core.plan import plan
from sledsaga.core.view import event_to_json
from sledsaga.errors import LogCorrupt, SledsagaError

CHAIN = shape({"a": "", "b": "a"})
PIVOT = shape({"a": "", "b": "a"}, undo={"a": "irreversible"})
NEEDY = shape({"a": ""}, policy=Policy(undo_needs_output=True))
CLAIM = ev.Claimed("x")
CANCEL = ev.CancelRequested("x", "y")
PAUSE = ev.Paused("x", "y")
START = ev.StepStarted(0, 1)
DONE = (START, ev.StepSucceeded(0, 1))
NO = no_undo("it looks")


def refused(act: Callable[[], object]) -> str:
    """Return the whole message with which an act is refused."""
    with pytest.raises(SledsagaError) as refusal:
        act()
    return str(refusal.value)


ILLEGAL: list[tuple[Dag, tuple[ev.Event, ...], str]] = [
    (CHAIN, (ev.Submitted("x"),), "event 2 (Submitted) is illegal: a log begins with Submitted, once"),
    (CHAIN, (CLAIM, ev.Abandoned("x", "y"), PAUSE), "event 4 (Paused) is illegal: the saga is abandoned"),
    (CHAIN, (ev.LocksAcquired(),), "event 2 (LocksAcquired) is illegal: the saga waits for no lock"),
    (CHAIN, (CLAIM, START, ev.Parked("?")), "event 4 (Parked) is illegal: a step is running"),
    (CHAIN, (PAUSE, PAUSE), "event 3 (Paused) is illegal: the saga is paused"),
    (CHAIN, (ev.Resumed("x", "y"),), "event 2 (Resumed) is illegal: the saga is neither paused nor parked"),
    (CHAIN, (CANCEL, CANCEL), "event 3 (CancelRequested) is illegal: the saga unwinds already"),
    (PIVOT, (CLAIM, START, CANCEL), "event 4 (CancelRequested) is illegal: a pivot has started"),
    (CHAIN, (CLAIM, START, ev.Abandoned("x", "y")), "event 4 (Abandoned) is illegal: a step is running"),
    (CHAIN, (ev.Ended("undone"),), "event 2 (Ended) is illegal: undone is not how the saga stands"),
    (CHAIN, (CANCEL, ev.Ended("undone"), PAUSE), "event 4 (Paused) is illegal: the saga has ended: undone"),
    (CHAIN, (CLAIM, ev.StepStarted(2, 1)), "StepStarted names step 2; the saga has 2"),
    (CHAIN, (CLAIM, ev.StepStarted(-1, 1)), "StepStarted names step -1; the saga has 2"),
    (CHAIN, (START,), "StepStarted of step 'a' is illegal: no executor has claimed the saga"),
    (CHAIN, (CLAIM, PAUSE, START), "StepStarted of step 'a' is illegal: the saga is paused"),
    (CHAIN, (CLAIM, ev.Parked("?"), START), "StepStarted of step 'a' is illegal: the saga is parked"),
    (CHAIN, (CLAIM, ev.StepStarted(1, 1)), "StepStarted of step 'b' is illegal: a need has not succeeded"),
    (CHAIN, (CLAIM, CANCEL, START), "StepStarted of step 'a' is illegal: the saga unwinds"),
    (CHAIN, (CLAIM, *DONE, START), "StepStarted of step 'a' is illegal: the step is succeeded"),
    (
        CHAIN,
        (CLAIM, *DONE, ev.UndoStarted(0, 1)),
        "UndoStarted of step 'a' is illegal: the saga does not unwind",
    ),
    (
        CHAIN,
        (CLAIM, *DONE, ev.StepStarted(1, 1), CANCEL, ev.UndoStarted(0, 1)),
        (
            "UndoStarted of step 'a' is illegal: a step that depends on it is not undone yet, "
            "or it has nothing to undo"
        ),
    ),
    (
        NEEDY,
        (CLAIM, START, CLAIM, CANCEL, ev.UndoStarted(0, 1)),
        "UndoStarted of step 'a' is illegal: its undo needs an output, so do runs once more first",
    ),
    (
        CHAIN,
        (CLAIM, START, ev.StepFailed(0, "no"), ev.StepRetried(0, "x", "y")),
        "StepRetried of step 'a' is illegal: the saga unwinds",
    ),
]


@pytest.mark.parametrize(("dag", "events", "sentence"), ILLEGAL, ids=[one[2][:60] for one in ILLEGAL])
def test_the_machine_names_the_event_and_what_stands_against_it(
    dag: Dag, events: tuple[ev.Event, ...], sentence: str
) -> None:
    """An event that is illegal where it stands is told by its name, its step and the reason."""
    saga = Driven(dag)
    saga.tell(*events[:-1])
    assert refused(lambda: saga.tell(events[-1])) == sentence


def test_a_saga_that_waits_for_locks_is_told_so() -> None:
    """A start before the locks are held is told by that."""
    saga = Driven(CHAIN, has_locks=True)
    saga.tell(CLAIM)
    assert refused(lambda: saga.tell(START)) == (
        "StepStarted of step 'a' is illegal: the saga waits for its locks"
    )


@pytest.mark.parametrize(
    ("seq", "epoch", "sentence"),
    [
        (3, 0, "event 3 (Paused) is illegal: the last event is 1"),
        (2, 1, "event 2 (Paused) is illegal: epoch 1 after epoch 0"),
    ],
)
def test_the_machine_names_the_place(seq: int, epoch: int, sentence: str) -> None:
    """An event at another place or of another epoch is told by both."""
    state = Driven(CHAIN).state
    assert refused(lambda: apply(state, ev.Recorded(seq, 0.0, epoch, PAUSE))) == sentence


def stuck_forward() -> Driven:
    saga = Driven(PIVOT)
    saga.claim()
    saga.tell(ev.StepFailed(0, "no"))
    return saga


def abandoned() -> Driven:
    saga = Driven(CHAIN)
    saga.tell(ev.Abandoned("x", "y"))
    return saga


def running(dag: Dag = CHAIN) -> Driven:
    saga = Driven(dag)
    saga.claim()
    return saga


def with_(saga: Driven, *events: ev.Event) -> Driven:
    saga.tell(*events)
    return saga


REFUSED: list[tuple[Callable[[], Driven], str, str]] = [
    (abandoned, "pause", "pause does not fit: the saga is abandoned; nothing is left to decide"),
    (
        lambda: with_(Driven(CHAIN), CANCEL, ev.Ended("undone")),
        "pause",
        "pause does not fit: the saga has ended: undone; nothing is left to decide",
    ),
    (running, "retry", "retry does not fit: no step stands so; what fits now: pause, cancel"),
    (
        lambda: with_(running(), PAUSE),
        "pause",
        "pause does not fit: it is paused already; what fits now: resume, cancel",
    ),
    (running, "resume", "resume does not fit: it is not paused; what fits now: pause, cancel"),
    (
        lambda: with_(running(), CANCEL),
        "cancel",
        "cancel does not fit: it unwinds already; what fits now: pause",
    ),
    (
        lambda: running(PIVOT),
        "cancel",
        (
            "cancel does not fit: a step that cannot be undone has started, so it can only go forward; "
            "what fits now: pause"
        ),
    ),
    (
        running,
        "abandon",
        "abandon does not fit: steps are running; pause it first; what fits now: pause, cancel",
    ),
    (
        lambda: with_(Driven(CHAIN), ev.Parked("a?")),
        "pause",
        "pause does not fit: it is parked: a?; what fits now: resume, abandon",
    ),
]


@pytest.mark.parametrize(("make", "verb", "sentence"), REFUSED, ids=[one[2][:50] for one in REFUSED])
def test_a_command_that_does_not_fit_is_told_with_what_would(
    make: Callable[[], Driven], verb: Any, sentence: str
) -> None:
    """A refusal says how the saga stands, and each verb that fits."""
    assert refused(lambda: decide(make().state, Command(verb, "me", "so"))) == sentence


@pytest.mark.parametrize(
    ("path", "fitting"), [("b", "a"), ("a", "a, b"), ("c", "a, b"), ("z", "a, b")], ids=["b", "a", "c", "z"]
)
def test_a_step_that_does_not_fit_is_told_with_those_that_would(path: str, fitting: str) -> None:
    """A refusal for one step says how it stands and which steps would fit, in the order of the DAG."""
    saga = Driven(
        shape(
            {"p": "", "a": "p", "b": "p", "c": "p"}, undo={"p": "irreversible"}, policy=Policy(retry=Retry(1))
        )
    )
    saga.claim()
    saga.tell(ev.StepSucceeded(0, 1))
    saga.settle()
    if fitting == "a, b":
        saga.tell(ev.StepFailed(2, "no"))
    saga.tell(ev.StepFailed(1, "no"))
    act = partial(decide, saga.state, Command("skip", "me", "so", path))
    if path in fitting.split(", "):
        assert act() == (ev.StepSkipped(saga.index(path), None, "me", "so"),)
    elif path == "z":
        assert refused(act) == "the saga has no step 'z'"
    else:
        assert refused(act) == f"skip does not fit step {path}, which is running; it fits: {fitting}"


def test_a_step_that_fits_no_more_is_told() -> None:
    """A verb that fits only a step that backs off is refused for all the others."""
    saga = Driven(PIVOT)
    saga.claim()
    saga.tell(ev.StepDeferred(0, "later", 9.0))
    assert refused(lambda: decide(saga.state, Command("skip", "me", "so", "a"))) == (
        "skip does not fit: no step stands so; what fits now: pause, retry, abandon"
    )
    assert refused(lambda: decide(saga.state, Command("retry", "me", "so", "b"))) == (
        "retry does not fit step b, which is pending; it fits: a"
    )


def test_commands_are_refused_when_they_are_made() -> None:
    """A verb that is none, a missing reason, and steps where none belongs are told with what to do."""
    sentences = {
        refused(lambda: Command("stop", "me", "so")): (  # type: ignore[arg-type]  # that is the point
            "'stop' is no command; there are: "
            "pause, resume, cancel, retry, skip, retry-undo, skip-undo, abandon"
        ),
        refused(lambda: Command("pause", "me", " ")): "pause needs a reason of 1 to 2000 characters",
        refused(lambda: Command("pause", "me", "x" * 2001)): "pause needs a reason of 1 to 2000 characters",
        refused(lambda: Command("pause", "me", "so", "a")): "pause is for a whole saga, not for step 'a'",
        refused(lambda: Command("skip", "me", "so")): "skip needs a step: each step has an output of its own",
    }
    assert list(sentences) == list(sentences.values())
    assert Command("pause", "me", "x" * 2000).reason == "x" * 2000


def test_events_beyond_the_dag_are_told_in_json_too() -> None:
    """An event of a step that the DAG does not have cannot be shown, and is told."""
    for number in (2, -1):
        recorded = ev.Recorded(3, 0.0, 0, ev.StepStarted(number, 1))
        assert refused(lambda recorded=recorded: event_to_json(recorded, CHAIN)) == (  # type: ignore[misc]  # a default
            f"event 3 (step-started) names step {number}; the saga has 2"
        )


def test_stored_dags_are_refused_by_what_is_wrong() -> None:
    """Another format and another order are told in so many words."""
    body = dag_to_json(CHAIN)
    assert refused(lambda: dag_from_json({**body, "v": 2})) == (
        "a stored DAG has format 2; this program reads 1"
    )
    steps = [{**body["steps"][0], "needs": [1]}, body["steps"][1]]
    assert refused(lambda: dag_from_json({**body, "steps": steps})) == (
        "a stored DAG is not in topological order"
    )
    with pytest.raises(LogCorrupt, match=r"\Aa stored DAG cannot be read back: KeyError\('v'\)\Z"):
        dag_from_json({})


class Size(Model):
    size: float = 1.0


class Strict(Model):
    inner: Size = Size()
    name: str = ""

    @field_validator("name")
    @classmethod
    def has_no_x(cls, name: str) -> str:
        if "x" in name:
            raise ValueError("Names have no x")
        return name

    @model_validator(mode="after")
    def is_small(self) -> Strict:
        if self.inner.size > 99:
            raise ValueError("Too large")
        return self


def op(*steps: Node, params: Any = Size, **more: Any) -> Operation:
    return operation("op", version=1, params=params, steps=steps, **more)


def one(name: str = "one") -> Node:
    return step(lambda: None, name=name, undo=NO)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"name": "x1"}, "op: name: names have no x (got 'x1')"),
        ({"inner": {"size": 100}}, "op: params: too large"),
        ({"inner": {"size": "big"}}, "op: inner.size: input should be a valid number, unable to parse"),
    ],
)
def test_params_are_refused_by_their_place(params: dict[str, Any], sentence: str) -> None:
    """What is wrong with a param is told with its path and what came; with the whole, without."""
    assert refused(lambda: plan(op(one(), params=Strict), params)).startswith(sentence)


def raising(_params: Any) -> Any:
    raise KeyError("pool")


def takes_first(first: int) -> None: ...


def takes_output(output: int) -> None: ...


DEFINITIONS: list[tuple[Callable[[], Operation], str]] = [
    (
        lambda: op(params=Size, locks=raising),
        "operation op: its locks cannot be made from the params: KeyError: 'pool'",
    ),
    (
        lambda: operation("op", version=1, params=Size, steps=raising),
        "operation op: its steps cannot be made from the params: KeyError: 'pool'",
    ),
    (
        lambda: op(nest("in", op(one()), params=raising)),
        "the params of the nested operation 'in' cannot be made from the params: KeyError: 'pool'",
    ),
    (
        lambda: op(nest("in", op(one()), params=lambda p: p, after="x")),
        "operation op: step 'in' comes after 'x', which is no other step here",
    ),
    (
        lambda: op(step(takes_output, undo=NO)),
        "operation op: step 'takes_output': takes_output takes 'output', given only to an undo",
    ),
    (
        lambda: op(step(takes_first, name="p", undo=NO), one("b"), one("a")),
        (
            "operation op: step 'p': takes_first takes 'first', which is no step, no input "
            "and not given; steps here: a, b, p"
        ),
    ),
    (
        lambda: op(step(takes_first, name="t", undo=NO, inputs={"first": outputs_of(["x"])})),
        "operation op: step 't' takes the output of 'x', which is no step here",
    ),
    (
        lambda: op(nest("inner", op(step(takes_first, undo=NO)), params=lambda p: p)),
        (
            "operation op (nested at inner): step 'takes_first': takes_first takes 'first', "
            "which is no step, no input and not given; steps here: takes_first"
        ),
    ),
    (lambda: op(one("a"), one("a")), "operation op: two steps are named 'a'; give one of them another name="),
    (
        lambda: op(
            step(lambda b: b, name="a", undo=NO),
            step(lambda c: c, name="b", undo=NO),
            step(lambda a: a, name="c", undo=NO),
        ),
        "operation op: the steps form a cycle: a → c → b → a",
    ),
]


@pytest.mark.parametrize(("make", "sentence"), DEFINITIONS, ids=range(len(DEFINITIONS)))
def test_definitions_are_refused_by_place(make: Callable[[], Operation], sentence: str) -> None:
    """A definition that cannot be planned is told with operation, step, function and name."""
    assert refused(lambda: plan(make(), {})) == sentence


def test_a_function_without_a_name_is_shown_as_it_is() -> None:
    """What cannot be named is shown by its own text."""
    strange = partial(takes_first)
    told = refused(lambda: plan(op(step(strange, name="p", undo=NO)), {}))
    assert told.startswith(f"the annotations of {strange!r} cannot be read at run time: ")


def test_a_dag_that_needs_params_before_they_are_there_is_told() -> None:
    """A nested DAG that depends on params which only a step gives is refused with the reason."""
    from sledsaga.core.define import output_of

    def ask() -> Size: ...  # type: ignore[empty-body]  # it is only planned

    inner = operation("inner", version=1, params=Size, steps=lambda _: [one()])
    outer = op(step(ask, undo=NO), nest("in", inner, params=output_of("ask")))
    assert refused(lambda: plan(outer, {})) == (
        "operation inner: its DAG depends on its params, so they must be known when it is planned; "
        "they come from a step's output here"
    )


def number() -> list[int]: ...  # type: ignore[empty-body]  # it is only planned


def text() -> str: ...  # type: ignore[empty-body]  # it is only planned


def takes_numbers(number: list[str]) -> None: ...


def takes_many(many: list[int]) -> None: ...


def takes_params(params: Strict) -> None: ...


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        (
            (step(number, undo=NO), step(takes_numbers, name="t", undo=NO)),
            "step 't' takes number: list[str], but gets list[int] from 'number'",
        ),
        (
            (step(text, name="number", undo=NO), step(takes_numbers, name="t", undo=NO)),
            "step 't' takes number: list[str], but gets str from 'number'",
        ),
        (
            (step(text, undo=NO), step(takes_many, undo=NO, inputs={"many": outputs_of(["text"])})),
            "step 'takes_many' takes many: list[int], but gets a list that does not fit",
        ),
        (
            (step(takes_params, undo=NO),),
            "step 'takes_params' takes params: Strict, but gets Size, the params of the operation",
        ),
    ],
)
def test_types_that_do_not_fit_are_told_by_both(steps: tuple[Node, ...], sentence: str) -> None:
    """A misfit says what the step takes and what it would get."""
    assert refused(lambda: plan(op(*steps), {})) == f"operation op: {sentence}"


def test_params_that_cannot_be_stored_are_told_by_operation_and_type() -> None:
    """Params with a number that JSON does not have are refused, with their operation and type."""
    told = refused(lambda: plan(op(one()), Size(size=math.nan)))
    assert told.startswith("op: the params: a Size cannot be stored as JSON (")


def test_an_empty_reason_is_told() -> None:
    """A step without undo needs a reason, and is told so."""
    assert refused(lambda: no_undo(" ")) == "a step without undo needs a reason; the one given is empty"
