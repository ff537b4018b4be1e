"""Restate: a saga is a handler of durable runs that do nothing, called through the server's HTTP ingress.

One server with its default settings (group commit, fsync on), one endpoint process over HTTP/2, and so many
client threads. All ports are free ones of this machine.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import restate
from loops import in_threads, parse

ASKED = parse()
FOLDER = Path(ASKED.folder)
START_S = 30.0
SAGA = restate.Service("Saga")
CLIENT = threading.local()


def nothing(number: int) -> int:
    """Do nothing."""
    return number


@SAGA.handler()
async def chain(ctx: restate.Context, steps: int) -> int:
    """Run the steps, one after the other."""
    for number in range(steps):
        await ctx.run_typed("s", nothing, number=number)
    return steps


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def running(ingress: int, admin: int, node: int, endpoint: int) -> Iterator[None]:
    """Run a server and an endpoint that it knows, until both are ended."""
    settings = {
        "DO_NOT_TRACK": "1",
        "RESTATE_LOG_FILTER": "error",
        "RESTATE_BIND_IP": "127.0.0.1",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
    }
    server = [os.environ["RESTATE_SERVER"], "--base-dir", str(FOLDER / "data"), "--node-name", "n1"]
    serve = [sys.executable, __file__, "--serve", "--port", str(endpoint), *sys.argv[1:]]
    with (FOLDER / "peer.log").open("ab") as log:
        started = [
            subprocess.Popen(argv, env=os.environ | settings, stdout=log, stderr=log)  # noqa: S603 - a program of ours
            for argv in ([*server, "--listen-mode", "tcp"], serve)
        ]
        try:
            until(lambda: ask("GET", admin, "/health") == http.client.OK)
            where = {"uri": f"http://127.0.0.1:{endpoint}", "force": True}
            until(lambda: ask("POST", admin, "/deployments", where) < http.client.MULTIPLE_CHOICES)
            until(lambda: ask("GET", ingress, "/restate/health") == http.client.OK)
            yield
        finally:
            for one in started:
                one.kill()
                one.wait()


def ask(method: str, port: int, path: str, body: object = None) -> int:
    """Return the status of one request, or 599 when nobody answers."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"content-type": "application/json"})
            return connection.getresponse().status
        except OSError:
            return 599


def until(holds: object) -> None:
    """Ask until it holds."""
    deadline = time.monotonic() + START_S
    while not holds():  # type: ignore[operator]  # a function
        if time.monotonic() > deadline:
            last = (FOLDER / "peer.log").read_text(errors="replace").strip().splitlines() or ["silence"]
            raise SystemExit(f"restate-server did not come up: {last[-1][:160]}")
        time.sleep(0.1)


def call(port: int) -> None:
    """Run one saga to its end, by this thread's connection."""
    if not hasattr(CLIENT, "connection"):
        CLIENT.connection = http.client.HTTPConnection("127.0.0.1", port)
        CLIENT.connection.connect()
        CLIENT.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    CLIENT.connection.request("POST", "/Saga/chain", str(ASKED.steps), {"content-type": "application/json"})
    answer = CLIENT.connection.getresponse()
    body = answer.read()
    if answer.status != http.client.OK:
        raise ConnectionError(body)


def serve() -> None:
    """Be the endpoint."""
    import hypercorn.asyncio
    import hypercorn.config

    config = hypercorn.config.Config()
    config.bind = [f"127.0.0.1:{ASKED.port}"]
    config.h2_max_concurrent_streams = config.keep_alive_max_requests = 2**31 - 1
    asyncio.run(hypercorn.asyncio.serve(restate.app([SAGA]), config))


def main() -> None:
    """Run all sagas."""
    ports = free_ports(4)
    with running(*ports):
        in_threads(lambda: call(ports[0]), 20, 4)
        times = in_threads(lambda: call(ports[0]), ASKED.sagas, ASKED.at_once)
    times.report(ASKED.steps)


if ASKED.serve:
    serve()
else:
    main()
