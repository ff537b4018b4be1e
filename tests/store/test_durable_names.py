"""What stands in logs for good: every event's row, as the first program wrote it.

A row here may never change and none may go: a log that holds it could not be read any more. An event that
is to say something else gets another name, and a row of its own.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import get_args

import pytest

from sledsaga.core import events as ev
from sledsaga.core.dag import FORMAT, dag_from_json, dag_to_json
from sledsaga.core.state import Status
from sledsaga.store import statements
from sledsaga.store.codec import EventRow, from_row, to_row

ROWS: dict[ev.Event, tuple[str, int | None, str | None]] = {
    ev.Submitted("b"): ("submitted", None, '["b"]'),
    ev.Claimed("x"): ("claimed", None, '["x"]'),
    ev.LocksAcquired(): ("locks-acquired", None, None),
    ev.Parked("w"): ("parked", None, '["w"]'),
    ev.StepStarted(7, 2): ("step-started", 7, "[2]"),
    ev.StepSucceeded(7, "o"): ("step-succeeded", 7, '["o"]'),
    ev.StepFailed(7, "e"): ("step-failed", 7, '["e"]'),
    ev.StepFailedClean(7, "e"): ("step-failed-clean", 7, '["e"]'),
    ev.StepDeferred(7, "e", 1.5): ("step-deferred", 7, '["e",1.5]'),
    ev.UndoStarted(7, 2): ("undo-started", 7, "[2]"),
    ev.UndoSucceeded(7): ("undo-succeeded", 7, None),
    ev.UndoFailed(7, "e"): ("undo-failed", 7, '["e"]'),
    ev.UndoDeferred(7, "e", 1.5): ("undo-deferred", 7, '["e",1.5]'),
    ev.Paused("b", "r"): ("paused", None, '["b","r"]'),
    ev.Resumed("b", "r"): ("resumed", None, '["b","r"]'),
    ev.CancelRequested("b", "r"): ("cancel-requested", None, '["b","r"]'),
    ev.StepRetried(7, "b", "r"): ("step-retried", 7, '["b","r"]'),
    ev.StepSkipped(7, "o", "b", "r"): ("step-skipped", 7, '["o","b","r"]'),
    ev.UndoRetried(7, "b", "r"): ("undo-retried", 7, '["b","r"]'),
    ev.UndoSkipped(7, "b", "r"): ("undo-skipped", 7, '["b","r"]'),
    ev.Abandoned("b", "r"): ("abandoned", None, '["b","r"]'),
    ev.Ended("undone"): ("ended", None, '["undone"]'),
}
# The order of an event's fields is the order of its row: a field is what stands at its place.
FIELDS = {
    "b": "by",
    "r": "reason",
    "x": "executor",
    "w": "why",
    "e": "error",
    "o": "output",
    7: "step",
    2: "attempt",
    1.5: "next_at",
    "undone": "outcome",
}
DAG = {
    "v": 1,
    "operation": "op",
    "version": 3,
    "steps": [
        {
            "path": "a",
            "needs": [],
            "undo": "none",
            "inputs": {"p": {"params": ""}},
            "why": "so",
            "probe": True,
        },
        {
            "path": "b/c",
            "needs": [0],
            "undo": "undo",
            "inputs": {"o": {"step": 0}, "s": {"given": "sled"}, "v": {"value": [1, None]}},
            "retry": [3, 0.5, 2.0, 60.0],
            "undo_retry": [1, 1.0, 2.0, 60.0],
            "timeout_s": 9.0,
            "undo_timeout_s": 8.0,
            "cancellable": True,
            "undo_needs_output": True,
        },
        {
            "path": "d",
            "needs": [1],
            "undo": "irreversible",
            "inputs": {"l": {"steps": [0, 1]}},
            "why": "it is",
        },
    ],
}


@pytest.mark.parametrize(("event", "row"), ROWS.items(), ids=[row[0] for row in ROWS.values()])
def test_an_event_has_the_row_that_it_always_had(
    event: ev.Event, row: tuple[str, int | None, str | None]
) -> None:
    """Each event is written and read as the first program did, field by field."""
    assert to_row(event) == row
    read = from_row(EventRow(*row), saga="s", seq=1)
    assert read == event
    assert {one.name: getattr(read, one.name) for one in fields(read)} == {
        FIELDS[getattr(event, one.name)]: getattr(event, one.name) for one in fields(event)
    }


def test_every_event_stands_in_the_list() -> None:
    """No event is without a row that is held, and none of the held ones has gone."""
    assert {type(event): row[0] for event, row in ROWS.items()} == {
        event: code for code, event in ev.CODES.items()
    }


def test_a_stored_dag_has_the_form_that_it_always_had() -> None:
    """A DAG is written and read as the first program did, under the same fingerprint."""
    read = dag_from_json(DAG)
    assert dag_to_json(read) == DAG
    assert DAG["v"] == FORMAT
    assert read.fingerprint == "9b4e668ea1aed2e2e70b5a09e29a0460b86686c4a123ef41ef0492089d744b1c"


def test_no_statement_changes_or_removes_an_event() -> None:
    """Of all statements that write, the only one that touches events adds them."""
    texts = [one.text for one in vars(statements).values() if isinstance(one, statements.Write)]
    about_events = re.compile(r"(INSERT|UPDATE|DELETE|REPLACE)( INTO| FROM)? event\b")
    assert [text for text in texts if about_events.match(text)] == [statements.ADD_EVENT.text]


def test_the_words_for_ends_and_statuses_stay() -> None:
    """Outcomes stand in logs, and statuses in what scripts read."""
    assert get_args(ev.Outcome) == ("succeeded", "undone", "abandoned")
    assert [status.value for status in Status] == [
        "pending",
        "running",
        "backing_off",
        "in_doubt",
        "succeeded",
        "skipped",
        "failed",
        "failed_clean",
        "undoing",
        "undo_backing_off",
        "undo_in_doubt",
        "undone",
        "undo_failed",
        "undo_skipped",
    ]
