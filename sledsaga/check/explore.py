"""Walk the machine through all that can happen to a saga, and judge every state on the way.

    explore(dag) -> Report(states, breaches, transcript, ends)

A world is a saga, a clock and what may still befall it. Its moves are: each event that `ready` wants
recorded, each ending of each call in flight, the clock going on, a claim, locks being granted, a crash
(another executor claims) and each command that is allowed. `explore` takes all of them, breadth first, so
that the first breach has a shortest way to it; `stroll` takes one at a time, for DAGs too big to exhaust.

Rules
- Every event is a move of its own (but see `in_batches`): a crash or a person may come between any two.
- The parts under test are arguments: a broken twin stands in for one of them, nothing is patched.
- A breach is a sentence of `core.invariants`, an event that the machine refuses although a part of it
  made it, or a state from which the saga cannot come to rest by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace

from sledsaga.core import endings, machine
from sledsaga.core import events as ev
from sledsaga.core import ready as readiness
from sledsaga.core.commands import STEP_VERBS, VERBS, Command, Verb, allowed, allowed_for, decide
from sledsaga.core.dag import Dag
from sledsaga.core.endings import CleanFailure, Ending, Failed, Succeeded, TransientFailure, Undone
from sledsaga.core.invariants import Judge, breaches
from sledsaga.core.machine import new_state
from sledsaga.core.ready import Ready
from sledsaga.core.state import Call, State
from sledsaga.errors import LogCorrupt

ENDINGS: dict[str, tuple[Ending, ...]] = {
    "do": (Succeeded(1), CleanFailure("no"), Failed("no"), TransientFailure("no")),
    "undo": (Undone(), Failed("no")),
}


@dataclass(frozen=True, slots=True)
class Parts:
    """The functions that are walked."""

    apply: Callable[[State, ev.Recorded], None] = machine.apply
    ready: Callable[[State, float], Ready] = readiness.ready
    conclude: Callable[[State, Call, Ending, float], ev.Event] = endings.conclude
    decide: Callable[[State, Command], tuple[ev.Event, ...]] = decide


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may befall a saga: crashes, commands (of these verbs), and claims that park it.

    `in_batches` makes one move of all that is to be recorded, as an engine does that has room for all of it:
    far fewer states, but nothing comes between two starts.
    """

    crashes: int = 1
    commands: int = 0
    verbs: tuple[Verb, ...] = VERBS
    parks: int = 0
    in_batches: bool = False


REAL = Parts()
ONE_CRASH = Bounds()


