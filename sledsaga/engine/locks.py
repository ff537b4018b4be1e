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

    def restore(self, saga: str, lock: Lock, *, held: bool) -> None:
        """Take one row of the log as it stands; rows come in the order of the queue of their resource."""
        self._wants[saga] = (*self._wants.get(saga, ()), lock)
        self._queues.setdefault(lock.resource, {})[saga] = _Request(saga, lock.mode, held)

    def request(self, saga: str, locks: tuple[Lock, ...], *, held: bool = False) -> None:
        """Queue a saga for all its resources, or note that it holds them; a second call does nothing."""
        if saga in self._wants:
            return
        self._wants[saga] = locks
        for lock in locks:
            queue = self._queues.setdefault(lock.resource, {})
            queue[saga] = _Request(saga, lock.mode, held)

    def is_free(self, saga: str) -> bool:
        """Say whether nobody holds, or asked before for, what clashes with a resource of this saga."""
        return not any(True for lock in self._wants.get(saga, ()) for _ in self._before(saga, lock))

    def hold(self, saga: str) -> None:
        """Give the saga all its resources; they must be free."""
        assert self.is_free(saga), f"saga {saga} may not have its resources yet"
        for lock in self._wants.get(saga, ()):
            self._queues[lock.resource][saga].held = True

    def release(self, saga: str) -> tuple[str, ...]:
        """Take a saga out of every queue; return who may be next, in order of arrival.

        Who stands behind somebody who waits for a resource alone is not next.
        """
        behind: dict[str, None] = {}
        for lock in self._wants.pop(saga, ()):
            queue = self._queues[lock.resource]
            del queue[saga]
            for request in queue.values():
                if not request.held:
                    behind[request.saga] = None
                    if request.mode == "exclusive":
                        break
            if not queue:
                del self._queues[lock.resource]
        return tuple(behind)

    def blockers(self, saga: str) -> tuple[str, ...]:
        """Return the sagas that stand in the way of this one."""
        found: dict[str, None] = {}
        for lock in self._wants.get(saga, ()):
            found |= dict.fromkeys(self._before(saga, lock))
        return tuple(found)

    def _before(self, saga: str, lock: Lock) -> Iterable[str]:
        mine = True
        for request in self._queues[lock.resource].values():
            if request.saga == saga:
                mine = False
            elif (mine or request.held) and "exclusive" in (lock.mode, request.mode):
                yield request.saga
