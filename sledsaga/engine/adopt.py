"""Take sagas over from the log: load, claim, bind; park what this program does not know.

Rules
- Each saga is taken over on its own: one that cannot be read or run never stops the others.
- A saga at rest (stuck, or paused with nothing running) is left as it is until somebody says something.
- Unfinished sagas are taken over in pages, as there is room in memory, not all at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from loguru import logger

from sledsaga.core import events as ev
from sledsaga.core.bind import bind
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.live import Live
from sledsaga.engine.read import load
from sledsaga.errors import LogCorrupt, SledsagaError, UnknownOperation
from sledsaga.store.store import Store

PAGE = 1000


def read_live(store: Store, saga: str) -> Live:
    """Load a saga as the log has it, unclaimed; raises NotFound, LogCorrupt."""
    plan, state = load(store, saga)
    return Live(saga, plan, state, durable=(state.epoch, state.seq))


def claim(live: Live, catalog: Catalog, executor: str) -> bool:
    """Record that this executor drives the saga, or park it; say whether it can be driven."""
    try:
        live.bound = bind(catalog.get(live.plan.dag.operation, live.plan.dag.version), live.plan)
    except SledsagaError as error:
        _park(
            live,
            executor,
            str(error) if isinstance(error, UnknownOperation) else f"cannot be planned: {error}",
        )
        return False
    live.record([ev.Claimed(executor)])
    return True


def _park(live: Live, executor: str, why: str) -> None:
    if live.state.parked is None:
        live.record(
            [ev.Claimed(executor), ev.Parked(why if why.startswith("unknown") else f"unknown version: {why}")]
        )


class Backlog:
    """The sagas of the log that are still to be taken over: ids in memory a page at a time."""

    def __init__(self, store: Store) -> None:
        """Begin with nothing to take over."""
        self._store = store
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

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is left to take over."""
        return not self._ids and self._cursor is None

    def load(self, room: int, known: dict[str, Live]) -> Iterator[Live]:
        """Yield at most `room` sagas that must be driven, as the log has them."""
        while room > 0 and (saga := self._next()) is not None:
            if saga in known:
                continue
            live = self._read(saga)
            if live is not None:
                room -= 1
                yield live

    def _next(self) -> str | None:
        if not self._ids and self._cursor is not None:
            page = self._store.unfinished(after=self._cursor, limit=PAGE)
            self._ids.extend(page)
            self._cursor = page[-1] if len(page) == PAGE else None
        return self._ids.popleft() if self._ids else None

    def _read(self, saga: str) -> Live | None:
        try:
            live = read_live(self._store, saga)
        except LogCorrupt as error:
            self.unreadable.append((saga, str(error)))
            logger.error("saga {} cannot be read and is left alone: {}", saga, error)
            return None
        state = live.state
        at_rest = state.outcome is not None or (state.at_rest and state.parked is None)
        return None if at_rest else live
