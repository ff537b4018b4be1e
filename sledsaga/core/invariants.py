"""What must hold of every saga at every moment; whoever walks the machine asserts it.

`breaches(state)` recomputes, slowly and plainly, what the machine keeps in counters and small sets.
`log_breaches(dag, log)` judges a log by the rules alone, without the machine. Both return sentences;
no sentence means that all is well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sledsaga.core import events as ev
from sledsaga.core.dag import Dag
from sledsaga.core.machine import UNWINDING
from sledsaga.core.state import State, Status

DONE = frozenset({Status.SUCCEEDED, Status.SKIPPED})
FLYING = frozenset({Status.RUNNING, Status.UNDOING})


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
    waits = {Status.UNDO_BACKING_OFF} if state.unwinding else {Status.BACKING_OFF}
    waiting = {i for i, status in enumerate(state.status) if status in waits}
    if set(state.next_at) != waiting:
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
    if state.pivoted and state.unwinding:
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


def log_breaches(dag: Dag, log: Sequence[ev.Recorded], *, has_locks: bool = False) -> tuple[str, ...]:
    """Return which of the rules of execution a log breaks; costs its length times the size of the DAG."""
    judge = Judge(dag, has_locks=has_locks)
    return tuple(breach for recorded in log for breach in judge.hear(recorded))


@dataclass(slots=True, eq=False)
class Judge:
    """Hears a log event by event, and remembers only what the rules speak of; the machine is not asked."""

    dag: Dag
    has_locks: bool = False
    seq: int = 0
    done: set[int] = field(default_factory=set)
    may_have_run: set[int] = field(default_factory=set)
    in_doubt: set[int] = field(default_factory=set)
    open_calls: dict[int, str] = field(default_factory=dict)
    attempts: dict[tuple[str, int], int] = field(default_factory=dict)
    budget_from: dict[tuple[str, int], int] = field(default_factory=dict)
    not_before: dict[int, float] = field(default_factory=dict)
    held_by: set[str] = field(default_factory=lambda: {"unclaimed"})
    unwinding: bool = False
    pivoted: bool = False
    ended: bool = False

    def __post_init__(self) -> None:
        """Begin with what holds a saga that nobody has claimed."""
        if self.has_locks:
            self.held_by.add("waits for locks")

    def hear(self, recorded: ev.Recorded) -> tuple[str, ...]:
        """Return what is wrong with the next event."""
        self.seq += 1
        place = [f"event {recorded.seq} stands at place {self.seq}"] if recorded.seq != self.seq else []
        after = ["something happens after the end"] if self.ended else []
        return (*place, *after, *self._event(recorded.event, recorded.at))

    def _event(self, event: ev.Event, at: float) -> Iterator[str]:
        match event:
            case ev.StepStarted(step) | ev.UndoStarted(step):
                yield from self._start(event, at)
            case (
                ev.StepSucceeded(step)
                | ev.StepFailed(step)
                | ev.StepFailedClean(step)
                | ev.StepDeferred(step)
            ):
                yield from self._close(step, "do")
                if isinstance(event, ev.StepDeferred):
                    yield from self._spends(step, "do")
            case ev.UndoSucceeded(step) | ev.UndoFailed(step) | ev.UndoDeferred(step):
                yield from self._close(step, "undo")
                if isinstance(event, ev.UndoDeferred):
                    yield from self._spends(step, "undo")
            case ev.LocksAcquired() if "waits for locks" not in self.held_by:
                yield "locks are taken by a saga that waits for none"
            case ev.Ended(outcome):
                yield from self._ended(outcome)
        self._remember(event)

    def _remember(self, event: ev.Event) -> None:  # noqa: C901 - one case an event
        match event:
            case ev.Claimed():
                self.in_doubt |= {step for step, call in self.open_calls.items() if call == "do"}
                self.attempts |= {
                    (call, step): self.attempts[call, step] - 1 for step, call in self.open_calls.items()
                }
                self.open_calls.clear()
                self.held_by -= {"unclaimed", "parked"}
            case ev.StepSucceeded(step) | ev.StepSkipped(step):
                self.done.add(step)
            case ev.StepFailed() | ev.StepFailedClean() | ev.CancelRequested():
                self._turn()
                if isinstance(event, ev.StepFailedClean):
                    self.may_have_run.discard(event.step)
            case ev.StepDeferred(step, _, next_at) | ev.UndoDeferred(step, _, next_at):
                self.not_before[step] = next_at
            case ev.StepRetried(step) | ev.UndoRetried(step):
                self.not_before.pop(step, None)
                call = "do" if isinstance(event, ev.StepRetried) else "undo"
                self.budget_from[call, step] = self.attempts.get((call, step), 0)
            case ev.UndoSucceeded(step) | ev.UndoSkipped(step):
                self.may_have_run.discard(step)
            case ev.LocksAcquired():
                self.held_by.discard("waits for locks")
            case ev.Paused() | ev.Parked():
                self.held_by.add("paused" if isinstance(event, ev.Paused) else "parked")
            case ev.Resumed():
                self.held_by -= {"paused", "parked"}
            case ev.Ended():
                self.ended = True

    def _turn(self) -> None:
        """Take a failure or a cancel: before any pivot it makes the saga unwind, and that lifts a pause."""
        if not self.pivoted and not self.unwinding:
            self.unwinding = True
            self.held_by.discard("paused")

    def _start(self, event: ev.StepStarted | ev.UndoStarted, at: float) -> Iterator[str]:
        step, call = event.step, "do" if isinstance(event, ev.StepStarted) else "undo"
        path = self.dag.steps[step].path
        if self.held_by:
            yield f"{path} starts although the saga is held: {', '.join(sorted(self.held_by))}"
        if step in self.open_calls:
            yield f"{path} is called while a call of it runs"
        if event.attempt != self.attempts.get((call, step), 0) + 1:
            yield f"{path} starts with attempt {event.attempt} of {call}, out of turn"
        if call == "undo" and ("undo", step) not in self.attempts:
            self.not_before.pop(step, None)  # it waited for another do; its undo need not
        if at < self.not_before.pop(step, at):
            yield f"{path} starts before its time"
        yield from self._do(step) if call == "do" else self._undo(step)
        self.open_calls[step] = call
        self.attempts[call, step] = event.attempt
        self.in_doubt.discard(step)

    def _close(self, step: int, call: str) -> Iterator[str]:
        if self.open_calls.pop(step, None) != call:
            yield f"{self.dag.steps[step].path}: a {call} ends that was not started"

    def left(self, step: int, call: str) -> int:
        """Return how many attempts are left to a call, by policy and by what people granted anew."""
        policy = self.dag.steps[step].policy
        granted = (policy.retry if call == "do" else policy.undo_retry).attempts
        return granted + self.budget_from.get((call, step), 0) - self.attempts.get((call, step), 0)

    def _spends(self, step: int, call: str) -> Iterator[str]:
        if self.left(step, call) < 1:
            yield f"{self.dag.steps[step].path}: {call} is to be tried again, beyond what its policy grants"

    def _do(self, step: int) -> Iterator[str]:
        node = self.dag.steps[step]
        if step in self.done:
            yield f"{node.path} is done again although it has succeeded"
        if not self.done.issuperset(node.needs):
            yield f"{node.path} starts before its needs have succeeded"
        if self.unwinding and not (node.policy.undo_needs_output and step in self.in_doubt):
            yield f"{node.path} starts although the saga unwinds"
        self.may_have_run.add(step)
        self.pivoted = self.pivoted or node.undo == "irreversible"

    def _undo(self, step: int) -> Iterator[str]:
        node = self.dag.steps[step]
        if not self.unwinding or self.pivoted:
            yield f"{node.path} is undone although the saga does not unwind"
        if step not in self.may_have_run:
            yield f"{node.path} is undone although it cannot have run"
        if node.undo != "undo":
            yield f"{node.path} is undone although it has no undo"
        if node.policy.undo_needs_output and step in self.in_doubt:
            yield f"{node.path} is undone without the output that its undo needs"
        above = [child for child in self._above(step) if self._stands(child)]
        if above:
            yield f"{node.path} is undone before {self.dag.steps[above[0]].path}"

    def _stands(self, step: int) -> bool:
        """Say whether a step runs, or has left something that must be undone first."""
        return step in self.open_calls or (step in self.may_have_run and self.dag.steps[step].undo == "undo")

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
        if outcome == "succeeded" and (self.unwinding or len(self.done) < len(self.dag.steps)):
            yield "succeeded, but not every step did"
        if outcome == "undone" and (not self.unwinding or any(map(self._stands, range(len(self.dag.steps))))):
            yield "undone, but something may be left"
