"""Plans: checked, in order, reduced, fingerprinted, and fast for ten thousand steps."""

from __future__ import annotations

import math
import time
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from sledsaga.core import plan as planning
from sledsaga.core.define import (
    Lock,
    Operation,
    Step,
    exclusive,
    irreversible,
    nest,
    no_undo,
    operation,
    output_of,
    shared,
    step,
    value,
)
from sledsaga.core.model import Model
from sledsaga.core.plan import check_params, plan
from sledsaga.errors import InvalidParams, InvalidPlan, TooLarge

NOTHING = no_undo("a test leaves nothing")


class Params(Model):
    size: int = 1
    name: str = "x"


class Loose(BaseModel):
    anything: Any = None


def nop() -> None: ...


def undo_nop() -> None: ...


def one(name: str, *after: str, **more: Any) -> Step:
    return step(nop, name=name, after=after, **({"undo": NOTHING} | more))


def op(*steps: Any, params: type[BaseModel] = Params, **more: Any) -> Operation:
    return operation("op", version=1, params=params, steps=steps, **more)


def needs(operation: Operation) -> dict[str, set[str]]:
    steps = plan(operation).dag.steps
    return {one.path: {steps[need].path for need in one.needs} for one in steps}


@st.composite
def dags(draw: st.DrawFn, most: int = 12) -> dict[str, list[str]]:
    """Draw a DAG as {step: steps that it names as needs}, in any order of definition."""
    size = draw(st.integers(1, most))
    edges = {f"s{i}": [f"s{j}" for j in range(i) if draw(st.booleans())] for i in range(size)}
    return {name: edges[name] for name in draw(st.permutations(list(edges)))}


