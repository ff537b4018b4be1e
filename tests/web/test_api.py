"""What the API takes and refuses: each refusal is a problem document that says what was expected."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx
import pytest

from sledsaga.engine.engine import Engine
from sledsaga.engine.ids import new_id
from sledsaga.web.asking import BODY_BYTES_MAX
from sledsaga.web.serve import Server

NOBODY = "0192aaaa-0000-7000-8000-000000000000"
GREET: dict[str, Any] = {"operation": "greet", "params": {"name": "zone"}}
JSON = {"Content-Type": "application/json"}


def submit(http: httpx.Client, operation: str = "greet", key: str = "k") -> dict[str, Any]:
    answer = http.post("/v1/sagas", json={"operation": operation}, headers={"Idempotency-Key": key})
    assert answer.status_code == 201, answer.text
    return answer.json()


def rested(http: httpx.Client, saga: str) -> httpx.Response:
    return http.get(f"/v1/sagas/{saga}", headers={"Prefer": "wait=20"})


def test_a_new_saga_has_a_place_and_a_tag(http: httpx.Client) -> None:
    """A first submit is 201, with where the saga is and which picture was sent."""
    answer = http.post("/v1/sagas", json=GREET, headers={"Idempotency-Key": "a"})
    body = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/sagas/{body['id']}")
    assert answer.headers["etag"] == f'"{body["seq"]}"'
    assert (body["v"], body["operation"], body["key"]) == (1, "greet", "a")


def test_the_same_key_and_body_give_the_same_saga(http: httpx.Client) -> None:
    """A submit that is sent again is answered with the first saga, not with a second."""
    first, second = (http.post("/v1/sagas", json=GREET, headers={"Idempotency-Key": "a"}) for _ in "ab")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert len(http.get("/v1/sagas").json()["sagas"]) == 1


@pytest.mark.parametrize("key", ['"a"', "a"])
def test_a_key_may_be_quoted(http: httpx.Client, key: str) -> None:
    """A key is the same in quotes and without."""
    assert submit_as(http, key)["key"] == "a"


def submit_as(http: httpx.Client, key: str) -> dict[str, Any]:
    return http.post("/v1/sagas", json=GREET, headers={"Idempotency-Key": key}).json()


def test_an_id_of_the_client_is_idempotent(http: httpx.Client) -> None:
    """PUT with the same id and body gives the same saga; with another body it is refused."""
    path = f"/v1/sagas/{new_id()}"
    answers = [http.put(path, json=body) for body in (GREET, GREET, {"operation": "gated"})]
    assert [answer.status_code for answer in answers] == [201, 200, 422]
    assert answers[2].json()["code"] == "key-conflict"


def test_a_plan_that_was_looked_at_is_what_runs(http: httpx.Client) -> None:
    """A submit with a plan's fingerprint is taken, and one with another's is refused."""
    plan = http.post("/v1/plans", json=GREET).json()
    good = http.put(f"/v1/sagas/{new_id()}", json=GREET | {"plan": plan["fingerprint"]})
    bad = http.put(f"/v1/sagas/{new_id()}", json={"operation": "greet", "plan": plan["fingerprint"]})
    assert (good.status_code, good.json()["fingerprint"]) == (201, plan["fingerprint"])
    assert (bad.status_code, bad.json()["code"]) == (409, "conflict")
    assert [step["undo"] for step in plan["steps"]] == ["none: it leaves nothing"] * 2


REFUSALS: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/v2", {}, 404, "no-such-page"),
    ("GET", "/v1/sagas/", {}, 404, "no-such-page"),
    ("GET", f"/v1/sagas/{NOBODY}", {}, 404, "not-found"),
    ("GET", f"/v1/sagas/{NOBODY}", {"headers": {"Prefer": "wait=1"}}, 404, "not-found"),
    ("GET", f"/v1/sagas/{NOBODY}/events", {}, 404, "not-found"),
    ("GET", f"/v1/sagas/{NOBODY}/events", {"headers": {"Accept": "text/event-stream"}}, 404, "not-found"),
    ("GET", "/v1/sagas?colour=red", {}, 400, "bad-request"),
    ("GET", "/v1/sagas?limit=0", {}, 400, "bad-request"),
    ("GET", "/v1/sagas?limit=1001", {}, 400, "bad-request"),
    ("GET", "/v1/sagas?limit=1&limit=2", {}, 400, "bad-request"),
    ("GET", "/v1/sagas?state=sleepy", {}, 400, "bad-request"),
    ("GET", "/v1/sagas?unfinished=yes", {}, 400, "bad-request"),
    ("GET", "/v1/sagas?page_token=zzz", {}, 400, "usage-error"),
    ("GET", f"/v1/sagas/{NOBODY}/events?after=-1", {}, 400, "bad-request"),
    ("GET", f"/v1/sagas/{NOBODY}", {"headers": {"If-None-Match": "seven"}}, 400, "bad-request"),
    ("DELETE", f"/v1/sagas/{NOBODY}", {}, 405, "method-not-allowed"),
    ("POST", "/v1/sagas", {"json": GREET}, 400, "bad-request"),
    ("POST", "/v1/plans", {"content": b"{", "headers": JSON}, 400, "bad-request"),
    ("POST", "/v1/plans", {"content": b"[" * 100_000, "headers": JSON}, 400, "bad-request"),
    ("POST", "/v1/plans", {"content": b'{"operation": NaN}', "headers": JSON}, 400, "bad-request"),
    ("POST", "/v1/plans", {"content": b'{"operation": "\\ud800"}', "headers": JSON}, 400, "bad-request"),
    ("POST", "/v1/plans", {"content": b"\xff", "headers": JSON}, 400, "bad-request"),
    ("POST", "/v1/plans", {"json": []}, 400, "bad-request"),
    ("POST", "/v1/plans", {"json": {"operation": "greet", "colour": 1}}, 400, "bad-request"),
    ("POST", "/v1/plans", {"content": b"{}"}, 415, "unsupported-media-type"),
    ("POST", "/v1/plans", {"data": {"a": "b"}}, 415, "unsupported-media-type"),
    ("POST", "/v1/plans", {"json": {"operation": "none"}}, 422, "unknown-operation"),
    ("POST", "/v1/plans", {"json": {"operation": "greet", "params": {"x": 1}}}, 422, "invalid-params"),
    ("PUT", "/v1/sagas/7", {"json": GREET}, 400, "invalid-name"),
    ("POST", "/v1/sagas", {"json": GREET, "headers": {"Idempotency-Key": ""}}, 400, "bad-request"),
    ("POST", f"/v1/sagas/{NOBODY}/actions", {"json": {}}, 428, "precondition-required"),
    (
        "POST",
        f"/v1/sagas/{NOBODY}/actions",
        {"json": {"verb": "cancel", "reason": "so"}, "headers": {"If-Match": "*"}},
        404,
        "not-found",
    ),
    (
        "POST",
        f"/v1/sagas/{NOBODY}/actions",
        {"json": {"verb": "dance", "reason": "so"}, "headers": {"If-Match": "*"}},
        400,
        "usage-error",
    ),
]


def test_what_cannot_be_is_refused_with_a_problem(http: httpx.Client) -> None:
    """Each refusal has its status and code, and a whole problem document."""
    seen = []
    for method, path, request, _, _ in REFUSALS:
        answer = http.request(method, path, **request)
        body = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["status"] == answer.status_code
        assert body["type"] == f"urn:sledsaga:problem:{body['code']}"
        assert body["instance"] == path.partition("?")[0]
        assert body["title"] != ""
        assert body["detail"] != ""
        seen.append((method, path, request, answer.status_code, body["code"]))
    assert seen == REFUSALS


@pytest.mark.parametrize("told", [True, False])
def test_a_body_above_the_limit_is_not_read(http: httpx.Client, *, told: bool) -> None:
    """A body that is too large is 413, whether it says its length or comes in pieces."""
    piece = b" " * (BODY_BYTES_MAX // 2 + 1)
    content: Any = piece * 2 if told else iter([piece, piece])
    answer = http.post("/v1/plans", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


def test_params_above_their_limit_are_refused(http: httpx.Client) -> None:
    """Params above 1 MiB are 413 before anything is recorded."""
    body = {"operation": "greet", "params": {"name": "x" * 1_100_000}}
    answer = http.put(f"/v1/sagas/{new_id()}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/sagas", {"GET", "HEAD", "POST"}),
        (f"/v1/sagas/{NOBODY}", {"GET", "HEAD", "PUT"}),
        ("/v1/plans", {"POST"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(http: httpx.Client, path: str, methods: set[str]) -> None:
    """405 names every method that the address has."""
    answer = http.request("PATCH", path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == methods


def test_head_is_get_without_a_body(http: httpx.Client) -> None:
    """HEAD gives the head that GET gives."""
    saga = submit(http)["id"]
    rested(http, saga)
    get, head = http.get(f"/v1/sagas/{saga}"), http.head(f"/v1/sagas/{saga}")
    assert (head.status_code, head.headers["etag"], head.content) == (200, get.headers["etag"], b"")


def test_sagas_are_listed_page_by_page(http: httpx.Client) -> None:
    """Pages follow each other by their tokens, newest first, and the last has none."""
    ids = [submit(http, key=str(number))["id"] for number in range(3)]
    first = http.get("/v1/sagas?limit=2").json()
    second = http.get("/v1/sagas", params={"limit": 2, "page_token": first["next_page_token"]}).json()
    assert [row["id"] for row in first["sagas"] + second["sagas"]] == ids[::-1]
    assert second["next_page_token"] is None


FILTERS: dict[str, set[str]] = {
    "operation=greet": {"greet"},
    "key=key-of-gated": {"gated"},
    "resource=pool:tank": {"gated"},
    "state=stuck": {"fragile"},
    "state=stuck&state=succeeded": {"fragile", "greet"},
    "unfinished=true": {"fragile", "gated"},
    "operation=greet&state=stuck": set(),
}


def test_sagas_are_filtered(http: httpx.Client) -> None:
    """Each filter narrows the list, and several narrow it together."""
    for name in ("greet", "gated", "fragile"):
        saga = submit(http, name, f"key-of-{name}")["id"]
        if name != "gated":
            rested(http, saga)
    pages = {query: http.get(f"/v1/sagas?{query}").json()["sagas"] for query in FILTERS}
    assert {query: {row["operation"] for row in rows} for query, rows in pages.items()} == FILTERS


def test_locks_show_who_holds_and_who_waits(http: httpx.Client) -> None:
    """The first saga holds the pool, the second waits for it."""
    first, second = submit(http, "gated", "a")["id"], submit(http, "gated", "b")["id"]
    http.get(f"/v1/sagas/{first}/events?after=2", headers={"Prefer": "wait=20"})
    rows = http.get("/v1/locks").json()["locks"]
    assert [(row["saga"], row["held"], row["resource"]) for row in rows] == [
        (first, True, "pool:tank"),
        (second, False, "pool:tank"),
    ]
    assert [row["saga"] for row in http.get(f"/v1/locks?saga={second}").json()["locks"]] == [second]


def test_operations_say_what_they_take(http: httpx.Client) -> None:
    """The catalog has each operation with the schema of its params."""
    rows = http.get("/v1/operations").json()["operations"]
    assert [(row["name"], row["version"], row["summary"]) for row in rows][-1] == ("greet", 1, "Says hello.")
    assert rows[-1]["params"]["properties"]["name"]["default"] == "world"


def act(http: httpx.Client, saga: str, tag: str, **body: object) -> httpx.Response:
    return http.post(f"/v1/sagas/{saga}/actions", json=body, headers={"If-Match": tag})


def test_a_command_is_answered_with_what_it_wrote(http: httpx.Client) -> None:
    """The answer has the records as they stand in the log, and the saga after them."""
    saga = submit(http, "fragile")["id"]
    stuck = rested(http, saga)
    answer = act(http, saga, stuck.headers["etag"], verb="skip-undo", step="failing", reason="seen to")
    body = answer.json()
    log = http.get(f"/v1/sagas/{saga}/events").json()["events"]
    assert [record["type"] for record in body["events"]] == ["undo-skipped"]
    assert [record for record in log if record["type"] == "undo-skipped"] == body["events"]
    assert (body["events"][0]["reason"], body["events"][0]["step"]) == ("seen to", "failing")
    assert (body["dry_run"], body["saga"]["stuck"]) == (False, [])
    assert rested(http, saga).json()["state"] == "undone"


def test_a_dry_run_writes_nothing(http: httpx.Client) -> None:
    """A dry run says which records would come, and leaves the saga as it was."""
    saga = submit(http, "fragile")["id"]
    tag = rested(http, saga).headers["etag"]
    body = act(http, saga, tag, verb="skip-undo", reason="so", dry_run=True).json()
    assert [(one["type"], one["seq"], one["at"]) for one in body["events"]] == [("undo-skipped", None, None)]
    assert http.get(f"/v1/sagas/{saga}").headers["etag"] == tag


def test_a_command_on_an_old_picture_is_refused(http: httpx.Client) -> None:
    """If-Match with another number than the saga's is 412, and nothing is written."""
    saga = submit(http, "fragile")["id"]
    tag = rested(http, saga).headers["etag"]
    answer = act(http, saga, '"1"', verb="abandon", reason="so")
    assert (answer.status_code, answer.json()["code"], answer.json()["saga"]) == (412, "stale", saga)
    assert http.get(f"/v1/sagas/{saga}").headers["etag"] == tag


