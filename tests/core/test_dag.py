"""DAGs as data: to JSON and back, and what is refused on the way."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sledsaga.core.dag import (
    UNDO_KINDS,
    Dag,
    DagStep,
    FromParams,
    FromStep,
    FromSteps,
    Given,
    Input,
    Known,
    Policy,
    canonical,
    dag_from_json,
    dag_to_json,
    locks_from_json,
    locks_to_json,
    make_dag,
    scopes_from_json,
    scopes_to_json,
)
from sledsaga.core.define import Retry, exclusive, shared
from sledsaga.errors import LogCorrupt

seconds = st.floats(0.001, 1e6) | st.integers(1, 10**6)
retries = st.builds(Retry, st.integers(1, 99), seconds, seconds, seconds)
policies = st.builds(
    Policy, retries, retries, st.none() | seconds, st.none() | seconds, st.booleans(), st.booleans()
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def dags(draw: st.DrawFn) -> Dag:
    steps = []
    for i in range(draw(st.integers(0, 6))):
        above = st.integers(0, i - 1) if i else st.nothing()
        needs = tuple(sorted(draw(st.sets(above))))
        source: st.SearchStrategy[Input] = st.builds(Known, plain) | st.builds(
            FromParams, st.text(max_size=3)
        )
        source |= st.sampled_from([Given("ctx"), Given("sled"), Given("output")])
        source |= st.builds(FromStep, above) | st.builds(FromSteps, st.lists(above).map(tuple))
        inputs = tuple(sorted(draw(st.dictionaries(st.text(max_size=5), source, max_size=3)).items()))
        kind = draw(st.sampled_from(UNDO_KINDS))
        why = "" if kind == "undo" else draw(st.text(min_size=1))
        steps.append(DagStep(f"s{i}", needs, inputs, kind, why, draw(st.booleans()), draw(policies)))
    return make_dag("op", draw(st.integers(1, 5)), tuple(steps))


@given(dags())
def test_a_dag_is_the_same_after_json(dag: Dag) -> None:
    """A DAG written as JSON text and read back is equal, with the same fingerprint and children."""
    again = dag_from_json(json.loads(json.dumps(dag_to_json(dag))))
    assert again == dag
    assert again.fingerprint == dag.fingerprint


@given(dags())
def test_needs_and_children_mirror_each_other(dag: Dag) -> None:
    """Step i has child j exactly when step j needs step i."""
    edges = {(need, i) for i, step in enumerate(dag.steps) for need in step.needs}
    assert edges == {(i, child) for i, children in enumerate(dag.children) for child in children}


@given(st.dictionaries(st.text(), st.builds(Known, plain) | st.builds(FromStep, st.integers(0, 9))))
def test_scopes_are_the_same_after_json(scopes: Any) -> None:
    """The params of all scopes are equal after a way through JSON."""
    assert scopes_from_json(json.loads(json.dumps(scopes_to_json(scopes)))) == scopes


def test_locks_are_the_same_after_json() -> None:
    """Locks are equal after a way through JSON, and stand as pairs there."""
    locks = (exclusive("pool:a"), shared("zone:b"))
    assert locks_to_json(locks) == [["exclusive", "pool:a"], ["shared", "zone:b"]]
    assert locks_from_json(locks_to_json(locks)) == locks


def test_defaults_are_left_out() -> None:
    """A step's JSON holds only what differs from the defaults."""
    dag = make_dag("op", 1, (DagStep("a", (), (), "undo"),))
    assert dag_to_json(dag)["steps"] == [{"path": "a", "needs": [], "undo": "undo", "inputs": {}}]


BODY: dict[str, Any] = dag_to_json(
    make_dag(
        "op",
        1,
        (
            DagStep("a", (), (("x", Known(1)),), "undo", policy=Policy(retry=Retry(3))),
            DagStep("b", (0,), (("a", FromStep(0)), ("all", FromSteps((0,)))), "none", "why"),
        ),
    )
)


def put(*place: Any, to: Any) -> dict[str, Any]:
    """Return the JSON of a DAG with one place changed."""
    body = copy.deepcopy(BODY)
    target = body
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = to
    return body


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        put("v", to=2),
        put("steps", to=None),
        put("steps", 0, to=[]),
        put("steps", 0, "needs", to=[1]),
        put("steps", 0, "needs", to=[0]),
        put("steps", 1, "needs", to=[-1]),
        put("steps", 1, "needs", to=["a"]),
        put("steps", 1, "inputs", "a", to={"step": 1}),
        put("steps", 1, "inputs", "a", to={"step": 9}),
        put("steps", 1, "inputs", "all", to={"steps": [0, 7]}),
        put("steps", 1, "inputs", "a", to={"what": 0}),
        put("steps", 1, "inputs", "a", to={}),
        put("steps", 1, "inputs", "a", to=3),
        put("steps", 1, "undo", to="perhaps"),
        put("steps", 0, "retry", to=[0, 1, 1, 1]),
        put("steps", 0, "retry", to=[1, "x", 1, 1]),
        put("steps", 0, "retry", to=7),
    ],
)
def test_what_is_no_dag_is_a_corrupt_log(body: Any) -> None:
    """A stored DAG that is damaged is LogCorrupt, never another error and never a guess."""
    with pytest.raises(LogCorrupt, match="a stored DAG"):
        dag_from_json(body)


def test_a_step_is_found_by_its_path() -> None:
    """`index` gives a path's index, or None."""
    dag = dag_from_json(BODY)
    assert (dag.index("b"), dag.index("z")) == (1, None)


def test_canonical_json_is_sorted_and_dense() -> None:
    """Canonical JSON has sorted keys, no blanks and real characters, and refuses what JSON does not know."""
    assert canonical({"b": "ü", "a": [1, None]}) == '{"a":[1,null],"b":"ü"}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(float("inf"))
