"""Flatten an operation into steps with full paths, and find out what each step takes as input.

Rules
- A parameter is bound, in this order: given name, `inputs` of the step, a step (or nested operation)
  of that name in the same scope, its default. Anything else is an error.
- Nested operations see only their own steps and params; the outer one sees only their output.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sledsaga.core.define import GIVEN, Nested, Node, Operation, OutputOf, OutputsOf, Step, Value
from sledsaga.errors import InvalidParams, InvalidPlan, SledsagaError

ANY = inspect.Parameter.empty
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's parameters (name to annotation, and which have defaults) and what it returns."""

    takes: dict[str, Any]
    optional: frozenset[str]
    returns: Any
    is_async: bool


@dataclass(frozen=True, slots=True)
class ScopeParams:
    """Input source before indexes are known: the params of a scope."""

    scope: str
    model: type[BaseModel]


@dataclass(frozen=True, slots=True)
class GivenName:
    """Input source before indexes are known: what the executor gives."""

    name: str


Wire = OutputOf | OutputsOf | Value | ScopeParams | GivenName


@dataclass(frozen=True, slots=True)
class FlatStep:
    """A step under its full path, with inputs and order resolved to full paths."""

    path: str
    step: Step
    wires: dict[str, Wire]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Exit:
    """What a name in a scope stands for: where its output is, and which steps end and begin it."""

    output: str | None
    ends: tuple[str, ...]


@lru_cache(maxsize=4096)
def signature_of(function: Callable[..., Any]) -> Signature:
    """Read a function's parameters and types; raises InvalidPlan when they cannot be read."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
    except (NameError, TypeError, AttributeError, SyntaxError, ValueError) as error:
        msg = f"the annotations of {_named(function)} cannot be read at run time: {error}"
        raise InvalidPlan(msg) from error
    if any(p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in parameters):
        msg = f"{_named(function)} takes *args, **kwargs or positional-only inputs; name each input"
        raise InvalidPlan(msg)
    return Signature(
        takes={p.name: hints.get(p.name, ANY) for p in parameters},
        optional=frozenset(p.name for p in parameters if p.default is not p.empty),
        returns=hints.get("return", ANY),
        is_async=inspect.iscoroutinefunction(function),
    )


def functions_of(step: Step) -> Iterator[Callable[..., Any]]:
    """Yield the functions of a step: do, undo if it has one, probe if it has one."""
    yield step.do
    if callable(step.undo):
        yield step.undo
    if step.probe is not None:
        yield step.probe


def is_static(operation: Operation) -> bool:
    """Say whether the operation's DAG is the same for all params."""
    if callable(operation.steps):
        return False
    return all(is_static(node.operation) for node in operation.steps if isinstance(node, Nested))


def nodes_of(operation: Operation, params: BaseModel | None) -> Sequence[Node]:
    """Return the steps and nested operations of one scope, for these params."""
    if not callable(operation.steps):
        return operation.steps
    if params is None:
        msg = (
            f"operation {operation.name}: its DAG depends on its params, so they must be known when it is "
            "planned; they come from a step's output here"
        )
        raise InvalidPlan(msg)
    return tuple(of_params(f"operation {operation.name}: its steps", operation.steps, params))


def of_params(what: str, function: Callable[[Any], Result], params: BaseModel) -> Result:
    """Ask a definition's function of the params; whatever it raises is InvalidPlan, naming `what`."""
    try:
        return function(params)
    except SledsagaError:
        raise
    except Exception as error:  # the function is its author's, and can fail in any way
        msg = f"{what} cannot be made from the params: {type(error).__name__}: {error}"
        raise InvalidPlan(msg) from error


def inner_params(nested: Nested, outer: BaseModel | None) -> BaseModel | None:
    """Return the params of a nested operation, or None when a step's output will be them.

    Raises InvalidParams when the inner operation does not take them, InvalidPlan when they cannot be made.
    """
    if isinstance(nested.params, OutputOf) or outer is None:
        return None
    what = f"the params of the nested operation {nested.name!r}"
    made = of_params(what, nested.params, outer)
    try:
        return nested.operation.params.model_validate(made)
    except ValidationError as error:
        msg = f"{what} do not fit {nested.operation.name}: {error}"
        raise InvalidParams(msg) from error


def expand(operation: Operation, params: BaseModel | None, prefix: str = "") -> list[FlatStep]:
    """Flatten an operation and all that is nested in it; raises InvalidPlan."""
    return _Scope(operation, params, prefix).flatten()


