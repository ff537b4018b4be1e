"""Verbs that only look: list, show, events, watch, locks. They read the log, whoever drives it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from sledsaga.cli.codes import MOVING, STATES
from sledsaga.cli.complete import complete_operation, complete_saga
from sledsaga.cli.desk import Desk, verb
from sledsaga.cli.draw import event_line
from sledsaga.cli.follow import Picture, Pulse, at_rest, deadline_of, follow, picture
from sledsaga.cli.root import root
from sledsaga.cli.show import short_ids, show_rows, show_saga
from sledsaga.cli.tables import Table, labelled
from sledsaga.cli.words import STATES as LOOKS
from sledsaga.cli.words import clean, moment, one_line

if TYPE_CHECKING:
    from sledsaga.core.view import SagaView
    from sledsaga.store.store import Filter, SagaRow, Store

PAGE: Final = 500


@contextmanager
def reading(desk: Desk) -> Iterator[Store]:
    """Open the log for reading."""
    store = desk.reader()
    try:
        yield store
    finally:
        store.close()


def resolve(store: Store, text: str) -> str:
    """Return the one id that begins so; raises NotFound, Conflict."""
    from sledsaga.engine.read import resolve

    return resolve(store, text)


@verb(root, "list", only_reads=True)
@click.option("--state", "states", multiple=True, type=click.Choice(list(STATES)), help="Only in this state.")
@click.option(
    "--operation", shell_complete=complete_operation, metavar="NAME", help="Only of this operation."
)
@click.option("--key", metavar="TEXT", help="Only the one of this key.")
@click.option("--resource", metavar="KIND:NAME", help="Only those that hold or want this resource.")
@click.option("--unfinished", is_flag=True, help="Only those that are not at rest for good.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
def list_sagas(
    desk: Desk,
    *,
    states: tuple[str, ...],
    operation: str | None,
    key: str | None,
    resource: str | None,
    unfinished: bool,
    limit: int,
) -> None:
    r"""List sagas, newest first.

    \b
        sledsaga list --state stuck
        sledsaga list --unfinished --json

    Writes nothing.
    """
    from sledsaga import wiring
    from sledsaga.store.store import Filter

    only = Filter(
        frozenset(states) or None,  # type: ignore[arg-type] # click has checked the words
        operation=operation,
        key=key,
        resource=resource,
        unfinished=unfinished,
    )
    with reading(desk) as store:
        rows, token = _rows(store, only, limit)
        if rows or desk.terminal.as_json:
            show_rows(desk, store, rows)
    if not rows and not desk.terminal.as_json:
        none = "no sagas here" if only == Filter() else "no such sagas here"
        desk.terminal.say(f"sledsaga: {none}; the log is {one_line(desk.settings.db.value)}")
    if any(row.state in MOVING for row in rows) and wiring.holder(desk.settings) is None:
        desk.terminal.say("sledsaga: nobody drives what is unfinished; `sledsaga recover` does")
    if token:
        desk.terminal.say(f"sledsaga: there are more than {limit}; give a higher --limit")


def _rows(store: Store, only: Filter, limit: int) -> tuple[list[SagaRow], str | None]:
    rows: list[SagaRow] = []
    token: str | None = None
    while len(rows) < limit:
        page = store.list(only, limit=min(PAGE, limit - len(rows)), token=token)
        rows += page.rows
        token = page.next_token
        if token is None:
            break
    return rows, token


@verb(root, "show", only_reads=True)
@click.argument("saga", shell_complete=complete_saga)
def show(desk: Desk, *, saga: str) -> None:
    r"""Show how SAGA stands: its steps, what needs you, and what you may do.

    \b
        sledsaga show 0198c2f7-3a5
        sledsaga show 0198c2f7-3a5 --json | jq .state

    Writes nothing.
    """
    from sledsaga.engine.read import read_view

    with reading(desk) as store:
        view = read_view(store, resolve(store, saga))
    show_saga(desk, view, full=True)


@verb(root, "events", only_reads=True)
@click.argument("saga", shell_complete=complete_saga)
@click.option(
    "--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only those after this one."
)
@click.option(
    "--follow", "-F", "follows", is_flag=True, help="Go on with those to come, until the saga ended."
)
def events(desk: Desk, *, saga: str, after: int, follows: bool) -> None:
    r"""Print what happened to SAGA, one event a line; with --json one object a line.

    \b
        sledsaga events 0198c2f7-3a5 --follow
        sledsaga events 0198c2f7-3a5 --json | jq -r .type

    Writes nothing.
    """
    from sledsaga.core.view import ENDED, event_to_json

    with reading(desk) as store:
        saga = resolve(store, saga)
        dag = store.plan(saga).dag
        printed = after

        def show_new(until: int | None = None) -> None:
            nonlocal printed
            limit = None if until is None else max(0, until - printed)
            for recorded in store.events(saga, after=printed, limit=limit):
                _print_event(desk, event_to_json(recorded, dag))
                printed = recorded.seq

        show_new()
        if follows:
            follow(store, saga, _Each(desk, show_new), Pulse(), is_over=lambda view: view.state in ENDED)


class _Each:
    """A picture that is nothing but the events."""

    def __init__(self, desk: Desk, show_new: Callable[[int], None]) -> None:
        self._desk = desk
        self._show_new = show_new

    def show(self, view: SagaView, events: list[dict[str, Any]]) -> None:  # noqa: ARG002 - as every picture
        self._show_new(view.seq)

    def tick(self) -> None:
        """Nothing has happened; see whether somebody still reads."""
        self._desk.terminal.check_reader()

    def say(self, text: str) -> None:
        """Say nothing amid the events."""


def _print_event(desk: Desk, event: dict[str, Any]) -> None:
    if desk.terminal.as_json:
        desk.terminal.json_line(event)
    else:
        desk.terminal.write_line(event_line(event))


@verb(root, "watch")
@click.argument("saga", shell_complete=complete_saga)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait no longer than this.",
)
def watch(desk: Desk, *, saga: str, timeout_s: float | None) -> None:
    r"""Watch SAGA until it rests; with --json one picture a line, whenever it changes.

    \b
        sledsaga watch 0198c2f7-3a5 --timeout 600

    Writes nothing. Ends with the code of the saga's state: 0 succeeded, 6 undone, 7 stuck, 8 time over.
    """
    with reading(desk) as store:
        saga = resolve(store, saga)
        _say_if_idle(desk, store, saga)
        with picture(desk.terminal) as drawn:
            shown: Picture = _Stream(desk) if desk.terminal.as_json else drawn
            view = follow(store, saga, shown, Pulse(deadline=deadline_of(timeout_s)))
    if not desk.terminal.as_json:
        show_saga(desk, view)
    raise SystemExit(STATES[view.state])


class _Stream:
    """Each picture as a line of JSON."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def show(self, view: SagaView, events: list[dict[str, Any]]) -> None:  # noqa: ARG002 - as every picture
        self._desk.terminal.json_line(view.to_json())

    def tick(self) -> None:
        """Nothing has happened; see whether somebody still reads."""
        self._desk.terminal.check_reader()

    def say(self, text: str) -> None:
        """Say nothing amid the lines."""


