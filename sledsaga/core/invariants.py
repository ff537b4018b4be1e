"""What must hold of every saga at every moment; whoever walks the machine asserts it.

`breaches(state)` recomputes, slowly and plainly, what the machine keeps in counters and small sets.
`log_breaches(dag, log)` judges a log by the rules alone, without the machine. Both return sentences;
no sentence means that all is well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sledsaga.core import events as ev
from sledsaga.core.dag import Dag
from sledsaga.core.machine import UNWINDING, State, Status

DONE = frozenset({Status.SUCCEEDED, Status.SKIPPED})
FLYING = frozenset({Status.RUNNING, Status.UNDOING})
WAITING = frozenset({Status.BACKING_OFF, Status.UNDO_BACKING_OFF})


def breaches(state: State) -> tuple[str, ...]:
    """Return what is wrong with a state; costs the size of the DAG."""
    return (*_counters(state), *_sets(state), *_saga(state))


def _touched(state: State) -> set[int]:
    """Return the steps that were started and, when the saga unwinds, are not released yet."""
    touched = {i for i, status in enumerate(state.status) if status is not Status.PENDING}
    if not state.unwinding:
        return touched
    for step in sorted(touched, reverse=True):  # children stand behind their needs
        if not touched.intersection(state.dag.children[step]) and _is_released(state, step):
            touched.discard(step)
    return touched


def _is_released(state: State, step: int) -> bool:
    verdict = UNWINDING[state.status[step]]
    return verdict == "release" or (verdict == "undo" and state.dag.steps[step].undo != "undo")


def _counters(state: State) -> Iterator[str]:
    touched = _touched(state)
    for i, step in enumerate(state.dag.steps):
        needs = sum(state.status[need] not in DONE for need in step.needs)
        if not state.unwinding and needs != state.open_needs[i]:
            yield f"{step.path}: open_needs is {state.open_needs[i]}, counted {needs}"
        children = sum(child in touched for child in state.dag.children[i])
        if children != state.open_children[i]:
            yield f"{step.path}: open_children is {state.open_children[i]}, counted {children}"
    if len(touched) != state.unreleased:
        yield f"unreleased is {state.unreleased}, counted {len(touched)}"
    if not state.unwinding and sum(s not in DONE for s in state.status) != state.unfinished:
        yield f"unfinished is {state.unfinished}"
    leaves = {i for i in touched if not touched.intersection(state.dag.children[i])}
    if leaves != set(state.leaves):
        yield f"leaves are {sorted(state.leaves)}, counted {sorted(leaves)}"


def _sets(state: State) -> Iterator[str]:
    flying = {i for i, status in enumerate(state.status) if status in FLYING}
    if flying != set(state.in_flight):
        yield f"in flight are {sorted(state.in_flight)}, by status {sorted(flying)}"
    if not set(state.run) <= flying:
        yield "a call is to run that is not in flight by the log"
    waiting = {i for i, status in enumerate(state.status) if status in WAITING}
    if set(state.next_at) != (waiting - set(state.undoable) if state.unwinding else waiting):
        yield f"waiting for their time are {sorted(state.next_at)}, by status {sorted(waiting)}"
    if min(state.next_at.values(), default=None) != (state.backing_off[0][0] if state.backing_off else None):
        yield "the heap's top is not the next time"
    startable = _startable(state)
    if startable != set(state.startable):
        yield f"startable are {sorted(state.startable)}, counted {sorted(startable)}"


def _startable(state: State) -> set[int]:
    if state.unwinding:
        return set()
    fresh = {Status.PENDING, Status.IN_DOUBT}
    return {
        i
        for i, step in enumerate(state.dag.steps)
        if state.status[i] in fresh and all(state.status[need] in DONE for need in step.needs)
    }


def _saga(state: State) -> Iterator[str]:
    if state.pivoted and state.unwinding and not state.cancelled:
        yield "a saga unwinds although a pivot has started"
    if state.outcome == "succeeded" and any(status not in DONE for status in state.status):
        yield "succeeded, but a step did not"
    if state.outcome == "undone" and _touched(state):
        yield "undone, but a step was not"
    if state.outcome and state.in_flight:
        yield "ended while a call is in flight"
    if state.at_rest and not (state.outcome or state.parked is not None or state.paused or state.stuck):
        yield "at rest without an end, a pause or a question to a person"
    if not state.unwinding and not state.pivoted and state.stuck:
        yield "stuck forward before any pivot"


def log_breaches(dag: Dag, log: Sequence[ev.Recorded]) -> tuple[str, ...]:
    """Return which of the rules of execution a log breaks; costs the length of the log times the degree."""
    return tuple(_Judge(dag).judge(log))


class _Judge:
    """Reads a log and remembers only what the rules speak of."""

    def __init__(self, dag: Dag) -> None:
        self.dag = dag
        self.done: set[int] = set()
        self.may_have_run: set[int] = set()
        self.open_calls: set[int] = set()
        self.unwinding = False
        self.pivoted = False

    def judge(self, log: Sequence[ev.Recorded]) -> Iterator[str]:
        for place, recorded in enumerate(log, start=1):
            if recorded.seq != place:
                yield f"event {recorded.seq} stands at place {place}"
            yield from self._event(recorded.event)

    def _event(self, event: ev.Event) -> Iterator[str]:  # noqa: C901 - one case an event
        match event:
            case ev.Claimed():
                self.open_calls.clear()
            case ev.StepStarted(step):
                yield from self._do(step)
            case ev.UndoStarted(step):
                yield from self._undo(step)
            case ev.StepSucceeded(step) | ev.StepSkipped(step):
                self.done.add(step)
                self.open_calls.discard(step)
            case ev.StepFailed(step) | ev.StepFailedClean(step):
                self.open_calls.discard(step)
                self.unwinding = self.unwinding or not self.pivoted
                if isinstance(event, ev.StepFailedClean):
                    self.may_have_run.discard(step)
            case ev.StepDeferred(step) | ev.UndoDeferred(step) | ev.UndoFailed(step):
                self.open_calls.discard(step)
            case ev.UndoSucceeded(step) | ev.UndoSkipped(step):
                self.open_calls.discard(step)
                self.may_have_run.discard(step)
            case ev.CancelRequested():
                self.unwinding = True
            case ev.Ended(outcome):
                yield from self._ended(outcome)

    def _call(self, step: int) -> Iterator[str]:
        if step in self.open_calls:
            yield f"{self.dag.steps[step].path} is called while a call of it runs"
        self.open_calls.add(step)

    def _do(self, step: int) -> Iterator[str]:
        yield from self._call(step)
        node = self.dag.steps[step]
        if not self.done.issuperset(node.needs):
            yield f"{node.path} starts before its needs have succeeded"
        if self.unwinding and not (node.policy.undo_needs_output and step in self.may_have_run):
            yield f"{node.path} starts although the saga unwinds"
        self.may_have_run.add(step)
        self.pivoted = self.pivoted or node.undo == "irreversible"

    def _undo(self, step: int) -> Iterator[str]:
        yield from self._call(step)
        node = self.dag.steps[step]
        if not self.unwinding or self.pivoted:
            yield f"{node.path} is undone although the saga does not unwind"
        if step not in self.may_have_run:
            yield f"{node.path} is undone although it cannot have run"
        above = [c for c in self._above(step) if c in self.may_have_run and self.dag.steps[c].undo == "undo"]
        if above:
            yield f"{node.path} is undone before {self.dag.steps[above[0]].path}"

    def _above(self, step: int) -> Iterator[int]:
        todo, seen = list(self.dag.children[step]), set[int]()
        while todo:
            child = todo.pop()
            if child not in seen:
                seen.add(child)
                todo += self.dag.children[child]
                yield child

    def _ended(self, outcome: ev.Outcome) -> Iterator[str]:
        if self.open_calls:
            yield f"{outcome} while a call runs"
        if outcome == "succeeded" and len(self.done) < len(self.dag.steps):
            yield "succeeded, but not every step did"
        if outcome == "undone" and any(self.dag.steps[i].undo == "undo" for i in self.may_have_run):
            yield "undone, but something may be left"
