"""Diagnostics: loguru lines on stderr, for people who look for trouble. Never the truth; that is the log.

Rules
- Off for users of the library until they call `enable` (or loguru's own `logger.enable("sledsaga")`).
- One sink, to whatever `sys.stderr` is at the time, so that a live picture on a terminal stays whole.
- Text is for people; JSON is one object a line, with saga and step as fields of their own.
"""

from __future__ import annotations

import contextlib
import json
import sys
from datetime import UTC
from typing import TYPE_CHECKING, Any

from sledsaga.engine.diagnostics import logger

if TYPE_CHECKING:
    from loguru import Message, Record

TEXT = "{time:HH:mm:ss.SSS} {level:<7} {extra[place]}{message}"


def enable(level: str = "info", *, as_json: bool = False) -> None:
    """Show diagnostics of this level and above on stderr; a second call replaces the first.

    Sinks that a program has added of its own are left alone, but loguru's default one goes.
    """
    disable()
    sink = _write_json if as_json else _write_text
    _sinks.append(logger.add(sink, level=level.upper(), format=_text_format, backtrace=False, diagnose=False))
    logger.enable("sledsaga")


def disable() -> None:
    """Show nothing any more."""
    logger.disable("sledsaga")
    while _sinks:
        with contextlib.suppress(ValueError):  # the program has removed it itself
            logger.remove(_sinks.pop())


_sinks: list[int] = [0]  # loguru starts with one sink of its own


def _text_format(record: Record) -> str:
    extra = record["extra"]
    parts = [str(extra[name]) for name in ("saga", "step") if extra.get(name)]
    record["extra"]["place"] = f"[{' '.join(parts)}] " if parts else ""
    return TEXT + "\n{exception}"


def _write_text(message: Message) -> None:
    sys.stderr.write(message)


def _write_json(message: Message) -> None:
    sys.stderr.write(json.dumps(_as_json(message.record), default=str, ensure_ascii=False) + "\n")


def _as_json(record: Record) -> dict[str, Any]:
    """Return one line's fields; `at` is RFC 3339 in UTC."""
    at = record["time"].astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    extra = {name: field for name, field in record["extra"].items() if name != "place"}
    body: dict[str, Any] = {
        "v": 1,
        "at": at,
        "level": record["level"].name.lower(),
        "message": record["message"],
    }
    if record["exception"] is not None:
        body["exception"] = repr(record["exception"].value)
    return body | {"module": record["name"]} | extra
