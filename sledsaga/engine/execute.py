"""The loop that drives sagas: one inbox, one thread, one transaction a turn.

Everything that has arrived is taken at once, all sagas touched are evolved, and all that happened is
written in one transaction; only then are calls started and answers given.

    inbox -> handle -> advance -> write -> dispatch -> answer

Rules
- One thread changes sagas: this one. Steps run elsewhere and report to the inbox.
- Nothing runs, and nobody is told anything, before the log has it.
- If the log cannot be written, the loop starts nothing any more and says why to whoever asks.
- A step never blocks the loop; the loop blocks only on its inbox and on the disk.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from heapq import heappop, heappush
from queue import Empty, SimpleQueue
from typing import Any

from loguru import logger

from sledsaga.core import events as ev
from sledsaga.core.outcomes import conclude
from sledsaga.core.ready import has_due, ready
from sledsaga.engine import intake
from sledsaga.engine.adopt import Backlog, claim
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.context import Note
from sledsaga.engine.flights import Flights
from sledsaga.engine.lanes import Lanes
from sledsaga.engine.limits import Limits
from sledsaga.engine.live import Live
from sledsaga.engine.locks import LockTable
from sledsaga.engine.messages import Decide, Finished, Idle, Message, Recover, Recovered, Stop, Submit, Wait
from sledsaga.engine.perform import Hook, SledFactory
from sledsaga.engine.workers import Workers
from sledsaga.errors import LogUnavailable, LostClaim, SledsagaError, Stopping
from sledsaga.store.store import Store

OnEvents = Callable[[str, tuple[ev.Recorded, ...]], None]


class Executor:
    """One process's driver of sagas: a thread that owns all of them."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        *,
        name: str,
        limits: Limits,
        drive: bool,
        sled: SledFactory | None,
        hook: Hook | None,
        note: Note,
    ) -> None:
        """Take the log's lock rows into memory; nothing is driven before `start`."""
        self.store, self.catalog, self.name, self.limits, self.drive, self.hook = (
            store, catalog, name, limits, drive, hook,
        )  # fmt: skip
        self.inbox: SimpleQueue[Message] = SimpleQueue()
        self.live: dict[str, Live] = {}
        self.touched: dict[str, Live] = {}
        self.locks = LockTable()
        self.lanes = Lanes(limits)
        self.backlog = Backlog(store)
        self.workers = Workers(limits.threads)
        self.flights = Flights(self.workers, self.inbox.put, sled=sled, hook=hook, note=note)
        self.answers: list[tuple[Future[Any], object]] = []
        self.waiters: dict[str, list[Future[None]]] = {}
        self.idlers: list[Future[None]] = []
        self.recovering: list[Future[Recovered]] = []
        self.subscribers: list[OnEvents] = []
        self.failure: SledsagaError | None = None
        self.stopping = False
        self._wakes: list[tuple[float, str]] = []
        self.thread = threading.Thread(target=self._run, name="sledsaga-loop", daemon=True)

    def start(self) -> None:
        """Begin to work on what arrives."""
        for saga, locks, held in intake.lock_requests(self.store.locks()):
            self.locks.request(saga, locks, held=held)
        self.thread.start()

    def _run(self) -> None:
        while not (self.stopping and not self.flights.count):
            messages = self._take()
            try:
                self._turn(messages)
            except SledsagaError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001 - the loop must not die silently: whoever waits would wait for ever
                logger.exception("the executor's loop broke")
                self._fail(LogUnavailable(f"the executor broke and stopped: {type(error).__name__}: {error}"))
        self._end()

    def _take(self) -> list[Message]:
        """Wait for something to do; return all that has arrived."""
        messages: list[Message] = []
        try:
            messages.append(self.inbox.get(timeout=self._patience()))
            while True:
                messages.append(self.inbox.get_nowait())
        except Empty:
            return messages

    def _patience(self) -> float | None:
        """Return how many seconds the loop may sleep, or None for ever."""
        if self.failure is None and self._may_adopt() > 0 and not self.backlog.is_empty:
            return 0
        waits = [wait for wait in (self.flights.expire(),) if wait is not None]
        if self._wakes and self.failure is None:
            waits.append(self._wakes[0][0] - time.time())
        return max(0.0, min(waits)) if waits else None

    def _turn(self, messages: list[Message]) -> None:
        self.touched = {}
        for message in messages:
            self._handle(message)
        if self.failure is None:
            self._wake()
            self._adopt()
            self._advance()
            self._write()
        self._answer()

    def _handle(self, message: Message) -> None:
        match message:
            case Finished():
                self._finished(message)
            case Stop():
                self._stop(now=message.now)
            case _:
                self._request(message)

    def _request(self, message: Submit | Decide | Wait | Recover | Idle) -> None:
        """Handle what somebody waits for an answer to; its trouble is theirs alone."""
        if self.failure is not None:
            _refuse(message.reply, self.failure)
            return
        if self.stopping and isinstance(message, Submit | Recover):
            _refuse(
                message.reply, Stopping("the executor is stopping and takes nothing new; ask again later")
            )
            return
        try:
            match message:
                case Submit():
                    intake.submit(self, message)
                case Decide():
                    intake.decide(self, message)
                case Wait():
                    intake.wait(self, message)
                case Recover():
                    self.backlog.begin()
                    self.recovering.append(message.reply)
                case Idle():
                    self.idlers.append(message.reply)
        except SledsagaError as error:
            _refuse(message.reply, error)

    def touch(self, live: Live) -> None:
        """See to a saga in this turn."""
        self.touched[live.id] = live

    def answer(self, reply: Future[Any], result: object) -> None:
        """Give an answer once the log has what it speaks of."""
        self.answers.append((reply, result))

    def _finished(self, done: Finished) -> None:
        live, in_flight = done.live, len(done.live.flights)
        ending = self.flights.ended(done)
        self.lanes.take(live, len(live.flights) - in_flight)
        if ending is not None and live.id in self.live and self.failure is None:
            now = time.time()
            live.record([conclude(live.state, done.flight.call, ending, now)], now)
            self.touch(live)

    def _wake(self) -> None:
        self.flights.expire()
        now = time.time()
        while self._wakes and self._wakes[0][0] <= now:
            live = self.live.get(heappop(self._wakes)[1])
            if live is not None:
                self.touch(live)

    def _may_adopt(self) -> int:
        return 0 if self.stopping or not self.drive else self.limits.live - len(self.live)

    def _adopt(self) -> None:
        for live in self.backlog.load(min(self._may_adopt(), 256), self.live):
            self.adopt(live)

    def adopt(self, live: Live) -> None:
        """Take a saga over and see to it; one that cannot be run is parked."""
        self.touch(live)
        if claim(live, self.catalog, self.name):
            self.backlog.claimed += 1
            self.live[live.id] = live
            self.locks.request(live.id, live.plan.locks, held=live.state.locked)
            self.grant(live)
        else:
            self.backlog.parked.append(live.id)

    def grant(self, live: Live) -> None:
        """Give a saga its resources if it can have them all."""
        state = live.state
        if state.has_locks and not state.locked and not state.outcome and self.locks.grant(live.id):
            live.record([ev.LocksAcquired()])

    def _advance(self) -> None:
        """Let every saga touched come as far as it can without a call, then hand out the room for calls."""
        todo = deque(self.touched.values())
        now = time.time()
        while todo:
            live = todo.popleft()
            said = ready(live.state, now, 0)
            live.record(said.record, now)
            if live.state.outcome:
                todo += self._pass_on(live)
            elif said.wake_at is not None:
                heappush(self._wakes, (said.wake_at, live.id))
            if self.drive and not self.stopping and has_due(live.state, now):
                self.lanes.add(live)
        for live, room in self.lanes.served():
            self._start_calls(live, room, now)

    def _start_calls(self, live: Live, room: int, now: float) -> None:
        if live.id not in self.live or self.stopping:
            return
        before = len(live.state.in_flight)
        live.record(ready(live.state, now, room).record, now)
        self.lanes.take(live, len(live.state.in_flight) - before)
        self.touch(live)
        if has_due(live.state, now):
            self.lanes.add(live)

    def _pass_on(self, live: Live) -> list[Live]:
        """Free the resources of a saga that has ended; return the sagas that got them."""
        got = []
        for saga in self.locks.release(live.id):
            other = self.live.get(saga)
            if other is None and self.drive:
                continue  # it is in the backlog, and will ask when it is taken over
            if other is not None:
                self.grant(other)
                self.touch(other)
                got.append(other)
        return got

    def _write(self) -> None:
        """Write all that happened, in one transaction, then let it have its effects."""
        written = [live for live in self.touched.values() if live.pending]
        if written:
            self._hook("before-append")
            new = [live.to_create() for live in written if live.is_new]
            lost = self.store.write(new, [live.to_append() for live in written if not live.is_new])
            self._hook("after-append")
            for saga in lost:
                self._lose(saga)
        for live in self.touched.values():
            self._wrote(live)

    def _wrote(self, live: Live) -> None:
        events = live.wrote()
        for subscriber in self.subscribers if events else ():
            subscriber(live.id, events)
        if self.live.get(live.id) is live:
            self.flights.follow(live)
        if live.state.outcome or (live.state.at_rest and not live.flights):
            self.live.pop(live.id, None)
            for reply in self.waiters.pop(live.id, ()):
                self.answer(reply, None)

    def _lose(self, saga: str) -> None:
        live = self.touched.pop(saga)
        self.live.pop(saga, None)
        self.lanes.take(live, -self.flights.drop(live))
        logger.warning("saga {} was claimed by another executor; this one lets go of it", saga)
        for reply in self.waiters.pop(saga, ()):
            _refuse(reply, LostClaim(f"saga {saga} was claimed by another executor; look again"))

    def _answer(self) -> None:
        answers, self.answers = self.answers, []
        for reply, result in answers:
            _resolve(reply, result)
        if self.failure is not None:
            return
        if self.recovering and self.backlog.is_empty:
            found = Recovered(
                self.backlog.claimed, tuple(self.backlog.parked), tuple(self.backlog.unreadable)
            )
            self._resolve_all(self.recovering, found)
        if self.idlers and not self.live and self.backlog.is_empty:
            self._resolve_all(self.idlers, None)

    def _resolve_all(self, replies: list[Any], result: object) -> None:
        for reply in replies:
            _resolve(reply, result)
        replies.clear()

    def _hook(self, point: str) -> None:
        if self.hook is not None:
            self.hook(point, None)

    def _fail(self, error: SledsagaError) -> None:
        """Start nothing any more, and tell everybody why."""
        self.failure = error
        logger.error("the log is not available, nothing more is started: {}", error)
        self._refuse_all(error)

    def _refuse_all(self, error: SledsagaError) -> None:
        replies: list[Future[Any]] = [
            *self.idlers,
            *self.recovering,
            *(r for w in self.waiters.values() for r in w),
        ]
        replies += [reply for reply, _ in self.answers]
        self.answers.clear()
        self.idlers.clear()
        self.recovering.clear()
        self.waiters.clear()
        for reply in replies:
            _refuse(reply, error)

    def _stop(self, *, now: bool) -> None:
        self.stopping = True
        if now:
            for live in self.live.values():
                self.flights.stop(live)

    def _end(self) -> None:
        self.workers.close()
        self.refuse_drained()
        self._refuse_all(Stopping("the executor has stopped; the saga goes on when another one takes over"))

    def refuse_drained(self) -> None:
        """Refuse what came after the end."""
        for message in self._drained():
            if not isinstance(message, Finished | Stop):
                _refuse(message.reply, self.failure or Stopping("the executor has stopped"))

    def _drained(self) -> list[Message]:
        messages = []
        while not self.inbox.empty():
            messages.append(self.inbox.get_nowait())
        return messages


def _resolve(reply: Future[Any], result: object) -> None:
    if not reply.done():
        reply.set_result(result)


def _refuse(reply: Future[Any], error: SledsagaError) -> None:
    if not reply.done():
        reply.set_exception(error)
