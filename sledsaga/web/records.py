"""The log of a saga over HTTP: as pages, as a long poll, and as a stream; the same records in all three."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sledsaga.core.events import Recorded
from sledsaga.core.view import event_to_json
from sledsaga.web import asking, sse
from sledsaga.web.answering import reply, service
from sledsaga.web.service import Service

SEQ_MAX = 10**15
BATCH_EVENTS_FEW = 50
"""Fewer are written at once, for a change of threads costs more."""


async def events(request: Request) -> Response:
    """Return events above `after`: a page, or (Accept: text/event-stream) a stream."""
    asking.check_query(request, "after", "limit", "follow")
    after = asking.whole_number(request, "after", 0, least=0, most=SEQ_MAX)
    follow = asking.flag(request, "follow")
    if asking.accepts_stream(request):
        return await _stream(request, max(after, _last_event_id(request)), follow=follow)
    return await _page(request, after)


async def _page(request: Request, after: int) -> Response:
    behind, saga = service(request), request.path_params["id"]
    limit = asking.whole_number(request, "limit", asking.LIMIT_DEFAULT, least=1, most=asking.LIMIT_MAX)
    wait_s = asking.wait_s(request)
    if wait_s is not None:
        await behind.wait_for_change(saga, after, wait_s)
    headers = behind.waited(wait_s)
    page = await behind.events(saga, after, limit)
    at_rest = await behind.is_at_rest(row := await behind.row(saga))
    is_last = row.seq <= (page[-1].seq if page else after)

    def written() -> Response:
        records = _to_json(behind, saga, page)
        next_after = page[-1].seq if page else after
        body = {"v": 1, "saga": saga, "events": records, "next_after": next_after}
        return reply(body | {"at_rest": at_rest and is_last}, headers=headers)

    return await behind.call(written)


def _to_json(behind: Service, saga: str, page: tuple[Recorded, ...]) -> list[dict[str, Any]]:
    dag = behind.dag(saga)
    return [event_to_json(recorded, dag) for recorded in page]


def _last_event_id(request: Request) -> int:
    text = request.headers.get("last-event-id", "0").strip()
    if not text.isascii() or not text.isdecimal():
        raise HTTPException(400, f"Last-Event-ID is the number of an event; got {text!r}")
    return min(int(text[:18]), SEQ_MAX)


async def _stream(request: Request, after: int, *, follow: bool) -> Response:
    behind, saga = service(request), request.path_params["id"]
    await behind.row(saga)  # a saga that is not there is a 404, not an empty stream
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _messages(behind, saga, after, follow=follow), headers=headers, media_type=sse.MEDIA_TYPE
    )


async def _messages(behind: Service, saga: str, after: int, *, follow: bool) -> AsyncIterator[bytes]:
    yield sse.STILL_HERE  # the answer's head goes out at once, not with the first event
    await behind.call(partial(behind.dag, saga))
    async for batch in behind.tail(saga, after, follow=follow):
        after = batch[-1].seq if batch else after
        encode = partial(_encoded, behind, saga, batch)
        yield encode() if len(batch) < BATCH_EVENTS_FEW else await behind.call(encode)
    reason = await behind.why_over(saga, after, follow=follow) or "draining"
    yield sse.encode({"reason": reason, "state": (await behind.row(saga)).state}, event="end")


def _encoded(behind: Service, saga: str, batch: tuple[Recorded, ...]) -> bytes:
    if not batch:
        return sse.STILL_HERE
    return b"".join(sse.encode(body, seq=body["seq"]) for body in _to_json(behind, saga, batch))
