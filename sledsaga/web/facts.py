"""What is not about one saga: health, the catalog, plans, locks, and the API's own description."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from sledsaga.core.define import Operation
from sledsaga.errors import LogUnavailable, SchemaMismatch
from sledsaga.web import asking, openapi
from sledsaga.web.answering import reply, service
from sledsaga.web.asking import Proposal
from sledsaga.web.rows import lock_to_json
from sledsaga.web.service import Service


class Check(NamedTuple):
    """One condition of being ready; `why` says what is wrong, or is None."""

    name: str
    why: str | None


async def livez(_request: Request) -> Response:
    """Say that the process answers."""
    return reply({"v": 1, "live": True})


async def readyz(request: Request) -> Response:
    """Say whether new work is taken, and if not, why."""
    behind = service(request)
    checks = await behind.call(lambda: [Check(name, probe(behind)) for name, probe in CHECKS.items()])
    is_ready = all(check.why is None for check in checks)
    rows = [{"name": check.name, "ok": check.why is None, "why": check.why} for check in checks]
    return reply({"v": 1, "ready": is_ready, "checks": rows}, 200 if is_ready else 503)


def _log(behind: Service) -> str | None:
    if behind.engine.failure is not None:
        return str(behind.engine.failure)
    try:
        behind.engine.store.unfinished(limit=1)
    except SchemaMismatch:
        return None  # the next check says so
    except LogUnavailable as error:
        return str(error)
    return None


def _schema(behind: Service) -> str | None:
    try:
        behind.engine.store.unfinished(limit=1)
    except SchemaMismatch as error:
        return str(error)
    except LogUnavailable:
        return None  # the check before has said so
    return None


def _draining(behind: Service) -> str | None:
    return "the executor is going down" if behind.draining else None


CHECKS: dict[str, Callable[[Service], str | None]] = {
    "log": _log,
    "schema": _schema,
    "not-draining": _draining,
}


async def operations(request: Request) -> Response:
    """List what can be submitted, with the schema of its params."""
    asking.check_query(request)
    catalog = service(request).engine.catalog
    rows = await service(request).call(lambda: [_operation(one) for one in catalog])
    return reply({"v": 1, "operations": rows})


def _operation(operation: Operation) -> dict[str, Any]:
    return {
        "name": operation.name,
        "version": operation.version,
        "summary": operation.summary,
        "params": operation.params.model_json_schema(),
    }


async def plans(request: Request) -> Response:
    """Plan an execution and ask its probes; nothing is recorded or changed."""
    asking.check_query(request)
    body = await asking.read_body(request, Proposal)
    behind = service(request)
    return await behind.call(lambda: reply(behind.engine.preview(body.operation, body.params).to_json()))


async def locks(request: Request) -> Response:
    """List who holds which resource, and who waits for it."""
    asking.check_query(request, "saga")
    behind, saga = service(request), request.query_params.get("saga")
    rows = await behind.call(lambda: behind.engine.store.locks(saga))
    return reply({"v": 1, "locks": [lock_to_json(row) for row in rows]})


async def description(request: Request) -> Response:
    """Return the OpenAPI document."""
    asking.check_query(request)
    return Response(_description(), media_type="application/json")


@cache
def _description() -> str:
    return openapi.text()
