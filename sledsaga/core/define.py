"""Define an operation: its params, its steps, each undo beside its do, and the DAG table.

Rules
- Inputs are injected by parameter name, as pytest does with fixtures. A parameter named after another
  step receives that step's output and makes the edge; `params`, `sled` and `ctx` are given; an undo may
  also take `output` (its own step's output, or None when the step did not get so far).
- Saying nothing about undo is an error: give a function, `no_undo("why")` or `irreversible("why")`.
- A definition is data. It is checked by `sledsaga.core.plan` when a saga is planned, not here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sledsaga.errors import InvalidName, InvalidPlan

if TYPE_CHECKING:
    from pydantic import BaseModel

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@+-]{0,127}")
GIVEN = frozenset({"params", "sled", "ctx", "output"})
RESOURCE = re.compile(r"[a-z][a-z0-9_-]*:[\x21-\x7e]{1,200}")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often to try, and how long to wait: `backoff_s * factor**(n-1)`, at most `max_backoff_s`.

    `attempts` counts the first one. Waits are stored, so a crash neither shortens nor repeats them.
    """

    attempts: int = 1
    backoff_s: float = 1.0
    factor: float = 2.0
    max_backoff_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse a policy that never tries, or that waits a negative or endless time."""
        waits = (self.backoff_s, self.factor, self.max_backoff_s)
        if self.attempts < 1 or not all(math.isfinite(wait) and wait >= 0 for wait in waits):
            msg = f"a retry policy tries at least once and waits a finite time from 0 s; got {self}"
            raise InvalidPlan(msg)

    def wait_s(self, attempt: int) -> float:
        """Return the seconds to wait after the given attempt (from 1) has failed."""
        if not self.backoff_s:
            return 0.0
        try:
            return min(self.backoff_s * self.factor ** (attempt - 1), self.max_backoff_s)
        except OverflowError:  # a float ends at 1e308; the maximum was met long before
            return self.max_backoff_s


ONCE = Retry()
UNDO_RETRY = Retry(attempts=5, backoff_s=0.2, factor=4.0, max_backoff_s=10.0)


@dataclass(frozen=True, slots=True)
class NoUndo:
    """There is nothing to undo, and this is why."""

    why: str


@dataclass(frozen=True, slots=True)
class Irreversible:
    """Once this step has started the saga only goes forward (a pivot), and this is why."""

    why: str


def no_undo(why: str) -> NoUndo:
    """Say that a step leaves nothing to be taken away; raises InvalidPlan when the reason is empty."""
    return NoUndo(_reason(why))


def irreversible(why: str) -> Irreversible:
    """Say that a step is a pivot: after its start the saga only goes forward. Raises as `no_undo` does."""
    return Irreversible(_reason(why))


def _reason(why: str) -> str:
    if not why.strip():
        msg = "a step without undo needs a reason; the one given is empty"
        raise InvalidPlan(msg)
    return why


@dataclass(frozen=True, slots=True)
class OutputOf:
    """The output of one step."""

    step: str


@dataclass(frozen=True, slots=True)
class OutputsOf:
    """The outputs of several steps, as a list in the order given."""

    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A value known when the saga is planned; it must be storable as JSON."""

    value: Any


Source = OutputOf | OutputsOf | Value


def output_of(step: str) -> OutputOf:
    """Bind a parameter to the output of a step whose name differs from the parameter's."""
    return OutputOf(step)


def outputs_of(steps: Iterable[str]) -> OutputsOf:
    """Bind a parameter to the list of outputs of several steps (a fan-in)."""
    return OutputsOf(tuple(steps))


def value(known: Any) -> Value:  # noqa: ANN401 - any JSON value or model
    """Bind a parameter to a value that is known when the saga is planned."""
    return Value(known)


@dataclass(frozen=True, slots=True)
class Present:
    """A probe's answer: it is already so. `ours` says that this very saga made it so."""

    output: Any = None
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """A probe's answer: it is not so yet."""


@dataclass(frozen=True, slots=True)
class Conflicting:
    """A probe's answer: something else stands there, and this is what."""

    why: str


Probe = Present | Absent | Conflicting


@dataclass(frozen=True, slots=True)
class Step:
    """One node of an operation; made by `step()`."""

    name: str
    do: Callable[..., Any]
    undo: Callable[..., Any] | NoUndo | Irreversible
    after: tuple[str, ...] = ()
    inputs: Mapping[str, Source] = field(default_factory=dict)
    probe: Callable[..., Any] | None = None
    retry: Retry = ONCE
    undo_retry: Retry = UNDO_RETRY
    timeout_s: float | None = None
    undo_timeout_s: float | None = None
    cancellable: bool = False
    undo_needs_output: bool = False


