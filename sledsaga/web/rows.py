"""Views, rows and locks as JSON, and back: what a client returns equals what the engine would have.

The JSON of a saga is `SagaView.to_json`, a promise to scripts; here it is read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sledsaga.core.state import Status
from sledsaga.core.view import ENDED, SagaView, StepView, StuckView, rfc3339
from sledsaga.store.store import LockRow, SagaRow

ROW_TIMES = ("created_at", "updated_at")
STEP_TIMES = ("started_at", "ended_at", "next_at")
IN_FLIGHT = frozenset({Status.RUNNING.value, Status.UNDOING.value})


def is_at_rest(view: SagaView) -> bool:
    """Say whether nothing runs, and nothing will before a person or an executor does something."""
    if view.state == "paused":
        return not any(step.state in IN_FLIGHT for step in view.steps)
    return view.state in ENDED or view.state == "stuck"


def view_from_json(body: Mapping[str, Any]) -> SagaView:
    """Read a saga's picture back from its JSON; unknown fields of a newer executor are left out."""
    fields: dict[str, Any] = {name: body[name] for name in SagaView.__dataclass_fields__}
    fields |= {name: seconds(body[name]) for name in ROW_TIMES}
    fields["steps"] = tuple(map(_step_from_json, body["steps"]))
    fields["stuck"] = tuple(map(_stuck_from_json, body["stuck"]))
    fields["locks"] = tuple((lock["resource"], lock["mode"], lock["held"]) for lock in body["locks"])
    return SagaView(**fields | {name: tuple(body[name]) for name in ("allowed", "leftovers")})


def row_to_json(row: SagaRow) -> dict[str, Any]:
    """Return one saga of a list as JSON; times are RFC 3339."""
    body = {name: getattr(row, name) for name in SagaRow.__dataclass_fields__}
    return body | {name: rfc3339(body[name]) for name in ROW_TIMES}


def row_from_json(body: Mapping[str, Any]) -> SagaRow:
    """Read one saga of a list back."""
    fields: dict[str, Any] = {name: body[name] for name in SagaRow.__dataclass_fields__}
    return SagaRow(**fields | {name: seconds(body[name]) for name in ROW_TIMES})


def lock_to_json(lock: LockRow) -> dict[str, Any]:
    """Return who holds a resource, or waits for it, as JSON."""
    body = {name: getattr(lock, name) for name in LockRow.__dataclass_fields__}
    return body | {"since": rfc3339(lock.since)}


def lock_from_json(body: Mapping[str, Any]) -> LockRow:
    """Read who holds a resource, or waits for it, back."""
    fields: dict[str, Any] = {name: body[name] for name in LockRow.__dataclass_fields__}
    return LockRow(**fields | {"since": seconds(body["since"])})


def seconds(text: str | None) -> float | None:
    """Return RFC 3339 as seconds since 1970, UTC; None stays None."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC).timestamp()


def _step_from_json(body: Mapping[str, Any]) -> StepView:
    fields: dict[str, Any] = {name: body[name] for name in StepView.__dataclass_fields__}
    fields |= {name: seconds(body[name]) for name in STEP_TIMES}
    return StepView(**fields | {"needs": tuple(body["needs"])})


def _stuck_from_json(body: Mapping[str, Any]) -> StuckView:
    fields: dict[str, Any] = {name: body[name] for name in StuckView.__dataclass_fields__}
    return StuckView(**fields | {"since": seconds(body["since"]), "allowed": tuple(body["allowed"])})
