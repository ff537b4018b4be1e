"""Small sagas for the checks of stores: the same for the same number.

Rules
- A saga has two steps in a chain; only what a store looks at varies.
- Nothing here reads a clock or a random number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, get_args

from sledsaga.core import events as e
from sledsaga.core.dag import Dag, DagStep, FromStep, Known, Plan, make_dag
from sledsaga.core.define import Lock
from sledsaga.errors import SledsagaError
from sledsaga.store.store import Append, Index, NewSaga, SagaState

T0: Final = 1_700_000_000.0
STATES: Final[tuple[SagaState, ...]] = get_args(SagaState)

# What can happen to a saga between its first and its last event, as far as a store could take it for an end.
LIFE: Final[tuple[e.Event, ...]] = (
    e.Claimed("x"),
    e.StepSucceeded(0, None),
    e.StepFailed(0, "no"),
    e.CancelRequested("me", "why"),
    e.Paused("me", "why"),
    e.Resumed("me", "why"),
    e.UndoFailed(0, "no"),
    e.UndoSkipped(0, "me", "why"),
    e.UndoSucceeded(0),
    e.Parked("unknown"),
    e.Abandoned("me", "why"),
)


def saga_id(number: int) -> str:
    """Return an id in the form and order of UUIDv7, the same for the same number."""
    return f"{0x0190_0000 + number // 10:08x}-0000-7000-8000-{number:012d}"


def a_dag(operation: str = "build", *, steps: int = 2) -> Dag:
    """Return a chain of steps."""
    return make_dag(
        operation, 1, tuple(DagStep(f"s{i}", (i - 1,) if i else (), (), "undo") for i in range(steps))
    )


def a_saga(  # all that tests of stores vary
    number: int,
    *,
    key: str | None = None,
    state: SagaState = "waiting",
    operation: str = "build",
    locks: tuple[Lock, ...] = (),
    events: tuple[e.Event, ...] = (e.Submitted("me"),),
) -> NewSaga:
    """Return a saga as it is submitted; `number` makes its id and its time."""
    at = T0 + number
    recorded = tuple(e.Recorded(seq, at, 0, event) for seq, event in enumerate(events, 1))
    index = Index(state, "forward", 0, len(events), at)
    plan = Plan(a_dag(operation), {"": Known({"n": number}), "s1": FromStep(0)}, locks)
    return NewSaga(saga_id(number), plan, key, f"digest {number}", at, recorded, index)


def then(
    before: NewSaga | Append, *events: e.Event, state: SagaState = "running", epoch: int | None = None
) -> Append:
    """Return the append that follows, a second later."""
    was = before.index
    new_epoch = was.epoch if epoch is None else epoch
    recorded = tuple(
        e.Recorded(seq, was.updated_at + 1, new_epoch, event) for seq, event in enumerate(events, was.seq + 1)
    )
    index = Index(state, "forward", new_epoch, was.seq + len(events), was.updated_at + 1)
    saga = before.id if isinstance(before, NewSaga) else before.saga
    return Append(saga, was.epoch, was.seq, recorded, index)


def refusal(kind: type[SledsagaError], act: Callable[[], object]) -> str:
    """Return the message with which an act is refused; fails when it is not refused in this way."""
    try:
        act()
    except kind as error:
        return str(error)
    raise AssertionError(f"{kind.__name__} was expected; nothing was refused")