@given(dags())
def test_needs_are_the_transitive_reduction(edges: dict[str, list[str]]) -> None:
    """A plan keeps exactly the needs that no other need implies, as networkx computes them."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from((need, name) for name, above in edges.items() for need in above)
    graph.add_nodes_from(edges)
    wanted = nx.transitive_reduction(graph)
    planned = needs(op(*(one(name, *above) for name, above in edges.items())))
    assert {(need, name) for name, above in planned.items() for need in above} == set(wanted.edges)
    assert set(planned) == set(edges)


@given(dags())
def test_steps_stand_by_generation_then_by_definition(edges: dict[str, list[str]]) -> None:
    """Steps are in topological generations, and within one in the order of the definition."""
    steps = plan(op(*(one(name, *above) for name, above in edges.items()))).dag.steps
    depth: list[int] = []
    for dag_step in steps:
        depth.append(1 + max((depth[need] for need in dag_step.needs), default=-1))
    place = list(edges)
    assert [(d, place.index(s.path)) for d, s in zip(depth, steps, strict=True)] == sorted(
        (d, place.index(s.path)) for d, s in zip(depth, steps, strict=True)
    )


@pytest.mark.parametrize(
    "steps",
    [
        [one("a", "b"), one("b", "a")],
        [one("a", "c"), one("b", "a"), one("c", "b")],
        [one("x"), one("a", "x", "b"), one("b", "a")],
    ],
)
def test_a_cycle_is_refused_and_shown(steps: list[Step]) -> None:
    """A cycle is an error that shows the way round."""
    with pytest.raises(InvalidPlan, match=r"form a cycle: (\w) → .*\1$"):
        plan(op(*steps))


def test_a_cycle_through_a_nested_operation_is_refused() -> None:
    """A nested operation that waits for what waits for it is a cycle."""
    inner = op(one("x"))
    with pytest.raises(InvalidPlan, match="cycle"):
        plan(op(nest("n", inner, params=lambda p: p, after="a"), one("a", "n")))


def test_no_steps_is_a_plan() -> None:
    """A DAG that depends on params may turn out empty: there is nothing to do."""
    planned = plan(op())
    assert planned.dag.steps == ()


def test_undo_and_policy_are_in_the_plan() -> None:
    """How a step is undone, and why not, is part of the stored plan."""
    planned = plan(op(one("a"), one("b", undo=undo_nop, timeout_s=3), one("c", undo=irreversible("told"))))
    assert [(s.undo, s.why) for s in planned.dag.steps] == [
        ("none", "a test leaves nothing"),
        ("undo", ""),
        ("irreversible", "told"),
    ]
    assert planned.dag.steps[1].policy.timeout_s == 3


def test_equal_plans_have_one_fingerprint() -> None:
    """The same definition and params give the same fingerprint, whole seconds or not."""
    same = [op(one("a"), one("b", "a", timeout_s=seconds)) for seconds in (60, 60.0)]
    assert len({plan(operation, {"size": 2}).fingerprint for operation in same}) == 1
    assert plan(same[0]).dag.fingerprint == plan(same[0], {"size": 3}).dag.fingerprint


CHANGES: dict[str, Operation] = {
    "as it is": op(one("a"), one("b", "a")),
    "a name": op(one("a"), one("c", "a")),
    "an edge": op(one("a"), one("b")),
    "a step more": op(one("a"), one("b", "a"), one("c")),
    "undo": op(one("a"), one("b", "a", undo=undo_nop)),
    "a reason": op(one("a"), one("b", "a", undo=no_undo("another"))),
    "a pivot": op(one("a"), one("b", "a", undo=irreversible("a test leaves nothing"))),
    "a timeout": op(one("a"), one("b", "a", timeout_s=5)),
    "a probe": op(one("a"), one("b", "a", probe=nop)),
    "cancellable": op(one("a"), one("b", "a", cancellable=True)),
    "a default": op(one("a"), one("b", "a"), params=Loose),
    "a lock": op(one("a"), one("b", "a"), locks=[exclusive("pool:a")]),
    "a shared lock": op(one("a"), one("b", "a"), locks=[shared("pool:a")]),
    "a version": operation("op", version=2, params=Params, steps=[one("a"), one("b", "a")]),
    "the operation": operation("po", version=1, params=Params, steps=[one("a"), one("b", "a")]),
}


def test_every_change_changes_the_fingerprint() -> None:
    """Whatever is changed in a definition, its params or its locks, the fingerprint is another."""
    prints = {what: plan(operation).fingerprint for what, operation in CHANGES.items()}
    assert len(set(prints.values())) == len(CHANGES)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"size": "many"}, r"op: size: input should be a valid integer.*\(got 'many'\)$"),
        ({"sise": 1}, r"op: sise: extra inputs are not permitted \(got 1\)$"),
        ({"size": "many", "name": 3}, r"size: .*; name: input should be a valid string \(got 3\)$"),
        ({f"no{i}": i for i in range(7)}, r"no0: .*; no4: [^;]*; and 2 more$"),
        ([1], "op: params are names with values .*; got a list"),
        ("size", "got a str"),
    ],
)
def test_bad_params_are_told_in_one_line(params: Any, says: str) -> None:
    """Params that do not fit are one line: operation, field, what is wrong, what came."""
    with pytest.raises(InvalidParams, match=says) as caught:
        plan(op(one("a")), params)
    assert "\n" not in str(caught.value)


def test_missing_params_are_named() -> None:
    """A required field that is missing is named, without a made-up value."""

    class Needy(Model):
        disk: str

    with pytest.raises(InvalidParams, match=r"^op: disk: field required$"):
        plan(op(params=Needy))


def test_params_may_be_a_model_or_a_mapping() -> None:
    """Params are taken as the operation's own model, as another one, or as a mapping."""
    for params in (Params(size=3), Loose.model_construct(), {"size": 3}, None):
        if isinstance(params, Loose):
            with pytest.raises(InvalidParams):
                check_params(op(), params)
        else:
            assert isinstance(check_params(op(), params), Params)
    assert plan(op(), Params(size=3)).params == {"size": 3, "name": "x"}


@pytest.mark.parametrize("params", [Params(name="x" * 2**20), {"name": "x" * 2**21}])
def test_params_are_limited_in_size(params: Any) -> None:
    """Params above 1 MiB are refused when they are submitted, as a mapping and as a model."""
    with pytest.raises(TooLarge, match=r"at most 1,048,576"):
        plan(op(one("a")), params)


class Weight(BaseModel):
    kg: float


