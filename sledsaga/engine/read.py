"""Read sagas off a log without driving them: the same fold that the executor makes."""

from __future__ import annotations

from sledsaga.core.dag import Plan
from sledsaga.core.machine import replay
from sledsaga.core.state import State
from sledsaga.core.view import SagaView, view
from sledsaga.errors import Conflict, LogCorrupt, NotFound
from sledsaga.store.store import SagaRow, Store

SHOWN = 5


def load(store: Store, saga: str) -> tuple[Plan, State]:
    """Return a saga's plan and its state by all its events; raises NotFound, LogCorrupt."""
    plan = store.plan(saga)
    try:
        return plan, replay(plan.dag, store.events(saga), has_locks=bool(plan.locks))
    except LogCorrupt as error:
        if saga in str(error):
            raise
        msg = f"saga {saga}: {error}"
        raise LogCorrupt(msg) from error


def read_view(store: Store, saga: str) -> SagaView:
    """Return the picture of a saga as the log tells it now; raises NotFound, LogCorrupt."""
    plan, state = load(store, saga)
    return view(saga, plan, state, key=store.row(saga).key)


def find_row(store: Store, saga: str | None, key: str | None) -> SagaRow | None:
    """Return the saga that was submitted with this key, or else the one of this id, or None."""
    row = store.by_key(key) if key is not None else None
    if row is not None or saga is None:
        return row
    try:
        return store.row(saga)
    except NotFound:
        return None


def resolve(store: Store, prefix: str) -> str:
    """Return the one id that begins with the prefix; raises NotFound, or Conflict when there are several."""
    found = store.find(prefix.strip().lower(), limit=SHOWN + 1)
    if not found or not prefix.strip():
        msg = f"there is no saga {prefix!r}; `sledsaga list` shows all"
        raise NotFound(msg)
    if len(found) > 1:
        more = "" if len(found) <= SHOWN else ", …"
        shown = ", ".join(found[:SHOWN])
        msg = f"{prefix!r} is the beginning of several sagas; write more of it: {shown}{more}"
        raise Conflict(msg)
    return found[0]
