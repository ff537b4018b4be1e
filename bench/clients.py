"""Submissions from 8 processes through the executor's socket, beside 8 threads in the executor's process.

The executor drives what it is given (sagas of one step) in both. A rate is of all submissions, from the
first request to the last answer; each answer means that the saga is on the disk.
"""

from __future__ import annotations

import sys
import time
from typing import Final

from bench.cases import Case, Row, Side, at_least
from bench.child import Place
from bench.drive import engine_on, in_threads
from bench.operations import catalog
from bench.together import begin_together, run_together
from sledsaga.web.client import Client
from sledsaga.web.serve import Server


def by_socket(place: Place) -> dict[str, float]:
    """Let 8 processes submit to an executor of this process."""
    path = place.own / "log.db.sock"
    client = ("bench.clients", str(path), str(place.sizes.submits))
    with engine_on(place.own / "log.db", catalog()) as engine, Server(engine, path):
        seconds = run_together([client] * place.sizes.clients)
    return {"submits/s": place.sizes.clients * place.sizes.submits / seconds}


def in_process(place: Place) -> dict[str, float]:
    """Let 8 threads submit to an executor of their own process."""
    with engine_on(place.own / "log.db", catalog()) as engine:

        def submit() -> None:
            for _ in range(place.sizes.submits):
                engine.submit("one")

        began = time.perf_counter()
        in_threads(submit, place.sizes.clients)
        seconds = time.perf_counter() - began
    return {"submits/s": place.sizes.clients * place.sizes.submits / seconds}


def main() -> None:
    """Be one client: submit so many."""
    path, submits = sys.argv[1], int(sys.argv[2])
    with Client(path) as client:
        client.operations()  # all is loaded on both sides
        begin_together(lambda: [client.submit("one") for _ in range(submits)])


CASES: Final = (
    Case(
        "clients",
        (Side("socket", "bench.clients:by_socket"), Side("threads", "bench.clients:in_process")),
        (
            Row(
                "submit from 8 processes by socket; 8 threads",
                "socket.submits/s",
                "threads.submits/s",
                at_least(0.3),
                "per s",
            ),
        ),
    ),
)


if __name__ == "__main__":
    main()
