"""A saga at one moment, and all that may befall it next. `explore` walks from world to world.

Moves are: each event that `ready` wants recorded, each way in which each call in flight can end, the clock
going on, a claim, locks being granted, a crash (another executor claims), each command that is allowed, and
what executors that lost their claim still write: late results, late starts, a second claim.

Rules
- Every event is a move of its own (but see `Bounds.in_batches`): a crash or a person may come between two.
- Each write passes the fence of the store. A late one that it refuses changes nothing, so it is no move; one
  that it lets through is recorded, and judged.
- What a call does on a machine is not looked at, but how it ended is known here, whatever is recorded of it:
  a record that says something else is a breach.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final

from sledsaga.check.walk.moves import ONE_CRASH, REAL, Bounds, Ghost, Move, Parts, Place
from sledsaga.check.walk.outcomes import concluded, gives_up, is_true
from sledsaga.core import events as ev
from sledsaga.core.commands import STEP_VERBS, Command, allowed, allowed_for
from sledsaga.core.dag import Dag
from sledsaga.core.invariants import Judge, breaches
from sledsaga.core.machine import new_state
from sledsaga.core.ready import Ready
from sledsaga.core.state import Call, State
from sledsaga.errors import LogCorrupt

SAID: Final = (
    ev.Submitted, ev.Paused, ev.Resumed, ev.CancelRequested, ev.Abandoned,
    ev.StepRetried, ev.StepSkipped, ev.UndoRetried, ev.UndoSkipped,
)  # fmt: skip


@dataclass(slots=True, eq=False)
class World:
    """A saga at one moment, the judge who has heard its log, the clock, and what may still happen.

    `ghosts` are executors that lost their claim. They are no part of `key`: one that is refused changes
    nothing, and one that is let through ends the walk.
    """

    state: State
    judge: Judge
    bounds: Bounds
    parts: Parts = REAL
    now: float = 0.0
    wrong: tuple[str, ...] = ()
    log: tuple[ev.Recorded, ...] = ()
    ghosts: tuple[Ghost, ...] = ()
    refused: int = field(default=0, init=False)

    @property
    def left(self) -> tuple[int, int, int]:
        """What may still befall the saga: crashes, commands, claims that park it."""
        return self.bounds.crashes, self.bounds.commands, self.bounds.parks

    @property
    def place(self) -> Place:
        """Where the log stands: its epoch, and the number of its last event."""
        return self.state.epoch, self.state.seq

    def moves(self) -> list[Move]:
        """Return all that can happen next; what is wrong with how the machine stands joins `wrong`."""
        try:
            self.wrong += breaches(self.state)
            return [] if self.wrong else self._moves()
        except Exception as error:  # noqa: BLE001 - whatever a part fails with is a breach, not the end of the walk
            self.wrong += (f"a part fails: {error!r}",)
            return []

    def _moves(self) -> list[Move]:
        wish = self.parts.ready(self.state, self.now)
        if self.state.outcome is not None:
            if wish.record or wish.run:
                self.wrong += ("the saga has ended, but there is something to record or to run",)
            return list(self._late())
        own = list(self._own(wish))
        self.wrong += tuple(self._judge(wish, own))
        return [*own, *self._late(), *self._others(own)]

    def take(self, move: Move) -> World:
        """Return the world after a move; this one stays as it is."""
        after = World(
            _twin(self.state),
            _deep(self.judge),
            _spend(self.bounds, move.cost) if any(move.cost) else self.bounds,
            self.parts,
            self.now if move.now is None else move.now,
            log=self.log,
            ghosts=self.ghosts if move.leaves is None else (*self.ghosts, move.leaves),
        )
        epoch, seq = self.place
        if move.events and not self.parts.fence((epoch, seq), move.believed or (epoch, seq)):
            after.wrong += ("the fence refuses who holds the claim",)
            return after
        written_in = epoch if move.believed is None else move.believed[0]
        for event in move.events:
            written_in += isinstance(event, ev.Claimed)
            after.record(event, written_in)
        return after

    def record(self, event: ev.Event, epoch: int) -> None:
        """Let an event happen that is written under this epoch; what is wrong with that joins `wrong`."""
        state = self.state
        due = state.epoch + isinstance(event, ev.Claimed)
        if epoch != due:
            self.wrong += (f"{_label(state.dag, event)} of epoch {epoch} is in the log in epoch {due}",)
        recorded = ev.Recorded(state.seq + 1, self.now, epoch, event)
        self.log += (recorded,)
        self.wrong += self.judge.hear(recorded)
        try:
            self.parts.apply(state, recorded)
        except LogCorrupt as error:
            self.wrong += (f"the machine refuses its own event: {error}",)
        except Exception as error:  # noqa: BLE001 - whatever a part fails with is a breach
            self.wrong += (f"the machine fails: {error!r}",)

    def key(self) -> tuple[Hashable, list[Hashable]]:
        """Return all that decides what can happen next, but for `left`: of the saga, and of each step."""
        state, judge = self.state, self.judge
        whole = (
            _whole_of_state(state),
            _wait(state.backing_off[0][0] if state.backing_off else None, self.now),
            state.executor is None,
            tuple(sorted(judge.held_by)),
            judge.unwinding,
            judge.pivoted,
            judge.ended,
        )
        return whole, [self._key_of(step) for step in range(len(state.status))]

    def _key_of(self, step: int) -> Hashable:
        state, judge, now = self.state, self.judge, self.now
        call = state.in_flight.get(step)
        do, undo = ("do", step), ("undo", step)
        return (
            state.status[step],
            state.open_needs[step],
            state.open_children[step],
            state.attempts.get(step),
            state.undo_attempts.get(step),
            state.budget_from.get(step),
            _wait(state.next_at.get(step), now),
            call and (call.direction, call.attempt, call.in_doubt),
            step in state.run,
            step in state.startable,
            step in state.undoable,
            step in state.stuck,
            step in state.leaves,
            step in judge.done,
            step in judge.may_have_run,
            step in judge.in_doubt,
            judge.open_calls.get(step),
            judge.attempts.get(do),
            judge.attempts.get(undo),
            judge.budget_from.get(do),
            judge.budget_from.get(undo),
            _wait(judge.not_before.get(step), now),
        )

    def _own(self, wish: Ready) -> Iterator[Move]:
        state = self.state
        batch = self.bounds.in_batches and wish.record
        for events in [wish.record] if batch else [(event,) for event in wish.record]:
            yield Move(", ".join([_label(state.dag, event) for event in events]), events)
        for call in state.in_flight.values():
            yield from self._ends(call)
        if wish.wake_at is not None and wish.wake_at > self.now:
            yield Move(f"time passes to {wish.wake_at}", now=wish.wake_at)
        if state.executor is None:
            yield Move("claim", (ev.Claimed("first"),))
        elif state.has_locks and not (state.locked or state.abandoned):
            yield Move("locks are granted", (ev.LocksAcquired(),))

    def _ends(self, call: Call) -> Iterator[Move]:
        """Yield the ways in which a call can end; those that are recorded alike are one."""
        names: dict[Hashable, list[str]] = {}
        events: dict[Hashable, ev.Event] = {}
        about = f"{call.direction} {self.state.dag.steps[call.step].path}"
        for how, ending in concluded(self.parts.judged, call.direction):
            event = self.parts.conclude(self.state, call, ending, self.now)
            if not is_true(how, event):
                self.wrong += (f"{about} {how.name}, but {type(event).__name__} is recorded",)
            if gives_up(how, event, self.judge) and self.judge.left(call.step, call.direction) > 0:
                self.wrong += (f"{about} {how.name}, and is given up although it may be tried again",)
            alike: Hashable = (type(event), getattr(event, "next_at", None))
            names.setdefault(alike, []).append(how.name)
            events.setdefault(alike, event)
        for same, event in events.items():
            yield Move(f"{about} {' / '.join(names[same])}: {type(event).__name__}", (event,))

    def _late(self) -> Iterator[Move]:
        for ghost in self.ghosts:
            if not self.parts.fence(self.place, ghost.believed):
                self.refused += len(ghost.writes)
                continue
            for label, events in ghost.writes:
                said = f"late, from an executor of epoch {ghost.believed[0]}: {label}"
                yield Move(said, events, is_own=False, believed=ghost.believed)

    def _others(self, own: list[Move]) -> Iterator[Move]:
        state, left = self.state, self.bounds
        if (left.crashes or left.parks) and state.executor is not None:
            again = ("claim", (ev.Claimed("late"),))
            ghost = Ghost(self.place, (*((move.label, move.events) for move in own if move.events), again))
        if left.crashes and state.executor is not None:
            events = (ev.Claimed("other"),)
            yield Move("crash, and another claims", events, is_own=False, cost=(1, 0, 0), leaves=ghost)
        if left.parks and state.executor is not None and state.parked is None:
            parked = (ev.Claimed("other"), ev.Parked("?"))
            yield Move("a claim that parks", parked, is_own=False, cost=(0, 0, 1), leaves=ghost)
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
        for event in wish.record:
            if isinstance(event, SAID):
                yield f"{_label(state.dag, event)} is to be recorded, but nobody has said so"
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


def begin(dag: Dag, *, has_locks: bool = False, bounds: Bounds = ONE_CRASH, parts: Parts = REAL) -> World:
    """Return the world in which a saga was submitted, and no more."""
    world = World(new_state(dag, has_locks=has_locks), Judge(dag, has_locks=has_locks), bounds, parts)
    world.record(ev.Submitted("someone"), 0)
    return world


def _wait(until: float | None, now: float) -> float | None:
    """Return the seconds that are left, without what rounding leaves of them."""
    return None if until is None else round(max(0.0, until - now), 6)


def _label(dag: Dag, event: ev.Event) -> str:
    step = getattr(event, "step", None)
    name = type(event).__name__
    return name if step is None else f"{name} {dag.steps[step].path}"


def _spend(bounds: Bounds, cost: tuple[int, int, int]) -> Bounds:
    crashes, commands, parks = cost
    return replace(
        bounds,
        crashes=bounds.crashes - crashes,
        commands=bounds.commands - commands,
        parks=bounds.parks - parks,
    )


_of_state, _of_judge = (attrgetter(*kind.__dataclass_fields__) for kind in (State, Judge))
_whole_of_state = attrgetter(
    "locked", "paused", "parked", "unwinding", "cancelled", "pivoted", "outcome", "abandoned",
    "unfinished", "unreleased",
)  # fmt: skip
_MUTABLE: Final = frozenset({list, dict, set, OrderedDict})


def _twin(state: State) -> State:
    """Copy a state with the containers in it; the times, which are for people, are shared."""
    return State(*[one.copy() if type(one) in _MUTABLE else one for one in _of_state(state)])


def _deep(judge: Judge) -> Judge:
    twin = Judge(*[one.copy() if type(one) in _MUTABLE else one for one in _of_judge(judge)])
    twin.held_by = judge.held_by.copy()  # a new judge takes every saga with locks for one that waits
    return twin
