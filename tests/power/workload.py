"""Batches as an engine writes them, by seed, and what a log looks like after each.

Rules
- A batch has new sagas (with keys, locks), events of others, and now and then one who is out of date.
- The picture of a log is all that can be asked of it. That of the log after n batches is made by the
  store in memory, so a log after a cut either is one of the pictures that are allowed, or it is broken.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from sledsaga.check.contract.samples import a_saga, then
from sledsaga.core import events as e
from sledsaga.core.define import Lock
from sledsaga.store.memory import MemoryStore
from sledsaga.store.store import Append, Filter, NewSaga, SagaState, Store

EVERYTHING = 10_000
Picture = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    new: tuple[NewSaga, ...] = ()
    appends: tuple[Append, ...] = ()


@dataclass(slots=True)
class _Busy:
    """What is going on in the log that the batches make."""

    dice: random.Random
    output_bytes: int
    last: dict[str, NewSaga | Append] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    number: int = 0

    def batch(self) -> Batch:
        new = tuple(self._new() for _ in range(self.dice.choice((0, 0, 1, 2))))
        some = self.dice.sample(sorted(self.last), min(len(self.last), self.dice.randint(1, 3)))
        late = [replace(self._next(saga), epoch=99) for saga in some[:1] if self.dice.random() < 0.15]
        appends = [self._append(saga) for saga in some[len(late) :]]
        return Batch(new, (*late, *appends))

    def _new(self) -> NewSaga:
        self.number += 1
        locks = (Lock("pool:a"), Lock(f"disk:{self.number}", "shared"))[: self.dice.randrange(3)]
        key = f"key {self.number}" if self.dice.random() < 0.7 else None
        saga = a_saga(self.number, key=key, locks=locks, operation=self.dice.choice(("build", "raze")))
        self.last[saga.id] = saga
        return saga

    def _append(self, saga: str) -> Append:
        append = self.last[saga] = self._next(saga)
        if append.index.state == "succeeded":
            del self.last[saga]
        return append

    def _next(self, saga: str) -> Append:
        last = self.last[saga]
        if last.index.epoch == 0 or self.dice.random() < 0.1:
            return then(last, e.Claimed("x"), e.LocksAcquired(), epoch=last.index.epoch + 1)
        if last.index.seq > 12:
            return then(last, e.Ended("succeeded"), state="succeeded")
        state: SagaState = self.dice.choice(("running", "running", "stuck", "paused"))
        output = "x" * self.dice.choice((1, 10, self.output_bytes))
        return then(last, e.StepSucceeded(0, output), e.StepStarted(1, last.index.seq), state=state)


def make_batches(seed: int, *, count: int = 12, output_bytes: int = 6_000) -> tuple[Batch, ...]:
    """Return the batches of this seed; the first two make sagas."""
    busy = _Busy(random.Random(seed), output_bytes)  # noqa: S311 - a dice
    first = Batch((busy._new(), busy._new()))
    return (first, *(busy.batch() for _ in range(count - 1)))


def look(store: Store) -> Picture:
    """Return all that a log tells."""
    rows = store.list(Filter(), limit=EVERYTHING).rows
    told = tuple((row, store.plan(row.id), store.events(row.id)) for row in rows)
    return told, store.locks(), store.unfinished()


def pictures(batches: Iterable[Batch]) -> tuple[Picture, ...]:
    """Return what the log is to look like after none, one, two … of the batches."""
    model = MemoryStore()
    found = [look(model)]
    for batch in batches:
        model.write(batch.new, batch.appends)
        found.append(look(model))
    return tuple(found)


def difference(found: Picture, allowed: Iterable[Picture]) -> str:
    """Say in a line how a log differs from what is allowed, or nothing when it is."""
    allowed = tuple(allowed)
    if found in allowed:
        return ""
    return f"the log is {_brief(found)}; allowed: {' or '.join(map(_brief, allowed))}"


def _brief(picture: Picture) -> str:
    sagas = ", ".join(f"{row.id[-3:]}@{row.seq} {row.state}" for row, _, _ in reversed(picture[0]))
    return f"[{sagas}; {len(picture[1])} locks]"
