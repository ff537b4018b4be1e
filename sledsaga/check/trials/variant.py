"""Variants of a plan, for trials: retried at once, with other limits, or bound to unwind.

A plan is data, so a variant is other data for the same code: nothing of the operation is wrapped, and what
holds for it (nested, async, static or not) holds for its variants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sledsaga.core.dag import Dag, DagStep, FromStep, FromSteps, Input, Known, Plan, make_dag
from sledsaga.core.define import Retry

SOON_S: Final = 0.01
"""The longest wait before a retry in a trial: trials are many."""


def altered(plan: Plan, alter: Callable[[DagStep], DagStep]) -> Plan:
    """Return the plan with each step altered; order and inputs must stay."""
    dag = plan.dag
    return replace(plan, dag=make_dag(dag.operation, dag.version, tuple(alter(step) for step in dag.steps)))


def with_policy(plan: Plan, path: str | None = None, **policy: Any) -> Plan:  # noqa: ANN401 - fields of Policy
    """Return the plan with another policy for one step, or for all."""

    def alter(step: DagStep) -> DagStep:
        return replace(step, policy=replace(step.policy, **policy)) if path in (None, step.path) else step

    return altered(plan, alter)


def at_once(plan: Plan, *, more: int = 0) -> Plan:
    """Return the plan with retries that hardly wait, and with so many more of each."""

    def alter(step: DagStep) -> DagStep:
        own = step.policy
        retry, undo_retry = _soon(own.retry, more), _soon(own.undo_retry, more)
        return replace(step, policy=replace(own, retry=retry, undo_retry=undo_retry))

    return altered(plan, alter)


def _soon(retry: Retry, more: int) -> Retry:
    backoff_s = min(retry.backoff_s, SOON_S)
    return replace(retry, attempts=retry.attempts + more, backoff_s=backoff_s, factor=1.0)


@dataclass(frozen=True, slots=True)
class Late:
    """A plan whose last steps come after all that can be undone, so that when they fail all of it is.

    `last` are the first pivots, or, without one, the last step; `ahead` are the steps before them.
    """

    plan: Plan
    last: frozenset[str]
    ahead: tuple[str, ...]
    has_pivot: bool

    def unwinding(self) -> Plan:
        """Return the plan in which the pivots are none, so that their failing unwinds."""

        def alter(step: DagStep) -> DagStep:
            is_pivot = step.undo == "irreversible"
            return replace(step, undo="none", why="a pivot that fails at once") if is_pivot else step

        return altered(self.plan, alter)


def late(plan: Plan) -> Late:
    """Return the plan with its last steps after all others."""
    steps = plan.dag.steps
    pivots = [i for i, step in enumerate(steps) if step.undo == "irreversible"]
    below = _below(plan.dag, pivots or [len(steps) - 1])
    ahead = [i for i in range(len(steps)) if i not in below]
    last = {i for i in below if not any(need in below for need in steps[i].needs)}
    ends = tuple(i for i in ahead if not any(child not in below for child in plan.dag.children[i]))
    ordered = _reordered(plan, [*ahead, *sorted(below)], dict.fromkeys(last, ends))
    paths = frozenset(steps[i].path for i in last)
    return Late(ordered, paths, tuple(steps[i].path for i in ahead), bool(pivots))


def _below(dag: Dag, first: Sequence[int]) -> set[int]:
    """Return these steps and all that need them."""
    found, queue = set(first), list(first)
    while queue:
        fresh = set(dag.children[queue.pop()]) - found
        found |= fresh
        queue += fresh
    return found


def _reordered(plan: Plan, order: list[int], needs: dict[int, tuple[int, ...]]) -> Plan:
    """Return the plan with its steps in another order, some of them with other needs."""
    place = {old: new for new, old in enumerate(order)}
    dag = plan.dag

    def moved(old: int) -> DagStep:
        step = dag.steps[old]
        wanted = tuple(sorted(place[need] for need in needs.get(old, step.needs)))
        inputs = tuple((name, _moved(source, place)) for name, source in step.inputs)
        return replace(step, needs=wanted, inputs=inputs)

    steps = tuple(moved(old) for old in order)
    scopes = {
        name: source if isinstance(source, Known) else FromStep(place[source.step])
        for name, source in plan.scopes.items()
    }
    return replace(plan, dag=make_dag(dag.operation, dag.version, steps), scopes=scopes)


def _moved(source: Input, place: dict[int, int]) -> Input:
    match source:
        case FromStep(step):
            return FromStep(place[step])
        case FromSteps(several):
            return FromSteps(tuple(place[step] for step in several))
    return source
