"""Calls in flight: started when the state says that they must run, told to stop when it no longer does.

Rules
- A call is started only after its start is in the log.
- A call that was told to stop is still in flight until it has ended; nothing else of its step is started.
- A time limit ends the call as a transient failure, unless it succeeded all the same. What counts is when
  the call ended, not when the loop comes to hear of it.
- A call that is told to stop because the executor goes down is not recorded unless it came to a good end:
  its step is in doubt, which is the truth. A second reason to stop does not change the first.
- The calls of a saga that another executor claimed count until they have ended: they take room.
"""

from __future__ import annotations

import itertools
from heapq import heapify, heappop, heappush
from typing import Protocol

from sledsaga.core.endings import CleanFailure, Ending, Failed, Succeeded, TransientFailure, Undone
from sledsaga.core.state import Call
from sledsaga.engine.clock import SYSTEM, Clock
from sledsaga.engine.context import Context, Note
from sledsaga.engine.live import Flight, Live
from sledsaga.engine.messages import Finished
from sledsaga.engine.perform import Hook, SledFactory
from sledsaga.engine.workers import Workers

TIMED_OUT, UNWINDING, STOPPING = "timed out", "cancelled: the saga unwinds", "the executor stops"
LOST = "another executor claimed the saga"
KEPT = 64  # deadlines of ended calls that are not worth a clean-up
_Deadline = tuple[float, int, Flight]  # no saga: it may have ended long before


class Post(Protocol):
    """Takes the news that a call has ended, from any thread."""

    def __call__(self, done: Finished, *, has_time: bool) -> None:
        """Hear it; the thread may be kept for a turn when it `has_time`."""
        ...


class Flights:
    """Starts and stops calls; reports how they ended through `post`."""

    def __init__(
        self,
        workers: Workers,
        post: Post,
        *,
        sled: SledFactory | None,
        hook: Hook | None,
        note: Note,
        clock: Clock = SYSTEM,
    ) -> None:
        """Begin with nothing in flight."""
        self._workers, self._post = workers, post
        self._sled, self._hook, self._note, self._clock = sled, hook, note, clock
        self._deadlines: list[_Deadline] = []
        self._order = itertools.count()
        self.count = 0

    def follow(self, live: Live, *, may_start: bool) -> None:
        """Make what is in flight what the state says must run.

        An executor that stops may start nothing: a call that it ended runs by the log, and is not made again.
        """
        run = live.state.run
        for step, call in run.items():
            if may_start and step not in live.flights:
                self._start(live, call)
        for step, flight in live.flights.items():
            if step not in run:
                self._stop(flight, UNWINDING)

    def ended(self, done: Finished) -> Ending | None:
        """Take a call out of flight; return how it ended, or None when that is not to be recorded."""
        live, flight = done.live, done.flight
        if live.flights.get(flight.call.step) is not flight:
            return None
        del live.flights[flight.call.step]
        flight.is_over = True
        self.count -= 1
        return judged(done.ending, _why_stopped(done), limit_s=_limit_s(live, flight.call))

    def stop(self, live: Live, why: str) -> None:
        """Tell all calls of a saga to end: STOPPING, or LOST."""
        for flight in live.flights.values():
            self._stop(flight, why)

    def expire(self) -> float | None:
        """Stop every call whose time is over; return the seconds until the next one's is, or None."""
        now = self._clock.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, flight = heappop(self._deadlines)
            if not flight.is_over:
                self._stop(flight, TIMED_OUT)
        return self._deadlines[0][0] - now if self._deadlines else None

    def _start(self, live: Live, call: Call) -> None:
        context = self._context(live, call)
        job = live.make_job(call, context, self._sled, self._hook)
        flight = Flight(call, job)
        live.flights[call.step] = flight
        self.count += 1
        if context.deadline is not None:
            self._watch((context.deadline, next(self._order), flight))

        def report(ending: Ending, *, has_time: bool = False) -> None:
            self._post(Finished(live, flight, ending, self._clock.monotonic()), has_time=has_time)

        self._workers.start(job, report)

    def _watch(self, deadline: _Deadline) -> None:
        """Keep a deadline; those of calls that ended long before theirs must not pile up."""
        if len(self._deadlines) > 2 * self.count + KEPT:
            self._deadlines = [one for one in self._deadlines if not one[2].is_over]
            heapify(self._deadlines)
        heappush(self._deadlines, deadline)

    def _context(self, live: Live, call: Call) -> Context:
        step = live.plan.dag.steps[call.step]
        limit_s = _limit_s(live, call)
        return Context(
            saga=live.id,
            operation=live.plan.dag.operation,
            step=step.path,
            direction=call.direction,
            attempt=call.attempt,
            epoch=live.state.epoch,
            in_doubt=call.in_doubt,
            deadline=None if limit_s is None else self._clock.monotonic() + limit_s,
            monotonic=self._clock.monotonic,
            note=self._note,
        )

    def _stop(self, flight: Flight, why: str) -> None:
        if flight.stopped is None:
            flight.stopped = why
            self._workers.cancel(flight.job)


def _why_stopped(done: Finished) -> str | None:
    """Say why a call had to end before it did; what counts is when it ended, not when that is read."""
    stopped, deadline = done.flight.stopped, done.flight.job.context.deadline
    if deadline is None or stopped not in (None, TIMED_OUT):
        return stopped
    return TIMED_OUT if done.at >= deadline else None


def _limit_s(live: Live, call: Call) -> float | None:
    policy = live.plan.dag.steps[call.step].policy
    return policy.timeout_s if call.direction == "do" else policy.undo_timeout_s


def judged(ending: Ending, stopped: str | None, *, limit_s: float | None) -> Ending | None:
    """Return how a call ended that was told to stop (why, or None); None is for what is not recorded.

    `limit_s` is its time limit, in seconds.
    """
    if stopped is None or isinstance(ending, Succeeded | Undone | CleanFailure):
        return ending
    if stopped in (STOPPING, LOST):
        return None
    if stopped == TIMED_OUT:
        return TransientFailure(f"{TIMED_OUT} after {limit_s:g} s: {ending.error}")
    return Failed(f"{stopped}: {ending.error}")
