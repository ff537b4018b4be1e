"""The picture of a saga, folded from its log without the machine: slow, plain, and of other making."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sledsaga.core import events as ev
from sledsaga.core.dag import Dag

STATUS: dict[type[ev.Event], str] = {
    ev.StepStarted: "running",
    ev.StepSucceeded: "succeeded",
    ev.StepSkipped: "skipped",
    ev.StepFailed: "failed",
    ev.StepFailedClean: "failed_clean",
    ev.StepDeferred: "backing_off",
    ev.StepRetried: "backing_off",
    ev.UndoStarted: "undoing",
    ev.UndoSucceeded: "undone",
    ev.UndoDeferred: "undo_backing_off",
    ev.UndoRetried: "undo_backing_off",
    ev.UndoFailed: "undo_failed",
    ev.UndoSkipped: "undo_skipped",
}
LOST = {"running": "in_doubt", "undoing": "undo_in_doubt"}
NOTHING: dict[str, Any] = {
    "state": "pending",
    "attempts": 0,
    "undo_attempts": 0,
    "started_at": None,
    "ended_at": None,
    "next_at": None,
    "output": None,
    "error": None,
}


def picture(dag: Dag, log: Sequence[ev.Recorded]) -> dict[str, Any]:
    """Return what is seen of the saga and of each step; `stuck` holds the steps that need a person."""
    steps = [dict(NOTHING) for _ in dag.steps]
    saga: dict[str, Any] = dict.fromkeys(("executor", "parked", "outcome"))
    saga |= dict.fromkeys(("locked", "paused", "unwinding", "cancelled", "pivoted", "abandoned"), False)
    for recorded in log:
        step = getattr(recorded.event, "step", None)
        if step is not None:
            _of_step(steps[step], recorded)
        _of_saga(saga, recorded.event, dag, steps)
        saga |= {"seq": recorded.seq, "epoch": recorded.epoch, "updated_at": recorded.at}
    return saga | {"created_at": log[0].at, "steps": steps, "stuck": _stuck(saga, steps)}


def _of_step(step: dict[str, Any], recorded: ev.Recorded) -> None:
    event, at = recorded.event, recorded.at
    step["state"] = STATUS[type(event)]
    step["next_at"] = getattr(
        event, "next_at", at if isinstance(event, ev.StepRetried | ev.UndoRetried) else None
    )
    step["error"] = getattr(event, "error", None if isinstance(event, ev.StepSucceeded) else step["error"])
    step["output"] = getattr(event, "output", step["output"])
    match event:
        case ev.StepStarted():
            step["attempts"] = event.attempt
            step["started_at"] = at if step["started_at"] is None else step["started_at"]
        case ev.UndoStarted():
            step["undo_attempts"] = event.attempt
        case ev.StepDeferred() | ev.UndoDeferred() | ev.StepRetried() | ev.UndoRetried():
            pass
        case _:
            step["ended_at"] = at


def _of_saga(  # noqa: C901 - one case an event
    saga: dict[str, Any], event: ev.Event, dag: Dag, steps: list[dict[str, Any]]
) -> None:
    match event:
        case ev.Claimed(executor):
            saga |= {"executor": executor, "parked": None}
            for step in steps:
                step["state"] = LOST.get(step["state"], step["state"])
        case ev.StepStarted(step) if dag.steps[step].undo == "irreversible":
            saga["pivoted"] = True
        case ev.CancelRequested() | ev.StepFailed() | ev.StepFailedClean():
            saga["cancelled"] |= isinstance(event, ev.CancelRequested)
            if not saga["pivoted"] and not saga["unwinding"]:
                saga |= {"unwinding": True, "paused": False}
        case ev.LocksAcquired():
            saga["locked"] = True
        case ev.Parked(why):
            saga["parked"] = why
        case ev.Paused():
            saga["paused"] = True
        case ev.Resumed():
            saga |= {"paused": False, "parked": None}
        case ev.Abandoned():
            saga["abandoned"] = True
        case ev.Ended(outcome):
            saga["outcome"] = outcome
    for step in steps if saga["unwinding"] else []:
        step["next_at"] = None if step["state"] == "backing_off" else step["next_at"]


def _stuck(saga: dict[str, Any], steps: list[dict[str, Any]]) -> set[int]:
    needy = {"undo_failed"} if saga["unwinding"] else {"failed", "failed_clean"}
    return {i for i, step in enumerate(steps) if step["state"] in needy}
