"""The trials of one subject, and the two sagas without mischief that all of them are compared with.

The plain saga succeeds, the unwound one is made to fail when all that can be undone is done. What they leave,
which changes they make, and how long their calls take is what every check starts from.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sledsaga.check.report import UNSEEN, Coverage, Point, Row
from sledsaga.check.subject import Subject
from sledsaga.check.trials import variant
from sledsaga.check.trials.trial import (
    NONE,
    ONE_AT_A_TIME,
    Mischief,
    PlantedError,
    Seen,
    Site,
    Trial,
    begin,
    compared,
    several,
    told,
)
from sledsaga.core.dag import Plan
from sledsaga.core.view import SagaView
from sledsaga.errors import FailedClean, SledsagaError

OnPoint = Callable[[str, Point, int], None]
"""Told after each point: the check, the point, and how many points that check tries."""
NAMES: Final = {"succeeded": "the saga without mischief", "undone": "the saga that fails at its end"}
"""The sagas that all others are compared with, by the state that they must end in."""
Script = Callable[[Trial], tuple[bool, str]]
Item = TypeVar("Item")


def fail_last(late: variant.Late) -> Mischief:
    """Let the last steps fail: pivots before they do anything, any other step after its work."""

    def call(moment: str, path: str) -> None:
        if path not in late.last:
            return
        if late.has_pivot and moment == "before-do":
            raise FailedClean("planted: the pivot is not passed")
        if moment == "after-do":
            raise PlantedError("planted: after the work was done")

    return Mischief(call)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a saga without mischief ended: its picture, and what ran."""

    text: str
    picture: Any
    seen: Seen