def test_a_command_that_does_not_fit_says_what_would(http: httpx.Client) -> None:
    """A refused command names the verbs that the saga would take."""
    saga = submit(http, "fragile")["id"]
    rested(http, saga)
    answer = act(http, saga, "*", verb="resume", reason="so")
    assert (answer.status_code, answer.json()["code"]) == (409, "refused")
    assert answer.json()["allowed"] == ["pause", "retry-undo", "skip-undo", "abandon"]


def test_who_asked_is_in_the_log(http: httpx.Client) -> None:
    """The log names the user of the socket, and beside it the name that the client gives."""
    for key, header in (("a", {}), ("b", {"X-Sledsaga-By": "ålice".encode()})):
        headers: Any = {"Idempotency-Key": key} | header
        http.post("/v1/sagas", json=GREET, headers=headers)
    logs = [http.get(f"/v1/sagas/{row['id']}/events").json() for row in http.get("/v1/sagas").json()["sagas"]]
    named, plain = (log["events"][0]["by"] for log in logs)
    assert named == f"ålice (as {plain})"


def test_readiness_lists_its_checks(http: httpx.Client, engine: Engine) -> None:
    """A ready executor says so check by check; one that goes down is 503 and says why."""
    before, live = http.get("/readyz"), http.get("/livez")
    engine.drain()
    after = http.get("/readyz")
    assert (before.status_code, before.json()["ready"], live.json()["live"]) == (200, True, True)
    assert [check["name"] for check in before.json()["checks"]] == ["log", "schema", "not-draining"]
    assert (after.status_code, after.json()["ready"]) == (503, False)
    assert [check["name"] for check in after.json()["checks"] if not check["ok"]] == ["not-draining"]
    assert http.get("/livez").status_code == 200


def test_while_draining_nothing_new_is_taken(
    http: httpx.Client, server: Server, gate: threading.Event
) -> None:
    """Submits and commands are 503 with a time to come again; what there is can still be seen."""
    saga = submit(http, "gated")["id"]
    server.drain()
    refused = [
        http.put(f"/v1/sagas/{new_id()}", json=GREET),
        http.post("/v1/sagas", json=GREET, headers={"Idempotency-Key": "z"}),
        act(http, saga, "*", verb="cancel", reason="so"),
    ]
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(503, "stopping")] * 3
    assert [one.headers["retry-after"] for one in refused] == ["5"] * 3
    assert http.get(f"/v1/sagas/{saga}").status_code == 200


def test_a_mistake_of_ours_is_a_problem_too(http: httpx.Client, server: Server, engine: Engine) -> None:
    """An error that nobody foresaw is 500, without what it was in detail."""
    engine.catalog = json  # type: ignore[assignment] # a catalog that cannot be walked through
    answer = http.get("/v1/operations")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["content-type"] == "application/problem+json"
