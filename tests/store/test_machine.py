"""Any sequence of writes and reopenings leaves SQLite saying what memory says."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sledsaga.check.store_samples import STATES, a_saga, saga_id, then
from sledsaga.core import events as e
from sledsaga.core.define import Lock
from sledsaga.errors import KeyConflict
from sledsaga.store.memory import MemoryStore
from sledsaga.store.sql import SqlStore
from sledsaga.store.store import Append, Filter, NewSaga, SagaState, Store

NUMBERS = st.integers(0, 7)
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
    key=st.sampled_from([None, None, "k1", "k2"]),
    state=st.sampled_from(STATES),
    operation=st.sampled_from(["build", "raze"]),
    locks=st.sampled_from([(), (Lock("pool:a"), Lock("pool:b", "shared")), (Lock("pool:b"),)]),
)
WISHES = st.tuples(
    NUMBERS,
    st.lists(EVENTS, max_size=3),
    st.sampled_from(STATES),
    st.sampled_from([0, 0, 0, 1]),  # how far the epoch rises
    st.sampled_from(["right", "right", "right", "early", "old"]),
)
Wish = tuple[int, list[e.Event], SagaState, int, str]


class Stores(RuleBasedStateMachine):
    """A store in SQLite beside the model, which is the store in memory."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.sql = SqlStore(self.folder / "log.db")
        self.memory = MemoryStore()

    @rule(new=st.lists(NEW, max_size=3), wishes=st.lists(WISHES, max_size=4))
    def write(self, new: list[NewSaga], wishes: list[Wish]) -> None:
        known = set(self.memory.find(""))
        appends = [self.append(wish) for wish in wishes if saga_id(wish[0]) in known]
        assert outcome(self.sql, new, appends) == outcome(self.memory, new, appends)

    def append(self, wish: Wish) -> Append:
        number, events, state, rise, stand = wish
        row = self.memory.row(saga_id(number))
        epoch, seq = row.epoch - (stand == "old"), row.seq + (stand == "early")
        saga = a_saga(number)
        saga = replace(saga, index=replace(saga.index, epoch=epoch, seq=seq))
        if state in ("succeeded", "undone", "abandoned"):
            events = [*events, e.Ended(state)]
        return then(saga, *events, state=state, epoch=epoch + rise)

    @rule()
    def reopen(self) -> None:
        self.sql.close()
        self.sql = SqlStore(self.folder / "log.db")

    @rule(
        wanted=st.builds(
            Filter,
            states=st.none() | st.frozensets(st.sampled_from(STATES)),
            operation=st.sampled_from([None, "build", "raze"]),
            resource=st.sampled_from([None, "pool:a", "pool:b"]),
            unfinished=st.booleans(),
        ),
        limit=st.integers(1, 4),
    )
    def look(self, wanted: Filter, limit: int) -> None:
        """Compare two pages of a list."""
        page = self.sql.list(wanted, limit=limit)
        assert page == self.memory.list(wanted, limit=limit)
        if page.next_token:
            token = page.next_token
            assert self.sql.list(wanted, limit=9, token=token) == self.memory.list(
                wanted, limit=9, token=token
            )

    @invariant()
    def they_agree(self) -> None:
        if hasattr(self, "sql"):
            assert everything(self.sql) == everything(self.memory)

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
    ids = store.find("", limit=99)
    sagas = [(store.row(saga), store.plan(saga), store.events(saga)) for saga in ids]
    return sagas, store.locks(), store.unfinished(), store.by_key("k1"), [store.locks(saga) for saga in ids]


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
