"""Events as rows and back: a type code, the step's index, and the other fields as a JSON list.

Rules
- `CODES` and the order of an event's fields are the whole format, and durable: codes may be added, never
  renamed; a changed event gets a new code. (Names in every row would be a tenth of the log.)
- A row that does not say exactly what its event needs is LogCorrupt, naming the saga and the place.
- JSON is compact; a number that is no number (NaN, infinity) is refused, for no other reader knows it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sledsaga.core import events as e
from sledsaga.core.events import CODES
from sledsaga.errors import LogCorrupt, UsageError

# What a field holds, wherever it stands. `object`: any JSON.
FIELDS: Final[dict[str, type | tuple[type, ...]]] = {
    "step": int,
    "attempt": int,
    "next_at": (int, float),
    "output": object,
    "outcome": str,
    **dict.fromkeys(("by", "reason", "why", "error", "executor"), str),
}
START: Final = ("attempt",)
"""What a start has beside its step, which is half of all events: no encoder is needed for it."""
OUTCOMES: Final = frozenset({"succeeded", "undone", "abandoned"})


class EventRow(NamedTuple):
    """An event's own columns; `data` None means that it has no field beside the step."""

    type: str
    step: int | None
    data: str | None


class _Shape(NamedTuple):
    code: str
    has_step: bool
    rest: tuple[str, ...]


def _shape(code: str, event: type[e.Event]) -> _Shape:
    names = tuple(event.__dataclass_fields__)
    assert "step" not in names[1:], "a step stands first"
    return _Shape(code, names[:1] == ("step",), tuple(name for name in names if name != "step"))


_SHAPES: Final = {event: _shape(code, event) for code, event in CODES.items()}
_encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def to_json(body: object) -> str:
    """Return compact JSON; raises UsageError for what JSON cannot hold."""
    try:
        text = _encode_json(body)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"this cannot be stored as JSON: {error}; use text, finite numbers, lists and dicts"
        ) from error
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, such as an undecodable file name: it is kept, escaped
        return _encode_ascii(body)
    return text


def to_row(event: e.Event) -> EventRow:
    """Return an event's columns; raises UsageError for an output that JSON cannot hold."""
    shape = _SHAPES[type(event)]
    step: int | None = event.step if shape.has_step else None  # type: ignore[union-attr]  # its shape says so
    if not shape.rest:
        return EventRow(shape.code, step, None)
    if shape.rest == START:
        return EventRow(shape.code, step, f"[{event.attempt}]")  # type: ignore[union-attr]  # its shape says so
    return EventRow(shape.code, step, to_json([getattr(event, name) for name in shape.rest]))


def from_row(row: EventRow, *, saga: str, seq: int) -> e.Event:
    """Read an event back; raises LogCorrupt naming saga and place."""
    event = CODES.get(row.type)
    if event is None:
        raise _corrupt(saga, seq, f"its type {row.type!r} is not known to this program")
    try:
        data = json.loads(row.data) if row.data is not None else []
    except (ValueError, TypeError, RecursionError) as error:
        raise _corrupt(saga, seq, f"its data is no JSON ({error})") from error
    if not isinstance(data, list):
        raise _corrupt(saga, seq, f"its data is no JSON list: {str(row.data)[:80]}")
    fields = data if row.step is None else [row.step, *data]
    if wrong := _wrong(event, row.step, fields):
        raise _corrupt(saga, seq, f"{row.type}: {wrong}")
    return event(*fields)


def _wrong(event: type[e.Event], step: int | None, fields: Sequence[Any]) -> str | None:
    """Say what is wrong with the fields of an event, or None."""
    shape = _SHAPES[event]
    if shape.has_step != (step is not None):
        return f"its step is {step}"
    names = event.__dataclass_fields__
    if len(fields) != len(names):
        return f"has {len(fields)} fields, not {len(names)} ({', '.join(names)})"
    for name, value in zip(names, fields, strict=True):
        if not isinstance(value, FIELDS[name]) or (isinstance(value, bool) and FIELDS[name] is not object):
            return f"{name} is {value!r}"
        if name == "outcome" and value not in OUTCOMES:
            return f"outcome is {value!r}"
    return None


def _corrupt(saga: str, seq: int, why: str) -> LogCorrupt:
    return LogCorrupt(f"saga {saga}, event {seq} cannot be read back: {why}; restore the log from a copy")
