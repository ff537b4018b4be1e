"""The API's description, OpenAPI 3.1, from one row for each path and method.

`python -m sledsaga.web.openapi` writes it; docs/openapi.json holds the same, and a test compares them.
Whatever changes it also raises VERSION: the first number when a client must change, else the second.
"""

from __future__ import annotations

import json
import sys
from typing import Any, NamedTuple, get_args

from sledsaga.core.view import SagaState
from sledsaga.web import problems
from sledsaga.web.schemas import COUNT, ID, SCHEMAS, TEXT, YES_NO, Schema, ref

VERSION = "1.0.0"
DESCRIPTION = (
    "Submit sagas to an executor, watch them, and tell them something. "
    "The API of the executor's local socket."
)


class Parameter(NamedTuple):
    """One parameter of a request."""

    name: str
    place: str
    schema: Schema
    description: str
    is_required: bool = False


class Call(NamedTuple):
    """One thing that can be asked: its name, what it takes and what comes back (status to schema)."""

    name: str
    summary: str
    answers: dict[int, str | None]
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    problems: tuple[int, ...] = ()
    streams: bool = False


SAGA = Parameter("id", "path", ID, "The saga, a UUIDv7.", is_required=True)
WAIT = Parameter(
    "Prefer", "header", TEXT, "wait=N: answer after at most N seconds, as soon as there is news."
)
KEY = Parameter("Idempotency-Key", "header", TEXT, "The same key and body give the same saga.")
IF_MATCH = Parameter(
    "If-Match",
    "header",
    TEXT,
    "The ETag of the saga as it was seen; * means however it stands.",
    is_required=True,
)
IF_NONE_MATCH = Parameter("If-None-Match", "header", TEXT, "The ETag of the saga as it was seen last.")
LAST_EVENT_ID = Parameter("Last-Event-ID", "header", COUNT, "Where a broken stream goes on.")
AFTER = Parameter("after", "query", COUNT, "Only events with a sequence number above this.")
LIMIT = Parameter(
    "limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000}, "How many at most; 100."
)
FOLLOW = Parameter("follow", "query", YES_NO, "A stream goes on when the saga rests but has not ended.")
BY = Parameter("X-Sledsaga-By", "header", TEXT, "Who asks; the socket's user is named beside it in the log.")
STATES = Parameter(
    "state",
    "query",
    {"type": "array", "items": {"enum": list(get_args(SagaState))}},
    "Only these; repeatable.",
)
FILTERS = (
    LIMIT,
    Parameter("page_token", "query", TEXT, "The next_page_token of the page before."),
    STATES,
    Parameter("operation", "query", TEXT, "Only this operation."),
    Parameter("key", "query", TEXT, "Only the saga with this key."),
    Parameter("resource", "query", TEXT, "Only sagas that hold or await this resource."),
    Parameter("unfinished", "query", YES_NO, "Only sagas that have not ended."),
)

CALLS: dict[tuple[str, str], Call] = {
    ("/livez", "get"): Call("livez", "Does the process answer?", {200: "Live"}),
    ("/readyz", "get"): Call("readyz", "Is new work taken?", {200: "Ready", 503: "Ready"}),
    ("/openapi.json", "get"): Call("openapi", "This description.", {200: None}),
    ("/v1/operations", "get"): Call("operations", "What can be submitted.", {200: "Operations"}),
    ("/v1/plans", "post"): Call(
        "plan",
        "Plan an execution and ask its probes how things stand; nothing is recorded or changed.",
        {200: "Plan"},
        body="Proposal",
        problems=(400, 413, 415, 422, 502),
    ),
    ("/v1/sagas", "get"): Call(
        "list", "Sagas, newest first.", {200: "SagaPage"}, parameters=FILTERS, problems=(400,)
    ),
    ("/v1/sagas", "post"): Call(
        "submit",
        "Submit under a key.",
        {200: "Saga", 201: "Saga"},
        parameters=(KEY._replace(is_required=True), BY),
        body="Submission",
        problems=(400, 409, 413, 415, 422, 503),
    ),
    ("/v1/sagas/{id}", "get"): Call(
        "show",
        "One saga; wait for its rest, or for a change.",
        {200: "Saga", 304: None},
        parameters=(SAGA, WAIT, IF_NONE_MATCH),
        problems=(400, 404),
    ),
    ("/v1/sagas/{id}", "put"): Call(
        "submit-as",
        "Submit under an id that the client made.",
        {200: "Saga", 201: "Saga"},
        parameters=(SAGA, KEY, BY),
        body="Submission",
        problems=(400, 409, 413, 415, 422, 503),
    ),
    ("/v1/sagas/{id}/events", "get"): Call(
        "events",
        "The log of a saga: a page, a long poll, or a stream.",
        {200: "EventPage"},
        parameters=(SAGA, AFTER, LIMIT, FOLLOW, WAIT, LAST_EVENT_ID),
        problems=(400, 404),
        streams=True,
    ),
    ("/v1/sagas/{id}/actions", "post"): Call(
        "command",
        "Tell a saga something; the records that it became, and the saga after them.",
        {200: "Decision"},
        parameters=(SAGA, IF_MATCH, BY),
        body="Action",
        problems=(400, 404, 409, 412, 413, 415, 428, 503),
    ),
    ("/v1/locks", "get"): Call(
        "locks",
        "Who holds which resource, and who waits.",
        {200: "Locks"},
        parameters=(Parameter("saga", "query", ID, "Only this saga's."),),
        problems=(400,),
    ),
}


def document() -> dict[str, Any]:
    """Return the whole description."""
    paths: dict[str, dict[str, Any]] = {}
    for (path, method), call in CALLS.items():
        paths.setdefault(path, {})[method] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "sledsaga", "version": VERSION, "description": DESCRIPTION},
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def text() -> str:
    """Return the description as the file in docs has it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _operation(call: Call) -> dict[str, Any]:
    body: dict[str, Any] = {"operationId": call.name, "summary": call.summary}
    if call.parameters:
        body["parameters"] = [_parameter(one) for one in call.parameters]
    if call.body:
        body["requestBody"] = {"required": True, "content": {"application/json": {"schema": ref(call.body)}}}
    answers = {str(status): _answer(status, schema, call) for status, schema in call.answers.items()}
    return body | {"responses": answers | {str(status): _problem(status) for status in call.problems}}


def _parameter(one: Parameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "in": one.place,
        "required": one.is_required,
        "description": one.description,
        "schema": one.schema,
    }


def _answer(status: int, schema: str | None, call: Call) -> dict[str, Any]:
    if status == 304:  # noqa: PLR2004 - Not Modified has no body
        return {"description": "It has not changed."}
    content: dict[str, Any] = {"application/json": {"schema": ref(schema) if schema else {"type": "object"}}}
    if call.streams:
        content["text/event-stream"] = {"schema": TEXT}
    return {"description": call.summary, "content": content}


def _problem(status: int) -> dict[str, Any]:
    codes = sorted(
        {problems.code_of(error) for error, row in problems.PROBLEMS.items() if row.status == status}
        | {row.code for number, row in problems.HTTP_PROBLEMS.items() if number == status}
    )
    content = {problems.MEDIA_TYPE: {"schema": ref("Problem")}}
    return {"description": f"Problem: {', '.join(codes)}.", "content": content}


if __name__ == "__main__":
    sys.stdout.write(text())
