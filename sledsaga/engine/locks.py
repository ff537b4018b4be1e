"""Who may have which resource: the queue that the log's lock rows stand for.

Rules
- A saga gets all its resources at once or none; there is no holding one and waiting for another, so
  there is no deadlock.
- First come, first served on each resource; sagas that share a resource share it. Whoever waits for one
  resource holds up nobody on another: only earlier requests that clash on a common resource go before it.
- Locks belong to the saga, not to the process; they are freed only when it rests for good.
- Only who is willing stands in a queue: a saga that rests and holds nothing leaves it, and comes back behind
  the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sledsaga.core.define import Lock


@dataclass(slots=True)
class _Resource:
    """Who has it, and who waits for it in order of arrival; by saga, with the mode."""

    holders: dict[str, str] = field(default_factory=dict)
    queue: dict[str, str] = field(default_factory=dict)

    def is_free(self, saga: str, mode: str) -> bool:
        if _clash(mode, self.holders.values()):
            return False
        for other, others_mode in self.queue.items():
            if other == saga:
                break
            if _clash(mode, (others_mode,)):
                return False
        return True

    def next(self) -> Iterable[str]:
        """Yield who may be next: who stands behind somebody who waits for it alone is not."""
        for saga, mode in self.queue.items():
            yield saga
            if mode == "exclusive":
                return


class LockTable:
    """All requests by resource, in order of arrival."""

    def __init__(self) -> None:
        """Begin with no request."""
        self._resources: dict[str, _Resource] = {}
        self._wants: dict[str, tuple[Lock, ...]] = {}

    def restore(self, saga: str, lock: Lock, *, held: bool) -> None:
        """Take one row of the log as it stands; rows come in the order of the queue of their resource."""
        self._wants[saga] = (*self._wants.get(saga, ()), lock)
        self._enter(saga, lock, held=held)

    def request(self, saga: str, locks: tuple[Lock, ...], *, held: bool = False) -> None:
        """Queue a saga for all its resources, or note that it holds them; a second call does nothing."""
        if saga in self._wants:
            return
        self._wants[saga] = locks
        for lock in locks:
            self._enter(saga, lock, held=held)

    def _enter(self, saga: str, lock: Lock, *, held: bool) -> None:
        resource = self._resources.setdefault(lock.resource, _Resource())
        (resource.holders if held else resource.queue)[saga] = lock.mode

    def is_free(self, saga: str) -> bool:
        """Say whether nobody holds, or asked before for, what clashes with a resource of this saga."""
        return all(
            self._resources[lock.resource].is_free(saga, lock.mode) for lock in self._wants.get(saga, ())
        )

    def hold(self, saga: str) -> None:
        """Give the saga all its resources; they must be free."""
        assert self.is_free(saga), f"saga {saga} may not have its resources yet"
        for lock in self._wants.get(saga, ()):
            resource = self._resources[lock.resource]
            resource.holders[saga] = resource.queue.pop(saga)

    def holds(self, saga: str) -> bool:
        """Say whether the saga has its resources; one that needs none holds nothing."""
        return any(saga in self._resources[lock.resource].holders for lock in self._wants.get(saga, ()))

    def release(self, saga: str) -> tuple[str, ...]:
        """Take a saga out everywhere; return who may be next, in order of arrival."""
        may_be_next: dict[str, None] = {}
        for lock in self._wants.pop(saga, ()):
            resource = self._resources[lock.resource]
            resource.holders.pop(saga, None)
            resource.queue.pop(saga, None)
            may_be_next |= dict.fromkeys(resource.next())
            if not resource.holders and not resource.queue:
                del self._resources[lock.resource]
        return tuple(may_be_next)


def _clash(mode: str, others: Iterable[str]) -> bool:
    return any("exclusive" in (mode, other) for other in others)
