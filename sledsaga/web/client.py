"""The engine's verbs over the executor's socket: what another process uses instead of an engine.

Rules
- What an engine raises, a client raises: problem documents are turned back by their code.
- A submit always has an id or a key, so that it may be sent again when its answer was lost.
- A command without `expect_seq` says so (`If-Match: *`): it is meant however the saga stands.
- Nobody at the socket is LogUnavailable, with what to do; a wait or a stream that is cut goes on by itself
  as long as somebody answers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from email.message import Message as Headers
from http import HTTPStatus
from http.client import HTTPResponse
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from pydantic import BaseModel

from sledsaga.core.commands import Command
from sledsaga.core.view import SagaView
from sledsaga.engine.ids import new_id
from sledsaga.errors import LogUnavailable, Stopping, UsageError, WaitTimedOut
from sledsaga.store.store import Filter, LockRow, Page, SagaRow
from sledsaga.web import sse
from sledsaga.web.problems import error_of
from sledsaga.web.rows import is_at_rest, lock_from_json, row_from_json, view_from_json
from sledsaga.web.sockets import short_way
from sledsaga.web.wire import NOBODY, TROUBLES, Query, Wire

ANSWER_S = 60.0
"""A submit waits for the disk, and for all who came before it."""
WAIT_S = 30.0
PAGE_EVENTS = 1000
CUTS_MAX = 3
GOING = "the executor is going down; the saga goes on when another one takes over"
Record = dict[str, Any]
SAGAS = ("v1", "sagas")


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the body, which is JSON."""
        return json.loads(self.body)


class Decided(NamedTuple):
    """The records that a command became (with `dry_run`: would become, without number and time)."""

    events: tuple[Record, ...]
    view: SagaView


