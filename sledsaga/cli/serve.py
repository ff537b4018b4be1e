"""`serve`: an executor for good, in the foreground.

It takes over all that is unfinished, answers on the socket, and drains at the first signal: nothing new is
taken, what runs is let finish, the rest is handed back. A second signal ends what runs at once.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

from sledsaga.cli import driving
from sledsaga.cli.desk import Desk, verb
from sledsaga.cli.root import root

if TYPE_CHECKING:
    from sledsaga.engine.engine import Engine

LOOK_S: Final = 1.0


@verb(root, "serve")
def serve(desk: Desk) -> None:
    r"""Drive the sagas of the log until a signal comes.

    \b
        sledsaga serve -v
        SLEDSAGA_LOG_FORMAT=json sledsaga serve --db /var/lib/sledsaga/log.db

    Goes on with what is unfinished and takes what others submit. SIGTERM or Ctrl-C drains it, a second one
    ends what runs at once; `sledsaga recover` or the next `serve` goes on. Tells systemd when asked to.
    """
    signals = Signals()
    with signals.heard(), driving.own_engine(desk) as engine:
        found = engine.recover()
        notify(f"READY=1\nSTATUS=driving {found.claimed} sagas")
        _announce(desk, engine, found.claimed)
        for saga, why in found.unreadable:
            desk.terminal.say(f"sledsaga: saga {saga} cannot be read and is left alone: {why}")
        while not signals.stop.wait(LOOK_S):
            if engine.failure is not None:
                raise engine.failure
        notify("STOPPING=1")
        driving.hand_back(desk, engine)
    desk.terminal.say("sledsaga: stopped; what is unfinished was handed back")


def _announce(desk: Desk, engine: Engine, claimed: int) -> None:
    """Say on stdout, once, that the executor is ready."""
    settings = desk.settings
    body = {
        "v": 1,
        "executor": engine.executor,
        "pid": os.getpid(),
        "db": settings.db.value,
        "claimed": claimed,
    }
    if desk.terminal.as_json:
        desk.terminal.json_line(body)
    else:
        desk.terminal.write_line(
            f"executor {engine.executor} drives {settings.db.value} on {settings.sled.value};"
            f" {claimed} sagas taken over"
        )


class Signals:
    """The first SIGTERM or SIGINT says stop; each further one interrupts what is done then."""

    def __init__(self) -> None:
        """Hear nothing yet."""
        self.stop = threading.Event()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear signals for as long as this lasts."""
        before = {number: signal.signal(number, self._heard) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        if self.stop.is_set():
            raise KeyboardInterrupt("it ended what ran at once; `sledsaga recover` goes on")
        self.stop.set()


def notify(text: str) -> None:
    """Tell the service manager, if it asked to be told (sd_notify); trouble with that is not ours."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as ear:
        try:
            ear.connect(target)
            ear.sendall(text.encode())
        except OSError:
            return
