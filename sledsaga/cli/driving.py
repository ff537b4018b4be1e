"""One executor, many clients: whoever changes a saga goes through the executor that runs, or becomes it.

Rules
- The lock beside the log says who drives. A process that drives answers on the socket for all others.
- An executor that has the lock but does not answer yet is given a few seconds.
- When the executor that drives a saga goes away, whoever waits for the saga takes over.
- An interrupt lets what runs finish and hands the rest back; a second one ends it at once.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sledsaga.cli.desk import Desk
from sledsaga.cli.draw import change_line
from sledsaga.cli.follow import Pulse, deadline_of, follow, picture
from sledsaga.cli.words import SHORT_ID
from sledsaga.errors import ExecutorBusy, LogUnavailable, Stopping, WaitTimedOut

if TYPE_CHECKING:
    from sledsaga.core.events import Recorded
    from sledsaga.core.view import SagaView
    from sledsaga.engine.engine import Engine
    from sledsaga.store.store import SagaRow, Store
    from sledsaga.web.client import Client
    from sledsaga.web.serve import Server

ANSWER_S: Final = 10.0
PAUSE_S: Final = 0.05


class Executor(NamedTuple):
    """Who drives: an engine of our own, or (`engine` None) the client of another process's."""

    engine: Engine | None
    client: Client | None

    @property
    def verbs(self) -> Any:  # noqa: ANN401 - both have the same verbs
        """The one of both that is there; they have the same verbs."""
        return self.engine or self.client


@contextmanager
def executor(desk: Desk, *, drive: bool = True) -> Iterator[Executor]:
    """Give the executor of the log: the one that runs, else an engine of our own, on its socket.

    With `drive=False` an engine of our own only records. Raises LogUnavailable when an executor runs that
    does not answer.
    """
    deadline = time.monotonic() + ANSWER_S
    while True:
        client = connect(desk)
        if client is not None:
            with client:
                yield Executor(None, client)
            return
        with ExitStack() as stack:
            try:
                engine = stack.enter_context(own_engine(desk, drive=drive))
            except ExecutorBusy as error:
                if time.monotonic() > deadline:
                    raise LogUnavailable(f"{error}; it takes nothing new and does not end") from error
                time.sleep(PAUSE_S)
                continue
            yield Executor(engine, None)
            return


def connect(desk: Desk) -> Client | None:
    """Return a client of the executor that runs, answers and takes new work, or None.

    Raises PermissionError when it is another user's.
    """
    from sledsaga import wiring

    found = wiring.holder(desk.settings)
    if found is None or found.socket is None:
        return None
    from sledsaga.web.client import Client

    try:
        client = Client(found.socket, by=whoami())
    except LogUnavailable as error:
        if isinstance(error.__cause__, PermissionError):
            raise PermissionError(
                f"{found.socket}: the executor is another user's; ask as that user"
            ) from error
        return None
    if _is_draining(client):
        client.close()
        return None
    return client


def _is_draining(client: Client) -> bool:
    try:
        return any(check["name"] == "not-draining" and not check["ok"] for check in client.ready()["checks"])
    except LogUnavailable:
        return True


@contextmanager
def own_engine(desk: Desk, *, drive: bool = True) -> Iterator[Engine]:
    """Become the executor; whoever drives answers on the socket. An interrupt is graceful, a second is not.

    Who only records (`drive=False`) has the lock for so short a time that others rather wait for it.
    """
    from sledsaga import wiring
    from sledsaga.web.serve import Server

    path = wiring.log_path(desk.settings)
    with ExitStack() as stack:
        engine = stack.enter_context(wiring.open_engine(desk.settings, drive=drive))
        server = Server(engine, wiring.socket_path(path)) if drive and path is not None else None
        if server is not None:
            stack.enter_context(server)
        try:
            yield engine
        except KeyboardInterrupt:
            hand_back(desk, engine, server)
            raise
        hand_back(desk, engine, server)


def hand_back(desk: Desk, engine: Engine, server: Server | None) -> None:
    """Take nothing new and let what runs finish; a signal meanwhile ends it at once.

    Signals only set a flag here, so that nothing is left half closed.
    """
    hurry = threading.Event()
    with heard(lambda _number, _frame: hurry.set()):
        if server is not None:
            server.drain()
        if engine.drain(timeout_s=PAUSE_S):
            return
        desk.terminal.say("sledsaga: letting what runs finish; once more to end it at once")
        while not engine.drain(timeout_s=PAUSE_S):
            if hurry.is_set():
                engine.close(now=True)
                return


Handler = Callable[[int, FrameType | None], None]


