"""Take sagas over from the log: load, claim, bind; park what this program does not know.

Rules
- Each saga is taken over on its own: one that cannot be read or run never stops the others.
- A saga at rest (stuck, or paused with nothing running) is left as it is until somebody says something.
- Unfinished sagas are taken over in pages, as there is room in memory, not all at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

from sledsaga.core import events as ev
from sledsaga.core.bind import Bound, bind
from sledsaga.core.machine import replay
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.clock import Clock
from sledsaga.engine.diagnostics import logger
from sledsaga.engine.live import Live
from sledsaga.engine.read import load
from sledsaga.errors import LogCorrupt, SledsagaError, UnknownOperation
from sledsaga.store.store import Store

PAGE = 1000


def read_live(store: Store, saga: str, clock: Clock) -> Live:
    """Load a saga as the log has it, unclaimed; raises NotFound, LogCorrupt."""
    plan, state = load(store, saga)
    return Live(saga, plan, state, durable=(state.epoch, state.seq), clock=clock)


def claim(live: Live, catalog: Catalog, executor: str) -> bool:
    """Record that this executor drives the saga, or park it; say whether it can be driven."""
    try:
        live.bound = find_code(live, catalog)
    except UnknownOperation as error:
        if live.state.parked is None:
            _claim(live, executor)
            live.record([ev.Parked(str(error))])
        return False
    _claim(live, executor)
    return True


def find_code(live: Live, catalog: Catalog) -> Bound:
    """Return the saga's code, bound to its plan; raises UnknownOperation when this program has none.

    Binding runs code of the operation (steps that depend on params), which may raise anything.
    """
    if live.bound is not None:
        return live.bound
    dag = live.plan.dag
    try:
        return bind(catalog.get(dag.operation, dag.version), live.plan)
    except UnknownOperation as error:
        why = str(error)
        raise UnknownOperation(why if why.startswith("unknown") else f"unknown version: {why}") from error
    except Exception as error:  # one saga's code must not stop the others
        kind = "" if isinstance(error, SledsagaError) else f"{type(error).__name__}: "
        raise UnknownOperation(f"unknown version: cannot be planned: {kind}{error}") from error


def _claim(live: Live, executor: str) -> None:
    """Record the claim, unless what was said to the saga in this very turn has recorded it."""
    if live.state.epoch == live.durable[0]:
        live.record([ev.Claimed(executor)])


def twin(store: Store, live: Live) -> Live:
    """Return a copy of a saga as it stands in memory, for trying something out."""
    seq = live.durable[1]
    events = () if live.is_new else store.events(live.id, limit=seq)
    state = replay(live.plan.dag, (*events, *live.pending), has_locks=bool(live.plan.locks))
    return Live(
        live.id, live.plan, state, bound=live.bound, key=live.key, is_new=live.is_new, clock=live.clock
    )


class Backlog:
    """The sagas of the log that are still to be taken over: ids in memory a page at a time."""

    def __init__(self, store: Store, aside: Callable[[str], None], clock: Clock) -> None:
        """Begin with nothing to take over; `aside` is told which sagas are left alone."""
        self._store, self._aside, self._clock = store, aside, clock
        self._ids: deque[str] = deque()
        self._cursor: str | None = None
        self.claimed = 0
        self.parked: list[str] = []
        self.unreadable: list[tuple[str, str]] = []

    def begin(self) -> None:
        """Go through all unfinished sagas, from the first."""
        self._cursor = ""
        self.claimed, self.parked, self.unreadable = 0, [], []

    def add(self, saga: str) -> None:
        """Keep a saga for later that was recorded but not taken over."""
        self._ids.append(saga)

    def drop(self, saga: str) -> None:
        """Forget a saga that was kept for later and came not to be."""
        with suppress(ValueError):
            self._ids.remove(saga)

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is left to take over."""
        return not self._ids and self._cursor is None

    def load(self, room: int, is_known: Callable[[str], bool]) -> Iterator[Live]:
        """Look at `room` sagas at most; yield those that must be driven, as the log has them.

        Those known already are passed over.
        """
        for _ in range(room):
            saga = self._next()
            if saga is None:
                return
            live = None if is_known(saga) else self._read(saga)
            if live is not None:
                yield live

    def _next(self) -> str | None:
        if not self._ids and self._cursor is not None:
            page = self._store.unfinished(after=self._cursor, limit=PAGE)
            self._ids.extend(page)
            self._cursor = page[-1] if len(page) == PAGE else None
        return self._ids.popleft() if self._ids else None

    def _read(self, saga: str) -> Live | None:
        try:
            live = read_live(self._store, saga, self._clock)
        except LogCorrupt as error:
            self.unreadable.append((saga, str(error)))
            logger.info("saga {} is left alone: {}", saga, error)  # `Recovered` tells
            live = None
        if live is None or live.state.outcome or (live.state.at_rest and live.state.parked is None):
            self._aside(saga)
            return None
        return live
