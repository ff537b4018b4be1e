"""Bind a stored plan to the code of its operation: functions by path, values by annotated type.

Rules
- Order, inputs and policies come from the stored plan; only functions come from code. A step whose path,
  undo or inputs the code no longer has is unknown: the saga is parked, never guessed at.
- A stored value becomes the annotated type of the parameter that takes it, and an output becomes JSON by
  the annotated type that `do` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from pydantic import ConfigDict, PydanticUserError, TypeAdapter

from sledsaga.core.dag import DagStep, FromParams, FromStep, FromSteps, Given, Input, Known, Plan
from sledsaga.core.define import Operation, Step
from sledsaga.core.events import Json
from sledsaga.core.expand import ANY, FlatStep, expand, is_static, signature_of
from sledsaga.core.memo import Unhashed
from sledsaga.errors import InvalidParams, UnknownOperation


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a step, and how to turn stored JSON into each of its arguments."""

    call: Callable[..., Any]
    is_async: bool
    wants: Mapping[str, Callable[[Any], Any]]

    def arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments, decoded; what is not in `values` keeps its default."""
        return {name: decode(values[name]) for name, decode in self.wants.items() if name in values}

    def takes(self, name: str) -> bool:
        """Say whether the function takes a parameter of this name."""
        return name in self.wants


@dataclass(frozen=True, slots=True)
class BoundStep:
    """A step's functions, and how its output becomes JSON and a value again."""

    do: Function
    undo: Function | None
    probe: Function | None
    encode: Callable[[Any], Json]
    decode: Callable[[Json], Any]


@dataclass(frozen=True, slots=True)
class Bound:
    """A plan's steps, bound; same order as in its DAG."""

    steps: tuple[BoundStep, ...]
    any_blocking: bool


def bind(operation: Operation, plan: Plan) -> Bound:
    """Bind a plan to its operation; raises UnknownOperation when the code does not fit the plan."""
    if is_static(operation):
        return _bind_static(operation, plan.dag.fingerprint, Unhashed(plan.dag.steps))
    return _bind(operation, plan.dag.steps, plan.params)


@lru_cache(maxsize=256)
def _bind_static(operation: Operation, _fingerprint: str, steps: Unhashed[tuple[DagStep, ...]]) -> Bound:
    return _bind(operation, steps.it, None)


def _bind(operation: Operation, steps: tuple[DagStep, ...], params: Json) -> Bound:
    model = None
    if params is not None:
        try:
            model = operation.params.model_validate(params)
        except ValueError as error:
            msg = f"{operation.name} no longer takes the params that the saga was planned with: {error}"
            raise UnknownOperation(msg) from error
    try:
        code = {flat.path: flat for flat in expand(operation, model)}
    except InvalidParams as error:
        raise UnknownOperation(str(error)) from error
    bound = tuple(_bind_step(operation, step, code) for step in steps)
    return Bound(bound, any(not one.do.is_async or (one.undo and not one.undo.is_async) for one in bound))


def _bind_step(operation: Operation, step: DagStep, code: dict[str, FlatStep]) -> BoundStep:
    flat = code.get(step.path)
    where = f"{operation.name} v{operation.version}: step {step.path!r}"
    if flat is None:
        msg = f"{where} is not in this program's version of the operation"
        raise UnknownOperation(msg)
    if (step.undo == "undo") is not callable(flat.step.undo):
        msg = f"{where} was planned with undo {step.undo!r}, which its code no longer has"
        raise UnknownOperation(msg)
    known = {name for name, _ in step.inputs}
    for name, wire in flat.wires.items():
        if name not in known:
            msg = f"{where} now takes {name!r} ({type(wire).__name__}), which the plan does not give"
            raise UnknownOperation(msg)
    return _bound(flat.step)


@lru_cache(maxsize=4096)
def _functions(do: object, undo: object, probe: object) -> BoundStep:
    returns = signature_of(cast("Callable[..., Any]", do)).returns
    return BoundStep(
        do=_function(cast("Callable[..., Any]", do)),
        undo=_function(undo) if callable(undo) else None,
        probe=_function(probe) if callable(probe) else None,
        encode=_encoder(returns),
        decode=_decoder(returns),
    )


def _bound(step: Step) -> BoundStep:
    return _functions(step.do, step.undo, step.probe)


def _function(call: Callable[..., Any]) -> Function:
    signature = signature_of(call)
    wants = {name: _argument(name, hint) for name, hint in signature.takes.items()}
    return Function(call, signature.is_async, wants)


def _argument(name: str, hint: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - annotations are of any kind
    return _same if name in ("ctx", "sled") else _decoder(hint)


def _decoder(hint: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - annotations are of any kind
    if hint is ANY or hint is Any:
        return _same
    return TypeAdapter(hint).validate_python


def _encoder(hint: Any) -> Callable[[Any], Json]:  # noqa: ANN401 - annotations are of any kind
    adapter = _adapter(Any if hint is ANY else hint)

    def encode(output: Any) -> Json:  # noqa: ANN401 - whatever a step returns
        return cast("Json", adapter.dump_python(output, mode="json", warnings="error"))

    return encode


def _adapter(hint: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - annotations are of any kind
    """Make an adapter that lets NaN and infinity through, so that they are refused and not stored as null."""
    try:
        return TypeAdapter(hint, config=ConfigDict(ser_json_inf_nan="constants"))
    except PydanticUserError:  # a model says this itself, as `Model` does
        return TypeAdapter(hint)


def _same(value: Any) -> Any:  # noqa: ANN401 - passes anything through
    return value


def stored_inputs(
    step: DagStep, scopes: Mapping[str, Known | FromStep], outputs: Mapping[int, Json]
) -> dict[str, Json]:
    """Return the stored values of a step's inputs by parameter name, without what the executor gives."""
    values: dict[str, Json] = {}
    for name, source in step.inputs:
        if not isinstance(source, Given):
            values[name] = _stored(source, scopes, outputs)
    return values


def _stored(source: Input, scopes: Mapping[str, Known | FromStep], outputs: Mapping[int, Json]) -> Json:
    match source:
        case FromStep(step):
            return outputs[step]
        case FromSteps(steps):
            return [outputs[step] for step in steps]
        case FromParams(scope):
            return _stored(scopes[scope], scopes, outputs)
        case Known(value):
            return value
    msg = f"{source} is given by the executor"
    raise AssertionError(msg)
