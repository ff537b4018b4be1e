"""The library's front door: submit, wait, view, events, command, recover, close.

An engine drives the sagas of one log from one process. Everything here is blocking and may be called from
any thread; what changes a saga goes through the executor's inbox, what reads one reads the log.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from itertools import repeat
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import BaseModel

from sledsaga.core.bind import Bound, bind
from sledsaga.core.commands import Command
from sledsaga.core.dag import Plan, canonical
from sledsaga.core.define import Operation
from sledsaga.core.events import Recorded
from sledsaga.core.machine import replay
from sledsaga.core.plan import plan
from sledsaga.core.view import SagaView, view
from sledsaga.engine.books import OnEvents
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.diagnostics import logger
from sledsaga.engine.execute import Executor
from sledsaga.engine.ids import check_id, new_id
from sledsaga.engine.limits import Limits
from sledsaga.engine.live import Live
from sledsaga.engine.messages import (
    Decide,
    Decision,
    Idle,
    Message,
    Recover,
    Recovered,
    Stop,
    Submit,
    Wait,
)
from sledsaga.engine.perform import Hook, SledFactory
from sledsaga.engine.preview import Preview, preview
from sledsaga.engine.read import read_view
from sledsaga.errors import Conflict, InvalidName, InvalidPlan, SledsagaError, UsageError, WaitTimedOut
from sledsaga.store.store import Store

KEY_CHARS_MAX = 255
GRACE_S = 5.0
Answer = TypeVar("Answer")


class Engine:
    """Drives the sagas of one log. Use as a context manager, or call `close`.

    `drive=False` records submissions and commands but runs nothing.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        *,
        sled: SledFactory | None = None,
        limits: Limits | None = None,
        executor: str | None = None,
        hook: Hook | None = None,
        drive: bool = True,
    ) -> None:
        """Start the executor's thread; nothing of the log is taken over before `recover`.

        Raises LogUnavailable.
        """
        self.store = store
        self.catalog = catalog
        self._sled = sled
        self.executor = executor or f"{socket.gethostname()}:{os.getpid()}:{new_id()[-8:]}"
        self._loop = Executor(
            store,
            catalog,
            name=self.executor,
            limits=limits or Limits(),
            drive=drive,
            sled=sled,
            hook=hook,
            note=_note,
        )
        self._subscribing = threading.Lock()
        self._loop.start()

    def submit(
        self,
        operation: str | Operation,
        params: BaseModel | Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        id: str | None = None,  # noqa: A002 - the field's name everywhere
        by: str | None = None,
        fingerprint: str | None = None,
    ) -> SagaView:
        """Record a saga durably and begin to drive it; the same key (or id) and params give the same saga.

        Returns a new saga as it was recorded, and one that was there before as it is now.

        `fingerprint` is that of a plan that was looked at before: another plan is refused.
        Raises UnknownOperation, InvalidParams, InvalidPlan, TooLarge, KeyConflict, Conflict, Stopping,
        LogUnavailable; then nothing was recorded.
        """
        return self.submitted(operation, params, key=key, id=id, by=by, fingerprint=fingerprint)[0]

    def submitted(
        self,
        operation: str | Operation,
        params: BaseModel | Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        id: str | None = None,  # noqa: A002 - the field's name everywhere
        by: str | None = None,
        fingerprint: str | None = None,
    ) -> tuple[SagaView, bool]:
        """Submit, and also say whether the saga is new."""
        asked = self._submission(operation, params, key=key, id=id, by=by, fingerprint=fingerprint)
        self._loop.ask(asked)
        return self._submitted(asked)

    def run(
        self,
        operation: str | Operation,
        params: BaseModel | Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        by: str | None = None,
        timeout_s: float | None = None,
    ) -> SagaView:
        """Submit a saga and wait until it rests, for the time of one of the two: nobody is woken in between.

        Raises as `submit` and `wait` do; after WaitTimedOut the saga goes on.
        """
        if not self._loop.books.drive:
            msg = "this executor drives nothing; submit, and wait where sagas are driven"
            raise UsageError(msg)
        asked = self._submission(operation, params, key=key, by=by)
        rest: Future[Live | None] = Future()
        self._loop.ask(asked)
        self._loop.ask(Wait(asked.id, rest))
        has_come = _has_come(rest, timeout_s)
        answer = asked.reply.result()
        if answer.first is None:  # the key's saga is an older one
            return self.wait(answer.saga, timeout_s)
        return self._rested(asked.id, rest if has_come else None, timeout_s)

    def submit_many(
        self,
        operation: str | Operation,
        params: Sequence[BaseModel | Mapping[str, Any] | None],
        *,
        keys: Sequence[str | None] | None = None,
        by: str | None = None,
    ) -> tuple[SagaView, ...]:
        """Submit several sagas of one operation; those that meet in a turn are one write, and one wait.

        `keys` are as many as the params. Each is a submission of its own: one that cannot be planned is
        refused before any is recorded; one that is refused after that is raised when all others are
        recorded. Raises as `submit` does, and UsageError when there are not as many keys.
        """
        if keys is not None and len(keys) != len(params):
            msg = f"{len(keys)} keys for {len(params)} sagas; give as many, None where a saga has none"
            raise UsageError(msg)
        pairs = zip(params, keys or repeat(None, len(params)), strict=True)
        asked = [self._submission(operation, one, key=key, by=by) for one, key in pairs]
        for one in asked:
            self._loop.ask(one)
        wait([one.reply for one in asked])
        return tuple(self._submitted(one)[0] for one in asked)

    def _submission(
        self,
        operation: str | Operation,
        params: BaseModel | Mapping[str, Any] | None,
        *,
        key: str | None,
        id: str | None = None,  # noqa: A002 - the field's name everywhere
        by: str | None,
        fingerprint: str | None = None,
    ) -> Submit:
        """Plan and bind a saga in the caller's thread."""
        planned = self.plan(operation, params)
        if fingerprint is not None and fingerprint != planned.fingerprint:
            msg = (
                f"the plan is {planned.fingerprint[:12]} now, not {fingerprint[:12]}; plan again, then submit"
            )
            raise Conflict(msg)
        own = None if id is None else check_id(id)
        return Submit(
            own or new_id(),
            own is not None,
            planned,
            self._bind(planned),
            _check_key(key),
            _digest(planned),
            by or whoami(),
            Future(),
        )

    def _submitted(self, asked: Submit) -> tuple[SagaView, bool]:
        """Wait for the answer; return a new saga as it was recorded, and one that was there as it is now."""
        answer = asked.reply.result()
        if answer.first is None:
            return self.view(answer.saga), False
        state = replay(asked.plan.dag, (answer.first,), has_locks=bool(asked.plan.locks))
        return view(answer.saga, asked.plan, state, key=asked.key), True

    def plan(self, operation: str | Operation, params: BaseModel | Mapping[str, Any] | None = None) -> Plan:
        """Plan an execution without recording anything; raises as `submit` does."""
        if isinstance(operation, Operation):
            self.catalog.add(operation)
        else:
            operation = self.catalog.get(operation)
        return plan(operation, params)

    def preview(
        self, operation: str | Operation, params: BaseModel | Mapping[str, Any] | None = None
    ) -> Preview:
        """Plan an execution and ask its probes how things stand; raises as `submit` does."""
        planned = self.plan(operation, params)
        return preview(planned, self.catalog.get(planned.dag.operation, planned.dag.version), self._sled)

    def _bind(self, planned: Plan) -> Bound:
        """Bind a fresh plan in the caller's thread: what cannot be run is found before it is recorded."""
        dag = planned.dag
        try:
            return bind(self.catalog.get(dag.operation, dag.version), planned)
        except Exception as error:  # binding runs code of the operation, which may raise anything
            why = str(error).partition("\n")[0]
            msg = f"operation {dag.operation} v{dag.version} can be planned but not run: {why}"
            raise InvalidPlan(msg) from error

    def wait(self, saga: str, timeout_s: float | None = None) -> SagaView:
        """Wait until the saga has ended, is stuck, or is paused with nothing running.

        Raises WaitTimedOut (the saga goes on), NotFound, LogUnavailable, LostClaim, Stopping, and
        UsageError when this engine drives nothing and the saga does not rest.
        """
        reply: Future[Live | None] = Future()
        self._loop.ask(Wait(saga, reply))
        return self._rested(saga, reply if _has_come(reply, timeout_s) else None, timeout_s)

    def _rested(self, saga: str, reply: Future[Live | None] | None, timeout_s: float | None) -> SagaView:
        """Return the saga that rests, by the answer that came, or raise WaitTimedOut when none did."""
        if reply is None:
            now = self.view(saga).state
            msg = f"saga {saga} is still {now} after {timeout_s:g} s; it goes on, wait again or look at it"
            raise WaitTimedOut(msg)
        rested = reply.result()
        return self.view(saga) if rested is None else view(saga, rested.plan, rested.state, key=rested.key)

    def view(self, saga: str) -> SagaView:
        """Return the picture of a saga by what the log has now; raises NotFound, LogCorrupt."""
        return read_view(self.store, saga)

    def events(self, saga: str, *, after: int = 0, limit: int | None = None) -> tuple[Recorded, ...]:
        """Return the events of a saga with a sequence number above `after`; raises NotFound."""
        return self.store.events(saga, after=after, limit=limit)

    def command(
        self, saga: str, command: Command, *, expect_seq: int | None = None, dry_run: bool = False
    ) -> Decision:
        """Tell a saga something; return the events that it became, or (`dry_run`) would become.

        `expect_seq` is the last event that the caller has seen. Raises Refused, Conflict, NotFound.
        """
        reply: Future[Decision] = Future()
        return self._ask(Decide(saga, command, expect_seq, dry_run, reply), reply)

    def recover(self) -> Recovered:
        """Take over every saga that is not at rest; returns when all are taken over, not when they end.

        Raises LogUnavailable, Stopping, and UsageError when this engine drives nothing.
        """
        reply: Future[Recovered] = Future()
        return self._ask(Recover(reply), reply)

    def idle(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing goes on by itself any more; say whether that came to be in time.

        Every saga that was taken over or submitted rests then, or waits for a resource of one that does.
        Raises LogUnavailable, Stopping.
        """
        reply: Future[None] = Future()
        self._loop.ask(Idle(reply))
        if not _has_come(reply, timeout_s):
            return False
        reply.result()
        return True

    def subscribe(self, callback: OnEvents) -> Callable[[], None]:
        """Call `callback(saga, events)` after each write, from the thread that wrote; it must not block.

        Returns what ends the subscription.
        """

        def tell(saga: str, events: tuple[Recorded, ...]) -> None:
            callback(saga, events)

        def unsubscribe() -> None:
            with self._subscribing:
                self._loop.books.subscribers = tuple(
                    one for one in self._loop.books.subscribers if one is not tell
                )

        with self._subscribing:
            self._loop.books.subscribers = (*self._loop.books.subscribers, tell)
        return unsubscribe

    @property
    def failure(self) -> SledsagaError | None:
        """Why nothing is driven any more, or None: the log could not be written."""
        return self._loop.books.failure

    @property
    def is_stopping(self) -> bool:
        """Say whether nothing new is taken."""
        return self._loop.books.stopping

    def drain(self, timeout_s: float | None = None) -> bool:
        """Take nothing new and let what runs finish; say whether all of it did in time."""
        self._loop.ask(Stop(now=False))
        return self._loop.over.wait(timeout_s)

    def close(self, *, now: bool = False, timeout_s: float | None = None) -> None:
        """Drain, then let go of the log. With `now`, calls are told to end and are handed back.

        A call that does not end in the time given (5 s with `now`) is left behind; the log says in doubt.
        """
        self._loop.ask(Stop(now=now))
        if not self._loop.over.wait(GRACE_S if now and timeout_s is None else timeout_s):
            self._loop.ask(Stop(now=True, leave=True))
            self._loop.over.wait(GRACE_S)  # the loop waits for nothing now but the disk
        self.store.close()

    def __enter__(self) -> Self:
        """Return the engine."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close; at once when an exception is on its way."""
        self.close(now=kind is not None)

    def _ask(self, message: Message, reply: Future[Answer]) -> Answer:
        self._loop.ask(message)
        return reply.result()


def _has_come(reply: Future[Any], timeout_s: float | None) -> bool:
    """Wait for an answer or a refusal; False when the time was over first, and then nobody waits any more."""
    try:
        reply.exception(timeout_s)
    except FutureTimeoutError:
        if reply.cancel():
            return False
        reply.exception()  # it came at the last moment
    return True


def whoami() -> str:
    """Return `user@host` of this process, for the log."""
    return _name_of(os.getuid())


@functools.lru_cache(maxsize=8)
def _name_of(uid: int) -> str:
    """Look a user up once: the system's answer costs as much as planning a saga."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"uid {uid}@{socket.gethostname()}"


def _check_key(key: str | None) -> str | None:
    if key is not None and (not key.strip() or len(key) > KEY_CHARS_MAX or not key.isprintable()):
        msg = f"a key is 1 to {KEY_CHARS_MAX} printable characters; got {key[:40]!r}"
        raise InvalidName(msg)
    return key


def _digest(planned: Plan) -> str:
    return hashlib.sha256(canonical([planned.dag.operation, planned.params]).encode()).hexdigest()


def _note(message: str, fields: dict[str, object]) -> None:
    logger.bind(**fields).info("{}", message)