@pytest.mark.parametrize("thing", [object(), Weight(kg=math.nan), "\ud800", {1: {2, object()}}])
def test_params_that_json_cannot_hold_are_refused(thing: Any) -> None:
    """What cannot be stored as JSON is refused before a saga exists, and so is a value in a definition."""
    with pytest.raises(InvalidParams, match="cannot be stored as JSON"):
        plan(op(one("a"), params=Loose), Loose(anything=thing))

    def takes(known: Any) -> None: ...

    bound = step(takes, undo=NOTHING, inputs={"known": value(thing)})
    with pytest.raises(InvalidPlan, match=r"step 'takes', input 'known': a .* cannot be stored as JSON"):
        plan(op(bound))


def test_params_that_hold_themselves_are_refused() -> None:
    """A mapping that contains itself is refused."""
    ring: dict[str, Any] = {}
    ring["name"] = ring
    with pytest.raises(InvalidParams, match="cannot be stored as JSON"):
        plan(op(one("a")), ring)


def test_too_many_steps_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan above the limit of steps is refused when it is made."""
    monkeypatch.setattr(planning, "STEPS_MAX", 3)
    assert len(plan(op(*(one(f"s{i}") for i in range(3)))).dag.steps) == 3
    with pytest.raises(TooLarge, match="has 4 steps; at most 3"):
        plan(op(*(one(f"s{i}") for i in range(4))))


def test_locks_are_sorted_and_the_stronger_mode_wins() -> None:
    """Locks stand once each, sorted by resource; needed twice, the exclusive mode holds."""
    locks = [shared("zone:b"), exclusive("pool:a"), shared("pool:a"), exclusive("zone:b")]
    assert plan(op(one("a"), locks=locks)).locks == (Lock("pool:a"), Lock("zone:b"))
    by_params = op(one("a"), locks=lambda p: [shared(f"disk:{p.size}")])
    assert plan(by_params, {"size": 7}).locks == (Lock("disk:7", "shared"),)


def test_nested_operations_bring_their_locks() -> None:
    """What an inner operation needs, the saga holds from the start; it must be known by then."""
    inner = op(one("x"), locks=lambda p: [shared(f"disk:{p.size}")])
    outer = op(one("a"), nest("n", inner, params=lambda p: p), locks=[exclusive("pool:a")])
    assert plan(outer).locks == (Lock("disk:1", "shared"), Lock("pool:a"))
    late = op(one("a"), nest("n", inner, params=output_of("a")))
    with pytest.raises(InvalidPlan, match="its locks depend on its params"):
        plan(late)


def chain(size: int) -> list[Step]:
    return [one(f"s{i}", *([f"s{i - 1}"] if i else [])) for i in range(size)]


def fan_out(size: int) -> list[Step]:
    middle = [one(f"s{i}", "root") for i in range(size - 2)]
    return [one("root"), *middle, one("join", *(s.name for s in middle))]


def layered(size: int, width: int = 100) -> list[Step]:
    return [
        one(
            f"s{i}",
            *(f"s{(i // width - 1) * width + (i + k) % width}" for k in range(10 if i >= width else 0)),
        )
        for i in range(size)
    ]


@pytest.mark.parametrize("make", [chain, fan_out, layered])
def test_ten_thousand_steps_are_planned_in_seconds(make: Any) -> None:
    """A plan of 10,000 steps as chain, fan-out or layers takes a few seconds at most."""
    definition = op(*make(10_000))
    begin = time.process_time()
    planned = plan(definition)
    assert time.process_time() - begin < 5
    assert len(planned.dag.steps) == 10_000


def test_a_static_dag_is_made_once() -> None:
    """A DAG that does not depend on params is planned once and shared by its sagas."""
    definition = op(one("a"), one("b", "a"))
    assert plan(definition, {"size": 1}).dag is plan(definition, {"size": 2}).dag


@settings(max_examples=30)
@given(dags(8), st.integers(1, 3))
def test_planning_is_a_function(edges: dict[str, list[str]], size: int) -> None:
    """Planning the same definition again, freshly made, gives an equal plan."""
    made = [plan(op(*(one(n, *above) for n, above in edges.items())), {"size": size}) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0].fingerprint == made[1].fingerprint
