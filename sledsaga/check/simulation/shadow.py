"""What the log must be: every write that happened, heard event by event and judged.

Rules
- An event is judged the moment that it is in the log, whoever was told of it.
- The log itself is never asked what it holds, but for being compared with this.
- A breach is a sentence about one saga; the world stops at the first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from sledsaga.core import events as ev
from sledsaga.core.dag import Plan
from sledsaga.core.invariants import Judge, breaches
from sledsaga.core.machine import apply, new_state
from sledsaga.core.state import State
from sledsaga.core.view import direction, saga_state
from sledsaga.errors import LogCorrupt
from sledsaga.store.store import Append, Index, NewSaga, Store

Blame = Callable[[str, str], None]


@dataclass(slots=True, eq=False)
class Told:
    """One saga as its log was heard: by the machine, and by a judge who does not ask the machine."""

    plan: Plan
    key: str | None
    judge: Judge
    state: State
    log: list[ev.Recorded] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Say whether it has not ended."""
        return self.state.outcome is None


@dataclass(slots=True, eq=False)
class Shadow:
    """All sagas, their keys, who holds what, and commands that were refused and must leave no trace."""

    blame: Blame
    sagas: dict[str, Told] = field(default_factory=dict)
    open: dict[str, Told] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    holders: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    events: int = 0

    def hear(self, new: Sequence[NewSaga], appends: Sequence[Append], lost: Collection[str]) -> None:
        """Hear a batch that is in the log, but for the sagas that are said to have lost."""
        for saga in new:
            self._begin(saga)
        for append in appends:
            told = self.sagas.get(append.saga)
            fits = told is not None and (append.epoch, append.seq) == (told.state.epoch, told.state.seq)
            if fits is (append.saga in lost):
                self.blame(append.saga, "the store let through who was late, or refused who was not")
            elif told is not None and fits:
                self._go_on(append.saga, told, append.events, append.index)

    def _begin(self, new: NewSaga) -> None:
        if new.id in self.sagas or (new.key is not None and new.key in self.keys):
            self.blame(new.id, f"it was recorded although its id or key {new.key!r} was taken")
            return
        locks = bool(new.plan.locks)
        told = Told(
            new.plan, new.key, Judge(new.plan.dag, has_locks=locks), new_state(new.plan.dag, has_locks=locks)
        )
        self.sagas[new.id] = self.open[new.id] = told
        if new.key is not None:
            self.keys[new.key] = new.id
        self._go_on(new.id, told, new.events, new.index)

    def _go_on(self, saga: str, told: Told, events: Sequence[ev.Recorded], index: Index) -> None:
        for recorded in events:
            for wrong in told.judge.hear(recorded):
                self.blame(saga, wrong)
            try:
                apply(told.state, recorded)
            except LogCorrupt as error:
                self.blame(saga, str(error))
            told.log.append(recorded)
            self._note(saga, told, recorded.event)
        self.events += len(events)
        state = told.state
        for wrong in breaches(state):
            self.blame(saga, wrong)
        if (index.state, index.direction) != (saga_state(state), direction(state)):
            self.blame(saga, f"its columns say {index.state}, its log {saga_state(state)}")
        if not told.is_open:
            self.open.pop(saga, None)

    def _note(self, saga: str, told: Told, event: ev.Event) -> None:
        match event:
            case ev.LocksAcquired():
                for wrong in self._take(saga, told.plan):
                    self.blame(saga, wrong)
            case ev.Ended():
                for lock in told.plan.locks:
                    self.holders.get(lock.resource, {}).pop(saga, None)
        reason = getattr(event, "reason", None)
        if reason is not None and reason in self.refused:
            self.blame(saga, f"command {reason} is in the log although it was refused")

    def _take(self, saga: str, plan: Plan) -> Iterator[str]:
        for lock in plan.locks:
            holders = self.holders.setdefault(lock.resource, {})
            for other, mode in holders.items():
                if "exclusive" in (mode, lock.mode):
                    yield f"it takes {lock.resource} although {other} has it"
            holders[saga] = lock.mode

    def compare(self, store: Store, sagas: Collection[str]) -> None:
        """Compare what the log holds now with what it was told."""
        for saga in sagas:
            told = self.sagas[saga]
            if store.events(saga) != tuple(told.log):
                self.blame(saga, "its log is not what was written: an event was lost or changed")
            row, state = store.row(saga), told.state
            if (row.state, row.epoch, row.seq) != (saga_state(state), state.epoch, state.seq):
                self.blame(saga, f"its columns say {row.state}, its log {saga_state(state)}")

    def compare_locks(self, store: Store) -> None:
        """Compare who holds what by the log's rows with who does by the events."""
        rows = store.locks()
        held = {(row.saga, row.resource) for row in rows if row.held}
        heard = {(saga, resource) for resource, holders in self.holders.items() for saga in holders}
        for saga, resource in sorted(held ^ heard):
            self.blame(saga, f"{resource}: its row and its events do not agree on who holds it")
        for row in rows:
            if row.saga not in self.open:
                self.blame(row.saga, f"it has ended and still stands at {row.resource}")
