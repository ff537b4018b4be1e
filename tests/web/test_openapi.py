"""The description of the API is what the API does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from sledsaga.web.app import ROUTES
from sledsaga.web.openapi import CALLS, text
from sledsaga.web.schemas import SCHEMAS, Schema

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"
KEY = {"Idempotency-Key": "k"}


def test_the_file_is_the_description() -> None:
    """docs/openapi.json is what `python -m sledsaga.web.openapi` writes."""
    assert FILE.read_text() == text()


def test_the_server_gives_the_file(http: httpx.Client) -> None:
    """GET /openapi.json answers with the same document."""
    assert http.get("/openapi.json").json() == json.loads(FILE.read_text())


def test_every_route_is_described() -> None:
    """Each path and method of the app stands in the description, and no other."""
    routed = {(path, method.lower()) for path, methods in ROUTES.items() for method in methods}
    assert set(CALLS) == routed


def test_every_reference_leads_somewhere() -> None:
    """Each schema that is referred to is there."""
    referred = {part.split('"')[0] for part in text().split("#/components/schemas/")[1:]}
    assert referred - set(SCHEMAS) == set()


def misfits(
    body: Any,
    schema: Schema,
    place: str,
) -> list[str]:
    """Say where a body is not what its schema tells; as much of JSON Schema as ours use."""
    if "$ref" in schema:
        return misfits(body, SCHEMAS[schema["$ref"].rsplit("/", 1)[1]], place)
    if "enum" in schema:
        return [] if body in schema["enum"] else [f"{place}: {body!r}"]
    if "items" in schema:
        return [
            wrong for i, one in enumerate(body) for wrong in misfits(one, schema["items"], f"{place}[{i}]")
        ]
    fields = schema.get("properties")
    if fields is None:
        return []
    lacking = [f"{place}: no {name}" for name in schema["required"] if name not in body]
    there = {name: schema for name, schema in fields.items() if name in body}
    return lacking + [
        wrong for name, inner in there.items() for wrong in misfits(body[name], inner, f"{place}.{name}")
    ]


ANSWERS = {
    "/livez": "Live",
    "/readyz": "Ready",
    "/v1/operations": "Operations",
    "/v1/sagas": "SagaPage",
    "/v1/locks": "Locks",
    "/v1/sagas/{id}": "Saga",
    "/v1/sagas/{id}/events": "EventPage",
    "/v1/none": "Problem",
}


def test_answers_are_as_described(http: httpx.Client) -> None:
    """What the server answers has the fields and the words that the description promises."""
    saga = http.post("/v1/sagas", json={"operation": "gated"}, headers=KEY).json()
    for path, name in ANSWERS.items():
        body = http.get(path.replace("{id}", saga["id"])).json()
        assert misfits(body, SCHEMAS[name], name) == []
        assert set(body) <= set(SCHEMAS[name]["properties"])


def test_a_decision_and_a_plan_are_as_described(http: httpx.Client) -> None:
    """So are the answers to what is sent."""
    saga = http.post("/v1/sagas", json={"operation": "fragile"}, headers=KEY).json()
    rested = http.get(f"/v1/sagas/{saga['id']}", headers={"Prefer": "wait=20"})
    body = {"verb": "skip-undo", "reason": "seen to", "step": "failing"}
    headers = {"If-Match": rested.headers["etag"]}
    decision = http.post(f"/v1/sagas/{saga['id']}/actions", json=body, headers=headers).json()
    planned = http.post("/v1/plans", json={"operation": "greet"}).json()
    assert misfits(rested.json(), SCHEMAS["Saga"], "stuck") == []
    assert misfits(decision, SCHEMAS["Decision"], "decision") == []
    assert misfits(planned, SCHEMAS["Plan"], "plan") == []
    assert decision["events"] != []
