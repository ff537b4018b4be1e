"""The JSON of the API as schemas: what is sent and what comes back. A promise to scripts."""

from __future__ import annotations

from typing import Any, get_args

from sledsaga.core.commands import REASON_CHARS_MAX, VERBS
from sledsaga.core.state import Status
from sledsaga.core.view import Direction, SagaState

Schema = dict[str, Any]
ANY: Schema = {}
TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": "integer", "minimum": 0}
YES_NO: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
ID: Schema = {"type": "string", "format": "uuid"}
OBJECT: Schema = {"type": "object"}
MODE: Schema = {"enum": ["exclusive", "shared"]}
VERB: Schema = {"enum": list(VERBS)}
STATE: Schema = {"enum": list(get_args(SagaState))}
DIRECTION: Schema = {"enum": list(get_args(Direction))}
VERSION: Schema = {"const": 1}


def ref(name: str) -> Schema:
    """Return a reference to one of SCHEMAS."""
    return {"$ref": f"#/components/schemas/{name}"}


def many(schema: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def record(fields: Schema, *, optional: tuple[str, ...] = (), closed: bool = False) -> Schema:
    """Return the schema of an object; a closed one takes no other field."""
    required = [name for name in fields if name not in optional]
    body: Schema = {"type": "object", "properties": fields, "required": required}
    return body | ({"additionalProperties": False} if closed else {})


SCHEMAS: dict[str, Schema] = {
    "Submission": record(
        {"operation": TEXT, "params": OBJECT, "plan": MAYBE_TEXT},
        optional=("params", "plan"),
        closed=True,
    ),
    "Proposal": record({"operation": TEXT, "params": OBJECT}, optional=("params",), closed=True),
    "Action": record(
        {
            "verb": VERB,
            "reason": {"type": "string", "minLength": 1, "maxLength": REASON_CHARS_MAX},
            "step": MAYBE_TEXT,
            "output": ANY,
            "dry_run": YES_NO,
        },
        optional=("step", "output", "dry_run"),
        closed=True,
    ),
    "Step": record(
        {
            "path": TEXT,
            "state": {"enum": [status.value for status in Status]},
            "needs": many(TEXT),
            "undo": TEXT,
            "attempts": COUNT,
            "undo_attempts": COUNT,
            "started_at": MAYBE_TIME,
            "ended_at": MAYBE_TIME,
            "next_at": MAYBE_TIME,
            "output": ANY,
            "error": MAYBE_TEXT,
        }
    ),
    "Stuck": record(
        {
            "step": MAYBE_TEXT,
            "direction": {"enum": ["do", "undo", None]},
            "error": TEXT,
            "attempts": COUNT,
            "since": MAYBE_TIME,
            "allowed": many(VERB),
        }
    ),
    "Saga": record(
        {
            "v": VERSION,
            "id": ID,
            "operation": TEXT,
            "version": COUNT,
            "state": STATE,
            "direction": DIRECTION,
            "key": MAYBE_TEXT,
            "created_at": TIME,
            "updated_at": TIME,
            "epoch": COUNT,
            "seq": COUNT,
            "executor": MAYBE_TEXT,
            "fingerprint": TEXT,
            "params": ANY,
            "steps": many(ref("Step")),
            "stuck": many(ref("Stuck")),
            "allowed": many(VERB),
            "locks": many(record({"resource": TEXT, "mode": MODE, "held": YES_NO})),
            "leftovers": many(TEXT),
        }
    ),
    "SagaRow": record(
        {
            "id": ID,
            "operation": TEXT,
            "version": COUNT,
            "key": MAYBE_TEXT,
            "digest": TEXT,
            "state": STATE,
            "direction": DIRECTION,
            "epoch": COUNT,
            "seq": COUNT,
            "created_at": TIME,
            "updated_at": TIME,
        }
    ),
    "SagaPage": record({"v": VERSION, "sagas": many(ref("SagaRow")), "next_page_token": MAYBE_TEXT}),
    "Event": record(
        {
            "seq": {"type": ["integer", "null"]},
            "at": MAYBE_TIME,
            "epoch": COUNT,
            "type": TEXT,
            "step": MAYBE_TEXT,
        }
    ),
    "EventPage": record(
        {"v": VERSION, "saga": ID, "events": many(ref("Event")), "next_after": COUNT, "at_rest": YES_NO}
    ),
    "Decision": record({"v": VERSION, "dry_run": YES_NO, "events": many(ref("Event")), "saga": ref("Saga")}),
    "Lock": record({"resource": TEXT, "mode": MODE, "saga": ID, "held": YES_NO, "since": TIME}),
    "Locks": record({"v": VERSION, "locks": many(ref("Lock"))}),
    "Operation": record({"name": TEXT, "version": COUNT, "summary": TEXT, "params": OBJECT}),
    "Operations": record({"v": VERSION, "operations": many(ref("Operation"))}),
    "Plan": record(
        {
            "v": VERSION,
            "operation": TEXT,
            "version": COUNT,
            "fingerprint": TEXT,
            "steps": many(record({"path": TEXT, "needs": many(TEXT), "undo": TEXT, "probe": MAYBE_TEXT})),
            "locks": many(record({"resource": TEXT, "mode": MODE})),
        }
    ),
    "Live": record({"v": VERSION, "live": YES_NO}),
    "Ready": record(
        {
            "v": VERSION,
            "ready": YES_NO,
            "checks": many(record({"name": TEXT, "ok": YES_NO, "why": MAYBE_TEXT})),
        }
    ),
    "Problem": record(
        {
            "type": {"type": "string", "format": "uri"},
            "title": TEXT,
            "status": COUNT,
            "detail": TEXT,
            "instance": TEXT,
            "code": TEXT,
            "saga": TEXT,
            "allowed": many(VERB),
        },
        optional=("saga", "allowed"),
    ),
}
