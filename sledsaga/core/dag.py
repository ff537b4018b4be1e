"""The shape of a saga as data: frozen, fingerprinted, and the same from JSON as from code.

Rules
- Steps stand in topological order and are named by their index; `needs` holds only direct needs that no
  other need implies (the transitive reduction).
- Everything that recovery must know of a step is here, not in code: order, inputs, undo, retry, timeouts.
- The fingerprint is SHA-256 over the canonical JSON; equal shapes are stored once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast, get_args

from sledsaga.core.define import ONCE, UNDO_RETRY, Lock, Retry
from sledsaga.core.events import Json
from sledsaga.errors import InvalidPlan, LogCorrupt

FORMAT = 1
UndoKind = Literal["undo", "none", "irreversible"]
UNDO_KINDS: tuple[UndoKind, ...] = get_args(UndoKind)
Kind = TypeVar("Kind", bound=str)
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode  # json.dumps would make an encoder each time


@dataclass(frozen=True, slots=True)
class FromStep:
    """The output of the step with this index."""

    step: int


@dataclass(frozen=True, slots=True)
class FromSteps:
    """The outputs of these steps, as a list."""

    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FromParams:
    """The params of the scope: `""` is the saga's own, a path is a nested operation's."""

    scope: str


@dataclass(frozen=True, slots=True)
class Known:
    """A value fixed when the saga was planned."""

    value: Json


@dataclass(frozen=True, slots=True)
class Given:
    """What the executor gives: `sled`, `ctx`, or (to an undo) `output`."""

    name: str


Input = FromStep | FromSteps | FromParams | Known | Given


@dataclass(frozen=True, slots=True)
class Policy:
    """How a step is run: retries, time limits in seconds, and what it can bear."""

    retry: Retry = ONCE
    undo_retry: Retry = UNDO_RETRY
    timeout_s: float | None = None
    undo_timeout_s: float | None = None
    cancellable: bool = False
    undo_needs_output: bool = False


@dataclass(frozen=True, slots=True)
class DagStep:
    """One step: its path, the steps that it needs, where its inputs come from, and its policy."""

    path: str
    needs: tuple[int, ...]
    inputs: tuple[tuple[str, Input], ...]
    undo: UndoKind
    why: str = ""
    probe: bool = False
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class Dag:
    """All steps of an operation in one version; `children[i]` are the steps that need step i."""

    operation: str
    version: int
    steps: tuple[DagStep, ...]
    children: tuple[tuple[int, ...], ...]
    fingerprint: str

    def index(self, path: str) -> int | None:
        """Return the index of the step with this path, or None."""
        return next((i for i, step in enumerate(self.steps) if step.path == path), None)


@dataclass(frozen=True, slots=True)
class Plan:
    """A DAG with its params and locks: all that a saga is before anything happened to it.

    `scopes` maps a scope to its params; a nested operation's may come from a step's output.
    """

    dag: Dag
    scopes: dict[str, Known | FromStep]
    locks: tuple[Lock, ...] = ()

    @property
    def params(self) -> Json:
        """The saga's own params, as JSON."""
        return cast("Known", self.scopes[""]).value

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the DAG, the params and the locks: equal plans do the same."""
        return _digest([self.dag.fingerprint, scopes_to_json(self.scopes), locks_to_json(self.locks)])


def make_dag(operation: str, version: int, steps: tuple[DagStep, ...]) -> Dag:
    """Build a DAG of steps in topological order."""
    children: list[list[int]] = [[] for _ in steps]
    for index, step in enumerate(steps):
        for need in step.needs:
            children[need].append(index)
    body = {
        "v": FORMAT,
        "operation": operation,
        "version": version,
        "steps": [_step_to_json(s) for s in steps],
    }
    return Dag(operation, version, steps, tuple(map(tuple, children)), _digest(body))


def dag_to_json(dag: Dag) -> dict[str, Any]:
    """Return the DAG as JSON; defaults are left out."""
    steps = [_step_to_json(step) for step in dag.steps]
    return {"v": FORMAT, "operation": dag.operation, "version": dag.version, "steps": steps}


def dag_from_json(body: dict[str, Any]) -> Dag:
    """Read a DAG back; raises LogCorrupt when it is none."""
    try:
        if body["v"] != FORMAT:
            msg = f"a stored DAG has format {body['v']!r}; this program reads {FORMAT}"
            raise LogCorrupt(msg)
        steps = tuple(_step_from_json(step) for step in body["steps"])
        if any(not 0 <= need < i for i, step in enumerate(steps) for need in _named_steps(step)):
            msg = "a stored DAG is not in topological order"
            raise LogCorrupt(msg)
        return make_dag(body["operation"], body["version"], steps)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, InvalidPlan) as error:
        msg = f"a stored DAG cannot be read back: {error!r}"
        raise LogCorrupt(msg) from error


def _named_steps(step: DagStep) -> Iterator[int]:
    """Yield every index that a step speaks of: what it needs, and whose output it takes."""
    yield from step.needs
    for _, source in step.inputs:
        match source:
            case FromStep(one):
                yield one
            case FromSteps(several):
                yield from several


def scopes_to_json(scopes: dict[str, Known | FromStep]) -> dict[str, Any]:
    """Return the params of all scopes as JSON."""
    return {scope: _input_to_json(source) for scope, source in scopes.items()}


def scopes_from_json(body: dict[str, Any]) -> dict[str, Known | FromStep]:
    """Read the params of all scopes back."""
    return {scope: cast("Known | FromStep", _input_from_json(source)) for scope, source in body.items()}


def locks_to_json(locks: tuple[Lock, ...]) -> list[list[str]]:
    """Return locks as `[mode, resource]` pairs."""
    return [[lock.mode, lock.resource] for lock in locks]


def locks_from_json(body: list[list[str]]) -> tuple[Lock, ...]:
    """Read locks back."""
    return tuple(Lock(resource, cast("Literal['exclusive', 'shared']", mode)) for mode, resource in body)


def canonical(body: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return JSON with sorted keys and no blanks, the same on every machine."""
    return _encode(body)


