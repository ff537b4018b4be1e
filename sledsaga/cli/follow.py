"""Watch one saga until it rests, by reading the log: the same whoever drives it, and if nobody does.

Rules
- The log is looked at when something is known to have happened, or a few times a second; a large saga is
  folded less often, so that watching it costs a fraction of running it.
- A picture is drawn on stderr: a live tree on a terminal, one line for each change elsewhere, or nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from sledsaga.cli.codes import MOVING
from sledsaga.cli.draw import change_line, tree
from sledsaga.cli.terminal import Terminal
from sledsaga.cli.words import shorten
from sledsaga.errors import WaitTimedOut

if TYPE_CHECKING:
    from sledsaga.core.dag import Dag
    from sledsaga.core.view import SagaView
    from sledsaga.store.store import Store

LOOK_S: Final = 0.1
SHARE: Final = 4  # a look may cost a fifth of the time
PATIENCE_S: Final = 1.0
REST_OF_SCREEN: Final = 4
EVENTS_AT_ONCE: Final = 500


class Picture(Protocol):
    """What is shown of a saga while it moves."""

    def show(self, view: SagaView, events: list[dict[str, Any]]) -> None:
        """Show the saga as it stands, and what has happened since the last time."""
        ...

    def tick(self) -> None:
        """Let time pass in the picture; nothing has happened."""
        ...

    def say(self, text: str) -> None:
        """Say something beside the picture."""
        ...


class Silent:
    """Shows nothing."""

    def show(self, view: SagaView, events: list[dict[str, Any]]) -> None:
        """Show nothing."""

    def tick(self) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""


class Lines:
    """One line for each change, also when the watch begins anew."""

    def __init__(self, terminal: Terminal) -> None:
        """Take where to write."""
        self._terminal = terminal
        self._seen = 0

    def show(self, view: SagaView, events: list[dict[str, Any]]) -> None:
        """Write a line for each event."""
        short = shorten([view.id])[view.id]
        for event in events:
            if event["seq"] > self._seen:
                self._terminal.say(change_line(event, short))
        self._seen = view.seq

    def tick(self) -> None:
        """Write nothing."""

    def say(self, text: str) -> None:
        """Write a line."""
        self._terminal.say(text)


class Tree:
    """A tree that moves, as high as the terminal; gone when the saga rests."""

    def __init__(self, live: Any, terminal: Terminal) -> None:  # noqa: ANN401 - rich's live region
        """Take rich's live region."""
        self._live = live
        self._terminal = terminal
        self._view: SagaView | None = None

    def show(self, view: SagaView, events: list[dict[str, Any]]) -> None:  # noqa: ARG002 - a tree is a whole
        """Draw the tree anew."""
        self._view = view
        self.tick()

    def tick(self) -> None:
        """Draw the tree with the time that it is now."""
        if self._view is not None:
            most = max(1, self._terminal.err.size.height - REST_OF_SCREEN)
            short = shorten([self._view.id])[self._view.id]
            self._live.update(tree(self._view, short, time.time(), most=most), refresh=True)

    def say(self, text: str) -> None:
        """Write a line above the tree."""
        self._live.console.print(text)


@contextmanager
def picture(terminal: Terminal, *, quiet: bool = False) -> Iterator[Picture]:
    """Give the picture that fits where stderr goes."""
    if quiet or terminal.as_json:
        yield Silent()
    elif terminal.is_live:
        from rich.live import Live

        with Live(console=terminal.err, auto_refresh=False, transient=True) as live:
            yield Tree(live, terminal)
    else:
        yield Lines(terminal)


class Pulse:
    """When to look again: at a nudge, or after a while; and what may end the watch.

    `check` is called before each look and raises when nobody can go on.
    """

    def __init__(self, *, deadline: float | None = None, check: Callable[[], None] | None = None) -> None:
        """Take when the time is over, on the clock of `time.monotonic`, or None for never."""
        self._deadline = deadline
        self._check = check
        self._nudged = threading.Event()

    def nudge(self) -> None:
        """Say that something has happened; from any thread."""
        self._nudged.set()

    def wait(self, saga: str, state: str, wait_s: float) -> None:
        """Wait for a nudge or for this time. Raises WaitTimedOut, and what `check` raises."""
        if self._check is not None:
            self._check()
        left = wait_s if self._deadline is None else min(wait_s, self._deadline - time.monotonic())
        if left <= 0:
            raise WaitTimedOut(f"the time to wait is over; saga {saga} is still {state}")
        self._nudged.wait(left)
        self._nudged.clear()


def follow(
    store: Store,
    saga: str,
    picture: Picture,
    pulse: Pulse,
    *,
    after: int = 0,
    is_over: Callable[[SagaView], bool] | None = None,
) -> SagaView:
    """Show a saga until it rests (or `is_over` says so), and return it; only what came after event `after`.

    Raises WaitTimedOut, NotFound.
    """
    over = is_over or at_rest
    seen, looked, cost_s, told = after, False, 0.0, False
    dag = store.plan(saga).dag
    started = time.monotonic()
    while True:
        began = time.monotonic()
        row = store.row(saga)
        if row.seq > seen or not looked:
            looked = True
            view, events = _look(store, saga, dag, seen)
            picture.show(view, events)
            seen = view.seq
            if over(view):
                return view
            cost_s = time.monotonic() - began
        else:
            picture.tick()
        if not told and row.state == "waiting" and began - started > PATIENCE_S:
            told = True
            picture.say(waits_for(store, saga))
        pulse.wait(saga, row.state, max(LOOK_S, SHARE * cost_s))


def at_rest(view: SagaView) -> bool:
    """Say whether nothing runs, and nothing will before a person or an executor does something."""
    from sledsaga.web.rows import is_at_rest

    return is_at_rest(view)


def _look(store: Store, saga: str, dag: Dag, seen: int) -> tuple[SagaView, list[dict[str, Any]]]:
    from sledsaga.core.view import event_to_json
    from sledsaga.engine.read import read_view

    view = read_view(store, saga)
    events = store.events(saga, after=seen, limit=view.seq - seen)
    return view, [event_to_json(recorded, dag) for recorded in events]


def waits_for(store: Store, saga: str) -> str:
    """Say what a saga waits for, in words: a resource and who has it, or somebody to drive it."""
    wanted = {row.resource for row in store.locks(saga) if not row.held}
    holders = [row for row in store.locks() if row.resource in wanted and row.held]
    if not holders:
        return "it waits for its turn"
    first = holders[0]
    state = store.row(first.saga).state
    way_on = (
        "if nobody drives that one: `sledsaga recover`"
        if state in MOVING
        else "`sledsaga show` says what it needs"
    )
    return f"it waits for {first.resource}, which saga {first.saga} holds ({state}); {way_on}"


def deadline_of(timeout_s: float | None) -> float | None:
    """Return the moment, on the clock of `time.monotonic`, at which a time from now is over."""
    return None if timeout_s is None else time.monotonic() + timeout_s
