"""The log of a saga as pages, long polls and streams: the same records, in order, none lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from sledsaga.web import sse
from sledsaga.web.serve import Server

STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    """Threads for those who wait while the test goes on."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def submit(http: httpx.Client, operation: str = "greet") -> str:
    headers = {"Idempotency-Key": operation}
    return http.post("/v1/sagas", json={"operation": operation}, headers=headers).json()["id"]


def rested(http: httpx.Client, saga: str) -> dict[str, Any]:
    return http.get(f"/v1/sagas/{saga}", headers={"Prefer": "wait=20"}).json()


def started(http: httpx.Client, saga: str) -> int:
    """Wait until the gated step runs; return the last event."""
    seq = 0
    while True:
        page = http.get(f"/v1/sagas/{saga}/events?after={seq}", headers={"Prefer": "wait=20"}).json()
        seq = page["next_after"]
        if page["events"][-1]["type"] == "step-started":
            return seq


def messages(answer: httpx.Response) -> list[sse.Message]:
    return list(sse.decode(answer.iter_lines()))


def records(found: list[sse.Message]) -> list[dict[str, Any]]:
    return [json.loads(message.data) for message in found if message.event == "message"]


def test_a_stream_has_what_the_pages_have(http: httpx.Client) -> None:
    """Each message is a record of the log with its number as id, and the last says that the saga rests."""
    saga = submit(http)
    found = messages(http.get(f"/v1/sagas/{saga}/events", headers=STREAM))
    log = http.get(f"/v1/sagas/{saga}/events").json()["events"]
    assert records(found) == log
    assert [message.id for message in found[:-1]] == [record["seq"] for record in log]
    assert (found[-1].event, json.loads(found[-1].data)) == (
        "end",
        {"reason": "at-rest", "state": "succeeded"},
    )


def test_a_stream_goes_on_where_it_was_cut(http: httpx.Client) -> None:
    """Last-Event-ID leaves out what the client has seen."""
    saga = submit(http)
    rested(http, saga)
    found = messages(http.get(f"/v1/sagas/{saga}/events", headers=STREAM | {"Last-Event-ID": "3"}))
    log = http.get(f"/v1/sagas/{saga}/events?after=3").json()["events"]
    assert records(found) == log
    assert log[0]["seq"] == 4


def test_events_come_as_they_happen(http: httpx.Client, gate: threading.Event) -> None:
    """A stream that waits for a step has its end as soon as there is one."""
    saga = submit(http, "gated")
    types = []
    with http.stream("GET", f"/v1/sagas/{saga}/events", headers=STREAM) as answer:
        for message in sse.decode(answer.iter_lines()):
            types.append(json.loads(message.data).get("type"))
            if types[-1] == "step-started":
                gate.set()
    assert types[-4:] == ["step-started", "step-succeeded", "ended", None]


def test_a_stream_ends_at_rest_unless_it_follows(http: httpx.Client, beside: ThreadPoolExecutor) -> None:
    """A stuck saga ends a stream; one that follows goes on until a person has ended the saga."""
    saga = submit(http, "fragile")
    short = messages(http.get(f"/v1/sagas/{saga}/events", headers=STREAM))
    following = beside.submit(http.get, f"/v1/sagas/{saga}/events?follow=true", headers=STREAM)
    body = {"verb": "skip-undo", "reason": "so"}
    http.post(f"/v1/sagas/{saga}/actions", json=body, headers={"If-Match": "*"})
    long = messages(following.result(20))
    assert json.loads(short[-1].data) == {"reason": "at-rest", "state": "stuck"}
    assert json.loads(long[-1].data) == {"reason": "at-rest", "state": "undone"}
    types = [record["type"] for record in records(long)]
    assert ("undo-skipped" in types, types[-1]) == (True, "ended")


def test_streams_end_when_the_executor_goes(
    http: httpx.Client, server: Server, beside: ThreadPoolExecutor
) -> None:
    """Draining ends every stream, and the last message says so."""
    saga = submit(http, "gated")
    started(http, saga)
    stream = beside.submit(http.get, f"/v1/sagas/{saga}/events?follow=true", headers=STREAM)
    server.drain()
    assert json.loads(messages(stream.result(20))[-1].data) == {"reason": "draining", "state": "running"}


