"""Walk the machine through all that can happen to a saga, and judge every state on the way.

    explore(plan, crashes=2, commands=1) -> Report; print it
    python -m sledsaga.check.explore --steps 4 --crashes 2

`explore` takes every move in every state (see `world`), breadth first, so that the first breach has a
shortest way to it; `stroll` takes one at a time, for DAGs too big to exhaust. The command walks every DAG up
to a number of steps, and ends with status 1 when one has a breach.

Rules
- States that steps which can change places turn into each other are one state (see `symmetry`).
- A state that was seen is not walked again with fewer crashes, commands or parks left: all that could
  befall it then was seen already.
- A breach is a sentence of `core.invariants`, an event that the machine refuses although a part of it made
  it, a record that is not what happened, or a state from which the saga cannot come to rest by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sledsaga.check.walk.moves import REAL, Bounds, Move, Parts
from sledsaga.check.walk.symmetry import Fold, Key, fold_of
from sledsaga.check.walk.world import World, begin
from sledsaga.core.commands import VERBS, Verb
from sledsaga.core.dag import Dag, Plan, make_dag
from sledsaga.core.define import Retry
from sledsaga.core.state import State

Left = tuple[int, int, int]
SOUND = "no rule is broken"


@dataclass(frozen=True, slots=True)
class Report:
    """What a walk saw. As text it is a line of figures, or the shortest way to the first breach.

    `ends` are the ways in which sagas came to rest; `late_refused` counts the writes of lost executors that
    the fence kept out. `is_complete` is False when the walk was cut short.
    """

    states: int
    breaches: tuple[str, ...] = ()
    transcript: tuple[str, ...] = ()
    ends: frozenset[str] = frozenset()
    moves: int = 0
    late_refused: int = 0
    is_complete: bool = True

    def __str__(self) -> str:
        """Tell the figures; the moves that lead to a breach, and the breach, when there is one."""
        if not self.breaches:
            what = SOUND if self.is_complete else f"{SOUND} so far: the walk was cut short"
            return (
                f"{self.states:,} states, {self.moves:,} moves: {what}; ends: {', '.join(sorted(self.ends))}"
            )
        moves = [f"{number:3}. {label}" for number, label in enumerate(self.transcript, 1)]
        return "\n".join([*moves, *(f"breach: {breach}" for breach in self.breaches)])


def explore(
    what: Dag | Plan,
    *,
    crashes: int = 1,
    commands: int = 0,
    parks: int = 0,
    verbs: tuple[Verb, ...] = VERBS,
    has_locks: bool | None = None,
    in_batches: bool = False,
    attempts_max: int | None = None,
    symmetry: bool = True,
    parts: Parts = REAL,
    states_max: int = 1_000_000,
) -> Report:
    """Take every move in every state; stops at the first breach, or above `states_max` states.

    `what` is a plan, or a DAG (whose sagas take locks only when `has_locks` says so). At most so many
    crashes, commands (of these `verbs`) and claims that park the saga befall it, at any moment. Production
    plans try often and so have many states: `attempts_max` cuts the retries of all policies. For `in_batches`
    see `Bounds`. Without `symmetry` equal states of different steps are walked apart.
    """
    dag, locks = (what.dag, bool(what.locks)) if isinstance(what, Plan) else (what, False)
    dag = dag if attempts_max is None else _cut(dag, attempts_max)
    bounds = Bounds(crashes, commands, verbs, parks, in_batches)
    start = begin(dag, has_locks=locks if has_locks is None else has_locks, bounds=bounds, parts=parts)
    return Walk(start, fold_of(dag) if symmetry else Fold(), states_max).all()


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
    return Report(len(labels), world.wrong, tuple(labels), frozenset([_end_of(world.state)]), len(labels))


@dataclass(slots=True)
class Walk:
    """For each state: how it was reached first, and from which states the saga goes there by itself."""

    start: World
    fold: Fold
    states_max: int
    came_from: list[tuple[int, str]] = field(default_factory=list)
    own_before: list[list[int]] = field(default_factory=list)
    seen: dict[Key, list[tuple[Left, int]]] = field(default_factory=dict)
    queue: deque[tuple[int, World]] = field(default_factory=deque)
    rests: list[int] = field(default_factory=list)
    ends: set[str] = field(default_factory=set)
    moves: int = 0
    late_refused: int = 0

    def all(self) -> Report:
        """Walk until nothing new is found, a rule is broken, or the bound of states is passed."""
        self._enter(self.fold.key(*self.start.key()), self.start, -1, "")
        while self.queue and len(self.came_from) <= self.states_max:
            number, world = self.queue.popleft()
            moves = world.moves()
            if world.wrong:
                return self._report(number, world.wrong)
            self._count(number, world, len(moves))
            for move in moves:
                after = world.take(move)
                if after.wrong:
                    return self._report(number, after.wrong, move.label)
                self._see(number, move, after)
        lost = None if self.queue else self._never_at_rest()
        return self._report(lost or 0, () if lost is None else ("the saga cannot come to rest from here",))

    def _count(self, number: int, world: World, moves: int) -> None:
        self.moves += moves
        self.late_refused += world.refused
        if world.state.at_rest:
            self.rests.append(number)
            self.ends.add(_end_of(world.state))

    def _see(self, number: int, move: Move, after: World) -> None:
        key, left = self.fold.key(*after.key()), after.left
        more = (
            at
            for had, at in self.seen.get(key, ())
            if all(one >= other for one, other in zip(had, left, strict=True))
        )
        known = next(more, None)
        if known is None:
            known = self._enter(key, after, number, move.label)
        if move.is_own:
            self.own_before[known].append(number)

    def _enter(self, key: Key, world: World, before: int, label: str) -> int:
        number = len(self.came_from)
        self.seen.setdefault(key, []).append((world.left, number))
        self.came_from.append((before, label))
        self.own_before.append([])
        self.queue.append((number, world))
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
        return Report(
            len(self.came_from),
            wrong,
            tuple(reversed(labels)),
            frozenset(self.ends),
            self.moves,
            self.late_refused,
            is_complete=not (self.queue or wrong),
        )


def _cut(dag: Dag, attempts_max: int) -> Dag:
    """Return a DAG whose steps are tried at most so often."""

    def cut(retry: Retry) -> Retry:
        return replace(retry, attempts=min(retry.attempts, attempts_max))

    steps = (
        replace(step, policy=replace(was, retry=cut(was.retry), undo_retry=cut(was.undo_retry)))
        for step in dag.steps
        for was in [step.policy]
    )
    return make_dag(dag.operation, dag.version, tuple(steps))


def _end_of(state: State) -> str:
    if state.outcome is not None:
        return state.outcome
    if state.parked is not None or state.paused:
        return "paused" if state.parked is None else "parked"
    return "stuck" if state.at_rest else "on its way"


if __name__ == "__main__":
    import sys

    from sledsaga.check.command import run_to_end
    from sledsaga.check.walk.table import main

    sys.exit(run_to_end(lambda: main(sys.argv[1:])))
