"""The HTTP API of one executor: its routes and its errors, as tables.

Rules
- One row a path; HEAD comes with GET, and any other method is 405 with what there is.
- Every error becomes a problem document, by one of three handlers.
- Every path stands in `openapi` too; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sledsaga.engine.engine import Engine
from sledsaga.errors import SledsagaError
from sledsaga.web import facts, records, sagas
from sledsaga.web.answering import on_error, on_http_error, on_mistake
from sledsaga.web.service import Service

Endpoint = Callable[[Request], Awaitable[Response]]

ROUTES: dict[str, dict[str, Endpoint]] = {
    "/livez": {"GET": facts.livez},
    "/readyz": {"GET": facts.readyz},
    "/openapi.json": {"GET": facts.description},
    "/v1/operations": {"GET": facts.operations},
    "/v1/plans": {"POST": facts.plans},
    "/v1/sagas": {"GET": sagas.index, "POST": sagas.post},
    "/v1/sagas/{id}": {"GET": sagas.show, "PUT": sagas.put},
    "/v1/sagas/{id}/events": {"GET": records.events},
    "/v1/sagas/{id}/actions": {"POST": sagas.act},
    "/v1/locks": {"GET": facts.locks},
}

HANDLERS: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    SledsagaError: on_error,
    HTTPException: on_http_error,
    Exception: on_mistake,
}


def make_app(engine: Engine) -> Starlette:
    """Return the API of an engine; `app.state.service` is what stands behind it."""
    app = Starlette(
        routes=[_route(path, endpoints) for path, endpoints in ROUTES.items()], exception_handlers=HANDLERS
    )
    app.router.redirect_slashes = False
    app.state.service = Service(engine)
    return app


def _route(path: str, endpoints: dict[str, Endpoint]) -> Route:
    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await endpoints[method](request)

    return Route(path, endpoint, methods=list(endpoints))