def test_pages_follow_each_other(http: httpx.Client) -> None:
    """Pages of two give the log in order, and the last says that no more will come."""
    saga = submit(http)
    rested(http, saga)
    after = 0
    seen: list[int] = []
    rests: list[bool] = []
    while not rests or not rests[-1]:
        page = http.get(f"/v1/sagas/{saga}/events?after={after}&limit=2").json()
        seen += [record["seq"] for record in page["events"]]
        after = page["next_after"]
        rests.append(page["at_rest"])
    assert seen == list(range(1, after + 1))
    assert rests.count(True) == 1


def test_a_page_waits_for_news(http: httpx.Client, gate: threading.Event, beside: ThreadPoolExecutor) -> None:
    """A long poll is answered with what happens next."""
    saga = submit(http, "gated")
    seq = started(http, saga)
    poll = beside.submit(http.get, f"/v1/sagas/{saga}/events?after={seq}", headers={"Prefer": "wait=20"})
    gate.set()
    answer = poll.result(20)
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.json()["events"][0]["type"] == "step-succeeded"


def test_a_wait_ends_in_time(http: httpx.Client) -> None:
    """A long poll without news is an empty page; a saga that has not changed is 304."""
    saga = submit(http, "gated")
    seq = started(http, saga)
    prefer = {"Prefer": "respond-async, wait=0.01"}
    page = http.get(f"/v1/sagas/{saga}/events?after={seq}", headers=prefer).json()
    unchanged = http.get(f"/v1/sagas/{saga}", headers=prefer | {"If-None-Match": f'"{seq}"'})
    assert (page["events"], page["next_after"], page["at_rest"]) == ([], seq, False)
    assert (unchanged.status_code, unchanged.headers["etag"], unchanged.content) == (304, f'"{seq}"', b"")


def test_a_view_waits_for_a_change(
    http: httpx.Client, gate: threading.Event, beside: ThreadPoolExecutor
) -> None:
    """With If-None-Match a wait ends at the next event."""
    saga = submit(http, "gated")
    headers = {"Prefer": "wait=20", "If-None-Match": f'"{started(http, saga)}"'}
    poll = beside.submit(http.get, f"/v1/sagas/{saga}", headers=headers)
    gate.set()
    assert poll.result(20).json()["steps"][0]["state"] == "succeeded"


def test_a_view_waits_for_a_paused_saga_to_rest(
    http: httpx.Client, gate: threading.Event, beside: ThreadPoolExecutor
) -> None:
    """A paused saga rests only when what was running has ended."""
    saga = submit(http, "gated")
    started(http, saga)
    body = {"verb": "pause", "reason": "so"}
    http.post(f"/v1/sagas/{saga}/actions", json=body, headers={"If-Match": "*"})
    early = http.get(f"/v1/sagas/{saga}", headers={"Prefer": "wait=0.01"}).json()
    poll = beside.submit(rested, http, saga)
    gate.set()
    assert (early["state"], early["steps"][0]["state"]) == ("paused", "running")
    assert poll.result(20)["steps"][0]["state"] == "succeeded"


def test_a_preference_that_is_none_is_passed_over(http: httpx.Client) -> None:
    """What cannot be understood as a wait does not wait, and is no error."""
    saga = submit(http, "gated")
    for prefer in ("wait", "wait=soon", "wait=-1", "handling=strict"):
        answer = http.get(f"/v1/sagas/{saga}", headers={"Prefer": prefer})
        assert (answer.status_code, "preference-applied" in answer.headers) == (200, False)


def test_a_last_event_id_is_a_number(http: httpx.Client) -> None:
    """A Last-Event-ID that is none is refused before the stream begins."""
    answer = http.get(f"/v1/sagas/{submit(http)}/events", headers=STREAM | {"Last-Event-ID": "x"})
    assert answer.status_code == 400


def test_what_is_cut_off_is_no_message() -> None:
    """Comments, and a message without its end, are left out."""
    lines = [": hello", "", "id: 1", "data: {}", "", "event: end", "", "id: 2", "data: {"]
    assert list(sse.decode(lines)) == [sse.Message("message", 1, "{}")]
