"""What a plan holds beside its DAG: the params of every scope, and the resources that the saga needs.

Rules
- A scope is the saga itself (`""`) or a nested operation (its path). Its params are known when the saga is
  planned, or they are the output of one step of the scope around it.
- Locks are taken before the first step, so those of a nested operation are the saga's own from the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from sledsaga.core.dag import FromStep, Known, canonical
from sledsaga.core.define import Lock, Nested, Operation, OutputOf
from sledsaga.core.events import Json
from sledsaga.core.expand import inner_params, nodes_of, of_params
from sledsaga.errors import InvalidParams, InvalidPlan, SledsagaError


@dataclass(frozen=True, slots=True)
class Scope:
    """An operation under its path, with its params, or the path of the step whose output they will be."""

    path: str
    operation: Operation
    model: BaseModel | None
    step: str = ""


def scopes_of(scope: Scope) -> Iterator[Scope]:
    """Yield a scope and all that are nested in it; raises InvalidPlan, InvalidParams."""
    yield scope
    for node in nodes_of(scope.operation, scope.model):
        if isinstance(node, Nested):
            yield from scopes_of(_inside(scope, node))


def _inside(outer: Scope, nested: Nested) -> Scope:
    prefix = f"{outer.path}/" if outer.path else ""
    path = prefix + nested.name
    if isinstance(nested.params, OutputOf):
        return Scope(path, nested.operation, None, prefix + nested.params.step)
    inner = inner_params(nested, outer.model)
    if inner is None:
        msg = (
            f"operation {outer.operation.name}: the params of {path} are made from params that only a step "
            "will give; take them from a step as well: params=output_of(…)"
        )
        raise InvalidPlan(msg)
    return Scope(path, nested.operation, inner)


def params_of(scopes: Iterable[Scope], index: Mapping[str, int]) -> dict[str, Known | FromStep]:
    """Return where the params of each scope come from; raises InvalidPlan for a step that is none."""
    return {scope.path: _source(scope, index) for scope in scopes}


def _source(scope: Scope, index: Mapping[str, int]) -> Known | FromStep:
    if scope.model is not None:
        return Known(to_json(scope.model, f"{scope.operation.name}: the params", InvalidParams))
    if scope.step not in index:
        msg = f"the params of {scope.path} must come from a step; {scope.step!r} is a nested operation"
        raise InvalidPlan(msg)
    return FromStep(index[scope.step])


def locks_of(scopes: Iterable[Scope]) -> tuple[Lock, ...]:
    """Return all resources, sorted; a resource that is needed twice is locked in the stronger mode."""
    strongest: dict[str, Lock] = {}
    for scope in scopes:
        for lock in _own_locks(scope):
            if lock.mode == "exclusive" or lock.resource not in strongest:
                strongest[lock.resource] = lock
    return tuple(strongest[resource] for resource in sorted(strongest))


def _own_locks(scope: Scope) -> Iterable[Lock]:
    locks = scope.operation.locks
    if not callable(locks):
        return locks
    what = f"operation {scope.operation.name}: its locks"
    if scope.model is None:
        msg = f"{what} depend on its params, so these cannot be the output of a step ({scope.step})"
        raise InvalidPlan(msg)
    return tuple(of_params(what, locks, scope.model))


def to_json(value: Any, what: str, refusal: type[SledsagaError]) -> Json:  # noqa: ANN401 - any value at all
    """Return a value as JSON; raises `refusal`, naming `what`, when it cannot be stored."""
    try:
        body = to_jsonable_python(value)
        canonical(body).encode()
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
        msg = f"{what}: a {type(value).__name__} cannot be stored as JSON ({error})"
        raise refusal(msg) from error
    return body  # type: ignore[no-any-return]  # pydantic calls it Any
