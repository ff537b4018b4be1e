"""Write what happened in a turn, in one transaction; then let it have its effects.

Rules
- What was not written has no effect: no call is started, no answer given, no subscriber told.
- A saga that another executor claimed is let go of; a new one whose key was taken meanwhile is refused.
  Neither keeps the others of the turn from being written.
- What a subscriber raises is its own trouble.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sledsaga.core.events import Recorded
from sledsaga.engine.diagnostics import logger
from sledsaga.engine.flights import LOST
from sledsaga.engine.live import Live
from sledsaga.engine.messages import Submitted
from sledsaga.engine.replies import refuse, resolve
from sledsaga.errors import KeyConflict, LostClaim, NotFound
from sledsaga.store.store import SagaRow, Store

if TYPE_CHECKING:
    from sledsaga.engine.execute import Executor


def write(executor: Executor) -> None:
    """Write all sagas of the turn to which something happened; raises LogUnavailable."""
    written = [live for live in executor.touched.values() if live.pending]
    if written:
        executor.pass_point("before-append")
        lost = _write_all(executor, written)
        executor.pass_point("after-append")
        for saga in lost:
            _lose(executor, saga)
    for live in executor.touched.values():
        _take_effect(executor, live)


def _write_all(executor: Executor, written: list[Live]) -> tuple[str, ...]:
    while True:
        new = [live for live in written if live.is_new]
        try:
            return executor.store.write(
                [live.to_create() for live in new],
                [live.to_append() for live in written if not live.is_new],
            )
        except KeyConflict as error:
            taken = [(live, row) for live in new if (row := known(executor.store, live.id, live.key))]
            if not taken:
                raise
            for live, row in taken:
                _withdraw(executor, live, row, error)
                written.remove(live)


def known(store: Store, saga: str, key: str | None) -> SagaRow | None:
    """Return the saga that the log has under this key or else this id, or None."""
    row = store.by_key(key) if key is not None else None
    if row is not None:
        return row
    try:
        return store.row(saga)
    except NotFound:
        return None


def _withdraw(executor: Executor, live: Live, row: SagaRow, error: KeyConflict) -> None:
    """Forget a new saga that somebody else recorded first; the same body is the same saga."""
    for reply, result in executor.replies.withdraw(live.id):
        if isinstance(result, Submitted) and row.digest == live.digest:
            resolve(reply, Submitted(row.id))
        else:
            refuse(reply, error)
    executor.forget(live)
    executor.pass_on(live)


def _lose(executor: Executor, saga: str) -> None:
    """Let go of a saga; its calls are told to end, and keep their room until they have."""
    live = executor.touched[saga]
    executor.forget(live)
    executor.flights.stop(live, LOST)
    logger.warning("saga {} was claimed by another executor; this one lets go of it", saga)
    executor.replies.lose(saga, LostClaim(f"saga {saga} was claimed by another executor; look again"))


def _take_effect(executor: Executor, live: Live) -> None:
    events = live.wrote()
    if events:
        _tell(executor, live.id, events)
    if executor.live.get(live.id) is live:
        executor.flights.follow(live)
    if live.state.outcome or (live.state.at_rest and not live.flights):
        executor.rest(live)


def _tell(executor: Executor, saga: str, events: tuple[Recorded, ...]) -> None:
    for subscriber in executor.subscribers:
        try:
            subscriber(saga, events)
        except Exception:  # noqa: BLE001 - a subscriber is users' code, and must not stop the sagas
            logger.exception("a subscriber failed on events of saga {}; it goes on being told", saga)
