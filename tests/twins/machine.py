"""The broken parts of tests/twins/broken.py as twins: where each is found, and what the walk must say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sledsaga.check.explore import Report, explore
from sledsaga.check.walk.drive import shape
from sledsaga.check.walk.moves import Parts
from sledsaga.core.dag import Dag, Policy
from sledsaga.core.define import Retry
from tests.twins import broken
from tests.twins.twin import Twin

RETRIES = Policy(retry=Retry(2), undo_retry=Retry(1))
CHAIN = shape({"a": "", "b": "a"}, policy=RETRIES)
PAIR = shape({"a": "", "b": ""}, policy=RETRIES)
PIVOT = shape({"a": "", "b": "a", "c": "b"}, undo={"b": "irreversible"}, policy=RETRIES)
LAST_WORD = shape(
    {"a": "", "b": "a", "c": "b"}, undo={"b": "irreversible"}, policy=Policy(undo_retry=Retry(1))
)
STUBBORN = shape({"a": "", "b": "a"}, policy=Policy(undo_retry=Retry(2)))


@dataclass(frozen=True, slots=True)
class Plant:
    """A planted mistake: the parts that carry it, where it is to be found, and what the walk must say."""

    name: str
    breaks: str
    parts: Parts
    says: str
    dag: Dag = CHAIN
    walk: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def report(self, parts: Parts | None = None, **more: Any) -> Report:
        """Walk these parts, or others, where this mistake is to be found."""
        return explore(self.dag, parts=parts or self.parts, states_max=20_000, **{**self.walk, **more})

    def caught(self) -> str:
        """Return the shortest way to the breach, or nothing when there was none."""
        report = self.report()
        return str(report) if report.breaches else ""


LOCKS = MappingProxyType({"has_locks": True})

PLANTS: tuple[Plant, ...] = (
    Plant(
        "starts before its needs",
        "ready starts a step whose need has not succeeded, and apply takes it",
        Parts(ready=broken.eager, apply=broken.blind),
        "b starts before its needs have succeeded",
    ),
    Plant(
        "starts before its needs, and is refused",
        "ready starts a step whose need has not succeeded",
        Parts(ready=broken.eager),
        "a need has not succeeded",
    ),
    Plant(
        "undoes in the order of doing",
        "ready undoes a step before the one that depends on it, and apply takes it",
        Parts(ready=broken.backwards, apply=broken.blind),
        "a is undone before b",
    ),
    Plant(
        "undoes in the order of doing, and is refused",
        "ready undoes a step before the one that depends on it",
        Parts(ready=broken.backwards),
        "not undone yet",
    ),
    Plant(
        "undoes twice at a time",
        "ready starts an undo that runs already, and apply takes it",
        Parts(ready=broken.twice, apply=broken.blind),
        "is called while a call of it runs",
    ),
    Plant(
        "frees locks early",
        "ready ends the saga, which frees its locks, while an undo is still to be done",
        Parts(ready=broken.impatient),
        "undone, but something may be left",
        walk=LOCKS,
    ),
    Plant(
        "starts without locks",
        "ready starts steps before the locks are granted, and apply takes it",
        Parts(ready=broken.lockless, apply=broken.blind),
        "waits for locks",
        walk=LOCKS,
    ),
    Plant(
        "starts during a pause",
        "ready starts new steps although the saga is paused",
        Parts(ready=broken.restless),
        "at rest, but there is something to record",
        walk={"commands": 1, "verbs": ("pause",)},
    ),
    Plant(
        "runs before it records",
        "ready has a call in flight before its start is in the log",
        Parts(ready=broken.unrecorded),
        "its start is not in the log",
    ),
    Plant(
        "runs one call at a time",
        "ready drops a call that the log says is in flight",
        Parts(ready=broken.one_sided),
        "is in flight, but is not to run",
        PAIR,
    ),
    Plant(
        "sleeps for ever",
        "ready never says when to wake up for a step that waits",
        Parts(ready=broken.deaf),
        "nothing can happen",
    ),
    Plant(
        "does not wait",
        "ready starts the next attempt before its time",
        Parts(ready=broken.hasty),
        "starts before its time",
    ),
    Plant(
        "never ends",
        "ready never records that the saga is over",
        Parts(ready=broken.endless),
        "nothing can happen",
    ),
    Plant(
        "begins again after the end",
        "ready starts a step of a saga that has ended",
        Parts(ready=broken.restarts),
        "has ended, but there is something to record or to run",
        walk={"crashes": 0},
    ),
    Plant(
        "skips an undo by itself",
        "ready skips a stuck undo although nobody asked for it",
        Parts(ready=broken.meddler),
        "nobody has said so",
    ),
    Plant(
        "forgets what is in doubt",
        "a claim of a saga that unwinds forgets what is to be undone",
        Parts(apply=broken.forgetful),
        "at rest without an end",
    ),
    Plant(
        "takes doubt for nothing",
        "a claim takes what was running for something that left nothing",
        Parts(apply=broken.amnesiac),
        "startable are",
    ),
    Plant(
        "ignores the pivot",
        "a saga unwinds although a step that cannot be undone was started",
        Parts(apply=broken.pivotless),
        "does not unwind",
        LAST_WORD,
    ),
    Plant(
        "forgets the pivot at a claim",
        "a claim forgets that a step that cannot be undone was started",
        Parts(apply=broken.forgets("pivoted")),
        "stuck forward before any pivot",
        LAST_WORD,
    ),
    Plant(
        "forgets the pause at a claim",
        "a claim forgets that the saga is paused",
        Parts(apply=broken.forgets("paused")),
        "held: paused",
        walk={"commands": 1, "verbs": ("pause",)},
    ),
    Plant(
        "forgets the locks at a claim",
        "a claim forgets that the saga has its locks, and they are taken again",
        Parts(apply=broken.forgets("locked")),
        "locks are taken by a saga that waits for none",
        walk=LOCKS,
    ),
    Plant(
        "forgets to unwind at a claim",
        "a claim forgets that the saga unwinds, and it goes forward again",
        Parts(apply=broken.forgets("unwinding")),
        "at rest without an end",
    ),
    Plant(
        "a crash grants attempts",
        "a claim gives every step a fresh budget of attempts",
        Parts(apply=broken.fresh_budget),
        "beyond what its policy grants",
    ),
    Plant(
        "a crash resets the count",
        "a claim counts the attempts of every step anew",
        Parts(apply=broken.counts_anew),
        "out of turn",
    ),
    Plant(
        "a crash ends every wait",
        "a claim starts steps that wait for their next attempt at once",
        Parts(apply=broken.waits_no_more),
        "starts before its time",
    ),
    Plant(
        "a person's retry grants nothing",
        "a retry that a person asked for gets no fresh budget of attempts",
        Parts(apply=broken.no_budget),
        "given up although it may be tried again",
        PIVOT,
        {"crashes": 0, "commands": 1, "verbs": ("retry",)},
    ),
    Plant(
        "sees only the first failure",
        "what a second sibling left that failed is not undone",
        Parts(apply=broken.first_failure_only),
        "undone, but something may be left",
        PAIR,
    ),
    Plant(
        "panics at a second failure",
        "the machine raises when a second sibling fails",
        Parts(apply=broken.panics),
        "the machine fails: AssertionError('this cannot be')",
        PAIR,
    ),
    Plant(
        "undoes what failed clean",
        "a step that failed and left nothing is undone",
        Parts(apply=broken.never_clean),
        "is undone although it cannot have run",
    ),
    Plant(
        "takes every failure for a clean one",
        "a step that may have left a half is said to have left nothing",
        Parts(conclude=broken.all_clean),
        "but StepFailedClean is recorded",
    ),
    Plant(
        "tries an undo for ever",
        "an undo is tried again beyond what its policy grants",
        Parts(conclude=broken.tireless),
        "beyond what its policy grants",
    ),
    Plant(
        "does not try again",
        "a step that may be tried again is given up at once",
        Parts(conclude=broken.tired),
        "given up although it may be tried again",
    ),
    Plant(
        "does not try an undo again",
        "an undo is given up although its policy grants another attempt",
        Parts(conclude=broken.tired_of_undoing),
        "given up although it may be tried again",
        STUBBORN,
    ),
    Plant(
        "takes a stuck undo for done",
        "an undo that failed for good is recorded as done",
        Parts(conclude=broken.hopeful),
        "but UndoSucceeded is recorded",
    ),
    Plant(
        "takes what timed out for clean",
        "a call that was ended because its time was over is said to have left nothing",
        Parts(judged=broken.clean_when_late),
        "but StepFailedClean is recorded",
    ),
    Plant(
        "the clock decides",
        "a call that succeeded when its time was over is said to have failed",
        Parts(judged=broken.strict_clock),
        "succeeds when its time is over, but StepFailed is recorded",
    ),
    Plant(
        "a late result is accepted",
        "the fence lets every writer through",
        Parts(fence=broken.open_fence),
        "of epoch 1 is in the log in epoch 2",
    ),
    Plant(
        "a late result is accepted and believed",
        "the fence lets every writer through, and the machine does not look at the epoch",
        Parts(fence=broken.open_fence, apply=broken.any_epoch),
        "a do ends that was not started",
    ),
    Plant(
        "the fence is one claim behind",
        "the fence lets the executor through that held the claim before",
        Parts(fence=broken.one_behind),
        "of epoch 1 is in the log in epoch 2",
    ),
    Plant(
        "the fence knows only the first claim",
        "the fence refuses whoever took the saga over",
        Parts(fence=broken.first_come),
        "the fence refuses who holds the claim",
    ),
)
TWINS: tuple[Twin, ...] = tuple(Twin(plant.name, plant.breaks, plant.caught) for plant in PLANTS)
