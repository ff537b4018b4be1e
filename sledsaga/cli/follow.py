"""Watch one saga until it rests, by reading the log: the same whoever drives it, and if nobody does.

Rules
- The log is looked at when something is known to have happened, or a few times a second; a large saga is
  folded less often, so that watching it costs a fraction of running it.
- A picture is drawn on stderr: a live tree on a terminal, one line for each change elsewhere, or nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from sledsaga.cli.codes import MOVING
from sledsaga.cli.draw import change_line, tree
from sledsaga.cli.terminal import Terminal
from sledsaga.cli.words import SHORT_ID, shorten
from sledsaga.errors import WaitTimedOut

if TYPE_CHECKING:
    from sledsaga.core.dag import Dag
    from sledsaga.core.view import SagaView
    from sledsaga.store.store import LockRow, Store

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
    """Shows nothing; what is said to the person is said all the same."""

    def __init__(self, terminal: Terminal) -> None:
        """Take where to speak."""
        self._terminal = terminal

    def show(self, view: SagaView, events: list[dict[str, Any]]) -> None:
        """Show nothing."""

    def tick(self) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Write a line: who waits without a picture must learn what holds the saga up."""
        self._terminal.say(text)


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
        yield Silent(terminal)
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
    until_held_up: bool = False,
) -> SagaView:
    """Show a saga until it rests (or `is_over` says so), and return it; only what came after event `after`.

    `until_held_up` ends also when it waits for one that rests. Raises WaitTimedOut, NotFound.
    """
    over = is_over or at_rest
    seen, looked, cost_s = after, False, 0.0
    dag = store.plan(saga).dag
    queue = _Queue(store, saga, picture)
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
        if row.state == "waiting" and queue.is_held_up(began) and until_held_up:
            return view
        pulse.wait(saga, row.state, max(LOOK_S, SHARE * cost_s))


class _Queue:
    """Looks now and then at what a waiting saga waits for, and says it once."""

    def __init__(self, store: Store, saga: str, picture: Picture) -> None:
        self._store, self._saga, self._picture = store, saga, picture
        self._next = time.monotonic() + PATIENCE_S
        self._is_told = False

    def is_held_up(self, now: float) -> bool:
        """Say whether it is known to wait for one that rests; `now` is on the clock of `time.monotonic`."""
        if now < self._next:
            return False
        self._next = now + PATIENCE_S
        if not self._is_told:
            self._is_told = True
            self._picture.say(waits_for(self._store, self._saga))
        return is_held_up(self._store, self._saga)


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
    short = saga[:SHORT_ID]
    wanted = {row.resource for row in store.locks(saga) if not row.held}
    holders = [row for row in store.locks() if row.resource in wanted and row.held]
    if not holders:
        return f"sledsaga: saga {short} waits for its turn"
    first = min(holders, key=lambda row: store.row(row.saga).state in MOVING)
    state = store.row(first.saga).state
    way_on = (
        "if nobody drives that one: `sledsaga recover`"
        if state in MOVING
        else f"`sledsaga show {first.saga}` says what it needs"
    )
    return f"sledsaga: saga {short} waits for {first.resource}, held by one that is {state}; {way_on}"


def is_held_up(store: Store, saga: str) -> bool:
    """Say whether a saga waits for a resource of one that rests, or of one that is held up itself."""
    rows = store.locks()
    resting = {row.saga for row in rows if row.held and store.row(row.saga).state not in MOVING}
    stopped = set(resting)
    while more := _behind(rows, stopped) - stopped:
        stopped |= more
    return saga in stopped - resting


def _behind(rows: Iterable[LockRow], stopped: set[str]) -> set[str]:
    """Return who waits for a resource that one of these has, or is to have before."""
    behind: set[str] = set()
    ahead: dict[str, list[LockRow]] = {}
    for row in rows:
        before = ahead.setdefault(row.resource, [])
        if not row.held and any(one.saga in stopped for one in before if "exclusive" in (one.mode, row.mode)):
            behind.add(row.saga)
        before.append(row)
    return behind


def deadline_of(timeout_s: float | None) -> float | None:
    """Return the moment, on the clock of `time.monotonic`, at which a time from now is over."""
    return None if timeout_s is None else time.monotonic() + timeout_s
