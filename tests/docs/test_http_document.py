"""Every exchange in docs/http.md is sent to a real executor, and its answer compared with what is shown."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from sledsaga.engine.catalog import Catalog
from sledsaga.engine.engine import Engine
from sledsaga.store.memory import MemoryStore
from sledsaga.web.serve import Server

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"^```http\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
ANY = "…"


class Message(NamedTuple):
    """A request or an answer: its first line, its headers, its body."""

    first: str
    headers: dict[str, str]
    body: str


def message(text: str) -> Message:
    """Read one block."""
    head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    return Message(first, dict(line.split(": ", 1) for line in lines), body.strip())


def exchanges() -> Iterator[tuple[Message, Message]]:
    """Yield each request of the document with the answer that is shown below it."""
    found = [
        message(block) for block in BLOCK.findall((ROOT / "docs" / "http.md").read_text(encoding="utf-8"))
    ]
    assert len(found) % 2 == 0
    yield from zip(found[::2], found[1::2], strict=True)


def agrees(shown: Any, came: Any) -> bool:
    """Say whether an answer has all that is shown of it; an ellipsis stands for anything."""
    if shown == ANY:
        return True
    if isinstance(shown, dict):
        return isinstance(came, dict) and all(
            name in came and agrees(shown[name], came[name]) for name in shown
        )
    if isinstance(shown, list):
        if shown[-1:] == [ANY]:
            came, shown = came[: len(shown) - 1], shown[:-1]
        return len(shown) == len(came) and all(map(agrees, shown, came))
    return bool(shown == came)


def hello() -> Catalog:
    """Load the operation of the first example."""
    spec = importlib.util.spec_from_file_location("hello_example", ROOT / "examples" / "01_hello.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Catalog([module.HELLO])


def test_every_exchange_is_as_it_is_shown(tmp_path: Path) -> None:
    """The answers in docs/http.md are what a client gets."""
    path = tmp_path / "log.db.sock"
    with Engine(MemoryStore(), hello()) as engine, Server(engine, path):
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, base_url="http://sledsaga", timeout=30) as http:
            for asked, shown in exchanges():
                method, _, place = asked.first.partition(" ")
                answer = http.request(method, place, headers=asked.headers, content=asked.body)
                assert f"{answer.status_code}" == shown.first, asked
                assert agrees(json.loads(shown.body), answer.json()), (asked, answer.text)
                assert agrees(shown.headers, {name: answer.headers.get(name) for name in shown.headers}), (
                    asked
                )
