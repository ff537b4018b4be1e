"""Calls in flight: started when the state says that they must run, told to stop when it no longer does.

Rules
- A call is started only after its start is in the log.
- A call that was told to stop is still in flight until it has ended; nothing else of its step is started.
- A time limit ends the call as a transient failure, unless it succeeded all the same.
- A call that is told to stop because the executor goes down is not recorded unless it came to a good end:
  its step is in doubt, which is the truth.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush

from sledsaga.core.machine import Call
from sledsaga.core.outcomes import CleanFailure, Ending, Failed, Succeeded, TransientFailure, Undone
from sledsaga.engine.context import Context, Note
from sledsaga.engine.live import Flight, Live
from sledsaga.engine.messages import Finished
from sledsaga.engine.perform import Hook, SledFactory
from sledsaga.engine.workers import Workers

TIMED_OUT, UNWINDING, STOPPING = "timed out", "cancelled: the saga unwinds", "the executor stops"


class Flights:
    """Starts and stops calls; reports how they ended through `post`."""

    def __init__(
        self,
        workers: Workers,
        post: Callable[[Finished], None],
        *,
        sled: SledFactory | None,
        hook: Hook | None,
        note: Note,
    ) -> None:
        """Begin with nothing in flight."""
        self._workers, self._post = workers, post
        self._sled, self._hook, self._note = sled, hook, note
        self._deadlines: list[tuple[float, int, Live, Flight]] = []
        self._order = itertools.count()
        self.count = 0

    def follow(self, live: Live) -> None:
        """Make what is in flight what the state says must run."""
        run = live.state.run
        for step, call in run.items():
            if step not in live.flights:
                self._start(live, call)
        for step, flight in live.flights.items():
            if step not in run and flight.stopped is None:
                self._stop(flight, UNWINDING)

    def ended(self, done: Finished) -> Ending | None:
        """Take a call out of flight; return how it ended, or None when that is not to be recorded."""
        live, flight = done.live, done.flight
        if live.flights.get(flight.call.step) is not flight:
            return None
        del live.flights[flight.call.step]
        self.count -= 1
        return _judge(flight, done.ending)

    def drop(self, live: Live) -> int:
        """Give up all calls of a saga that is no longer ours; return how many there were."""
        dropped = len(live.flights)
        for flight in live.flights.values():
            self._stop(flight, STOPPING)
        live.flights.clear()
        self.count -= dropped
        return dropped

    def stop(self, live: Live) -> None:
        """Tell all calls of a saga to end, because the executor goes down."""
        for flight in live.flights.values():
            self._stop(flight, STOPPING)

    def expire(self) -> float | None:
        """Stop every call whose time is over; return the seconds until the next one's is, or None."""
        now = time.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, live, flight = heappop(self._deadlines)
            if live.flights.get(flight.call.step) is flight and flight.stopped is None:
                self._stop(flight, TIMED_OUT)
        return self._deadlines[0][0] - now if self._deadlines else None

    def _start(self, live: Live, call: Call) -> None:
        context, limit_s = self._context(live, call)
        job = replace(live.make_job(call, context), sled=self._sled, hook=self._hook)
        flight = Flight(call, job)
        live.flights[call.step] = flight
        self.count += 1
        if limit_s is not None and context.deadline is not None:
            heappush(self._deadlines, (context.deadline, next(self._order), live, flight))
        self._workers.start(job, lambda ending: self._post(Finished(live, flight, ending)))

    def _context(self, live: Live, call: Call) -> tuple[Context, float | None]:
        step = live.plan.dag.steps[call.step]
        limit_s = step.policy.timeout_s if call.direction == "do" else step.policy.undo_timeout_s
        context = Context(
            saga=live.id,
            operation=live.plan.dag.operation,
            step=step.path,
            direction=call.direction,
            attempt=call.attempt,
            epoch=live.state.epoch,
            in_doubt=call.in_doubt,
            deadline=None if limit_s is None else time.monotonic() + limit_s,
            cancelled=threading.Event(),
            note=self._note,
        )
        return context, limit_s

    def _stop(self, flight: Flight, why: str) -> None:
        flight.stopped = why
        self._workers.cancel(flight.job)


def _judge(flight: Flight, ending: Ending) -> Ending | None:
    """Say how a call that was told to stop ended."""
    if flight.stopped is None or isinstance(ending, Succeeded | Undone | CleanFailure):
        return ending
    if flight.stopped == STOPPING:
        return None
    if flight.stopped == TIMED_OUT:
        return TransientFailure(f"{TIMED_OUT}: {ending.error}")
    return Failed(f"{flight.stopped}: {ending.error}")