@dataclass(slots=True)
class _Scope:
    operation: Operation
    params: BaseModel | None
    prefix: str

    def flatten(self) -> list[FlatStep]:
        nodes = nodes_of(self.operation, self.params)
        self._check_nodes(nodes)
        inner = {node.name: self._inside(node) for node in nodes if isinstance(node, Nested)}
        exits = {node.name: self._exit(node, inner) for node in nodes}
        flat: list[FlatStep] = []
        for node in nodes:
            if isinstance(node, Step):
                flat.append(self._flat_step(node, exits))
            else:
                flat.extend(self._enter(node, inner[node.name], exits))
        return flat

    def _check_nodes(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if not isinstance(node, Step | Nested):
                self._fail(f"{node!r} is no step; make one with step(…), or nest(…) an operation")
        names = [node.name for node in nodes]
        for name in names:
            if name in GIVEN:
                self._fail(f"a step cannot be named {name!r}: that name is given to every step")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            self._fail(f"two steps are named {twice!r}; give one of them another name=")

    def _inside(self, nested: Nested) -> list[FlatStep]:
        path = self.prefix + nested.name
        inner = expand(nested.operation, inner_params(nested, self.params), f"{path}/")
        if not inner:
            self._fail(f"the nested operation {nested.name!r} has no steps")
        return inner

    def _exit(self, node: Node, inner: dict[str, list[FlatStep]]) -> _Exit:
        path = self.prefix + node.name
        if isinstance(node, Step):
            return _Exit(path, (path,))
        flat = inner[node.name]
        needed = {name for step in flat for name in needs_of(step)}
        ends = tuple(step.path for step in flat if step.path not in needed)
        if node.output is None:
            return _Exit(ends[0] if len(ends) == 1 else None, ends)
        if f"{path}/{node.output}" not in {step.path for step in flat}:
            self._fail(
                f"the nested operation {node.name!r} has no step {node.output!r} to take the output of"
            )
        return _Exit(f"{path}/{node.output}", ends)

    def _enter(self, nested: Nested, inner: list[FlatStep], exits: dict[str, _Exit]) -> list[FlatStep]:
        """Put the outer order, and the step that gives the params, before the first inner steps."""
        before = self._after(nested.name, nested.after, exits)
        if isinstance(nested.params, OutputOf):
            before += (self._output(nested.name, nested.params.step, exits),)
        paths = {step.path for step in inner}
        return [
            FlatStep(s.path, s.step, s.wires, s.after + before) if not paths.intersection(needs_of(s)) else s
            for s in inner
        ]

    def _flat_step(self, step: Step, exits: dict[str, _Exit]) -> FlatStep:
        wires: dict[str, Wire] = {}
        for function in functions_of(step):
            signature = signature_of(function)
            if "output" in signature.takes and function is not step.undo:
                self._fail(f"step {step.name!r}: {_named(function)} takes 'output', given only to an undo")
            for name in signature.takes:
                wire = self._wire(step, name, exits)
                if wire is not None:
                    wires[name] = wire
                elif name not in signature.optional:
                    self._fail(
                        f"step {step.name!r}: {_named(function)} takes {name!r}, which is no step, no input "
                        f"and not given; steps here: {', '.join(sorted(exits))}"
                    )
        for name in step.inputs:
            if name in GIVEN:
                self._fail(f"step {step.name!r}: inputs name {name!r}, which is given to every step")
            if name not in wires:
                self._fail(f"step {step.name!r}: inputs name {name!r}, which none of its functions takes")
        return FlatStep(self.prefix + step.name, step, wires, self._after(step.name, step.after, exits))

    def _wire(self, step: Step, name: str, exits: dict[str, _Exit]) -> Wire | None:
        if name == "params":
            return ScopeParams(self.prefix.rstrip("/"), self.operation.params)
        if name in GIVEN:
            return GivenName(name)
        source = step.inputs.get(name, OutputOf(name) if name in exits else None)
        match source:
            case OutputOf(other):
                return OutputOf(self._output(step.name, other, exits))
            case OutputsOf(others):
                return OutputsOf(tuple(self._output(step.name, other, exits) for other in others))
        return source

    def _output(self, name: str, other: str, exits: dict[str, _Exit]) -> str:
        if other == name:
            self._fail(f"step {name!r} takes its own output; an undo receives it as `output`")
        if other not in exits:
            self._fail(f"step {name!r} takes the output of {other!r}, which is no step here")
        path = exits[other].output
        if path is None:
            self._fail(f"{other!r} ends in several steps; say which one gives its output: nest(…, output=…)")
        return path

    def _after(self, name: str, after: Sequence[str], exits: dict[str, _Exit]) -> tuple[str, ...]:
        for other in after:
            if other not in exits or other == name:
                self._fail(f"step {name!r} comes after {other!r}, which is no other step here")
        return tuple(path for other in after for path in exits[other].ends)

    def _fail(self, why: str) -> typing.NoReturn:
        where = f"operation {self.operation.name}" + (
            f" (nested at {self.prefix[:-1]})" if self.prefix else ""
        )
        msg = f"{where}: {why}"
        raise InvalidPlan(msg)


def needs_of(step: FlatStep) -> Iterator[str]:
    """Yield the paths that a step needs: order and data."""
    yield from step.after
    for wire in step.wires.values():
        match wire:
            case OutputOf(path):
                yield path
            case OutputsOf(paths):
                yield from paths


def _named(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
