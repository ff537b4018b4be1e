"""Operations at random, nested and shaped by their params: planned, stored, read back, bound, and fed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from sledsaga.core.bind import bind, stored_inputs
from sledsaga.core.dag import (
    Dag,
    FromParams,
    Given,
    Plan,
    dag_from_json,
    dag_to_json,
    locks_from_json,
    locks_to_json,
    scopes_from_json,
    scopes_to_json,
)
from sledsaga.core.define import (
    Lock,
    Node,
    Operation,
    OutputOf,
    Retry,
    Source,
    Step,
    exclusive,
    irreversible,
    nest,
    no_undo,
    operation,
    output_of,
    outputs_of,
    shared,
    step,
    value,
)
from sledsaga.core.expand import expand, needs_of
from sledsaga.core.model import Model
from sledsaga.core.plan import plan

DEPTH = 2
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
LOCKS = st.lists(
    st.builds(
        lambda make, name: make(f"pool:{name}"), st.sampled_from([exclusive, shared]), st.sampled_from("abc")
    ),
    max_size=3,
)


class Params(Model):
    width: int = 1


def do(ctx: Any, params: Params, x: Any = None, many: list[Any] = [], *, known: Any = None) -> Any:  # noqa: B006 - never called
    """Take an output, outputs, and what is known."""


def undo(params: Params, output: Any, x: Any = None) -> None: ...


UNDOS: st.SearchStrategy[Any] = st.sampled_from([undo, undo, no_undo("it looks"), irreversible("sent")])


def give() -> Params:
    return Params()


@dataclass
class Drawn:
    """One scope as it is drawn: its nodes so far, and which of them have an output to take."""

    nodes: list[Node]
    names: list[str]


def a_step(draw: st.DrawFn, name: str, above: list[str]) -> Node:
    """Draw a step that may take outputs of those above, come after them, and be undone in any way."""
    inputs: dict[str, Source] = {}
    some = st.sampled_from(above) if above else st.nothing()
    wants = draw(st.sets(st.sampled_from(["x", "many", "known"])))
    if above and "x" in wants:
        inputs["x"] = draw(st.builds(output_of, some) | st.builds(value, PLAIN))
    if above and "many" in wants:
        inputs["many"] = outputs_of(draw(st.lists(some, unique=True, max_size=3)))
    if "known" in wants:
        inputs["known"] = value(draw(PLAIN))
    return step(
        do,
        name=name,
        undo=draw(UNDOS),
        after=draw(st.lists(some, unique=True, max_size=2)) if above else (),
        inputs=inputs,
        retry=Retry(draw(st.integers(1, 4)), backoff_s=draw(st.sampled_from([0, 1, 0.5]))),
        timeout_s=draw(st.sampled_from([None, 1, 2.5])),
        cancellable=draw(st.booleans()),
        undo_needs_output=draw(st.booleans()),
    )


def a_nest(draw: st.DrawFn, name: str, above: list[str], *, depth: int, may_depend: bool) -> list[Node]:
    """Draw a nested operation; its params are made from the outer ones, if those are known, or an output."""
    by_output = not may_depend or draw(st.booleans())
    inner = draw(operations(depth=depth - 1, may_depend=not by_output))
    after = draw(st.lists(st.sampled_from(above), unique=True, max_size=2)) if above else []
    names = ["first"] if callable(inner.steps) else [n.name for n in inner.steps if isinstance(n, Step)]
    params: Callable[[Any], Any] | OutputOf = output_of(f"{name}-params") if by_output else lambda p: p
    nested = nest(name, inner, params=params, after=after, output=draw(st.sampled_from(names)))
    return [step(give, name=f"{name}-params", undo=no_undo("it reads")), nested] if by_output else [nested]


@st.composite
def operations(draw: st.DrawFn, depth: int = DEPTH, *, may_depend: bool = True) -> Operation:
    """Draw an operation: a first step, some after it, perhaps nested ones, perhaps branches by its params."""
    drawn = Drawn([step(give, name="first", undo=no_undo("it reads"))], ["first"])
    for number in range(draw(st.integers(0, 4))):
        name = f"n{number}"
        is_nest = depth > 0 and draw(st.integers(0, 2)) == 0
        made = (
            a_nest(draw, name, drawn.names, depth=depth, may_depend=may_depend)
            if is_nest
            else [a_step(draw, name, drawn.names)]
        )
        drawn.nodes += made
        drawn.names.append(name)
    locks: list[Lock] = draw(LOCKS)
    order = draw(st.permutations(drawn.nodes))
    if may_depend and draw(st.booleans()):
        return operation("op", version=2, params=Params, steps=branching(order), locks=lambda _: locks)
    return operation("op", version=2, params=Params, steps=order, locks=locks)


def branching(nodes: list[Node]) -> Callable[[Params], list[Node]]:
    """Return the steps as a function of the params: so many branches more, behind the first step."""

    def steps(params: Params) -> list[Node]:
        branches = (step(do, name=f"b{i}", undo=undo, after="first") for i in range(params.width))
        return [*nodes, *branches]

    return steps


PLANS = st.tuples(operations(), st.integers(0, 3))


def planned(one: tuple[Operation, int]) -> Plan:
    return plan(one[0], {"width": one[1]})


def through_json(whole: Plan) -> Plan:
    """Return a plan that was written as text and read back."""
    text = json.dumps([dag_to_json(whole.dag), scopes_to_json(whole.scopes), locks_to_json(whole.locks)])
    dag, scopes, locks = json.loads(text)
    return Plan(dag_from_json(dag), scopes_from_json(scopes), locks_from_json(locks))


def graph_of(dag: Dag) -> nx.DiGraph[str]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(one.path for one in dag.steps)
    graph.add_edges_from((dag.steps[need].path, one.path) for one in dag.steps for need in one.needs)
    return graph


FEW = settings(max_examples=40, deadline=None)


@FEW
@given(PLANS)
def test_a_plan_is_the_same_after_json(one: tuple[Operation, int]) -> None:
    """A plan is equal after it was stored, under the same fingerprint, and planning again gives it again."""
    whole = planned(one)
    assert through_json(whole) == whole == planned(one)
    assert through_json(whole).fingerprint == whole.fingerprint == planned(one).fingerprint


@FEW
@given(PLANS)
def test_no_order_is_lost_or_added(one: tuple[Operation, int]) -> None:
    """Who comes before whom is what the definition says, with no need that another implies."""
    whole = planned(one)
    wanted: nx.DiGraph[str] = nx.DiGraph()
    flat = expand(one[0], Params(width=one[1]))
    wanted.add_nodes_from(each.path for each in flat)
    wanted.add_edges_from((need, each.path) for each in flat for need in needs_of(each))
    kept = graph_of(whole.dag)
    assert {n: nx.ancestors(kept, n) for n in kept} == {n: nx.ancestors(wanted, n) for n in wanted}
    assert set(nx.transitive_reduction(wanted).edges) == set(kept.edges)
    assert all(need < i for i, each in enumerate(whole.dag.steps) for need in each.needs)


@FEW
@given(PLANS)
def test_steps_stand_generation_by_generation(one: tuple[Operation, int]) -> None:
    """A step stands behind all of the generations before its own, as networkx counts them."""
    dag = planned(one).dag
    sizes = [len(generation) for generation in nx.topological_generations(graph_of(dag))]
    depth: list[int] = []
    for each in dag.steps:
        depth.append(1 + max((depth[need] for need in each.needs), default=-1))
    assert depth == sorted(depth)
    assert [depth.count(level) for level in range(len(sizes))] == sizes


@FEW
@given(PLANS)
def test_outputs_that_a_step_takes_are_there_before_it(one: tuple[Operation, int]) -> None:
    """Every output that a step, or its scope, takes comes from an ancestor; every scope is known."""
    whole = planned(one)
    graph = graph_of(whole.dag)
    paths = [each.path for each in whole.dag.steps]
    for each in whole.dag.steps:
        before = nx.ancestors(graph, each.path)
        for _, source in each.inputs:
            if isinstance(source, FromParams):
                scope = whole.scopes[source.scope]
                named = [scope.step] if hasattr(scope, "step") else []
            else:
                named = [*getattr(source, "steps", ()), *([source.step] if hasattr(source, "step") else [])]
            assert {paths[index] for index in named} <= before


@FEW
@given(PLANS)
def test_a_stored_plan_is_bound_and_fed(one: tuple[Operation, int]) -> None:
    """The code of the same operation fits what was stored, and every argument has its value."""
    whole = through_json(planned(one))
    outputs: dict[int, Any] = {i: {"width": i} for i in range(len(whole.dag.steps))}
    for each, bound in zip(whole.dag.steps, bind(one[0], whole).steps, strict=True):
        fed = bound.do.arguments(stored_inputs(each, whole.scopes, outputs))
        given = {name for name, source in each.inputs if isinstance(source, Given)}
        assert {name for name, _ in each.inputs if bound.do.takes(name)} - given == set(fed)
        assert (bound.undo is not None) == (each.undo == "undo")
        if bound.do.takes("params"):
            assert isinstance(fed["params"], Params)


@FEW
@given(PLANS)
def test_locks_are_each_there_once_in_their_stronger_mode(one: tuple[Operation, int]) -> None:
    """A resource is locked once, alone when any scope needs it alone, and the order is that of the names."""
    locks = planned(one).locks
    assert [lock.resource for lock in locks] == sorted({lock.resource for lock in locks})
    asked = set(asked_for(one[0], Params(width=one[1])))
    assert set(locks) <= asked
    assert {lock.resource for lock in locks} == {lock.resource for lock in asked}
    assert all(lock in locks for lock in asked if lock.mode == "exclusive")


def asked_for(one: Operation, params: Params) -> list[Lock]:
    """Return the locks of an operation and of all that is nested in it."""
    nodes = one.steps(params) if callable(one.steps) else one.steps
    own = one.locks(params) if callable(one.locks) else one.locks
    inner = [node.operation for node in nodes if hasattr(node, "operation")]
    return [*own, *(lock for nested in inner for lock in asked_for(nested, params))]
