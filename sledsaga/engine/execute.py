"""The loop that drives sagas: one inbox, one thread, one transaction a turn.

Everything that has arrived is taken at once, all sagas touched are evolved, and all that happened is
written in one transaction; only then are calls started and answers given.

    inbox -> handle -> advance -> write -> dispatch -> answer

Rules
- One thread changes sagas: this one. Steps run elsewhere and report to the inbox.
- Nothing runs, and nobody is told anything, before the log has it.
- If the log cannot be written, the loop starts nothing any more and says why to whoever asks.
- A step never blocks the loop; the loop blocks only on its inbox and on the disk.
- A saga that waits for its locks stays in the log: it takes no room from those that it waits for.
- Whatever happens in here, everybody who asked gets an answer or an error.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from heapq import heappop, heappush
from queue import Empty, SimpleQueue

from sledsaga.core import events as ev
from sledsaga.core.define import Lock
from sledsaga.core.outcomes import conclude
from sledsaga.core.ready import has_due, ready
from sledsaga.engine import intake, record
from sledsaga.engine.adopt import Backlog, claim
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.context import Note
from sledsaga.engine.diagnostics import logger
from sledsaga.engine.flights import STOPPING, Flights
from sledsaga.engine.lanes import Lanes
from sledsaga.engine.limits import Limits
from sledsaga.engine.live import Live
from sledsaga.engine.locks import LockTable
from sledsaga.engine.messages import Decide, Finished, Idle, Message, Recover, Recovered, Stop, Submit, Wait
from sledsaga.engine.perform import Hook, SledFactory
from sledsaga.engine.replies import Replies, refuse
from sledsaga.engine.workers import Workers
from sledsaga.errors import LogUnavailable, SledsagaError, Stopping, UsageError
from sledsaga.store.store import Store

OnEvents = Callable[[str, tuple[ev.Recorded, ...]], None]
SLEEP_MAX_S = 3600.0  # the inbox refuses to wait for centuries; waking once an hour costs nothing
ADOPTED_MAX = 256  # sagas taken over in one turn, so that those that run need not wait for all of them


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
        """Begin with no saga; nothing is driven before `start`."""
        self.store, self.catalog, self.name, self.limits, self.drive, self.hook = (
            store, catalog, name, limits, drive, hook,
        )  # fmt: skip
        self.inbox: SimpleQueue[Message] = SimpleQueue()
        self.live: dict[str, Live] = {}
        self.touched: dict[str, Live] = {}
        self.new_keys: dict[str, Live] = {}
        self.locks = LockTable()
        self.waiting: set[str] = set()
        self.lanes = Lanes(limits)
        self.backlog = Backlog(store)
        self.workers = Workers(limits.threads)
        self.flights = Flights(self.workers, self.inbox.put, sled=sled, hook=hook, note=note)
        self.replies = Replies()
        self.subscribers: tuple[OnEvents, ...] = ()
        self.failure: SledsagaError | None = None
        self.stopping = False
        self.left = False
        self.ended = False
        self.over = threading.Event()  # not a join: one that is interrupted makes Python believe in the end
        self._wakes: list[tuple[float, str]] = []
        self.thread = threading.Thread(target=self._run, name="sledsaga-loop", daemon=True)

    def start(self) -> None:
        """Take the log's lock rows into memory and begin to work on what arrives; raises LogUnavailable."""
        for row in self.store.locks():
            self.locks.restore(row.saga, Lock(row.resource, row.mode), held=row.held)
        self.thread.start()

    def ask(self, message: Message) -> None:
        """Put a message into the inbox, from any thread but the loop's own; its reply will be resolved.

        Raises UsageError from the loop's own thread, which would wait for itself.
        """
        if threading.current_thread() is self.thread:
            msg = "a subscriber asked the executor that calls it; hand the work to another thread"
            raise UsageError(msg)
        self.inbox.put(message)
        if self.ended:  # it may have come after the last look into the inbox
            self._refuse_drained()

    def _run(self) -> None:
        try:
            while not (self.left or (self.stopping and not self.flights.count)):
                self._turn_safely()
        finally:
            self._end()

    def _turn_safely(self) -> None:
        """Do one turn; if it breaks, nothing of it had an effect but what the log has, and all are told."""
        messages: list[Message] = []
        try:
            self._take(messages)
            self._turn(messages)
        except SledsagaError as error:
            self._fail(error, messages)
        except BaseException as error:  # noqa: BLE001 - the loop must not die silently: whoever waits would wait for ever
            logger.exception("the executor's loop broke")
            why = f"the executor broke and stopped: {type(error).__name__}: {error}"
            self._fail(LogUnavailable(why), messages)

    def _take(self, messages: list[Message]) -> None:
        """Wait for something to do, and take all that has arrived."""
        try:
            messages.append(self.inbox.get(timeout=self._patience()))
            while True:
                messages.append(self.inbox.get_nowait())
        except Empty:
            return

    def _patience(self) -> float:
        """Return how many seconds the loop may sleep."""
        if self.failure is None and self._may_adopt() > 0 and not self.backlog.is_empty:
            return 0.0
        waits = [SLEEP_MAX_S]
        next_timeout = self.flights.expire()
        if next_timeout is not None:
            waits.append(next_timeout)
        if self._wakes and self.failure is None:
            waits.append(self._wakes[0][0] - time.time())
        return max(0.0, min(waits))

    def _turn(self, messages: list[Message]) -> None:
        self.touched, self.new_keys = {}, {}
        for message in messages:
            self._handle(message)
        if self.failure is None:
            self._wake()
            self._adopt()
            self._advance()
            record.write(self)
            self._answer()

    def _handle(self, message: Message) -> None:
        match message:
            case Finished():
                self._finished(message)
            case Stop():
                self._stop(message)
            case _:
                self._request(message)

    def _request(self, message: Submit | Decide | Wait | Recover | Idle) -> None:
        """Handle what somebody waits for an answer to; its trouble is theirs alone."""
        refusal = intake.refusal(self, message)
        if refusal is not None:
            refuse(message.reply, refusal)
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
                    self.replies.recovered(message.reply)
                case Idle():
                    self.replies.idle(message.reply)
        except SledsagaError as error:
            refuse(message.reply, error)

    def touch(self, live: Live) -> None:
        """See to a saga in this turn."""
        self.touched[live.id] = live

    def _finished(self, done: Finished) -> None:
        live, in_flight = done.live, len(done.live.flights)
        ending = self.flights.ended(done)
        self.lanes.take(live, len(live.flights) - in_flight)
        if ending is not None and self.live.get(live.id) is live and self.failure is None:
            now = time.time()
            self.touch(live)
            live.record([conclude(live.state, done.flight.call, ending, now)], now)

    def _wake(self) -> None:
        self.flights.expire()
        now = time.time()
        while self._wakes and self._wakes[0][0] <= now:
            wake_at, saga = heappop(self._wakes)
            live = self.live.get(saga)
            if live is not None:
                live.wake_at = None if live.wake_at == wake_at else live.wake_at
                self.touch(live)

    def _may_adopt(self) -> int:
        return 0 if self.stopping or not self.drive else self.limits.live - len(self.live)

    def _adopt(self) -> None:
        room = min(self._may_adopt(), ADOPTED_MAX)
        for live in self.backlog.load(room, lambda saga: saga in self.live or saga in self.touched):
            if self.adopt(live):
                self.backlog.claimed += 1
            else:
                self.backlog.parked.append(live.id)

    def adopt(self, live: Live) -> bool:
        """Take a saga over and see to it; park it, and say no, when it cannot be run.

        One that waits for its locks is taken over when they are free.
        """
        self.locks.request(live.id, live.plan.locks, held=live.state.locked)
        self.waiting.discard(live.id)
        if live.needs_locks and not self.locks.is_free(live.id):
            self.waiting.add(live.id)
            return True
        self.touch(live)
        if not claim(live, self.catalog, self.name):
            return False
        self.live[live.id] = live
        if live.needs_locks:
            self.locks.hold(live.id)
            live.record([ev.LocksAcquired()])
        return True

    def _advance(self) -> None:
        """Let every saga touched come as far as it can without a call, then hand out the room for calls."""
        now = time.time()
        for live in list(self.touched.values()):
            live.record(ready(live.state, now, 0).record, now)
            self._plan_on(live, now)
        for live, room in self.lanes.served():
            self._start_calls(live, room, now)

    def _plan_on(self, live: Live, now: float) -> None:
        """Note when, and whether, the saga wants to start something next."""
        if live.state.outcome:
            self.pass_on(live)
            return
        wake_at = ready(live.state, now, 0).wake_at
        if wake_at is not None and wake_at != live.wake_at:
            live.wake_at = wake_at
            heappush(self._wakes, (wake_at, live.id))
        if not self.stopping and self.live.get(live.id) is live and has_due(live.state, now):
            self.lanes.add(live)

    def _start_calls(self, live: Live, room: int, now: float) -> None:
        if self.stopping or self.live.get(live.id) is not live:
            return
        before = len(live.state.in_flight)
        live.record(ready(live.state, now, room).record, now)
        started = len(live.state.in_flight) - before
        if started:
            self.lanes.take(live, started)
            self.touch(live)
            self._plan_on(live, now)

    def pass_on(self, live: Live) -> None:
        """Free the resources of a saga that has ended; whoever can have them now is taken over."""
        for saga in self.locks.release(live.id):
            if saga in self.waiting and self.locks.is_free(saga):
                self.waiting.discard(saga)
                self.backlog.add(saga)
        self.waiting.discard(live.id)

    def forget(self, live: Live) -> None:
        """Drop a saga that is not ours, with all that it was about to do."""
        self.touched.pop(live.id, None)
        self._release(live)

    def rest(self, live: Live) -> None:
        """Let a saga out of memory that rests, and tell whoever waits for it."""
        self._release(live)
        self.replies.rests(live.id)

    def _release(self, live: Live) -> None:
        self.live.pop(live.id, None)
        self.lanes.drop(live)

    def _answer(self) -> None:
        self.replies.give_answers()
        if not self.backlog.is_empty:
            return
        if self.replies.awaits_recovery:
            found = self.backlog
            self.replies.give_recovered(
                Recovered(found.claimed, tuple(found.parked), tuple(found.unreadable))
            )
        if not self.live:
            self.replies.give_idle()

    def pass_point(self, point: str) -> None:
        """Pass a crash point."""
        if self.hook is not None:
            self.hook(point, None)

    def _fail(self, error: SledsagaError, messages: list[Message]) -> None:
        """Start nothing any more, and tell everybody why; what was left of the turn is refused."""
        self.failure = error
        logger.error("nothing more is started: {}", error)
        self.replies.refuse_all(error)
        for message in messages:
            self._handle(message)

    def _stop(self, asked: Stop) -> None:
        self.stopping = True
        self.left = self.left or asked.leave
        if asked.now:
            for live in self.live.values():
                self.flights.stop(live, STOPPING)

    def _end(self) -> None:
        self.ended = True
        self._refuse_drained()
        self.replies.refuse_all(
            self.failure or Stopping("the executor has stopped; the saga goes on when another one takes over")
        )
        self.workers.close()
        self.over.set()

    def _refuse_drained(self) -> None:
        """Refuse what came after the end. Two threads may do so at once."""
        while True:
            try:
                message = self.inbox.get_nowait()
            except Empty:
                return
            if not isinstance(message, Finished | Stop):
                refuse(message.reply, self.failure or Stopping("the executor has stopped"))