@contextmanager
def heard(handler: Handler) -> Iterator[None]:
    """Give SIGTERM and SIGINT to a handler for as long as this lasts."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def see_through(
    desk: Desk,
    who: Executor,
    saga: str,
    *,
    timeout_s: float | None = None,
    quiet: bool = False,
    after: int = 0,
) -> SagaView:
    """Show a saga, from event `after` on, until it rests; take over when its executor goes away.

    Raises WaitTimedOut, LogUnavailable.
    """
    deadline = deadline_of(timeout_s)
    with picture(desk.terminal, quiet=quiet) as shown:

        def watch(who: Executor) -> SagaView:
            with _watching(desk, who, deadline) as (store, pulse):
                return follow(store, saga, shown, pulse, after=after)

        try:
            return watch(who)
        except Stopping:
            shown.say("the executor went away; this process takes over")
        while True:
            with executor(desk) as another:
                if another.engine is not None:
                    another.engine.recover()
                try:
                    return watch(another)
                except Stopping:
                    continue


@contextmanager
def _watching(desk: Desk, who: Executor, deadline: float | None) -> Iterator[tuple[Store, Pulse]]:
    """Give the log to read and the pulse to read it by."""
    if who.engine is not None:
        engine = who.engine
        pulse = Pulse(deadline=deadline, check=lambda: _check_own(engine))
        end = engine.subscribe(lambda _saga, _events: pulse.nudge())
        try:
            yield engine.store, pulse
        finally:
            end()
        return
    store = desk.reader()
    try:
        yield store, Pulse(deadline=deadline, check=_checker(desk))
    finally:
        store.close()


def _check_own(engine: Engine) -> None:
    if engine.failure is not None:
        raise engine.failure


def _checker(desk: Desk) -> Callable[[], None]:
    """Return what raises Stopping when nobody drives the log any more."""
    from sledsaga import wiring

    def check() -> None:
        if wiring.holder(desk.settings) is None:
            raise Stopping("the executor went away")

    return check


def whoami() -> str:
    """Return who asks, as the log shall name them."""
    from sledsaga.engine.engine import whoami

    return whoami()


class Rested(NamedTuple):
    """What became of the sagas that were unfinished."""

    rows: tuple[SagaRow, ...]
    parked: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]


def rest_all(desk: Desk, who: Executor, *, timeout_s: float | None) -> Rested:
    """Wait until all that is unfinished rests or waits for one that does; an engine of our own takes it over.

    Raises WaitTimedOut, and Stopping when the executor that runs goes away.
    """
    if who.engine is not None:
        return _drive_all(desk, who.engine, timeout_s)
    store = desk.reader()
    try:
        wanted = tuple(_unfinished(store))
        pulse = Pulse(deadline=deadline_of(timeout_s), check=_checker(desk))
        for saga in wanted:
            with picture(desk.terminal) as shown:
                follow(store, saga, shown, pulse, after=store.row(saga).seq, until_held_up=True)
        return Rested(tuple(map(store.row, wanted)), (), ())
    finally:
        store.close()


def _drive_all(desk: Desk, engine: Engine, timeout_s: float | None) -> Rested:
    wanted = tuple(_unfinished(engine.store))
    with _told(desk, engine):
        found = engine.recover()
        if not engine.idle(timeout_s):
            raise WaitTimedOut(
                "the time to wait is over; `sledsaga list --unfinished` shows what does not rest"
            )
    bad = {saga for saga, _ in found.unreadable}
    rows = tuple(engine.store.row(saga) for saga in wanted if saga not in bad)
    return Rested(rows, found.parked, found.unreadable)


def _unfinished(store: Store) -> Iterator[str]:
    after = ""
    while page := store.unfinished(after=after):
        yield from page
        after = page[-1]


@contextmanager
def _told(desk: Desk, engine: Engine) -> Iterator[None]:
    """Say each change of each saga while the engine drives them, a line each."""
    from sledsaga.core.view import event_to_json

    if desk.terminal.as_json:
        yield
        return

    changes: SimpleQueue[tuple[str, tuple[Recorded, ...]] | None] = SimpleQueue()

    def tell() -> None:
        for saga, events in iter(changes.get, None):
            dag = engine.store.plan(saga).dag
            for recorded in events:
                desk.terminal.say(change_line(event_to_json(recorded, dag), saga[:SHORT_ID]))

    teller = threading.Thread(
        target=tell, name="sledsaga-teller", daemon=True
    )  # the executor must not wait for us
    teller.start()
    end = engine.subscribe(lambda saga, events: changes.put((saga, events)))
    try:
        yield
    finally:
        end()
        changes.put(None)
        teller.join()
