"""HTTP/1.1 over a local socket, for our own client: requests as bytes, and connections that are kept.

Rules
- A request is one write and has no header that the executor does not read. A client for everything costs
  four times as much processor time, which it takes from the executor on the same machine.
- What cannot stand in a header is refused before anything is sent; text in a path or query is escaped.
- A connection is used by one request at a time. One that lay idle may be closed by now: that is seen before
  it is used again.
- Whatever goes wrong on the way is one of TROUBLES.
"""

from __future__ import annotations

import re
import select
import socket
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from sledsaga.errors import UsageError

CONNECT_S: Final = 5.0
TROUBLES: Final = (OSError, HTTPException)
NOBODY: Final = (ConnectionRefusedError, FileNotFoundError)
"""What of it says that nobody is there to ask."""
CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

Query = Sequence[tuple[str, str]]


class Wire:
    """Connections to one socket. Safe to be used from several threads."""

    def __init__(self, path: Path, *, answer_s: float) -> None:
        """Connect; `answer_s` seconds of silence are an error. Raises OSError."""
        self._path = path
        self._answer_s = answer_s
        self._idle: deque[socket.socket] = deque()
        self._closed = False
        self._idle.append(self._connect())

    @contextmanager
    def asked(
        self,
        method: str,
        path: Sequence[str],
        *,
        query: Query = (),
        headers: Mapping[str, bytes] | None = None,
        body: bytes | None = None,
    ) -> Iterator[HTTPResponse]:
        """Send a request and give its answer, to be read as it comes. Raises UsageError, and TROUBLES."""
        request = encode(method, path, query=query, headers=headers, body=body)
        connection = self._lend()
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have said why before it hung up
                connection.sendall(request)
            with closing(HTTPResponse(connection, method=method)) as answer:
                answer.begin()
                yield answer
                is_whole = answer.isclosed() and not answer.will_close
        except BaseException:
            connection.close()
            raise
        self._take_back(connection, is_whole=is_whole)

    def close(self) -> None:
        """Let go of the connections; those in use go when they come back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _lend(self) -> socket.socket:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._connect()
            if not _has_news(connection):
                return connection
            connection.close()

    def _take_back(self, connection: socket.socket, *, is_whole: bool) -> None:
        if is_whole and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()

    def _connect(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(CONNECT_S)
            made.connect(str(self._path))
            made.settimeout(self._answer_s)
        except BaseException:
            made.close()
            raise
        return made


def encode(
    method: str,
    path: Sequence[str],
    *,
    query: Query = (),
    headers: Mapping[str, bytes] | None = None,
    body: bytes | None = None,
) -> bytes:
    """Return a request as bytes; raises UsageError for what HTTP cannot carry."""
    try:
        target = "/" + "/".join(quote(part, safe="") for part in path)
        target += f"?{urlencode(query)}" if query else ""
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object!r} cannot be sent: it is not valid text") from error
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: sledsaga"]
    for name, value in (headers or {}).items():
        if CONTROL.search(value):
            raise UsageError(
                f"{value.decode(errors='replace')!r} cannot be sent: a header is one line of text"
            )
        lines.append(b"%s: %s" % (name.encode(), value))
    if body is not None:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body or b""])


def _has_news(connection: socket.socket) -> bool:
    """Tell whether an idle connection can be read: then it was closed at the other end."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