def _digest(body: Any) -> str:  # noqa: ANN401 - any JSON value
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def _retry_to_json(retry: Retry) -> list[float]:
    return [retry.attempts, float(retry.backoff_s), float(retry.factor), float(retry.max_backoff_s)]


def _seconds_to_json(seconds: float | None) -> float | None:
    return None if seconds is None else float(seconds)  # 60 and 60.0 are one time, and one fingerprint


def _policy_to_json(policy: Policy) -> dict[str, Any]:
    default = Policy()
    full = {
        "retry": _retry_to_json(policy.retry),
        "undo_retry": _retry_to_json(policy.undo_retry),
        "timeout_s": _seconds_to_json(policy.timeout_s),
        "undo_timeout_s": _seconds_to_json(policy.undo_timeout_s),
        "cancellable": policy.cancellable,
        "undo_needs_output": policy.undo_needs_output,
    }
    return {key: body for key, body in full.items() if getattr(policy, key) != getattr(default, key)}


def _step_to_json(step: DagStep) -> dict[str, Any]:
    body: dict[str, Any] = {"path": step.path, "needs": list(step.needs), "undo": step.undo}
    body["inputs"] = {name: _input_to_json(source) for name, source in step.inputs}
    body |= {"why": step.why} if step.why else {}
    body |= {"probe": True} if step.probe else {}
    return body | _policy_to_json(step.policy)


def _step_from_json(body: dict[str, Any]) -> DagStep:
    policy = {key: body[key] for key in Policy.__dataclass_fields__ if key in body}
    for key in ("retry", "undo_retry"):
        if key in policy:
            attempts, *waits = policy[key]
            policy[key] = Retry(int(attempts), *waits)
    return DagStep(
        path=body["path"],
        needs=tuple(body["needs"]),
        inputs=tuple((name, _input_from_json(source)) for name, source in sorted(body["inputs"].items())),
        undo=_one_of(UNDO_KINDS, body["undo"]),
        why=body.get("why", ""),
        probe=body.get("probe", False),
        policy=Policy(**policy),
    )


def _one_of(kinds: tuple[Kind, ...], kind: Kind) -> Kind:
    return kinds[kinds.index(kind)]


def _input_to_json(source: Input) -> dict[str, Json]:
    match source:
        case FromStep(step):
            return {"step": step}
        case FromSteps(steps):
            return {"steps": list(steps)}
        case FromParams(scope):
            return {"params": scope}
        case Known(value):
            return {"value": value}
    return {"given": source.name}


def _input_from_json(body: dict[str, Any]) -> Input:
    ((kind, value),) = body.items()
    if kind == "steps":
        return FromSteps(tuple(value))
    return {"step": FromStep, "params": FromParams, "value": Known, "given": Given}[kind](value)  # type: ignore[no-any-return]  # each of them is an input
