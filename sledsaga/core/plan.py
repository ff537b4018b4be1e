"""Turn an operation and its params into a plan: a frozen, checked, fingerprinted DAG.

This is the only file that uses networkx (cycles and generations). The transitive reduction is our own:
over bit sets it costs milliseconds for 10,000 steps, where the library's walks every descendant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import networkx as nx
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from sledsaga.core.dag import (
    Dag,
    DagStep,
    FromParams,
    FromStep,
    FromSteps,
    Given,
    Input,
    Known,
    Plan,
    Policy,
    UndoKind,
    make_dag,
)
from sledsaga.core.define import (
    Irreversible,
    NoUndo,
    Operation,
    OutputOf,
    OutputsOf,
    Step,
    Value,
)
from sledsaga.core.expand import (
    FlatStep,
    ScopeParams,
    Wire,
    expand,
    functions_of,
    is_static,
    needs_of,
    signature_of,
)
from sledsaga.core.fit import fits, fits_each
from sledsaga.core.scopes import Scope, locks_of, params_of, scopes_of, to_json
from sledsaga.errors import InvalidParams, InvalidPlan, TooLarge

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PARAMS_BYTES_MAX = 1024 * 1024
ERRORS_TOLD = 5
STEPS_MAX = 100_000
_as_text = json.JSONEncoder(default=str).encode


def plan(operation: Operation, params: BaseModel | Mapping[str, Any] | None = None) -> Plan:
    """Plan one execution of an operation.

    Raises InvalidParams when the params do not fit, TooLarge above 1 MiB of them or 100,000 steps,
    InvalidPlan when the definition is no DAG, an input is unknown, or annotated types do not fit.
    """
    model = check_params(operation, params)
    dag = _static_dag(operation) if is_static(operation) else _build(operation, model)
    scopes = tuple(scopes_of(Scope("", operation, model)))
    index = {step.path: i for i, step in enumerate(dag.steps)} if len(scopes) > 1 else {}
    return Plan(dag, params_of(scopes, index), locks_of(scopes))


def check_params(operation: Operation, params: BaseModel | Mapping[str, Any] | None) -> BaseModel:
    """Return the params as the operation's model; raises InvalidParams, TooLarge."""
    body: object = {} if params is None else params
    if not isinstance(body, BaseModel | Mapping):
        msg = f"{operation.name}: params are names with values (a mapping); got a {type(body).__name__}"
        raise InvalidParams(msg)
    try:
        plain = body.model_dump(mode="json") if isinstance(body, BaseModel) else dict(body)
        _check_size(len(_as_text(plain)))
        return body if isinstance(body, operation.params) else operation.params.model_validate(plain)
    except ValidationError as error:
        raise InvalidParams(_explain(operation, error)) from error
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
        msg = f"{operation.name}: the params cannot be stored as JSON ({error})"
        raise InvalidParams(msg) from error


def _check_size(size: int) -> None:
    if size > PARAMS_BYTES_MAX:
        msg = f"params of {size:,} bytes; at most {PARAMS_BYTES_MAX:,} are taken. Pass a reference instead."
        raise TooLarge(msg)


def _explain(operation: Operation, error: ValidationError) -> str:
    told = [_explain_one(one) for one in error.errors()[:ERRORS_TOLD]]
    left = error.error_count() - len(told)
    return "; ".join([f"{operation.name}: {told[0]}", *told[1:], *([f"and {left} more"] if left else [])])


def _explain_one(one: ErrorDetails) -> str:
    where = ".".join(map(str, one["loc"])) or "params"
    is_told = one["type"] == "missing" or not one["loc"]  # the params as a whole say nothing in 80 characters
    came = "" if is_told else f" (got {one['input']!r:.80})"
    what = one["msg"].removeprefix("Value error, ")
    return f"{where}: {what[:1].lower()}{what[1:]}{came}"


@lru_cache(maxsize=256)
def _static_dag(operation: Operation) -> Dag:
    return _build(operation, None)


def _build(operation: Operation, params: BaseModel | None) -> Dag:
    flat = expand(operation, params)
    if len(flat) > STEPS_MAX:
        msg = f"operation {operation.name} has {len(flat):,} steps; at most {STEPS_MAX:,} are taken"
        raise TooLarge(msg)
    _check_types(operation, flat)
    ordered = _in_order(operation, flat)
    index = {step.path: i for i, step in enumerate(ordered)}
    reduced = _reduce([sorted({index[path] for path in needs_of(step)}) for step in ordered])
    steps = tuple(_dag_step(step, needs, index) for step, needs in zip(ordered, reduced, strict=True))
    return make_dag(operation.name, operation.version, steps)


