"""`serve`: an executor for good, in the foreground.

It takes over all that is unfinished, answers on the socket, and drains at the first signal: nothing new is
taken, what runs is let finish, the rest is handed back. A second signal ends what runs at once.
"""

from __future__ import annotations

import os
import socket
import threading
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
    stop = threading.Event()
    with driving.heard(lambda _number, _frame: stop.set()), driving.own_engine(desk) as engine:
        found = engine.recover()
        notify(f"READY=1\nSTATUS=driving {found.claimed} sagas")
        _announce(desk, engine, found.claimed)
        for saga, why in found.unreadable:
            desk.terminal.say(f"sledsaga: saga {saga} is left alone: {why}")
        while not stop.wait(LOOK_S):
            if engine.failure is not None:
                raise engine.failure
        notify("STOPPING=1")
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
