"""Who waits for what. Every future that comes in here is resolved, whatever happens.

Rules
- An answer that speaks of the log is given only after the write, and not at all when the write was lost.
- Whoever gave up waiting is forgotten.
- All of it is the loop's own; only the futures are seen by other threads.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, TypeVar

from sledsaga.engine.live import Live
from sledsaga.engine.messages import Recovered
from sledsaga.errors import SledsagaError

Answer = TypeVar("Answer")


class Replies:
    """All answers that are due, by what they are due at."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._answers: list[tuple[str, Future[Any], object]] = []
        self._waiters: dict[str, list[Future[Live | None]]] = {}
        self._idlers: list[Future[None]] = []
        self._recovering: list[Future[Recovered]] = []

    def after_write(self, saga: str, reply: Future[Answer], result: Answer) -> None:
        """Answer once the log has what the answer says of the saga."""
        self._answers.append((saga, reply, result))

    def at_rest(self, saga: str, reply: Future[Live | None]) -> None:
        """Answer once the saga rests."""
        self._waiters[saga] = [*_patient(self._waiters.get(saga, [])), reply]

    def idle(self, reply: Future[None]) -> None:
        """Answer once every saga rests."""
        self._idlers = [*_patient(self._idlers), reply]

    def recovered(self, reply: Future[Recovered]) -> None:
        """Answer once every saga of the log is taken over."""
        self._recovering.append(reply)

    @property
    def awaits_recovery(self) -> bool:
        """Say whether somebody wants to know what a recovery found."""
        return bool(self._recovering)

    def rests(self, live: Live) -> None:
        """Note that a saga rests, as of this write; nobody changes it in memory from now on."""
        rested = live if live.was_submitted_here else None
        self._answers += [(live.id, reply, rested) for reply in self._waiters.pop(live.id, ())]

    def withdraw(self, saga: str) -> list[tuple[Future[Any], object]]:
        """Take back what was to be answered after the write about a saga that was not written."""
        mine = [(reply, result) for owner, reply, result in self._answers if owner == saga]
        self._answers = [one for one in self._answers if one[0] != saga]
        return mine

    def lose(self, saga: str, error: SledsagaError) -> None:
        """Refuse everybody who waits for a saga that is not ours, or not ours any more."""
        for reply in [reply for reply, _ in self.withdraw(saga)] + self._waiters.pop(saga, []):
            refuse(reply, error)

    def give_answers(self) -> None:
        """Give all answers that the write was waited for with."""
        answers, self._answers = self._answers, []
        for _, reply, result in answers:
            resolve(reply, result)

    def give_recovered(self, found: Recovered) -> None:
        """Tell whoever asked for it that the recovery is over."""
        replies, self._recovering = self._recovering, []
        for reply in replies:
            resolve(reply, found)

    def give_idle(self) -> None:
        """Tell whoever asked for it that every saga rests."""
        replies, self._idlers = self._idlers, []
        for reply in replies:
            resolve(reply, None)

    def refuse_all(self, error: SledsagaError) -> None:
        """Tell everybody that there will be no answer, and why."""
        replies: list[Future[Any]] = [reply for _, reply, _ in self._answers]
        replies += [
            *self._idlers,
            *self._recovering,
            *(one for them in self._waiters.values() for one in them),
        ]
        self._answers, self._waiters, self._idlers, self._recovering = [], {}, [], []
        for reply in replies:
            refuse(reply, error)


def resolve(reply: Future[Any], result: object) -> None:
    """Give an answer, unless there is one or nobody wants it any more."""
    if not reply.done() and reply.set_running_or_notify_cancel():
        reply.set_result(result)


def refuse(reply: Future[Any], error: SledsagaError) -> None:
    """Give an error instead of an answer, unless there is one or nobody wants it any more.

    Each asker gets an error of its own: raising one object in many threads would grow one traceback.
    """
    if not reply.done() and reply.set_running_or_notify_cancel():
        own = type(error)(*error.args)
        own.__cause__ = error.__cause__
        reply.set_exception(own)


def _patient(replies: list[Future[Answer]]) -> list[Future[Answer]]:
    return [reply for reply in replies if not reply.done()]