def step(
    do: Callable[..., Any],
    *,
    undo: Callable[..., Any] | NoUndo | Irreversible,
    name: str | None = None,
    after: str | Iterable[str] = (),
    inputs: Mapping[str, Source] | None = None,
    probe: Callable[..., Any] | None = None,
    retry: Retry = ONCE,
    undo_retry: Retry = UNDO_RETRY,
    timeout_s: float | None = None,
    undo_timeout_s: float | None = None,
    cancellable: bool = False,
    undo_needs_output: bool = False,
) -> Step:
    """Make a step of a function; its name is the function's unless one is given.

    `do` returns the step's output (anything that JSON can hold), and says by FailedClean or Transient how it
    failed. `undo` returns nothing and must bear that there is nothing to undo. `probe` returns a Probe and
    changes nothing. All three are `def` or `async def` and get their inputs by name. `retry` is used for
    Transient and for time that is over, and past a pivot for any failure; `undo_retry` for any failure.
    `timeout_s` and `undo_timeout_s` are seconds a call; None means no limit.

    `after` orders without data. `inputs` binds parameters whose name is no step's. `cancellable` means
    that `do` ends soon when `ctx.cancelled` is set, so that unwinding need not wait for it.
    `undo_needs_output` makes a step that was in doubt run again before it is undone.

    Raises InvalidName for a name that breaks the grammar, InvalidPlan for a bad timeout.
    """
    for seconds in (timeout_s, undo_timeout_s):
        if seconds is not None and not 0 < seconds < math.inf:
            msg = f"a timeout is a positive number of seconds; got {seconds}"
            raise InvalidPlan(msg)
    return Step(
        name=check_name(name or str(getattr(do, "__name__", do)), "step"),
        do=do,
        undo=undo,
        after=(after,) if isinstance(after, str) else tuple(after),
        inputs=dict(inputs or {}),
        probe=probe,
        retry=retry,
        undo_retry=undo_retry,
        timeout_s=timeout_s,
        undo_timeout_s=undo_timeout_s,
        cancellable=cancellable,
        undo_needs_output=undo_needs_output,
    )


def check_name(name: str, what: str) -> str:
    """Return the name, or raise InvalidName with one line that shows the grammar."""
    if not NAME.fullmatch(name):
        msg = f"{name!r} is no {what} name: use letters, digits and _ . : @ + - (at most 128, no space)"
        raise InvalidName(msg)
    return name


@dataclass(frozen=True, slots=True)
class Lock:
    """A resource that a saga needs, `kind:name`, alone (`exclusive`) or with others (`shared`)."""

    resource: str
    mode: Literal["exclusive", "shared"] = "exclusive"

    def __post_init__(self) -> None:
        """Refuse a resource that is not `kind:name`."""
        if not RESOURCE.fullmatch(self.resource):
            msg = f"{self.resource!r} is no resource: write it as kind:name, such as pool:oxp_…"
            raise InvalidName(msg)


def exclusive(resource: str) -> Lock:
    """Need the resource, `kind:name`, alone; raises InvalidName."""
    return Lock(resource, "exclusive")


def shared(resource: str) -> Lock:
    """Need the resource, `kind:name`, together with other sagas that share it; raises InvalidName."""
    return Lock(resource, "shared")


@dataclass(frozen=True, slots=True)
class Nested:
    """An operation inside another, under its own path; made by `nest()`."""

    name: str
    operation: Operation
    params: Callable[[Any], Any] | OutputOf
    after: tuple[str, ...] = ()
    output: str | None = None


def nest(
    name: str,
    inner: Operation,
    *,
    params: Callable[[Any], Any] | OutputOf,
    after: str | Iterable[str] = (),
    output: str | None = None,
) -> Nested:
    """Put an operation into another one; its steps get the paths `name/step`.

    `params` makes the inner params from the outer ones, or is the output of an outer step (then the
    inner DAG must not depend on its params). A parameter named `name` receives the output of the
    inner step `output`, or of the inner DAG's only last step. Raises InvalidName.
    """
    afters = (after,) if isinstance(after, str) else tuple(after)
    return Nested(check_name(name, "step"), inner, params, afters, output)


Node = Step | Nested
Steps = Sequence[Node] | Callable[[Any], Sequence[Node]]
Locks = Iterable[Lock] | Callable[[Any], Iterable[Lock]]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """A recipe: name, version, the type of its params, its steps and the resources it needs."""

    name: str
    version: int
    params: type[BaseModel]
    steps: Steps
    locks: Locks = ()
    summary: str = ""


def operation(
    name: str, *, version: int, params: type[BaseModel], steps: Steps, locks: Locks = (), summary: str = ""
) -> Operation:
    """Define an operation. `steps` and `locks` may be functions of the params.

    `version` is the contract with sagas already in a log: raise it when paths or meanings change.
    Raises InvalidName, InvalidPlan.
    """
    if version < 1:
        msg = f"operation {name}: a version is a whole number from 1; got {version}"
        raise InvalidPlan(msg)
    return Operation(
        check_name(name, "operation"),
        version,
        params,
        steps if callable(steps) else tuple(steps),
        locks if callable(locks) else tuple(locks),
        summary,
    )
