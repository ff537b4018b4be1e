"""A real engine behind a real socket, with operations that wait, get stuck, or just run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from sledsaga.core.define import (
    ONCE,
    Absent,
    Operation,
    exclusive,
    no_undo,
    operation,
    step,
    value,
)
from sledsaga.core.model import Model
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.engine import Engine
from sledsaga.store.memory import MemoryStore
from sledsaga.web.client import Client
from sledsaga.web.serve import Server

WAIT_S = 20.0
CHAIN = 200


class Greeting(Model):
    name: str = "world"


def greeting(params: Greeting) -> str:
    return f"hello {params.name}"


def said(greeting: str | int) -> str:
    return f"{greeting}!"


def not_said() -> Absent:
    return Absent()


def failing() -> None:
    msg = "the tap is closed"
    raise ValueError(msg)


def undo_failing() -> None:
    msg = "the tap is stuck"
    raise ValueError(msg)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Open this to let the step of a gated saga end."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def operations(gate: threading.Event) -> tuple[Operation, ...]:
    """Operations: `greet` and `chain` run, `gated` waits for the gate, `fragile` gets stuck unwinding."""

    def passed() -> bool:
        return gate.wait(WAIT_S)

    nothing = no_undo("it leaves nothing")
    greet = [step(greeting, undo=nothing), step(said, undo=nothing, probe=not_said)]
    fragile = [step(failing, undo=undo_failing, undo_retry=ONCE)]
    chain = [step(said, name=f"said{n}", undo=nothing, inputs={"greeting": value(n)}) for n in range(CHAIN)]
    chain = [replace(one, after=(f"said{n - 1}",) if n else ()) for n, one in enumerate(chain)]
    return (
        operation("chain", version=1, params=Greeting, steps=chain),
        operation("greet", version=1, params=Greeting, steps=greet, summary="Says hello."),
        operation(
            "gated",
            version=1,
            params=Greeting,
            steps=[step(passed, undo=nothing)],
            locks=[exclusive("pool:tank")],
        ),
        operation("fragile", version=1, params=Greeting, steps=fragile),
    )


@pytest.fixture
def engine(operations: tuple[Operation, ...], gate: threading.Event) -> Iterator[Engine]:
    """Run an engine over a log in memory."""
    engine = Engine(MemoryStore(), Catalog(operations))
    yield engine
    gate.set()
    engine.close(now=True)


@pytest.fixture
def server(engine: Engine, tmp_path: Path) -> Iterator[Server]:
    """Let the engine answer on a socket."""
    with Server(engine, tmp_path / "x.sock") as server:
        yield server


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """Speak HTTP as any other program would."""
    transport = httpx.HTTPTransport(uds=str(server.path))
    with httpx.Client(transport=transport, base_url="http://test", timeout=WAIT_S) as client:
        yield client


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """Use our own client."""
    with Client(server.path) as client:
        yield client
