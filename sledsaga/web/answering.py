"""Answers as bytes: JSON, and problem documents for every error that can reach a client.

Rules
- Bodies are written in worker threads: a saga of ten thousand steps must not hold up the event loop.
- What a client is told of a mistake of ours is that it was one; the rest is in the diagnostics.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sledsaga.engine.diagnostics import logger
from sledsaga.errors import Refused, SledsagaError
from sledsaga.web.problems import MEDIA_TYPE, http_problem, problem_of
from sledsaga.web.service import Service

RETRY_AFTER_S = "5"


def service(request: Request) -> Service:
    """Return what stands behind the app."""
    found: Service = request.app.state.service
    return found


def reply(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, headers, "application/json")


async def on_error(request: Request, error: Exception) -> Response:
    """Answer what sledsaga refused, or what went wrong below it."""
    assert isinstance(error, SledsagaError)
    document = problem_of(error)
    saga = request.path_params.get("id")
    extra: dict[str, Any] = {}
    if saga and isinstance(error, Refused):
        with contextlib.suppress(SledsagaError):  # the refusal is the answer, also without this
            view = await service(request).call(partial(service(request).engine.view, saga))
            extra["allowed"] = list(view.allowed)
    return _problem(request, document | extra)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what only HTTP can get wrong."""
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        detail = f"{request.method} {request.url.path}: see /openapi.json for what there is"
    return _problem(request, http_problem(error.status_code, detail), error.headers)


async def on_mistake(request: Request, error: Exception) -> Response:
    """Answer a mistake of ours, and write it to the diagnostics."""
    logger.opt(exception=error).error("{} {} broke", request.method, request.url.path)
    return _problem(
        request, http_problem(500, f"{type(error).__name__}; the executor's diagnostics have more")
    )


def _problem(
    request: Request, document: dict[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    status = document["status"]
    again = {"Retry-After": RETRY_AFTER_S} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    saga = request.path_params.get("id")
    where = {"instance": request.url.path} | ({"saga": saga} if saga else {})
    content = json.dumps(document | where, ensure_ascii=False).encode()
    return Response(content, status, {**(headers or {}), **again}, MEDIA_TYPE)