@dataclass(slots=True)
class Trials:
    """Makes trials of a subject; made by `trials_of`. `wrong` says why none can be made."""

    subject: Subject
    plan: Plan
    late: variant.Late
    start: Ended
    plain: Ended
    unwound: Ended
    wrong: tuple[Point, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """All steps."""
        return tuple(step.path for step in self.plan.dag.steps)

    @property
    def undoable(self) -> tuple[str, ...]:
        """The steps whose undo can ever be called: those that do not come after a pivot."""
        last = () if self.late.has_pivot else self.late.last
        able = {*self.late.ahead, *last}
        return tuple(step.path for step in self.plan.dag.steps if step.undo == "undo" and step.path in able)

    @property
    def is_unseen(self) -> bool:
        """Whether there is something to undo when the saga has succeeded, and nothing of it is seen."""
        return bool(self.undoable) and self.start.text == self.plain.text

    @property
    def do_sites(self) -> tuple[Site, ...]:
        """The changes that a whole saga makes."""
        return tuple(site for site in self.plain.seen.sites.values() if site.direction == "do")

    @property
    def undo_sites(self) -> tuple[Site, ...]:
        """The changes by which all of it is undone."""
        return tuple(site for site in self.unwound.seen.sites.values() if site.direction == "undo")

    def seconds(self, path: str, direction: str) -> float:
        """Return how long the longest call of a step's `do` or `undo` took when all was well."""
        seen = self.unwound.seen if direction == "undo" else self.plain.seen
        return seen.seconds.get((path, direction), 0.0)

    @contextmanager
    def begin(self) -> Iterator[Trial]:
        """Prepare a trial."""
        with begin(self.subject) as trial:
            yield trial

    def forward(self, trial: Trial, *, more: int = 0) -> Plan:
        """Return the plan of a saga that is to succeed, its retries without waits."""
        return variant.at_once(self._planned(trial), more=more)

    def unwinding(self, trial: Trial, *, more: int = 0) -> Plan:
        """Return the plan of a saga that is to unwind at its end."""
        return variant.at_once(self.ordered(trial).unwinding(), more=more)

    def ordered(self, trial: Trial) -> variant.Late:
        """Return the plan whose last steps come after all that can be undone."""
        return variant.late(self._planned(trial)) if callable(self.subject.params) else self.late

    def _planned(self, trial: Trial) -> Plan:
        """Plan for the trial's own params, when those are of its folder."""
        return trial.plan() if callable(self.subject.params) else self.plan

    def failing(self, *mischief: Mischief) -> Mischief:
        """Return mischief to which the failure at the end is added."""
        return several(*mischief, fail_last(self.late))

    def succeeded(self, trial: Trial, view: SagaView) -> str:
        """Say why a saga is not what the plain one is, "" when it is."""
        return told(view) if view.state != "succeeded" else compared(self.plain.text, trial.text())

    def undone(self, trial: Trial, view: SagaView) -> str:
        """Say why a saga is not undone with nothing left, "" when it is."""
        return told(view) if view.state != "undone" else compared(self.start.text, trial.text())

    def either(self, trial: Trial, view: SagaView, *, in_trouble: bool = False) -> str:
        """Say why a saga has neither of the two ends, "" when it has one."""
        if view.state == "undone":
            return self.undone(trial, view)
        wrong = self.succeeded(trial, view)
        good = self.subject.good_enough
        if not wrong or not in_trouble or good is None or view.state != "succeeded":
            return wrong
        seen, wanted, before = trial.picture(), self.plain.picture, self.start.picture
        which = "beside" if trial.sim is None else "sled"
        is_good = seen.get("keys") == wanted.get("keys") and good(seen[which], wanted[which], before[which])
        return "" if is_good else wrong


def trials_of(subject: Subject | Trials) -> Trials:
    """Run the two sagas without mischief, unless it was done; raises what planning raises."""
    if isinstance(subject, Trials):
        return subject
    with begin(subject) as trial:
        planned = trial.plan()
        start = _ended(trial)
        wrong, plain = _reference(trial, planned, NONE, state="succeeded")
    late = variant.late(planned)
    made = Trials(subject, planned, late, start, plain, plain, wrong)
    if wrong:
        return made
    with begin(subject) as trial:
        planned, mischief = made.unwinding(trial), fail_last(late)
        made.wrong, made.unwound = _reference(trial, planned, mischief, state="undone", wanted=start.text)
    return made


def _reference(
    trial: Trial, planned: Plan, mischief: Mischief, *, state: str, wanted: str | None = None
) -> tuple[tuple[Point, ...], Ended]:
    try:
        view = trial.run(planned, mischief, limits=ONE_AT_A_TIME)
        ended = _ended(trial)
        if view.state != state:
            why = f"{told(view)}; it should be {state}"
        else:
            why = "" if wanted is None else compared(wanted, ended.text)
    except SledsagaError as error:
        ended, why = _ended(trial), str(error)
    return (Point(NAMES[state], reached=True, passed=False, why=why),) if why else (), ended


def _ended(trial: Trial) -> Ended:
    return Ended(trial.text(), trial.picture(), trial.seen)


def tally(trials: Trials, seen: Iterable[Seen], covers: Sequence[str]) -> tuple[Coverage, ...]:
    """Return what ran in some trials, of what there is: of `steps`, `ahead`, `undos`, `do`, `undo`."""
    steps, undos, made = set[str](), set[str](), set[tuple[str, str, str]]()
    for one in seen:
        steps |= one.steps
        undos |= one.undos
        made |= {(site.path, site.direction, site.kind) for site in one.sites.values()}
    kinds = {"steps": trials.paths, "ahead": trials.late.ahead}
    found = [
        Coverage("steps", kinds[kind], frozenset(steps)) for kind in ("steps", "ahead") if kind in covers
    ]
    if "undos" in covers:
        found.append(Coverage("undos", trials.undoable, frozenset(undos)))
    sites = [*(trials.do_sites if "do" in covers else ()), *(trials.undo_sites if "undo" in covers else ())]
    ran = frozenset(str(site) for site in sites if (site.path, site.direction, site.kind) in made)
    found.append(Coverage("commands", tuple(map(str, sites)), ran))
    return tuple(each for each in found if each.known)


def one_in(every: int, items: Sequence[Item]) -> list[Item]:
    """Return one in `every` items, and the last one, in order.

    Which ones is by a die that falls the same each time: at a fixed distance all might be of one kind.
    """
    number = len(items)
    dice = random.Random(number)  # noqa: S311 - a die, no secret
    some = dice.sample(range(number), -(-number // every))
    return [items[place] for place in sorted({*some, number - 1} if items else ())]


@dataclass(slots=True)
class Sheet:
    """The points of one check as they are tried: of which items, with what, and what ran meanwhile."""

    check: str
    trials: Trials
    every: int = 1
    on_point: OnPoint | None = None
    points: list[Point] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    count: int = 0
    of: int = 0

    def some(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return one in `every` items, and the last one, and note how many there are."""
        chosen = one_in(self.every, items)
        self.count += len(chosen)
        self.of += len(items)
        return chosen

    def add(self, name: str, why: str, *, reached: bool = True) -> None:
        """Note how a point went: `why` is "" when it passed."""
        if not reached:
            why = why or "it was never reached"
        point = Point(name, reached=reached, passed=not why, why=why)
        self.points.append(point)
        if self.on_point is not None:
            self.on_point(self.check, point, self.count)

    @contextmanager
    def trial(self) -> Iterator[Trial]:
        """Prepare a trial whose calls and changes count as covered."""
        with self.trials.begin() as trial:
            yield trial
        self.seen.append(trial.seen)

    def try_(self, name: str, *scripts: Script) -> None:
        """Try one point; a script says whether it was reached, and what went wrong.

        Each script has a trial of its own, and the next one is asked only when the point was not reached.
        """
        reached, why = False, ""
        for script in scripts:
            with self.trial() as trial:
                try:
                    reached, why = script(trial)
                except SledsagaError as error:
                    reached, why = True, str(error)
            if reached:
                break
        self.add(name, why, reached=reached)

    def row(self, covers: Sequence[str], *, nothing: str, seconds: float) -> Row:
        """Return the row; `nothing` is why there is no point, if there is none."""
        coverage = tally(self.trials, self.seen, covers) if self.seen else ()
        none = "" if self.points else nothing
        note = UNSEEN if self.points and self.trials.is_unseen else ""
        points = tuple(self.points)
        return Row(self.check, points, self.of, nothing=none, coverage=coverage, seconds=seconds, note=note)
