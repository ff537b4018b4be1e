"""The checks of steps: each done twice, failing, undone twice, its undo failing.

A check takes a subject and returns its row: the points at which it was tried, and what ran in its trials.
`every` takes one point in so many (and the last one), for operations of hundreds of steps; the row tells.

Rules
- A saga with mischief is compared with one without: what it leaves must be the same.
- A check whose one saga is as it should be is done; if it is not, each step is tried alone, to find which.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from sledsaga.check.report import Row
from sledsaga.check.subject import Subject
from sledsaga.check.trials import variant
from sledsaga.check.trials.series import OnPoint, Sheet, Trials, one_in, trials_of
from sledsaga.check.trials.trial import NONE, Mischief, PlantedError, Trial, told
from sledsaga.core import events as ev
from sledsaga.core.define import ONCE
from sledsaga.errors import SledsagaError, Transient, UsageError

EARLY_AND_LATE: Final = (("before", "before its work"), ("after", "after its work"))


class Check(Protocol):
    """One check: try an operation at every point, and return the row."""

    def __call__(
        self, subject: Subject | Trials, /, *, every: int = 1, on_point: OnPoint | None = None
    ) -> Row:
        """Try it; raises what planning raises (UsageError) when the params do not fit."""
        ...


def check_of(*covers: str, nothing: str) -> Callable[[Callable[[Sheet], None]], Check]:
    """Make a check of what fills its sheet. `covers` is what must run in its trials (see `trials.tally`)."""

    def made(fill: Callable[[Sheet], None]) -> Check:
        @functools.wraps(fill)
        def check(subject: Subject | Trials, /, *, every: int = 1, on_point: OnPoint | None = None) -> Row:
            if every < 1:
                msg = f"one point in {every} cannot be tried; give a number from 1"
                raise UsageError(msg)
            began = time.monotonic()
            trials = trials_of(subject)
            sheet = Sheet(fill.__name__, trials, every, on_point)
            for point in trials.wrong:
                sheet.add(point.name, point.why)
            if not trials.wrong:
                fill(sheet)
            return sheet.row(covers, nothing=nothing, seconds=time.monotonic() - began)

        return check

    return made


@check_of("steps", "do", nothing="the operation has no step")
def actions_twice(sheet: Sheet) -> None:
    """Call each `do` twice: the end is the same as when it is called once."""
    trials = sheet.trials

    def script(again: Again, trial: Trial) -> str:
        view = trial.run(trials.forward(trial, more=1), again.mischief)
        return trials.succeeded(trial, view)

    _each_again(sheet, "do", trials.paths, script)


@check_of("ahead", "undos", "undo", nothing="no step has an undo that can be called")
def undo_twice(sheet: Sheet) -> None:
    """Call each undo twice, in a saga that fails at its end: nothing is left."""
    trials = sheet.trials

    def script(again: Again, trial: Trial) -> str:
        view = trial.run(trials.unwinding(trial, more=1), trials.failing(again.mischief))
        return trials.undone(trial, view)

    _each_again(sheet, "undo", trials.undoable, script)


@dataclass(slots=True)
class Again:
    """Have the calls of these steps made once more, after they went well; `twice` are those that were."""

    direction: str
    paths: frozenset[str]
    once: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)

    @property
    def mischief(self) -> Mischief:
        """The mischief that does it."""
        return Mischief(self._call)

    def _call(self, moment: str, path: str) -> None:
        if path not in self.paths or moment != f"after-{self.direction}":
            return
        if path in self.once:
            self.twice.add(path)
            return
        self.once.add(path)
        raise Transient("planted: once more")


def _each_again(
    sheet: Sheet, direction: str, paths: Sequence[str], script: Callable[[Again, Trial], str]
) -> None:
    """Try all paths in one saga; when that is not as it should be, try each alone."""
    if not paths:
        return
    sheet.of = len(paths)
    twice, why = _again(sheet, direction, paths, script)
    reasons = dict.fromkeys(paths, why)
    if why and len(paths) > 1:
        alone = {path: _again(sheet, direction, [path], script) for path in one_in(sheet.every, paths)}
        if any(reason for _, reason in alone.values()):
            twice = {path for path, (called, _) in alone.items() if path in called}
            reasons = {path: reason for path, (_, reason) in alone.items()}
        else:
            reasons = dict.fromkeys(paths, f"all in one saga: {why}")
    sheet.count = len(reasons)
    for path, reason in reasons.items():
        sheet.add(f"{path}: {direction} twice", reason, reached=bool(reason) or path in twice)


def _again(
    sheet: Sheet, direction: str, paths: Sequence[str], script: Callable[[Again, Trial], str]
) -> tuple[set[str], str]:
    """Return which of these were called twice in one saga, and what went wrong."""
    again = Again(direction, frozenset(paths))
    with sheet.trial() as trial:
        try:
            why = script(again, trial)
        except SledsagaError as error:
            why = str(error)
    return again.twice, why


@dataclass(slots=True)
class Fail:
    """Fail the call of one step at one moment, each time or as often as told; `failed` says how often."""

    moment: str
    path: str
    times: int = 0
    failed: int = 0

    @property
    def mischief(self) -> Mischief:
        """The mischief that does it."""
        return Mischief(self._call)

    def _call(self, moment: str, path: str) -> None:
        if (moment, path) == (self.moment, self.path) and (not self.times or self.failed < self.times):
            self.failed += 1
            raise PlantedError(f"planted: {moment}")


@check_of("steps", "undos", "do", nothing="the operation has no step")
def fail_each_step(sheet: Sheet) -> None:
    """Fail each step, before and after its work: it failed there, and nothing is left.

    Past a pivot the saga is stuck at that very step, and goes on to its good end when it is told to retry.
    """
    points = [(path, *moment) for path in sheet.trials.paths for moment in EARLY_AND_LATE]
    for path, moment, name in sheet.some(points):
        fail = Fail(f"{moment}-do", path)
        sheet.try_(f"{path}: fails {name}", functools.partial(_failing, sheet.trials, fail))


def _failing(trials: Trials, fail: Fail, trial: Trial) -> tuple[bool, str]:
    planned = variant.with_policy(variant.at_once(trials.ordered(trial).plan), fail.path, retry=ONCE)
    view = trial.run(planned, fail.mischief)
    dag = trials.late.plan.dag
    failed = [dag.steps[event.step].path for event in trial.events() if isinstance(event, ev.StepFailed)]
    if fail.path not in failed:
        return bool(fail.failed), f"the log does not say that it failed there; {told(view)}"
    if view.state != "stuck":
        return True, trials.undone(trial, view)
    if [(one.step, one.direction) for one in view.stuck] != [(fail.path, "do")] or not trials.late.has_pivot:
        return True, told(view)
    return True, trials.succeeded(trial, trial.say("retry", NONE))


@check_of("ahead", "undos", "undo", nothing="no step has an undo that can be called")
def undo_fails_each_step(sheet: Sheet) -> None:
    """Fail each undo for good, once: the saga is stuck there, and told to retry leaves nothing."""
    points = [(path, *moment) for path in sheet.trials.undoable for moment in EARLY_AND_LATE]
    for path, moment, name in sheet.some(points):
        fail = Fail(f"{moment}-undo", path, times=1)
        sheet.try_(f"{path}: undo fails {name}", functools.partial(_stuck, sheet.trials, fail))


def _stuck(trials: Trials, fail: Fail, trial: Trial) -> tuple[bool, str]:
    planned = variant.with_policy(trials.unwinding(trial), fail.path, undo_retry=ONCE)
    mischief = trials.failing(fail.mischief)
    view = trial.run(planned, mischief)
    if not fail.failed:
        return False, ""
    if view.state != "stuck" or [(one.step, one.direction) for one in view.stuck] != [(fail.path, "undo")]:
        return True, f"it should be stuck at {fail.path}: {told(view)}"
    return True, trials.undone(trial, trial.say("retry-undo", mischief))