class Client:
    """One executor, from another process. Safe to be used from several threads; close it when done.

    `by` is who asks, as the log shall name them; the kernel tells the executor the user in any case.
    """

    def __init__(self, path: Path | str, *, by: str | None = None) -> None:
        """Take the path of the socket, of any length; raises LogUnavailable when nobody answers there."""
        self._path = path
        self._by = by
        self._ways = ExitStack()
        way = self._ways.enter_context(short_way(Path(path)))
        try:
            self._wire = Wire(way, answer_s=ANSWER_S)
        except OSError as error:
            self._ways.close()
            raise self._nobody(error) from error

    def submit(
        self,
        operation: str,
        params: BaseModel | Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        id: str | None = None,  # noqa: A002 - the field's name everywhere
        by: str | None = None,
        fingerprint: str | None = None,
    ) -> SagaView:
        """Record a saga; as `Engine.submit`."""
        return self.submitted(operation, params, key=key, id=id, by=by, fingerprint=fingerprint)[0]

    def submitted(
        self,
        operation: str,
        params: BaseModel | Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        id: str | None = None,  # noqa: A002 - the field's name everywhere
        by: str | None = None,
        fingerprint: str | None = None,
    ) -> tuple[SagaView, bool]:
        """Submit, and also say whether the saga is new."""
        body = {"operation": operation, "params": _plain(params), "plan": fingerprint}
        headers = self._who(by) | ({} if key is None else {"Idempotency-Key": _quoted(key)})
        if id is None and key is not None:
            answer = self._ask("POST", SAGAS, json_body=body, headers=headers)
        else:
            answer = self._ask("PUT", (*SAGAS, id or new_id()), json_body=body, headers=headers)
        return view_from_json(answer.json()), answer.status == HTTPStatus.CREATED

    def view(self, saga: str) -> SagaView:
        """Return the picture of a saga; raises NotFound."""
        return view_from_json(self._ask("GET", (*SAGAS, saga)).json())

    def wait(self, saga: str, timeout_s: float | None = None) -> SagaView:
        """Wait until the saga has ended, is stuck, or is paused with nothing running; raises WaitTimedOut."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = WAIT_S if deadline is None else min(WAIT_S, max(0.0, deadline - time.monotonic()))
            answer = self._ask("GET", (*SAGAS, saga), headers={"Prefer": f"wait={left:.3f}".encode()})
            view = view_from_json(answer.json())
            if is_at_rest(view):
                return view
            if deadline is not None and time.monotonic() >= deadline:
                msg = f"saga {saga} is still {view.state} after {timeout_s:g} s; it goes on, so wait again"
                raise WaitTimedOut(msg)
            if "preference-applied" not in answer.headers:
                raise Stopping(GOING)

    def list(
        self, only: Filter | None = None, *, limit: int = 100, token: str | None = None
    ) -> Page[SagaRow]:
        """Return a page of sagas, newest first; as `Store.list`."""
        only = only or Filter()
        query = {"limit": str(limit), "page_token": token, "operation": only.operation, "key": only.key}
        query |= {"resource": only.resource, "unfinished": "true" if only.unfinished else None}
        pairs = [(name, text) for name, text in query.items() if text is not None]
        pairs += [("state", state) for state in sorted(only.states or ())]
        body = self._ask("GET", SAGAS, query=pairs).json()
        return Page(tuple(map(row_from_json, body["sagas"])), body["next_page_token"])

    def events(
        self,
        saga: str,
        *,
        after: int = 0,
        limit: int | None = None,
        follow: bool = False,
        until_rest: bool = False,
    ) -> Iterator[Record]:
        """Yield the records of a saga above `after` as JSON, at most `limit`.

        With `until_rest` also those to come until it rests; with `follow` until it has ended.
        """
        records = (
            self._stream(saga, after, follow=follow) if follow or until_rest else self._pages(saga, after)
        )
        for count, record in enumerate(records, 1):
            if limit is not None and count > limit:
                return
            yield record

    def command(
        self, saga: str, command: Command, *, expect_seq: int | None = None, dry_run: bool = False
    ) -> Decided:
        """Tell a saga something; as `Engine.command`. `expect_seq` is the last event that the caller saw."""
        body: Record = {"verb": command.verb, "reason": command.reason, "step": command.step}
        body |= {"output": command.output, "dry_run": dry_run}
        seen = "*" if expect_seq is None else f'"{expect_seq}"'
        headers = self._who(command.by) | {"If-Match": seen.encode()}
        answer = self._ask("POST", (*SAGAS, saga, "actions"), json_body=body, headers=headers).json()
        return Decided(tuple(answer["events"]), view_from_json(answer["saga"]))

    def locks(self, saga: str | None = None) -> tuple[LockRow, ...]:
        """Return who holds and who waits; as `Store.locks`."""
        query = [] if saga is None else [("saga", saga)]
        return tuple(map(lock_from_json, self._ask("GET", ("v1", "locks"), query=query).json()["locks"]))

    def operations(self) -> tuple[Record, ...]:
        """Return what can be submitted: name, version, summary, and the schema of the params."""
        return tuple(self._ask("GET", ("v1", "operations")).json()["operations"])

    def plan(self, operation: str, params: BaseModel | Mapping[str, Any] | None = None) -> Record:
        """Plan an execution by the executor's catalog; `fingerprint` holds a later submit to it."""
        body = {"operation": operation, "params": _plain(params)}
        planned: Record = self._ask("POST", ("v1", "plans"), json_body=body).json()
        return planned

    def ready(self) -> Record:
        """Return the executor's checks: `ready`, and what speaks against it."""
        found: Record = self._answer("GET", ("readyz",)).json()
        return found

    def close(self) -> None:
        """Let go of the connections; a second call does nothing."""
        self._wire.close()
        self._ways.close()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _pages(self, saga: str, after: int) -> Iterator[Record]:
        while True:
            query = [("after", str(after)), ("limit", str(PAGE_EVENTS))]
            page = self._ask("GET", (*SAGAS, saga, "events"), query=query).json()
            yield from page["events"]
            after = page["next_after"]
            if len(page["events"]) < PAGE_EVENTS:
                return

    def _stream(self, saga: str, after: int, *, follow: bool) -> Iterator[Record]:
        """Follow a stream to its end; one that is cut begins again where it was."""
        cuts = 0
        while True:
            try:
                for message in self._messages(saga, after, follow=follow):
                    body: Record = json.loads(message.data)
                    if message.event == "end":
                        return self._end(body["reason"])
                    after, cuts = body["seq"], 0
                    yield body
            except TROUBLES as error:
                cuts += 1
                if isinstance(error, NOBODY) or cuts > CUTS_MAX:
                    raise self._nobody(error) from error

    def _end(self, reason: str) -> None:
        if reason != "at-rest":
            raise Stopping(GOING)

    def _messages(self, saga: str, after: int, *, follow: bool) -> Iterator[sse.Message]:
        query = [("follow", "true" if follow else "false")]
        headers = {"Accept": sse.MEDIA_TYPE.encode(), "Last-Event-ID": str(after).encode()}
        with self._wire.asked("GET", (*SAGAS, saga, "events"), query=query, headers=headers) as answer:
            if answer.status != HTTPStatus.OK:
                _check(_read(answer))
            yield from sse.decode(line.decode().rstrip("\r\n") for line in answer)

    def _ask(
        self,
        method: str,
        path: Sequence[str],
        *,
        query: Query = (),
        headers: Mapping[str, bytes] | None = None,
        json_body: Record | None = None,
    ) -> Answer:
        body = None if json_body is None else _encode(json_body)
        answer = self._answer(method, path, query=query, headers=headers, body=body)
        _check(answer)
        return answer

    def _answer(self, method: str, path: Sequence[str], **request: Any) -> Answer:  # noqa: ANN401 - passed on
        try:
            with self._wire.asked(method, path, **request) as answer:
                return _read(answer)
        except TROUBLES as error:
            raise self._nobody(error) from error

    def _nobody(self, error: Exception) -> LogUnavailable:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return LogUnavailable(
            f"no executor answers on {self._path} ({why}); start one with `sledsaga serve`, then look again"
        )

    def _who(self, by: str | None) -> dict[str, bytes]:
        name = by or self._by
        return {} if name is None else {"X-Sledsaga-By": name.encode()}


def _read(answer: HTTPResponse) -> Answer:
    return Answer(answer.status, answer.headers, answer.read())


def _check(answer: Answer) -> None:
    """Raise what the executor says went wrong."""
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return
    try:
        document = answer.json()
    except ValueError:
        document = {}
    raise error_of(document, answer.status)


def _encode(body: Record) -> bytes:
    """Return JSON; raises UsageError for what JSON does not have."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"this cannot be sent as JSON: {error}") from error


def _plain(params: BaseModel | Mapping[str, Any] | None) -> dict[str, Any]:
    return params.model_dump(mode="json") if isinstance(params, BaseModel) else dict(params or {})


def _quoted(key: str) -> bytes:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.encode()
