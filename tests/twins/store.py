"""Broken stores: each is found out by the store's contract, or by cuts of the power.

Rules
- A twin of the contract wraps the store in memory and changes one thing that it is asked; the behaviour that
  is about this very thing must break.
- A twin of durability is the store as it is used, with one habit that is wrong (`tests/power/broken.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sledsaga.check.contract import store as contract
from sledsaga.check.contract.store import CONTRACT
from sledsaga.core import events as e
from sledsaga.errors import SledsagaError
from sledsaga.store.memory import MemoryStore
from sledsaga.store.store import Append, LockRow, NewSaga, SagaRow, Store
from tests.power import broken
from tests.power.finding import first_breach
from tests.twins.twin import Twin


@dataclass(slots=True)
class Altered:
    """A store that passes on what it is asked; `begin` and `read` may change it."""

    begin: Callable[[Store, Sequence[NewSaga], Sequence[Append]], tuple[Any, Any]] | None = None
    read: Callable[[tuple[e.Recorded, ...]], tuple[e.Recorded, ...]] | None = None
    kept: Store = field(default_factory=MemoryStore)

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        """Write what is left of a batch after the mistake."""
        if self.begin is not None:
            new, appends = self.begin(self.kept, new, appends)
        return self.kept.write(new, appends)

    def events(self, saga: str, **about: Any) -> tuple[e.Recorded, ...]:
        """Return the events as the mistake leaves them."""
        found = self.kept.events(saga, **about)
        return found if self.read is None else self.read(found)

    def __getattr__(self, name: str) -> Any:
        """Pass on all else."""
        return getattr(self.kept, name)


@dataclass(slots=True)
class FreesEarly(Altered):
    """Frees the resources of a saga as soon as it unwinds."""

    freed: set[str] = field(default_factory=set)

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        """Write, and note who unwinds."""
        for row in appends:
            if any(isinstance(one.event, e.StepFailed | e.CancelRequested) for one in row.events):
                self.freed.add(row.saga)
        return self.kept.write(new, appends)

    def locks(self, saga: str | None = None) -> tuple[LockRow, ...]:
        """Return the locks of those who do not unwind."""
        return tuple(row for row in self.kept.locks(saga) if row.saga not in self.freed)


def _stands(store: Store, append: Append) -> SagaRow | None:
    try:
        return store.row(append.saga)
    except SledsagaError:
        return None


def _any_epoch(store: Store, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[Any, Any]:
    rows = [(append, _stands(store, append)) for append in appends]
    return new, [append if row is None else replace(append, epoch=row.epoch) for append, row in rows]


def _any_place(store: Store, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[Any, Any]:
    return new, [_moved(append, _stands(store, append)) for append in appends]


def _moved(append: Append, row: SagaRow | None) -> Append:
    if row is None:
        return append
    events = tuple(one._replace(seq=row.seq + n) for n, one in enumerate(append.events, 1))
    return replace(append, seq=row.seq, events=events, index=append.index._replace(seq=row.seq + len(events)))


def _no_keys(_: Store, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[Any, Any]:
    return [replace(saga, key=None) for saga in new], appends


def _last_first(found: tuple[e.Recorded, ...]) -> tuple[e.Recorded, ...]:
    return tuple(sorted(found, key=lambda one: (one.at, -one.seq)))


def breach_of_contract(
    make: Callable[[], Any], behaviours: Sequence[Callable[[Any], None]] = CONTRACT
) -> str:
    """Return the first of the behaviours that these stores break, "" for none."""
    for behaviour in behaviours:
        try:
            behaviour(make())
        except (AssertionError, SledsagaError) as error:
            return f"{behaviour.__name__.replace('_', ' ')}: {type(error).__name__} {error}"
    return ""


def _by_contract(name: str, breaks: str, make: Callable[[], Any], behaviour: Callable[[Any], None]) -> Twin:
    return Twin(f"store: {name}", breaks, lambda: breach_of_contract(make, (behaviour,)))


def _by_power(name: str, breaks: str, open_log: Callable[..., Any]) -> Twin:
    return Twin(f"store: {name}", breaks, lambda: first_breach(open_log))


CONTRACTS: Final = (
    (
        "any epoch",
        "It writes for an executor whose claim is lost.",
        lambda: Altered(_any_epoch),
        contract.a_new_claim_shuts_the_old_one_out,
    ),
    (
        "any place",
        "It adds events behind others that their writer never saw.",
        lambda: Altered(_any_place),
        contract.who_is_out_of_date_loses_alone,
    ),
    (
        "no keys",
        "The same key makes a second saga.",
        lambda: Altered(_no_keys),
        contract.a_key_is_used_once,
    ),
    (
        "last first",
        "Events of one moment come in another order.",
        lambda: Altered(read=_last_first),
        contract.events_come_in_parts,
    ),
    (
        "frees early",
        "Resources are free once a saga unwinds.",
        FreesEarly,
        contract.only_the_end_frees_locks,
    ),
)
POWER: Final[tuple[tuple[str, str, Callable[..., Any]], ...]] = (
    ("acknowledges early", "It acknowledges a batch before it is written.", broken.acknowledges_early),
    ("never syncs", "It never waits for the disk.", broken.NEVER_SYNCS),
    ("syncs seldom", "It waits for the disk at checkpoints only.", broken.SYNCS_SELDOM),
    ("no journal", "It writes into the database at once.", broken.HAS_NO_JOURNAL),
    (
        "trusts its log",
        "It takes what a killed writer left for durable.",
        broken.TRUSTS_WHAT_IT_FINDS,
    ),
    ("two transactions", "New sagas and appends of a batch are committed apart.", broken.halves),
    ("forgets locks", "After a start nobody holds a resource.", broken.forgets_locks),
)
TWINS: Final = (
    *(_by_contract(*one) for one in CONTRACTS),
    *(_by_power(name, breaks, open_log) for name, breaks, open_log in POWER),
)
