"""The loop that drives sagas: one inbox, one transaction a turn, one turn at a time.

Everything that has arrived is taken at once, all sagas touched are evolved, and all that happened is
written in one transaction; only then are calls started and answers given.

    inbox -> handle -> advance -> write -> dispatch -> answer

Rules
- One thread at a time changes sagas: the one that is in a turn. That is the loop's, which waits on the inbox;
  or a worker's that has the only news there is, as handing it over takes longer than most turns.
- Nothing runs, and nobody is told anything, before the log has it.
- If the log cannot be written, the loop starts nothing any more and says why to whoever asks.
- A step never blocks the loop; the loop blocks only on its inbox and on the disk.
- Whatever happens in here, everybody who asked gets an answer or an error.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from heapq import heappop, heappush
from queue import Empty, SimpleQueue

from sledsaga.core.define import Lock
from sledsaga.core.endings import conclude
from sledsaga.core.ready import end_due, has_due, held, ready, wake_at
from sledsaga.engine import intake, record
from sledsaga.engine.books import Books
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.clock import SYSTEM, Clock
from sledsaga.engine.context import Note
from sledsaga.engine.diagnostics import logger
from sledsaga.engine.flights import STOPPING, Flights
from sledsaga.engine.limits import Limits
from sledsaga.engine.live import Live
from sledsaga.engine.messages import (
    Decide,
    Finished,
    Idle,
    Look,
    Message,
    Recover,
    Recovered,
    Stop,
    Submit,
    Wait,
)
from sledsaga.engine.perform import Hook, SledFactory
from sledsaga.engine.replies import refuse
from sledsaga.engine.team import Team
from sledsaga.engine.workers import Workers
from sledsaga.errors import LogUnavailable, SledsagaError, Stopping, UsageError
from sledsaga.store.store import Store

SLEEP_MAX_S = 3600.0  # the inbox refuses to wait for centuries; waking once an hour costs nothing


class Executor:
    """One process's driver of sagas: a thread that owns all of them.

    Without `start` there is no thread: `restore`, then a `turn` whenever one is due, then `end`.
    """

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
        clock: Clock = SYSTEM,
        workers: Workers | None = None,
    ) -> None:
        """Begin with no saga; nothing is driven before `start`."""
        self.inbox: SimpleQueue[Message] = SimpleQueue()
        self.workers = workers or Team(limits.threads)
        self.clock = clock
        self.flights = Flights(self.workers, self.post, sled=sled, hook=hook, note=note, clock=clock)
        self.books = Books(store, catalog, name, limits, drive, self.flights, hook, clock)
        self.left = False
        self.ended = False
        self.over = threading.Event()  # not a join: one that is interrupted makes Python believe in the end
        self._wakes: list[tuple[float, str]] = []
        self._in_turn = threading.Lock()
        self._turner: int | None = None
        self._has_message = False
        self._wake_at = 0.0
        self.thread = threading.Thread(target=self._run, name="sledsaga-loop", daemon=True)

    def start(self) -> None:
        """Take the log's lock rows into memory and begin to work on what arrives; raises LogUnavailable."""
        self.restore()
        self.thread.start()

    def restore(self) -> None:
        """Take the log's lock rows into memory, which comes before the first turn; raises LogUnavailable."""
        for row in self.books.store.locks():
            self.books.locks.restore(row.saga, Lock(row.resource, row.mode), held=row.held)

    def ask(self, message: Message) -> None:
        """Put a message into the inbox, from any thread but the one in a turn; its reply will be resolved.

        Raises UsageError from the thread in a turn, which would wait for itself.
        """
        if self._turner == threading.get_ident():
            msg = "a subscriber asked the executor that calls it; hand the work to another thread"
            raise UsageError(msg)
        self.inbox.put(message)
        if self.ended:  # it may have come after the last look into the inbox
            self._refuse_drained()

    def _run(self) -> None:
        try:
            while not self.is_done:
                self.turn()
        finally:
            self.end()

    @property
    def is_done(self) -> bool:
        """Say whether no turn is due any more: it was told to stop, and nothing is in flight."""
        return self.left or (self.books.stopping and not self.flights.count)

    def post(self, done: Finished, *, has_time: bool) -> None:
        """Hear how a call ended; a caller that `has_time` does the turn, when nothing else has arrived."""
        is_alone = has_time and not self._has_message and self.inbox.empty()
        if not is_alone or not self._in_turn.acquire(blocking=False):
            self.inbox.put(done)
            return
        try:
            if self.ended or self.books.stopping or self.books.failure is not None:
                self.inbox.put(done)  # the loop has to see whether that was the last
                return
            slept_until = self._wake_at
            self._do([done])
            if self._wake_at < slept_until:
                self.inbox.put(Look())
        finally:
            self._in_turn.release()
        self.workers.go()

    def turn(self, *, must_wait: bool = True) -> None:
        """Do one turn with all that has arrived; it waits for something to do if it `must_wait`."""
        messages: list[Message] = []
        if must_wait:
            with suppress(Empty):
                messages.append(self.inbox.get(timeout=max(0.0, self._wake_at - self.clock.monotonic())))
        self._has_message = True  # from here on no worker begins another turn
        with self._in_turn:
            self._has_message = False
            self._do(messages, takes_all=True)
        self.workers.go()

    def _do(self, messages: list[Message], *, takes_all: bool = False) -> None:
        """Do a turn; if it breaks, nothing of it had an effect but what the log has, and all are told."""
        self._turner = threading.get_ident()
        try:
            while takes_all and not self.inbox.empty():
                messages.append(self.inbox.get_nowait())
            self._turn(messages)
            self._wake_at = self.clock.monotonic() + self.patience_s()
        except SledsagaError as error:
            self._fail(error, messages)
        except BaseException as error:  # noqa: BLE001 - the loop must not die silently: whoever waits would wait for ever
            logger.exception("the executor's loop broke")
            why = f"the executor broke and stopped: {type(error).__name__}: {error}"
            self._fail(LogUnavailable(why), messages)
        finally:
            self._turner = None

    def patience_s(self) -> float:
        """Return how many seconds the loop may sleep when nothing arrives."""
        if not self.books.backlog.is_empty and self.books.failure is None and self.books.room > 0:
            return 0.0
        waits = [SLEEP_MAX_S]
        next_timeout = self.flights.expire()
        if next_timeout is not None:
            waits.append(next_timeout)
        if self._wakes and self.books.failure is None:
            waits.append(self._wakes[0][0] - self.clock.now())
        return max(0.0, min(waits))

    def _turn(self, messages: list[Message]) -> None:
        self.books.open_turn()
        for message in messages:
            self._handle(message)
        if self.books.failure is None:
            self._wake()
            self.books.adopt_more()
            self._advance()
            record.write(self.books)
            self._answer()

    def _handle(self, message: Message) -> None:
        match message:
            case Finished():
                self._finished(message)
            case Stop():
                self._stop(message)
            case Look():
                pass
            case _:
                self._request(message)

    def _request(self, message: Submit | Decide | Wait | Recover | Idle) -> None:
        """Handle what somebody waits for an answer to; its trouble is theirs alone."""
        refusal = intake.refusal(self.books, message)
        if refusal is not None:
            refuse(message.reply, refusal)
            return
        try:
            match message:
                case Submit():
                    intake.submit(self.books, message)
                case Decide():
                    intake.decide(self.books, message)
                case Wait():
                    intake.wait(self.books, message)
                case Recover():
                    self.books.backlog.begin()
                    self.books.replies.recovered(message.reply)
                case Idle():
                    self.books.replies.idle(message.reply)
        except SledsagaError as error:
            refuse(message.reply, error)

    def _finished(self, done: Finished) -> None:
        live, in_flight = done.live, len(done.live.flights)
        ending = self.flights.ended(done)
        self.books.lanes.take(live, len(live.flights) - in_flight)
        if ending is not None and self.books.live.get(live.id) is live and self.books.failure is None:
            now = self.clock.now()
            self.books.touch(live)
            live.record([conclude(live.state, done.flight.call, ending, now)], now)

    def _wake(self) -> None:
        self.flights.expire()
        now = self.clock.now()
        while self._wakes and self._wakes[0][0] <= now:
            wake_at, saga = heappop(self._wakes)
            live = self.books.live.get(saga)
            if live is not None:
                live.wake_at = None if live.wake_at == wake_at else live.wake_at
                self.books.touch(live)

    def _advance(self) -> None:
        """Let every saga touched come as far as it can without a call, then hand out the room for calls."""
        now = self.clock.now()
        for live in list(self.books.touched.values()):
            if ends := end_due(live.state):
                live.record(ends, now)
            self._settle(live, now)
        for live, room in self.books.lanes.served():
            if not self.books.stopping and self.books.live.get(live.id) is live:
                self._start_calls(live, room, now)

    def _settle(self, live: Live, now: float) -> None:
        """Let others pass if the saga goes no further by itself; else see to what it is to start."""
        if live.state.outcome:
            self.books.pass_on(live.id)
            return
        if live.state.at_rest:
            self.books.step_aside(live.id)
        self._plan_on(live, now)

    def _plan_on(self, live: Live, now: float) -> None:
        """Note when, and whether, the saga wants to start something next."""
        at = wake_at(live.state, now)
        if at is not None and at != live.wake_at and not held(live.state):
            live.wake_at = at
            heappush(self._wakes, (at, live.id))
        if not self.books.stopping and self.books.live.get(live.id) is live and has_due(live.state, now):
            self.books.lanes.add(live)

    def _start_calls(self, live: Live, room: int, now: float) -> None:
        starts = ready(live.state, now, room).record
        if starts:
            live.record(starts, now)
            self.books.lanes.take(live, len(starts))
            self.books.touch(live)
            self._plan_on(live, now)

    def _answer(self) -> None:
        self.books.replies.give_answers()
        if not self.books.backlog.is_empty:
            return
        if self.books.replies.awaits_recovery:
            found = self.books.backlog
            self.books.replies.give_recovered(
                Recovered(found.claimed, tuple(found.parked), tuple(found.unreadable))
            )
        if not self.books.live:
            self.books.replies.give_idle()

    def _fail(self, error: SledsagaError, messages: list[Message]) -> None:
        """Start nothing any more, and tell everybody why; what was left of the turn is refused."""
        self.books.failure = error
        logger.info("nothing more is started: {}", error)  # who asks is told
        self.books.replies.refuse_all(error)
        for message in messages:
            self._handle(message)

    def _stop(self, asked: Stop) -> None:
        self.books.stopping = True
        self.left = self.left or asked.leave
        if asked.now:
            for live in self.books.live.values():
                self.flights.stop(live, STOPPING)

    def end(self) -> None:
        """Refuse whoever still waits, and let the workers go."""
        with self._in_turn:
            self.ended = True
        self._refuse_drained()
        self.books.replies.refuse_all(
            self.books.failure
            or Stopping("the executor has stopped; the saga goes on when another one takes over")
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
            if not isinstance(message, Finished | Stop | Look):
                refuse(message.reply, self.books.failure or Stopping("the executor has stopped"))
