"""Show a saga, or a list of them, as text or as the JSON that scripts rely on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sledsaga.cli.desk import Desk
from sledsaga.cli.draw import details, failure_lines, stuck_lines, tree
from sledsaga.cli.tables import Table, labelled
from sledsaga.cli.words import SHORT_ID, STATES, clean, moment, shorten

if TYPE_CHECKING:
    from sledsaga.core.view import SagaView
    from sledsaga.store.store import SagaRow, Store


def short_ids(store: Store, sagas: Iterable[str]) -> dict[str, str]:
    """Return the shortest beginning of each id that only one saga of the log has."""
    wanted = tuple(sagas)
    alike = {
        other for start in {saga[:SHORT_ID] for saga in wanted} for other in store.find(start, limit=100)
    }
    return shorten(wanted, alike)


def short_id(desk: Desk, saga: str) -> str:
    """Return the shortest beginning of one id that only it has."""
    store = desk.reader()
    try:
        return short_ids(store, [saga])[saga]
    finally:
        store.close()


def show_saga(desk: Desk, view: SagaView, *, full: bool = False) -> None:
    """Show one saga; `full` adds what is beside its steps."""
    if desk.terminal.as_json:
        desk.terminal.json(view.to_json())
        return
    short, now = short_id(desk, view.id), time.time()
    desk.terminal.show(tree(view, short, now))
    desk.terminal.show(*failure_lines(view), *stuck_lines(view.stuck, short, now))
    if full:
        desk.terminal.show("", details(view, now, is_driven=_drives(desk, view)))


def _drives(desk: Desk, view: SagaView) -> bool:
    from sledsaga import wiring

    found = wiring.holder(desk.settings)
    return found is not None and found.executor == view.executor


def show_rows(
    desk: Desk, store: Store, rows: Sequence[SagaRow], *, more: Mapping[str, Any] | None = None
) -> None:
    """Show many sagas of a log, one a line; `more` are further fields of the JSON."""
    if desk.terminal.as_json:
        from sledsaga.web.rows import row_to_json

        desk.terminal.json({"v": 1, "sagas": [row_to_json(row) for row in rows], **(more or {})})
        return
    short, now = short_ids(store, [row.id for row in rows]), time.time()
    made = Table(("ID", "STATE", "OPERATION", "KEY", "UPDATED"))
    for row in rows:
        state = labelled(STATES[row.state], row.state)
        operation = f"{row.operation} v{row.version}"
        made.add_row(short[row.id], state, operation, clean(row.key or "-"), moment(row.updated_at, now))
    desk.terminal.show(made)