def _say_if_idle(desk: Desk, store: Store, saga: str) -> None:
    from sledsaga import wiring
    from sledsaga.engine.read import read_view

    if wiring.holder(desk.settings) is None and not at_rest(read_view(store, saga)):
        desk.terminal.say("sledsaga: nobody drives it now; `sledsaga recover` does")


@verb(root, "locks", only_reads=True)
@click.argument("saga", required=False, shell_complete=complete_saga)
def locks(desk: Desk, *, saga: str | None) -> None:
    r"""List who holds a resource and who waits for it, holders first; of SAGA alone if one is named.

    \b
        sledsaga locks
        sledsaga locks --json | jq '.locks[] | select(.held | not)'

    Writes nothing. A saga keeps its resources until it rests for good, also through a crash.
    """
    from sledsaga.web.rows import lock_to_json

    with reading(desk) as store:
        rows = store.locks(None if saga is None else resolve(store, saga))
        short = short_ids(store, [row.saga for row in rows])
        states = {row.saga: store.row(row.saga).state for row in rows}
    if desk.terminal.as_json:
        desk.terminal.json({"v": 1, "locks": [lock_to_json(row) for row in rows]})
        return
    if not rows:
        desk.terminal.say("sledsaga: no resource is held")
        return
    made, now = Table(("RESOURCE", "MODE", "SAGA", "STATE", "", "SINCE")), time.time()
    for row in rows:
        state = labelled(LOOKS[states[row.saga]], states[row.saga])
        made.add_row(
            clean(row.resource),
            row.mode,
            short[row.saga],
            state,
            "holds" if row.held else "waits",
            moment(row.since, now),
        )
    desk.terminal.show(made)
