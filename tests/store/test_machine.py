"""Any sequence of writes, questions and reopenings: every store says what plain dicts say."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sledsaga.check.contract.samples import STATES, a_saga, saga_id, then
from sledsaga.core import events as e
from sledsaga.core.define import Lock
from sledsaga.errors import KeyConflict, LogCorrupt, NotFound, UsageError
from sledsaga.store.memory import MemoryStore
from sledsaga.store.sql import SqlStore
from sledsaga.store.store import Append, Filter, NewSaga, Page, SagaRow, SagaState, Store
from tests.store.model import AT_REST, Model

NUMBERS = st.integers(0, 7)
KEYS = ["k1", "k2", "k ☂"]
POOLS = ["pool:a", "pool:b"]
OPERATIONS = ["build", "raze"]
EVENTS = st.sampled_from(
    [
        e.Claimed("x"),
        e.LocksAcquired(),
        e.StepStarted(0, 1),
        e.StepSucceeded(0, {"a": [1]}),
        e.Paused("me", ""),
    ]
)
NEW = st.builds(
    a_saga,
    NUMBERS,
    key=st.sampled_from([None, None, *KEYS]),
    state=st.sampled_from(STATES),
    operation=st.sampled_from(OPERATIONS),
    locks=st.sampled_from([(), (Lock("pool:a"), Lock("pool:b", "shared")), (Lock("pool:b"),)]),
)
WISHES = st.tuples(
    NUMBERS,
    st.lists(EVENTS, max_size=3),
    st.sampled_from(STATES),
    st.sampled_from([0, 0, 0, 1]),  # how far the epoch rises
    st.sampled_from(["right", "right", "right", "right", "early", "old", "new"]),
)
FILTERS = st.builds(
    Filter,
    states=st.none() | st.frozensets(st.sampled_from(STATES)),
    operation=st.sampled_from([None, None, *OPERATIONS, "none"]),
    key=st.sampled_from([None, None, None, *KEYS]),
    resource=st.sampled_from([None, None, *POOLS, "pool:none"]),
    unfinished=st.booleans(),
)
BOUNDS = st.integers(0, 5) | st.sampled_from([-1, 2**31, 2**63, 2**70])
Wish = tuple[int, list[e.Event], SagaState, int, str]


@dataclass
class Open:
    """A list that somebody has read the first pages of: where it goes on, in each store."""

    only: Filter
    last: str
    tokens: list[str]


class Stores(RuleBasedStateMachine):
    """A store in SQLite and one in memory beside the model."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.sql = SqlStore(self.folder / "log.db")
        self.memory = MemoryStore()
        self.model = Model()
        self.lists: list[Open] = []

    @property
    def stores(self) -> tuple[Store, ...]:
        return self.sql, self.memory

    @rule(new=st.lists(NEW, max_size=3), wishes=st.lists(WISHES, max_size=4), follows=st.booleans())
    def write(self, new: list[NewSaga], wishes: list[Wish], follows: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        """Write a batch; each append believes in the log as it is, or (`follows`) as the batch leaves it."""
        appends: list[Append] = []
        for wish in wishes:
            before = [one for one in appends if one.saga == saga_id(wish[0])] if follows else []
            appends.append(self.append(wish, before))
        due = self.model.write(new, appends)
        assert [outcome(store, new, appends) for store in self.stores] == [due, due]

    def append(self, wish: Wish, before: list[Append]) -> Append:
        number, events, state, rise, stand = wish
        row = self.model.rows.get(saga_id(number))
        saga = a_saga(number)
        if row is not None:
            epoch, seq = row.epoch + {"old": -1, "new": 1}.get(stand, 0), row.seq + (stand == "early")
            saga = replace(saga, index=saga.index._replace(epoch=epoch, seq=seq))
        if state in AT_REST:
            events = [*events, e.Ended(state)]  # type: ignore[arg-type]  # the states of rest are the outcomes
        was = before[-1] if before else saga
        return then(was, *events, state=state, epoch=was.index.epoch + rise)

    @rule(wish=WISHES, output=st.sampled_from([float("nan"), {1}, b"x"]))
    def write_what_cannot_be_stored(self, wish: Wish, output: Any) -> None:
        """Refuse a batch whole when one output is no JSON."""
        bad = a_saga(9, events=(e.Submitted("me"), e.Claimed("x"), e.StepSucceeded(0, output)))
        for store in self.stores:
            with pytest.raises(UsageError, match="cannot be stored as JSON"):
                store.write([a_saga(8), bad], [self.append(wish, [])])

    @rule(number=NUMBERS, skipped=st.integers(1, 3))
    def write_a_gap(self, number: int, skipped: int) -> None:
        """Refuse a batch whole when its events do not follow one another."""
        gap = then(a_saga(number), e.StepStarted(0, 1), e.StepStarted(1, 1))
        gap = replace(gap, events=tuple(r._replace(seq=r.seq + skipped) for r in gap.events))
        for store in self.stores:
            with pytest.raises(LogCorrupt, match="cannot be written where"):
                store.write([a_saga(8)], [gap])

    @rule()
    def reopen(self) -> None:
        self.sql.close()
        self.sql = SqlStore(self.folder / "log.db")

    @rule(only=FILTERS, limit=st.integers(1, 4))
    def begin_a_list(self, only: Filter, limit: int) -> None:
        self.turn(only, limit, None, [None, None])

    @precondition(lambda self: bool(getattr(self, "lists", None)))
    @rule(data=st.data(), limit=st.integers(1, 4))
    def go_on_with_a_list(self, data: st.DataObject, limit: int) -> None:
        """Turn to the next page of a list that was begun, whatever was written since."""
        was = self.lists.pop(data.draw(st.integers(0, len(self.lists) - 1)))
        self.turn(was.only, limit, was.last, list(was.tokens))

    def turn(self, only: Filter, limit: int, below: str | None, tokens: list[Any]) -> None:
        due = self.model.listed(only, below)
        pages: list[Page[SagaRow]] = [
            store.list(only, limit=limit, token=token)
            for store, token in zip(self.stores, tokens, strict=True)
        ]
        assert [list(page.rows) for page in pages] == [due[:limit], due[:limit]]
        more = [page.next_token for page in pages if page.next_token is not None]
        assert len(more) == (len(self.stores) if len(due) > limit else 0)
        if more:
            self.lists.append(Open(only, due[limit - 1].id, more))

    @rule(token=st.text(max_size=9).filter(lambda text: not text.startswith("before:")), limit=BOUNDS)
    def ask_nonsense(self, token: str, limit: int) -> None:
        """Refuse a token that is none, and pages without a row."""
        for store in self.stores:
            with pytest.raises(UsageError, match="is no page token"):
                store.list(Filter(), limit=3, token=token)
            if limit < 1:
                with pytest.raises(UsageError, match="a page has at least 1 row"):
                    store.list(Filter(), limit=limit)
            else:
                assert len(store.list(Filter(), limit=limit).rows) == min(limit, len(self.model.rows))

    @rule(number=NUMBERS, cut=st.integers(0, 36), limit=BOUNDS, after=BOUNDS)
    def ask_in_part(self, number: int, cut: int, limit: int, after: int) -> None:
        """Compare ids by their beginning, what is unfinished, and a part of the events."""
        prefix, ids, most = saga_id(number)[:cut], self.model.ids(), max(limit, 0)
        begun = [one for one in ids if one.startswith(prefix)]
        left = [one for one in ids if self.model.rows[one].state not in AT_REST and one > prefix]
        for store in self.stores:
            assert list(store.find(prefix, limit=limit)) == begun[:most]
            assert list(store.unfinished(after=prefix, limit=limit)) == left[:most]
            for saga in ids:
                rest = self.model.events[saga][max(after, 0) :]
                assert list(store.events(saga, after=after)) == rest
                assert list(store.events(saga, after=after, limit=limit)) == rest[:most]

    @rule(saga=st.sampled_from([saga_id(9), "", "none", "\0", "%"]))
    def ask_for_nobody(self, saga: str) -> None:
        for store in self.stores:
            for question in (store.row, store.plan, store.events):
                with pytest.raises(NotFound):
                    question(saga)
            assert store.locks(saga) == ()
            assert store.by_key(saga) is None

    @invariant()
    def they_agree(self) -> None:
        for store in self.stores if hasattr(self, "model") else ():
            assert everything(store) == told(self.model)

    def teardown(self) -> None:
        if hasattr(self, "sql"):
            self.sql.close()
            shutil.rmtree(self.folder)


def outcome(store: Store, new: list[NewSaga], appends: list[Append]) -> tuple[str, ...]:
    try:
        return store.write(new, appends)
    except KeyConflict:
        return ("conflict",)


def everything(store: Store) -> object:
    """Ask a store for all that it has."""
    ids = store.find("", limit=99)
    return (
        [(store.row(saga), store.plan(saga), list(store.events(saga))) for saga in ids],
        list(store.locks()),
        [list(store.locks(saga)) for saga in ids],
        [store.by_key(key) for key in KEYS],
        list(store.unfinished()),
    )


def told(model: Model) -> object:
    """Say the same by the model."""
    ids = model.ids()
    return (
        [(model.rows[saga], model.new[saga].plan, model.events[saga]) for saga in ids],
        model.locks(),
        [[lock for lock in model.locks() if lock.saga == saga] for saga in ids],
        [next((row for row in model.rows.values() if row.key == key), None) for key in KEYS],
        [saga for saga in ids if model.rows[saga].state not in AT_REST],
    )


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
