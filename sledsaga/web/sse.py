"""Server-sent events as text, both ways: what the executor writes, the client reads.

Rules
- Each record of the log is one message: `id` is its sequence number, `data` the same JSON as in a page.
- The last message is named `end` and says why: `at-rest`, or `draining` (then ask again, elsewhere or later).
- A comment line now and then shows both ends that the other is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

MEDIA_TYPE = "text/event-stream"
STILL_HERE = b": still here\n\n"


class Message(NamedTuple):
    """One message of a stream: its name (`message` unless told), its id (None: none), its data."""

    event: str
    id: int | None
    data: str


def encode(body: dict[str, Any], *, seq: int | None = None, event: str | None = None) -> bytes:
    """Return one message as bytes; JSON has no raw line break, so one `data` line is enough."""
    head = f"event: {event}\n" if event else ""
    head += f"id: {seq}\n" if seq is not None else ""
    return f"{head}data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def decode(lines: Iterable[str]) -> Iterator[Message]:
    """Yield the messages of a stream of lines; comments and what is cut off are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, text = line.partition(":")
            fields[name] = text.removeprefix(" ")
        elif "data" in fields:
            yield Message(fields.get("event", "message"), _number(fields.get("id")), fields["data"])
            fields = {}
        else:
            fields = {}


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
