"""What a store must answer, told by plain dicts: nothing is shared with any store but the types of rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sledsaga.core.events import Ended, LocksAcquired, Recorded
from sledsaga.store.store import Append, Filter, LockRow, NewSaga, SagaRow

AT_REST = ("succeeded", "undone", "abandoned")


@dataclass
class Model:
    """Sagas by id, in the order in which they were submitted."""

    new: dict[str, NewSaga] = field(default_factory=dict)
    rows: dict[str, SagaRow] = field(default_factory=dict)
    events: dict[str, list[Recorded]] = field(default_factory=dict)
    queues: dict[str, list[LockRow]] = field(default_factory=dict)

    def write(self, new: list[NewSaga], appends: list[Append]) -> tuple[str, ...]:
        """Return who lost, or `conflict` alone."""
        ids = [*self.rows, *(saga.id for saga in new)]
        keys = [row.key for row in self.rows.values() if row.key] + [saga.key for saga in new if saga.key]
        if len(set(ids)) < len(ids) or len(set(keys)) < len(keys):
            return ("conflict",)
        for saga in new:
            self._submit(saga)
        named = dict.fromkeys(one.saga for one in appends)
        losers = [saga for saga in named if not self._fits(saga, appends)]
        for one in appends:
            if one.saga not in losers:
                self._happen(one.saga, one.events)
                self._show(one)
        return tuple(losers)

    def _fits(self, saga: str, appends: list[Append]) -> bool:
        if saga not in self.rows:
            return False
        stands = (self.rows[saga].epoch, self.rows[saga].seq)
        for one in appends:
            if one.saga == saga:
                if (one.epoch, one.seq) != stands:
                    return False
                stands = (one.index.epoch, one.index.seq)
        return True

    def _submit(self, saga: NewSaga) -> None:
        dag, index, at = saga.plan.dag, saga.index, saga.created_at
        self.new[saga.id] = saga
        self.rows[saga.id] = SagaRow(
            saga.id,
            dag.operation,
            dag.version,
            saga.key,
            saga.digest,
            index.state,
            index.direction,
            index.epoch,
            index.seq,
            at,
            index.updated_at,
        )
        self.queues[saga.id] = [
            LockRow(k.resource, k.mode, saga.id, held=False, since=at) for k in saga.plan.locks
        ]
        self.events[saga.id] = []
        self._happen(saga.id, saga.events)

    def _happen(self, saga: str, events: tuple[Recorded, ...]) -> None:
        for recorded in events:
            self.events[saga].append(recorded)
            if isinstance(recorded.event, LocksAcquired):
                self.queues[saga] = [replace(k, held=True, since=recorded.at) for k in self.queues[saga]]
            if isinstance(recorded.event, Ended):
                self.queues[saga] = []

    def _show(self, one: Append) -> None:
        i = one.index
        self.rows[one.saga] = replace(
            self.rows[one.saga],
            state=i.state,
            direction=i.direction,
            epoch=i.epoch,
            seq=i.seq,
            updated_at=i.updated_at,
        )

    def ids(self) -> list[str]:
        return sorted(self.rows)

    def listed(self, only: Filter, below: str | None = None) -> list[SagaRow]:
        """Return all that a list has, newest first."""
        rows = [self.rows[saga] for saga in reversed(self.ids()) if below is None or saga < below]
        return [row for row in rows if self._is_asked_for(row, only)]

    def _is_asked_for(self, row: SagaRow, only: Filter) -> bool:
        return (
            (only.states is None or row.state in only.states)
            and (only.operation is None or row.operation == only.operation)
            and (only.key is None or row.key == only.key)
            and (only.resource is None or only.resource in [k.resource for k in self.queues[row.id]])
            and not (only.unfinished and row.state in AT_REST)
        )

    def locks(self) -> list[LockRow]:
        """Return all queues: by resource, holders first, then as they came."""
        place = {saga: number for number, saga in enumerate(self.rows)}
        rows = [lock for queue in self.queues.values() for lock in queue]
        return sorted(rows, key=lambda k: (k.resource, not k.held, place[k.saga]))
