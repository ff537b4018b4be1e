"""Errors over HTTP and back: RFC 9457 problem documents, one row for each kind.

Rules
- `type` and `code` are promises: scripts and our own client decide by `code`, people read `detail`.
- An error without a row of its own has that of the nearest class above it, but keeps its own code.
- What only HTTP can get wrong (a method, a media type, a header) stands in HTTP_PROBLEMS, by status.
- `error_of` turns a document back into the class that it came from, so a client raises what an engine does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sledsaga import errors

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:sledsaga:problem:"


class Problem(NamedTuple):
    """What a kind of error is over HTTP: its status and its short, unchanging name for people."""

    status: int
    title: str


PROBLEMS: dict[type[errors.SledsagaError], Problem] = {
    errors.SledsagaError: Problem(500, "Something went wrong"),
    errors.UsageError: Problem(400, "This cannot be asked for"),
    errors.InvalidName: Problem(400, "A name breaks its grammar"),
    errors.InvalidParams: Problem(422, "The operation does not take these params"),
    errors.InvalidPlan: Problem(422, "The operation cannot be planned"),
    errors.UnknownOperation: Problem(422, "There is no such operation"),
    errors.TooLarge: Problem(413, "The payload is too large"),
    errors.NotFound: Problem(404, "There is nothing of that id"),
    errors.Conflict: Problem(409, "What you saw is no longer so"),
    errors.KeyConflict: Problem(422, "The key was used before with another body"),
    errors.Refused: Problem(409, "The command does not fit the saga's state"),
    errors.LostClaim: Problem(409, "Another executor claimed the saga"),
    errors.ExecutorBusy: Problem(409, "Another process drives the sagas of this log"),
    errors.LogUnavailable: Problem(503, "The log is unavailable"),
    errors.LogCorrupt: Problem(500, "The log cannot be read back"),
    errors.SchemaMismatch: Problem(503, "The log's schema is not this program's"),
    errors.WaitTimedOut: Problem(504, "The saga did not come to rest in time"),
    errors.Stopping: Problem(503, "The executor is going down"),
    errors.HostError: Problem(502, "The sled said no, or did not answer"),
}


class HttpProblem(NamedTuple):
    """What only HTTP can get wrong: its code, its title, and the error that a client makes of it."""

    code: str
    title: str
    error: type[errors.SledsagaError]


HTTP_PROBLEMS: dict[int, HttpProblem] = {
    400: HttpProblem("bad-request", "The request cannot be understood", errors.UsageError),
    404: HttpProblem("no-such-page", "There is nothing at this address", errors.NotFound),
    405: HttpProblem("method-not-allowed", "This address has no such method", errors.UsageError),
    412: HttpProblem("stale", "The saga has moved on since you looked", errors.Conflict),
    413: HttpProblem("body-too-large", "The body is too large", errors.TooLarge),
    415: HttpProblem("unsupported-media-type", "A body is JSON here", errors.UsageError),
    428: HttpProblem("precondition-required", "Say which picture you acted on", errors.UsageError),
    500: HttpProblem("internal", "A mistake in sledsaga", errors.SledsagaError),
}


def code_of(error: type[errors.SledsagaError]) -> str:
    """Return the code of an error class: its name in kebab case."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", error.__name__).lower()


def problem_of(error: errors.SledsagaError) -> dict[str, Any]:
    """Return the problem document of an error, without `instance`."""
    row = next(PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS)
    return _document(code_of(type(error)), row, str(error))


def http_problem(status: int, detail: str) -> dict[str, Any]:
    """Return the problem document of what only HTTP can get wrong, without `instance`."""
    row = HTTP_PROBLEMS.get(status, HTTP_PROBLEMS[400])
    return _document(row.code, Problem(status, row.title), detail)


def error_of(document: Mapping[str, Any], status: int) -> errors.SledsagaError:
    """Return the error that a problem document tells of; unknown codes go by their status."""
    known = CLASSES.get(str(document.get("code")))
    if known is None:
        known = errors.UsageError if 400 <= status < 500 else errors.SledsagaError  # noqa: PLR2004 - HTTP's classes
    return known(str(document.get("detail") or document.get("title") or f"the executor answered {status}"))


def _document(code: str, row: Problem, detail: str) -> dict[str, Any]:
    return {
        "type": TYPE_PREFIX + code,
        "title": row.title,
        "status": row.status,
        "detail": detail,
        "code": code,
    }


def _tree(error: type[errors.SledsagaError]) -> Iterator[type[errors.SledsagaError]]:
    yield error
    for below in error.__subclasses__():
        yield from _tree(below)


CLASSES: dict[str, type[errors.SledsagaError]] = {
    code_of(error): error for error in _tree(errors.SledsagaError)
} | {row.code: row.error for row in HTTP_PROBLEMS.values()}
"""Which class each code stands for."""
