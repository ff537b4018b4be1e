"""Requests of our own client, as they go over the socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from sledsaga.errors import NotFound, UsageError
from sledsaga.web.client import Client
from sledsaga.web.sockets import listen
from sledsaga.web.wire import Wire, encode

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.mark.parametrize("value", [b"a\nb", b"a\r\n b", b"a\x00b", b"\x7f"])
def test_a_header_is_one_line_of_text(value: bytes) -> None:
    """A value that could begin another header, or that no header may hold, is refused before it is sent."""
    with pytest.raises(UsageError, match="cannot be sent"):
        encode("GET", ("v1",), headers={"If-Match": value})


def test_text_that_is_none_is_refused() -> None:
    """Half a surrogate pair in a path or a query is a usage error."""
    for path, query in ((("v1", "\udc80"), ()), (("v1",), [("key", "\udc80")])):
        with pytest.raises(UsageError, match="not valid text"):
            encode("GET", path, query=query)


def test_a_request_is_what_http_says() -> None:
    """Names are escaped, and a body comes with its length."""
    query = [("key", "a b&c")]
    sent = encode("PUT", ("v1", "x/y?z ä"), query=query, headers={"If-Match": b"*"}, body=b"{}")
    assert sent.split(b"\r\n") == [
        b"PUT /v1/x%2Fy%3Fz%20%C3%A4?key=a+b%26c HTTP/1.1",
        b"Host: sledsaga",
        b"If-Match: *",
        b"Content-Type: application/json",
        b"Content-Length: 2",
        b"",
        b"{}",
    ]


@pytest.mark.parametrize("saga", ["a/b", "..", "a?b=c", "a#b", "ä b"])
def test_an_id_is_never_another_address(client: Client, saga: str) -> None:
    """Whatever stands in place of an id, it is a saga that is asked for, and there is none."""
    with pytest.raises(NotFound):
        client.view(saga)


def test_threads_have_connections_of_their_own(client: Client) -> None:
    """Several threads may ask at once, and each gets its own answers."""
    keys = [f"key {number}" for number in range(64)]
    with ThreadPoolExecutor(8) as beside:
        assert [view.key for view in beside.map(lambda key: client.submit("greet", key=key), keys)] == keys


@pytest.fixture
def hanging_up(tmp_path: Path) -> Iterator[tuple[Path, threading.Event]]:
    """Answer one request a connection, then hang up; the event is set when the first one is closed."""
    closed = threading.Event()

    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(65536).startswith(b"GET /v1 HTTP/1.1\r\n")
                connection.sendall(ANSWER)
            closed.set()

    path = tmp_path / "x.sock"
    with closing(listen(path)) as listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve, listener)
        yield path, closed
        served.result(20)


def test_a_connection_that_was_closed_is_made_anew(hanging_up: tuple[Path, threading.Event]) -> None:
    """Who is hung up on while nothing is asked does not notice."""
    path, closed = hanging_up
    wire = Wire(path, answer_s=20)
    for _ in range(2):
        with wire.asked("GET", ("v1",)) as answer:
            assert answer.read() == b"hi"
        assert closed.wait(20)
    wire.close()
