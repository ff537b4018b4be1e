"""Reading a request: its body, query and headers, each refused with what was expected.

Rules
- A body is JSON, at most BODY_BYTES_MAX, and is counted while it comes: nobody can fill the memory.
- A query parameter that is not known is an error: a filter with a slip of the pen must not list everything.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from sledsaga.core.plan import PARAMS_BYTES_MAX

BODY_BYTES_MAX = 2 * PARAMS_BYTES_MAX
LIMIT_DEFAULT, LIMIT_MAX = 100, 1000
WAIT_S_MAX = 60.0
"""A longer wait is cut to this, and the answer says so (RFC 7240 lets a server)."""
KEY_CHARS_MAX = 255
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

Body = TypeVar("Body", bound=BaseModel)


class Strict(BaseModel):
    """A body whose every field is known."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Submission(Strict):
    """What to run; `plan` is the digest of the plan that was looked at, if one was."""

    operation: str
    params: dict[str, Any] = {}
    plan: str | None = None


class Proposal(Strict):
    """What to plan."""

    operation: str
    params: dict[str, Any] = {}


class Action(Strict):
    """What a person wants done to a saga, and why; `output` is for skip."""

    verb: str
    reason: str
    step: str | None = None
    output: Any = None
    dry_run: bool = False


async def read_body(request: Request, model: type[Body]) -> Body:
    """Return the body as a model. Raises 400, 413 and 415."""
    check_media_type(request)
    raw = await _read(request)
    try:
        return model.model_validate(_parse(raw))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise HTTPException(400, f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error


def check_media_type(request: Request) -> None:
    """Raise 415 for a body that does not say it is JSON."""
    came = request.headers.get("content-type", "")
    media_type = came.partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, f"a body is application/json here; this one is {media_type or 'unmarked'}")


async def _read(request: Request) -> bytes:
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told) > BODY_BYTES_MAX:
        raise _too_large()
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise _too_large()
    except ClientDisconnect as error:
        raise HTTPException(400, "the client went away in the middle of the body") from error
    return bytes(body)


def _too_large() -> HTTPException:
    detail = f"a body has at most {BODY_BYTES_MAX:,} bytes; pass a reference to what is larger"
    return HTTPException(413, detail, headers={"Connection": "close"})


def _parse(raw: bytes) -> object:
    try:
        body: object = json.loads(raw, parse_constant=_refuse_constant)
        if SURROGATE.search(raw):
            json.dumps(body, ensure_ascii=False).encode()  # half a pair is no text, and no log can hold it
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is no JSON: {error}") from error
    return body


def _refuse_constant(name: str) -> None:
    msg = f"{name} is no JSON number"
    raise ValueError(msg)


def check_query(request: Request, *known: str, repeatable: tuple[str, ...] = ()) -> None:
    """Raise 400 for a query parameter that is unknown, or given twice though it has one value."""
    for name in request.query_params:
        if name not in known and name not in repeatable:
            there_are = ", ".join((*known, *repeatable)) or "none"
            raise HTTPException(400, f"there is no query parameter {name!r}; there are: {there_are}")
        if name not in repeatable and len(request.query_params.getlist(name)) > 1:
            raise HTTPException(400, f"query parameter {name!r} is given more than once")


def whole_number(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    """Return a query parameter as a whole number; raises 400 outside of its bounds."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
        raise HTTPException(400, f"{name} is a whole number from {least} to {most}; got {text!r}")
    return int(text)


def flag(request: Request, name: str) -> bool:
    """Return a query parameter as yes or no; raises 400 for anything but true and false."""
    text = request.query_params.get(name, "false")
    if text not in ("true", "false"):
        raise HTTPException(400, f"{name} is true or false; got {text!r}")
    return text == "true"


def wait_s(request: Request) -> float | None:
    """Return the seconds that the client is ready to wait (`Prefer: wait=N`), or None."""
    for preference in ",".join(request.headers.getlist("prefer")).split(","):
        name, _, text = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait" and re.fullmatch(r"\s*\d{1,9}(\.\d{1,6})?\s*", text, re.ASCII):
            return min(float(text), WAIT_S_MAX)
    return None  # RFC 7240: a preference that cannot be understood is passed over


def etag(seq: int) -> str:
    """Return the tag of a saga's picture: the number of the last event that it shows."""
    return f'"{seq}"'


def seen(request: Request, header: str) -> int | None:
    """Return the number in If-Match or If-None-Match; None when it is absent or `*`. Raises 400."""
    text = request.headers.get(header, "*").strip()
    if text == "*":
        return None
    match = re.fullmatch(r'(?:W/)?"(\d{1,18})"', text, re.ASCII)
    if match is None:
        raise HTTPException(400, f'{header} is an ETag as it was given, such as "17", or *; got {text!r}')
    return int(match[1])


def idempotency_key(request: Request) -> str | None:
    """Return the key that stands for this submit, or None; raises 400 for one that is none.

    It is a quoted string (with quotes and backslashes escaped), or bare; UTF-8 in either case.
    """
    raw = request.headers.get("idempotency-key")
    if raw is None:
        return None
    text = raw.encode("latin-1").decode("utf-8", "replace").strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    if not text or len(text) > KEY_CHARS_MAX:
        raise HTTPException(400, f"an Idempotency-Key has 1 to {KEY_CHARS_MAX} characters")
    return text


def accepts_stream(request: Request) -> bool:
    """Say whether the client wants events as they come rather than a page."""
    accepted = request.headers.get("accept", "")
    kinds = {part.partition(";")[0].strip().lower() for part in accepted.split(",")}
    return "text/event-stream" in kinds and request.method == "GET"
