"""The client: the engine's verbs, answers and errors, from another process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import cast

import pytest

from sledsaga.core.commands import Command, Verb
from sledsaga.core.view import event_to_json
from sledsaga.engine.engine import Engine
from sledsaga.errors import (
    Conflict,
    InvalidName,
    InvalidParams,
    KeyConflict,
    LogUnavailable,
    NotFound,
    Refused,
    Stopping,
    TooLarge,
    UnknownOperation,
    UsageError,
    WaitTimedOut,
)
from sledsaga.store.store import Filter
from sledsaga.web.client import Client
from sledsaga.web.serve import Server
from sledsaga.web.sockets import listen

NOBODY = "0192aaaa-0000-7000-8000-000000000000"


def command(verb: str, step: str | None = None) -> Command:
    return Command(cast("Verb", verb), "me", "because", step)


def test_a_view_is_what_the_engine_sees(client: Client, engine: Engine) -> None:
    """A submit, a wait and a view answer with the picture that the engine has."""
    for operation in ("greet", "fragile"):
        saga = client.submit(operation, {"name": "zone"}, key=operation).id
        rested = client.wait(saga)
        assert rested.to_json() == engine.view(saga).to_json()
        assert client.view(saga) == rested


def test_locks_of_a_running_saga_come_through(client: Client, engine: Engine) -> None:
    """Held locks are in the view, and in the list of locks."""
    saga = client.submit("gated").id
    list(islice(client.events(saga, follow=True), 4))
    assert client.view(saga).locks == (("pool:tank", "exclusive", True),)
    assert [(lock.saga, lock.held) for lock in client.locks()] == [(saga, True)]
    assert [lock.resource for lock in client.locks(saga)] == ["pool:tank"]


@pytest.mark.parametrize("key", ["plain", 'with "quotes" and \\', "ключ", " spaced "])
def test_a_key_of_any_letters_is_kept(client: Client, key: str) -> None:
    """A key comes through as it is, and gives the same saga again."""
    first, again = client.submitted("greet", key=key), client.submitted("greet", key=key)
    assert (first[0].key, first[1]) == (key, True)
    assert (again[0].id, again[1]) == (first[0].id, False)


def test_an_id_and_a_key_may_both_be_given(client: Client) -> None:
    """A saga has the id and the key that its client gave."""
    view = client.submit("greet", id=NOBODY, key="k")
    assert (view.id, view.key) == (NOBODY, "k")


def test_a_key_with_a_line_break_is_refused(client: Client) -> None:
    """What HTTP cannot carry is a usage error before anything is sent."""
    with pytest.raises(UsageError):
        client.submit("greet", key="a\nb")


@pytest.mark.parametrize("name", [float("nan"), "\udc80", object()])
def test_params_that_are_no_json_are_refused(client: Client, name: object) -> None:
    """What JSON cannot hold is a usage error before anything is sent."""
    with pytest.raises(UsageError, match="JSON"):
        client.submit("greet", {"name": name})


def test_errors_are_those_of_the_engine(client: Client) -> None:
    """Each refusal is raised as the class that the engine raises, with its words."""
    client.submit("greet", key="taken")
    done = client.wait(client.submit("greet").id).id
    cases: list[tuple[Callable[[], object], type[Exception]]] = [
        (lambda: client.submit("none"), UnknownOperation),
        (lambda: client.submit("greet", {"x": 1}), InvalidParams),
        (lambda: client.submit("greet", {"name": "x" * 1_200_000}), TooLarge),
        (lambda: client.submit("greet", {"name": "x" * 3_000_000}), TooLarge),
        (lambda: client.submit("gated", key="taken"), KeyConflict),
        (lambda: client.submit("greet", id="7"), InvalidName),
        (lambda: client.submit("greet", fingerprint="0" * 64), Conflict),
        (lambda: client.view(NOBODY), NotFound),
        (lambda: client.wait(NOBODY), NotFound),
        (lambda: list(client.events(NOBODY)), NotFound),
        (lambda: list(client.events(NOBODY, follow=True)), NotFound),
        (lambda: client.command(done, command("cancel")), Refused),
        (lambda: client.command(done, command("cancel"), expect_seq=1), Conflict),
        (lambda: client.list(token="zzz"), UsageError),
    ]
    raised = []
    for call, _ in cases:
        with pytest.raises(Exception, match=r"\w+") as caught:
            call()
        raised.append(caught.type)
    assert raised == [kind for _, kind in cases]


def test_events_are_the_records_of_the_log(client: Client, engine: Engine) -> None:
    """Pages and streams give each record once, in order, from where the caller wants."""
    saga = client.submit("greet").id
    streamed = list(client.events(saga, until_rest=True))
    dag = engine.store.plan(saga).dag
    log = [event_to_json(recorded, dag) for recorded in engine.events(saga)]
    assert streamed == log
    assert list(client.events(saga)) == log
    assert list(client.events(saga, after=3, limit=2)) == log[3:5]
    assert list(client.events(saga, after=3, follow=True)) == log[3:]


def test_many_who_follow_a_quick_saga_miss_nothing(server: Server, client: Client) -> None:
    """However fast events come and however many watch, each stream has all of them in order."""

    def seqs(saga: str) -> list[int]:
        with Client(server.path) as own:
            return [record["seq"] for record in own.events(saga, until_rest=True)]

    with ThreadPoolExecutor(8) as beside:
        found = list(beside.map(seqs, [client.submit("chain").id] * 8))
    assert found == [list(range(1, len(found[0]) + 1))] * 8
    assert len(found[0]) > 400


def test_a_command_is_answered_with_its_records(client: Client) -> None:
    """A dry run writes nothing; the command itself does, on the picture that was seen."""
    stuck = client.wait(client.submit("fragile").id)
    rehearsed = client.command(stuck.id, command("skip-undo", "failing"), dry_run=True)
    assert client.view(stuck.id) == stuck
    done = client.command(stuck.id, command("skip-undo", "failing"), expect_seq=stuck.seq)
    assert [record["type"] for record in rehearsed.events] == ["undo-skipped"]
    assert [record["step"] for record in done.events] == ["failing"]
    assert done.events[0]["by"].startswith("me")
    assert client.wait(stuck.id).state == "undone"


def test_lists_are_those_of_the_store(client: Client, engine: Engine) -> None:
    """A page has the rows that the store has, and its token leads on."""
    for key in "abc":
        client.wait(client.submit("greet", key=key).id)
    page = client.list(Filter(states=frozenset({"succeeded"}), operation="greet"), limit=2)
    rest = client.list(limit=2, token=page.next_token)
    assert [row.key for row in page.rows + rest.rows] == ["c", "b", "a"]
    assert client.list(Filter(unfinished=True)).rows == ()
    assert client.list(Filter(key="a")).rows[0].digest == engine.store.row(rest.rows[0].id).digest


def test_a_plan_holds_a_submit_to_it(client: Client) -> None:
    """The fingerprint of a plan is that of the saga which is submitted with it."""
    planned = client.plan("greet", {"name": "zone"})
    view = client.submit("greet", {"name": "zone"}, fingerprint=planned["fingerprint"])
    assert view.fingerprint == planned["fingerprint"]
    assert [row["name"] for row in client.operations()] == ["chain", "fragile", "gated", "greet"]


def test_a_wait_ends_in_time(client: Client) -> None:
    """A saga that goes on is a wait that timed out."""
    saga = client.submit("gated").id
    for timeout_s in (0, 0.05):
        with pytest.raises(WaitTimedOut, match="it goes on"):
            client.wait(saga, timeout_s)


def test_whoever_waits_hears_that_the_executor_goes(
    client: Client, server: Server, gate: threading.Event
) -> None:
    """Draining ends waits and streams with an error that says what becomes of the saga."""
    saga = client.submit("gated").id
    records = client.events(saga, follow=True)
    list(islice(records, 4))
    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(client.wait, saga)
        server.drain()
        with pytest.raises(Stopping):
            waiting.result(20)
    with pytest.raises(Stopping):
        list(records)
    with pytest.raises(Stopping):
        client.submit("greet")


@pytest.mark.parametrize("there", [True, False])
def test_nobody_at_the_socket_is_one_clear_error(tmp_path: Path, *, there: bool) -> None:
    """No socket, or a dead one, says that no executor answers and what to do."""
    path = tmp_path / "x.sock"
    if there:
        listen(path).close()
    with pytest.raises(LogUnavailable, match=r"no executor answers on .*sledsaga serve"):
        Client(path)


def test_an_executor_that_is_gone_is_the_same_error(client: Client, server: Server) -> None:
    """A client that outlives its executor says so for every verb."""
    client.operations()
    server.stop()
    with closing(listen(server.path)):  # somebody hangs up on whoever connects
        pass
    for call in (client.ready, client.operations, lambda: list(client.events(NOBODY, follow=True))):
        with pytest.raises(LogUnavailable, match=r"no executor answers on .*sledsaga serve"):
            call()


@pytest.fixture
def cutting(tmp_path: Path) -> Iterator[Path]:
    """Answer each stream with one record and cut it; the third ends as it should."""
    path = tmp_path / "cut.sock"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    def chunk(text: str) -> bytes:
        return f"{len(text):x}\r\n{text}\r\n".encode()

    def serve(listener: socket.socket) -> None:
        answered = 0
        while answered < 3:
            connection, _ = listener.accept()
            with connection:
                asked = connection.recv(65536).decode().lower()
                answered += 1
                after = int(asked.partition("last-event-id: ")[2].split()[0])
                connection.sendall(head + chunk(f'id: {after + 1}\ndata: {{"seq": {after + 1}}}\n\n'))
                if answered == 3:
                    connection.sendall(chunk('event: end\ndata: {"reason": "at-rest"}\n\n') + b"0\r\n\r\n")

    with closing(listen(path)) as listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve, listener)
        yield path
        served.result(20)


def test_a_stream_that_is_cut_goes_on(cutting: Path) -> None:
    """A lost connection is made again from the last record that was seen."""
    with Client(cutting) as client:
        assert [record["seq"] for record in client.events(NOBODY, after=6, follow=True)] == [7, 8, 9]
