"""Who may have which resource: the queue that the log's lock rows stand for.

Rules
- A saga gets all its resources at once or none; there is no holding one and waiting for another, so
  there is no deadlock.
- First come, first served on each resource; sagas that share a resource share it. Whoever waits for one
  resource holds up nobody on another: only earlier requests that clash on a common resource go before it.
- Locks belong to the saga, not to the process; they are freed only when it rests for good.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sledsaga.core.define import Lock


@dataclass(slots=True)
class _Request:
    saga: str
    mode: str
    held: bool


class LockTable:
    """All requests by resource, in order of arrival."""

    def __init__(self) -> None:
        """Begin with no request."""
        self._queues: dict[str, dict[str, _Request]] = {}
        self._wants: dict[str, tuple[Lock, ...]] = {}

    def request(self, saga: str, locks: tuple[Lock, ...], *, held: bool = False) -> None:
        """Queue a saga for all its resources, or note that it holds them; a second call does nothing."""
        if saga in self._wants:
            return
        self._wants[saga] = locks
        for lock in locks:
            queue = self._queues.setdefault(lock.resource, {})
            queue[saga] = _Request(saga, lock.mode, held)

    def grant(self, saga: str) -> bool:
        """Give the saga all its resources if nobody before it clashes; say whether it has them now."""
        if not all(self._is_free(saga, lock) for lock in self._wants.get(saga, ())):
            return False
        for lock in self._wants.get(saga, ()):
            self._queues[lock.resource][saga].held = True
        return True

    def release(self, saga: str) -> tuple[str, ...]:
        """Take a saga out of every queue; return who waited behind it, in order of arrival."""
        behind: dict[str, None] = {}
        for lock in self._wants.pop(saga, ()):
            queue = self._queues[lock.resource]
            del queue[saga]
            behind |= dict.fromkeys(request.saga for request in queue.values() if not request.held)
            if not queue:
                del self._queues[lock.resource]
        return tuple(behind)

    def blockers(self, saga: str) -> tuple[str, ...]:
        """Return the sagas that stand in the way of this one."""
        found: dict[str, None] = {}
        for lock in self._wants.get(saga, ()):
            found |= dict.fromkeys(self._before(saga, lock))
        return tuple(found)

    def _is_free(self, saga: str, lock: Lock) -> bool:
        return next(iter(self._before(saga, lock)), None) is None

    def _before(self, saga: str, lock: Lock) -> Iterable[str]:
        mine = True
        for request in self._queues[lock.resource].values():
            if request.saga == saga:
                mine = False
            elif (mine or request.held) and "exclusive" in (lock.mode, request.mode):
                yield request.saga
