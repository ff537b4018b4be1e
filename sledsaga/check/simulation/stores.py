"""A log on a bad disk: the real store, whose answers one executor gets late, wrong, or never.

Rules
- What was acknowledged stays. A write whose answer was an error may be in the log or not, as the dice say:
  so its tail is lost, or it was late.
- A dead executor writes nothing and reads nothing.
- What is in the log is heard by the shadow, before anybody else can know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sledsaga.core.dag import Plan
from sledsaga.core.events import Recorded
from sledsaga.errors import LogUnavailable
from sledsaga.store.store import Append, Filter, LockRow, NewSaga, Page, SagaRow, Store

if TYPE_CHECKING:
    from sledsaga.check.simulation.shadow import Shadow

BAD = "the disk of the simulation says no"


class Crash(BaseException):
    """The process that this is raised in is dead."""


@dataclass(slots=True, eq=False)
class BadDisk:
    """The store as one executor has it. `fate` says how the next access goes, `die` ends its process.

    `overtake` lets another executor write just before this one does.
    """

    store: Store
    shadow: Shadow
    fate: Callable[[str], str]
    die: Callable[[], Crash]
    is_dead: Callable[[], bool]
    overtake: Callable[[], None]

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        """Write as the store does, if the dice let it."""
        fate = self._ask("write")
        if fate == "refused":
            raise LogUnavailable(BAD)
        self.overtake()
        lost = self.store.write(new, appends)
        self.shadow.hear(new, appends, lost)
        if fate == "late":
            raise LogUnavailable(BAD)
        if fate == "crash":
            raise self.die()
        return lost

    def by_key(self, key: str) -> SagaRow | None:
        """Read as the store does."""
        self._read()
        return self.store.by_key(key)

    def row(self, saga: str) -> SagaRow:
        """Read as the store does."""
        self._read()
        return self.store.row(saga)

    def plan(self, saga: str) -> Plan:
        """Read as the store does."""
        self._read()
        return self.store.plan(saga)

    def events(self, saga: str, *, after: int = 0, limit: int | None = None) -> tuple[Recorded, ...]:
        """Read as the store does."""
        self._read()
        return self.store.events(saga, after=after, limit=limit)

    def list(self, only: Filter, *, limit: int, token: str | None = None) -> Page[SagaRow]:
        """Read as the store does."""
        self._read()
        return self.store.list(only, limit=limit, token=token)

    def unfinished(self, *, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """Read as the store does."""
        self._read()
        return self.store.unfinished(after=after, limit=limit)

    def find(self, prefix: str, *, limit: int = 10) -> tuple[str, ...]:
        """Read as the store does."""
        self._read()
        return self.store.find(prefix, limit=limit)

    def locks(self, saga: str | None = None) -> tuple[LockRow, ...]:
        """Read as the store does."""
        self._read()
        return self.store.locks(saga)

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def _read(self) -> None:
        if self._ask("read") == "refused":
            raise LogUnavailable(BAD)

    def _ask(self, what: str) -> str:
        if self.is_dead():
            raise LogUnavailable("this process is dead")
        return self.fate(what)