@dataclass(frozen=True, slots=True)
class Report:
    """What a walk saw: states, breaches, the way to the first one, and how sagas came to rest."""

    states: int
    breaches: tuple[str, ...] = ()
    transcript: tuple[str, ...] = ()
    ends: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that can happen next. `is_own` says that it needs neither a crash nor a person."""

    label: str
    events: tuple[ev.Event, ...] = ()
    is_own: bool = True
    now: float | None = None
    cost: tuple[int, int, int] = (0, 0, 0)


@dataclass(slots=True, eq=False)
class World:
    """A saga at one moment, the judge who has heard its log, the clock, and what may still happen."""

    state: State
    judge: Judge
    bounds: Bounds
    parts: Parts = REAL
    now: float = 0.0
    wrong: tuple[str, ...] = ()
    log: tuple[ev.Recorded, ...] = ()

    def moves(self) -> list[Move]:
        """Return all that can happen next; what is wrong with how the machine stands joins `wrong`."""
        if self.wrong or self.state.outcome is not None:
            return []
        wish = self.parts.ready(self.state, self.now)
        own = list(self._own(wish))
        self.wrong += tuple(self._judge(wish, own))
        return [*own, *self._others()]

    def take(self, move: Move) -> World:
        """Return the world after a move; this one stays as it is."""
        crashes, said, parks = move.cost
        left = self.bounds
        after = World(
            _twin(self.state),
            _deep(self.judge),
            left
            if not any(move.cost)
            else replace(
                left, crashes=left.crashes - crashes, commands=left.commands - said, parks=left.parks - parks
            ),
            self.parts,
            self.now if move.now is None else move.now,
            log=self.log,
        )
        for event in move.events:
            after._record(event)
        return after

    def key(self) -> tuple[object, ...]:
        """Return all that decides what can happen from here; equal keys need one visit."""
        state, judge, now = self.state, self.judge, self.now
        return (
            tuple(state.status),
            *(getattr(state, name) for name in _FLAGS),
            state.executor is None,
            *(frozenset(getattr(state, name).items()) for name in _COUNTS),
            frozenset((step, max(0.0, at - now)) for step, at in state.next_at.items()),
            frozenset(state.run),
            (self.bounds.crashes, self.bounds.commands, self.bounds.parks),
            *(frozenset(getattr(judge, name)) for name in _HEARD),
            frozenset((step, max(0.0, at - now)) for step, at in judge.not_before.items()),
            frozenset(judge.attempts.items()),
            (judge.unwinding, judge.pivoted, judge.ended),
        )

    def _own(self, wish: Ready) -> Iterator[Move]:
        state, names = self.state, self.state.dag.steps
        batch = self.bounds.in_batches and wish.record
        for events in [wish.record] if batch else [(event,) for event in wish.record]:
            yield Move(", ".join(_label(state.dag, event) for event in events), events)
        for call in state.in_flight.values():
            ends = (self.parts.conclude(state, call, how, self.now) for how in ENDINGS[call.direction])
            for event in dict.fromkeys(ends):
                yield Move(f"{names[call.step].path}: {_label(state.dag, event)}", (event,))
        if wish.wake_at is not None and wish.wake_at > self.now:
            yield Move(f"time passes to {wish.wake_at}", now=wish.wake_at)
        if state.executor is None:
            yield Move("claim", (ev.Claimed("first"),))
        elif state.has_locks and not (state.locked or state.abandoned):
            yield Move("locks are granted", (ev.LocksAcquired(),))

    def _others(self) -> Iterator[Move]:
        state, left = self.state, self.bounds
        if left.crashes and state.executor is not None:
            yield Move("crash, and another claims", (ev.Claimed("other"),), is_own=False, cost=(1, 0, 0))
        if left.parks and state.executor is not None and state.parked is None:
            parked = (ev.Claimed("other"), ev.Parked("?"))
            yield Move("a claim that parks", parked, is_own=False, cost=(0, 0, 1))
        for command in self._commands() if left.commands else ():
            label = f"{command.verb} {command.step or ''}".rstrip()
            yield Move(label, self.parts.decide(state, command), is_own=False, cost=(0, 1, 0))

    def _commands(self) -> Iterator[Command]:
        state = self.state
        for verb in allowed(state):
            if verb not in self.bounds.verbs:
                continue
            if verb not in STEP_VERBS:
                yield Command(verb, "someone", "why not")
                continue
            for step, node in enumerate(state.dag.steps):
                if verb in allowed_for(state, step):
                    yield Command(verb, "someone", "why not", node.path)

    def _judge(self, wish: Ready, own: list[Move]) -> Iterator[str]:
        state = self.state
        for step, call in wish.run.items():
            if state.in_flight.get(step) != call:
                yield f"{state.dag.steps[step].path} is to run, but its start is not in the log"
        for step, call in state.in_flight.items():
            may_end = state.unwinding and call.direction == "do" and state.dag.steps[step].policy.cancellable
            if step not in wish.run and not may_end:
                yield f"{state.dag.steps[step].path} is in flight, but is not to run"
        if state.at_rest and wish.record:
            yield "at rest, but there is something to record"
        if not state.at_rest and not own:
            yield "nothing can happen, but the saga is not at rest"
        if state.at_rest and not allowed(state):
            yield "at rest before its end, but nobody may say anything"

    def _record(self, event: ev.Event) -> None:
        state = self.state
        recorded = ev.Recorded(state.seq + 1, self.now, state.epoch + isinstance(event, ev.Claimed), event)
        try:
            self.parts.apply(state, recorded)
        except LogCorrupt as error:
            self.wrong += (f"the machine refuses its own event: {error}",)
            return
        self.log += (recorded,)
        self.wrong += self.judge.hear(recorded) + breaches(state)


_FLAGS = (
    "locked", "paused", "parked", "unwinding", "cancelled", "pivoted", "outcome", "abandoned",
)  # fmt: skip
_COUNTS = ("attempts", "undo_attempts", "budget_from")
_HEARD = ("done", "may_have_run", "in_doubt", "open_calls", "held_by")
_CONTAINERS = tuple(
    name for name, part in State.__dataclass_fields__.items() if callable(part.default_factory)
)


def begin(dag: Dag, *, has_locks: bool = False, bounds: Bounds = ONE_CRASH, parts: Parts = REAL) -> World:
    """Return the world in which a saga was submitted, and no more."""
    world = World(new_state(dag, has_locks=has_locks), Judge(dag, has_locks=has_locks), bounds, parts)
    world._record(ev.Submitted("someone"))  # noqa: SLF001 - a world's first event is made here
    return world


def explore(
    dag: Dag,
    *,
    has_locks: bool = False,
    bounds: Bounds = ONE_CRASH,
    parts: Parts = REAL,
    states_max: int = 1_000_000,
) -> Report:
    """Take every move in every state; stops at the first breach, or above `states_max` states."""
    return _Walk(begin(dag, has_locks=has_locks, bounds=bounds, parts=parts), states_max).all()


def stroll(world: World, choose: Callable[[int], int], moves_max: int = 200) -> Report:
    """Take one move after another, as `choose(how many there are)` says; then let the saga come to rest."""
    labels: list[str] = []
    for number in range(moves_max * 3):
        moves = world.moves()
        if number >= moves_max:
            moves = [move for move in moves if move.is_own]
        if world.wrong or not moves:
            break
        move = moves[choose(len(moves))]
        labels.append(move.label)
        world = world.take(move)
    return Report(len(labels), world.wrong, tuple(labels), frozenset([_end_of(world.state)]))


@dataclass(slots=True)
class _Walk:
    """For each state: how it was reached first, and from which states the saga goes there by itself."""

    start: World
    states_max: int
    came_from: list[tuple[int, str]] = field(default_factory=list)
    own_before: list[list[int]] = field(default_factory=list)
    number_of: dict[tuple[object, ...], int] = field(default_factory=dict)
    rests: list[int] = field(default_factory=list)
    ends: set[str] = field(default_factory=set)

    def all(self) -> Report:
        queue = deque([(self._enter(self.start.key(), -1, ""), self.start)])
        while queue and len(self.came_from) <= self.states_max:
            number, world = queue.popleft()
            moves = world.moves()
            if world.wrong:
                return self._report(number, world.wrong)
            if world.state.at_rest:
                self.rests.append(number)
                self.ends.add(_end_of(world.state))
            for move in moves:
                after = world.take(move)
                if after.wrong:
                    return self._report(number, after.wrong, move.label)
                self._see(number, move, after, queue)
        lost = None if queue else self._never_at_rest()
        return self._report(lost or 0, () if lost is None else ("the saga cannot come to rest from here",))

    def _see(self, number: int, move: Move, after: World, queue: deque[tuple[int, World]]) -> None:
        key = after.key()
        known = self.number_of.get(key)
        if known is None:
            known = self._enter(key, number, move.label)
            queue.append((known, after))
        if move.is_own:
            self.own_before[known].append(number)

    def _enter(self, key: tuple[object, ...], before: int, label: str) -> int:
        self.number_of[key] = number = len(self.came_from)
        self.came_from.append((before, label))
        self.own_before.append([])
        return number

    def _never_at_rest(self) -> int | None:
        good, todo = set(self.rests), list(self.rests)
        while todo:
            fresh = [number for number in self.own_before[todo.pop()] if number not in good]
            good.update(fresh)
            todo += fresh
        return next((number for number in range(len(self.came_from)) if number not in good), None)

    def _report(self, number: int, wrong: tuple[str, ...], last: str = "") -> Report:
        labels = [last] if last else []
        while wrong and number > 0:
            number, label = self.came_from[number]
            labels.append(label)
        return Report(len(self.came_from), wrong, tuple(reversed(labels)), frozenset(self.ends))


def _end_of(state: State) -> str:
    if state.outcome is not None:
        return state.outcome
    if state.parked is not None or state.paused:
        return "paused" if state.parked is None else "parked"
    return "stuck" if state.at_rest else "on its way"


def _label(dag: Dag, event: ev.Event) -> str:
    step = getattr(event, "step", None)
    name = type(event).__name__
    return name if step is None else f"{name} {dag.steps[step].path}"


def _twin(state: State) -> State:
    twin = replace(state, **{name: copy(getattr(state, name)) for name in _CONTAINERS})
    twin.times = {step: copy(times) for step, times in state.times.items()}
    return twin


def _deep(judge: Judge) -> Judge:
    twin = copy(judge)  # not `replace`: that would begin anew with what holds an unclaimed saga
    for name in (*_HEARD, "attempts", "not_before"):
        setattr(twin, name, copy(getattr(judge, name)))
    return twin