def _in_order(operation: Operation, flat: list[FlatStep]) -> list[FlatStep]:
    """Return the steps generation by generation, each in the order of the definition."""
    place = {step.path: i for i, step in enumerate(flat)}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(place)
    graph.add_edges_from((need, step.path) for step in flat for need in needs_of(step))
    try:
        generations = list(nx.topological_generations(graph))
    except nx.NetworkXUnfeasible:
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
        msg = f"operation {operation.name}: the steps form a cycle: {' → '.join([*cycle, cycle[0]])}"
        raise InvalidPlan(msg) from None
    return [
        flat[place[path]] for generation in generations for path in sorted(generation, key=place.__getitem__)
    ]


def _reduce(needs: list[list[int]]) -> list[tuple[int, ...]]:
    """Drop each need that another need implies; `needs[i]` holds only indexes below i."""
    above: list[int] = []  # bit set of all that a step needs, directly or not
    last_use = {need: i for i, direct in enumerate(needs) for need in direct}
    reduced = []
    for i, direct in enumerate(needs):
        implied = 0
        kept = []
        for need in reversed(direct):  # a later need can imply an earlier one, never the other way
            if not implied >> need & 1:
                kept.append(need)
                implied |= above[need] | 1 << need
        above.append(implied)
        for need in direct:
            if last_use[need] == i:  # 100,000 steps in a chain would hold 600 MB of bits
                above[need] = 0
        reduced.append(tuple(reversed(kept)))
    return reduced


def _dag_step(flat: FlatStep, needs: tuple[int, ...], index: dict[str, int]) -> DagStep:
    step = flat.step
    kind, why = _undo_of(step)
    policy = Policy(
        step.retry,
        step.undo_retry,
        step.timeout_s,
        step.undo_timeout_s,
        step.cancellable,
        step.undo_needs_output,
    )
    inputs = tuple((name, _input(flat, name, wire, index)) for name, wire in sorted(flat.wires.items()))
    return DagStep(flat.path, needs, inputs, kind, why, step.probe is not None, policy)


def _undo_of(step: Step) -> tuple[UndoKind, str]:
    undo: object = step.undo
    match undo:
        case NoUndo(why):
            return "none", why
        case Irreversible(why):
            return "irreversible", why
    if not callable(undo):
        msg = f"step {step.name!r}: undo is {undo!r}; give a function, no_undo(why) or irreversible(why)"
        raise InvalidPlan(msg)
    return "undo", ""


def _input(flat: FlatStep, name: str, wire: Wire, index: dict[str, int]) -> Input:
    match wire:
        case OutputOf(path):
            return FromStep(index[path])
        case OutputsOf(paths):
            return FromSteps(tuple(index[path] for path in paths))
        case ScopeParams(scope, _):
            return FromParams(scope)
        case Value(value):
            return Known(to_json(value, f"step {flat.path!r}, input {name!r}", InvalidPlan))
    return Given(wire.name)


def _check_types(operation: Operation, flat: list[FlatStep]) -> None:
    returns = {step.path: signature_of(step.step.do).returns for step in flat}
    for step in flat:
        for function in functions_of(step.step):
            for name, wanted in signature_of(function).takes.items():
                if not _wire_fits(step.wires.get(name), wanted, returns):
                    msg = (
                        f"operation {operation.name}: step {step.path!r} takes {name}: {_shown(wanted)}, "
                        f"but gets {_source(step.wires[name], returns)}"
                    )
                    raise InvalidPlan(msg)


def _wire_fits(wire: Wire | None, wanted: Any, returns: dict[str, Any]) -> bool:  # noqa: ANN401 - an annotation
    match wire:
        case OutputOf(path):
            return fits(returns[path], wanted)
        case OutputsOf(paths):
            return fits_each([returns[path] for path in paths], wanted)
        case ScopeParams(_, model):
            return fits(model, wanted)
    return True


def _source(wire: Wire, returns: dict[str, Any]) -> str:
    if isinstance(wire, OutputOf):
        return f"{_shown(returns[wire.step])} from {wire.step!r}"
    if isinstance(wire, ScopeParams):
        return f"{_shown(wire.model)}, the params of the operation"
    return "a list that does not fit"


def _shown(hint: Any) -> str:  # noqa: ANN401 - annotations are of any kind
    return hint.__name__ if isinstance(hint, type) else str(hint)
