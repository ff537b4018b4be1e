"""Write what happened in a turn, in one transaction; then let it have its effects.

Rules
- What was not written has no effect: no call is started, no answer given, no subscriber told.
- A saga that another executor claimed is let go of; a new one whose key was taken meanwhile is refused.
  Neither keeps the others of the turn from being written.
- What a subscriber raises is its own trouble.
"""

from __future__ import annotations

from sledsaga.core.events import Recorded
from sledsaga.engine.books import Books
from sledsaga.engine.diagnostics import logger
from sledsaga.engine.flights import LOST
from sledsaga.engine.live import Live
from sledsaga.engine.messages import Submitted
from sledsaga.engine.read import find_row
from sledsaga.engine.replies import refuse, resolve
from sledsaga.errors import KeyConflict, LostClaim
from sledsaga.store.store import SagaRow


def write(books: Books) -> None:
    """Write all sagas of the turn to which something happened; raises LogUnavailable."""
    written = [live for live in books.touched.values() if live.pending]
    if written:
        books.pass_point("before-append")
        lost = _write_all(books, written)
        books.pass_point("after-append")
        for saga in lost:
            _lose(books, saga)
    for live in books.touched.values():
        _take_effect(books, live)


def _write_all(books: Books, written: list[Live]) -> tuple[str, ...]:
    while True:
        new = [live for live in written if live.is_new]
        try:
            return books.store.write(
                [live.to_create() for live in new],
                [live.to_append() for live in written if not live.is_new],
            )
        except KeyConflict as error:
            taken = [(live, row) for live in new if (row := find_row(books.store, live.id, live.key))]
            if not taken:
                raise
            for live, row in taken:
                _withdraw(books, live, row, error)
                written.remove(live)


def _withdraw(books: Books, live: Live, row: SagaRow, error: KeyConflict) -> None:
    """Forget a new saga that somebody else recorded first; the same body is the same saga."""
    for reply, result in books.replies.withdraw(live.id):
        if isinstance(result, Submitted) and row.digest == live.digest:
            resolve(reply, Submitted(row.id))
        else:
            refuse(reply, error)
    why = f"saga {live.id} is not this executor's: another one recorded {row.id} meanwhile; look again"
    books.replies.lose(live.id, LostClaim(why))
    books.forget(live)
    books.backlog.drop(live.id)
    books.pass_on(live.id)


def _lose(books: Books, saga: str) -> None:
    """Let go of a saga; its calls are told to end, and keep their room until they have."""
    live = books.touched[saga]
    books.forget(live)
    books.flights.stop(live, LOST)
    logger.warning("saga {} was claimed by another executor; this one lets go of it", saga)
    books.replies.lose(saga, LostClaim(f"saga {saga} was claimed by another executor; look again"))


def _take_effect(books: Books, live: Live) -> None:
    events = live.wrote()
    if events:
        _tell(books, live.id, events)
    if books.live.get(live.id) is live:
        books.flights.follow(live, may_start=not books.stopping)
    if live.state.outcome or (live.state.at_rest and not live.flights):
        books.rest(live)


def _tell(books: Books, saga: str, events: tuple[Recorded, ...]) -> None:
    for subscriber in books.subscribers:
        try:
            subscriber(saga, events)
        except Exception:  # noqa: BLE001 - a subscriber is users' code, and must not stop the sagas
            logger.exception("a subscriber failed on events of saga {}; it goes on being told", saga)
