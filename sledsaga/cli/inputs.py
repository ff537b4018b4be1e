"""Params from files and from `-p key=value`: JSON, YAML or TOML in, one JSON object out.

Rules
- A file is read by its ending; what has none (stdin too) is JSON when it opens with a brace, else TOML, else
  YAML.
- `-p key=value` is text, which the operation's params turn into what they need; a value that is a JSON list
  or object is taken as such, and `-p key:=JSON` is JSON always. A dot in a key goes one object deeper.
- What is malformed is refused with file, line and column; what is too large, before it fills the memory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from sledsaga.errors import InvalidParams, TooLarge, UsageError

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
BODY_CHARS_MAX: Final = 2 * 1024 * 1024
"""Above what any operation takes (see `core.plan`), which then says so; this bound is only for the memory."""
STDIN: Final = "-"

Body = dict[str, Any]


def read_params(file: str | None, pairs: Iterable[str] = ()) -> Body:
    """Return the params that a file and pairs make together; pairs win.

    Raises InvalidParams for what cannot be read, TooLarge, UsageError for a pair that is none.
    """
    body = read_document(file) if file else {}
    for pair in pairs:
        _set(body, pair)
    return body


def read_document(file: str) -> Body:
    """Return the object that a file holds, as JSON has it. Raises InvalidParams, TooLarge."""
    text = _text(file)
    parse = PARSERS.get(Path(file).suffix.lower(), _parse_any)
    try:
        body = parse(text)
    except RecursionError:
        raise InvalidParams(f"{_name(file)}: it is nested too deeply") from None
    except ValueError as error:
        raise InvalidParams(f"{_name(file)}: {' '.join(str(error).split())}") from error
    if not isinstance(body, dict):
        raise InvalidParams(
            f"{_name(file)}: an object with a field for each param is expected, not {_kind(body)}"
        )
    return _as_json(body, _name(file))


def _text(file: str) -> str:
    try:
        if file == STDIN:
            raw = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
        else:
            with Path(file).open("rb") as stream:
                raw = stream.read(FILE_BYTES_MAX + 1)
        if len(raw) > FILE_BYTES_MAX:
            raise TooLarge(f"{_name(file)}: more than {FILE_BYTES_MAX:,} bytes; pass a reference instead")
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise InvalidParams(f"{_name(file)}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidParams(f"{_name(file)}: it is no UTF-8 text (byte {error.start + 1})") from error


def _name(file: str) -> str:
    return "standard input" if file == STDIN else file


def _kind(body: object) -> str:
    kinds: dict[type, str] = {list: "a list", str: "text", type(None): "nothing", bool: "true or false"}
    return kinds.get(type(body), "a number")


def _parse_json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: no JSON: {error.msg}") from error


def _without_twins(pairs: list[tuple[str, Any]]) -> Body:
    body = dict(pairs)
    if len(body) < len(pairs):
        twin = next(name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1)
        raise ValueError(f"field {twin!r} is given twice")
    return body


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _parse_yaml(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{place}no YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML: {error}") from error


def _parse_toml(text: str) -> object:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"no TOML: {error}") from error


def _parse_any(text: str) -> object:
    if text.lstrip()[:1] in ("{", "["):
        return _parse_json(text)
    if not text.strip():  # whoever should have written it has failed; TOML would take it
        return None
    try:
        return _parse_toml(text)
    except ValueError:
        return _parse_yaml(text)


PARSERS: Final[dict[str, Callable[[str], object]]] = {
    ".json": _parse_json,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
    ".toml": _parse_toml,
}


def _as_json(body: Body, name: str) -> Body:
    """Return what JSON makes of it (dates become text). An alias of YAML can grow without end, so count."""
    chunks: list[str] = []
    length = 0
    try:
        for chunk in json.JSONEncoder(default=_iso, allow_nan=False).iterencode(body):
            chunks.append(chunk)
            length += len(chunk)
            if length > BODY_CHARS_MAX:
                raise TooLarge(
                    f"{name}: params of more than {BODY_CHARS_MAX:,} characters; pass a reference instead"
                )
        made: Body = json.loads("".join(chunks))
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidParams(f"{name}: it holds what JSON cannot: {error}") from error
    return made


def _iso(value: Any) -> str:  # noqa: ANN401 - whatever YAML or TOML made
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeError(f"a {type(value).__name__}")


def _set(body: Body, pair: str) -> None:
    """Put one `key=value` into the params."""
    key, sign, text = pair.partition("=")
    if not sign or not key.strip(":"):
        raise UsageError(f"-p {pair!r}: key=value is expected (or key:=JSON), such as -p pool=oxp_1")
    value = parse_value(text, is_json=key.endswith(":"), name=f"-p {key}")
    *outer, last = key.removesuffix(":").split(".")
    for name in outer:
        body = body.setdefault(name, {})
        if not isinstance(body, dict):
            raise UsageError(f"-p {pair!r}: {name!r} is no object, so it has no fields")
    body[last] = value


def parse_value(text: str, *, is_json: bool, name: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as text, or as JSON when it must be or is a list or an object. Raises UsageError."""
    if not is_json and text[:1] not in ("{", "["):
        return text
    try:
        return _parse_json(text)
    except (ValueError, RecursionError) as error:
        if is_json:
            raise UsageError(f"{name}: {error}") from error
        return text
