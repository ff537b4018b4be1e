"""Sagas over HTTP: submit, list, show, and tell one something.

Rules
- No submit without an id or a key of the client's making: one whose answer was lost can be sent again.
- No command without the picture that it was decided on (If-Match): two people cannot act on the same one.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast, get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sledsaga.core.commands import Command, Verb
from sledsaga.core.events import Recorded
from sledsaga.core.view import SagaState, SagaView, event_to_json
from sledsaga.engine.messages import Decision
from sledsaga.errors import Conflict
from sledsaga.store.store import Filter
from sledsaga.web import asking
from sledsaga.web.answering import reply, service
from sledsaga.web.asking import Action, Submission
from sledsaga.web.peer import asker
from sledsaga.web.rows import row_to_json
from sledsaga.web.service import Service

STATES: tuple[SagaState, ...] = get_args(SagaState)


async def put(request: Request) -> Response:
    """Submit under an id that the client made."""
    return await _submit(request, request.path_params["id"], asking.idempotency_key(request))


async def post(request: Request) -> Response:
    """Submit under a key."""
    key = asking.idempotency_key(request)
    if key is None:
        detail = (
            "send an Idempotency-Key, or PUT /v1/sagas/{id} with a UUIDv7: then it is safe to send it again"
        )
        raise HTTPException(400, detail)
    return await _submit(request, None, key)


async def _submit(request: Request, saga: str | None, key: str | None) -> Response:
    behind = service(request)
    behind.refuse_if_draining()
    asking.check_query(request)
    body = await asking.read_body(request, Submission)
    by = asker(request)

    def submit() -> Response:
        view, is_new = behind.engine.submitted(
            body.operation, body.params, id=saga, key=key, by=by, fingerprint=body.plan
        )
        return _shown(view, 201 if is_new else 200, {"Location": f"/v1/sagas/{view.id}"})

    return await behind.call(submit)


async def index(request: Request) -> Response:
    """List sagas, newest first."""
    asking.check_query(
        request, "limit", "page_token", "operation", "key", "resource", "unfinished", repeatable=("state",)
    )
    only = _filter(request)
    limit = asking.whole_number(request, "limit", asking.LIMIT_DEFAULT, least=1, most=asking.LIMIT_MAX)
    token = request.query_params.get("page_token")
    store = service(request).engine.store
    page = await service(request).call(partial(store.list, only, limit=limit, token=token))
    rows = [row_to_json(row) for row in page.rows]
    return reply({"v": 1, "sagas": rows, "next_page_token": page.next_token})


def _filter(request: Request) -> Filter:
    query = request.query_params
    states = query.getlist("state")
    for state in states:
        if state not in STATES:
            raise HTTPException(400, f"{state!r} is no state of a saga; there are: {', '.join(STATES)}")
    return Filter(
        states=cast("frozenset[SagaState]", frozenset(states)) if states else None,
        operation=query.get("operation"),
        key=query.get("key"),
        resource=query.get("resource"),
        unfinished=asking.flag(request, "unfinished"),
    )


async def show(request: Request) -> Response:
    """Show one saga; with `Prefer: wait=N` when it rests, or (If-None-Match) when it has changed."""
    asking.check_query(request)
    behind, saga = service(request), request.path_params["id"]
    seen, wait_s = asking.seen(request, "if-none-match"), asking.wait_s(request)
    if wait_s is not None and seen is not None:
        await behind.wait_for_change(saga, seen, wait_s)
    elif wait_s is not None:
        await behind.wait_for_rest(saga, wait_s)
    headers = behind.waited(wait_s)
    if seen is not None and (await behind.row(saga)).seq == seen:
        return Response(None, 304, headers | {"ETag": asking.etag(seen)})
    return await behind.call(lambda: _shown(behind.engine.view(saga), 200, headers))


def _shown(view: SagaView, status: int, headers: dict[str, str]) -> Response:
    return reply(view.to_json(), status, headers | {"ETag": asking.etag(view.seq)})


async def act(request: Request) -> Response:
    """Tell a saga something."""
    behind, saga = service(request), request.path_params["id"]
    behind.refuse_if_draining()
    asking.check_query(request)
    if "if-match" not in request.headers:
        raise HTTPException(
            428, "send If-Match with the ETag of the saga as you saw it (or *: however it stands)"
        )
    seq = asking.seen(request, "if-match")
    body = await asking.read_body(request, Action)
    command = Command(cast("Verb", body.verb), asker(request), body.reason, body.step, body.output)

    def decide() -> Response:
        try:
            decision = behind.engine.command(saga, command, expect_seq=seq, dry_run=body.dry_run)
        except Conflict as error:
            if type(error) is Conflict:  # the bare class: the saga has moved on, so the precondition failed
                raise HTTPException(412, str(error)) from error
            raise
        return reply(
            _decided(behind, decision, dry_run=body.dry_run), headers={"ETag": asking.etag(decision.view.seq)}
        )

    return await behind.call(decide)


def _decided(behind: Service, decision: Decision, *, dry_run: bool) -> dict[str, Any]:
    view, dag = decision.view, behind.dag(decision.view.id)
    if dry_run:
        events = [
            event_to_json(Recorded(0, view.updated_at, view.epoch, event), dag) | {"seq": None, "at": None}
            for event in decision.events
        ]
    else:
        count = len(decision.events)
        written = behind.engine.events(view.id, after=view.seq - count, limit=count)
        events = [event_to_json(recorded, dag) for recorded in written]
    return {"v": 1, "dry_run": dry_run, "events": events, "saga": view.to_json()}
