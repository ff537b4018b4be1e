"""Real kills at every point of an operation: whoever goes on makes one of the two ends of what is left.

    real_kills(subject) -> (Row("kill_at_appends", ...), Row("kill_at_commands", ...), ...)

First the saga runs untroubled, once to its good end and once failing when all that can be undone is done;
that tells which points there are. Then each trial kills the process that drives the saga at one passing of
one point, lets another process finish, and looks at what is there: either the good end, or all as it was.

| row             | the process is killed                                                                |
| --------------- | ------------------------------------------------------------------------------------ |
| kill_at_appends  | before and after each transaction of the log                                         |
| kill_at_commands | before and after each change of the sled                                             |
| kill_at_calls    | before and after each call of a step (only of operations that change no sled)        |
| kill_twice       | after a change or an append, and the process that recovers is killed there again     |
| kill_at_random   | at moments that a die chooses                                                        |

Each row has a second one that ends in `_unwinding`, for kills while all is undone.

Rules
- Points are known before they are tried. One whose kill does not come counts as not reached.
- A saga that was killed may end well or undone, but nothing in between, whatever it says of itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from sledsaga.check.kills.child import Kill, Passing
from sledsaga.check.kills.ground import End, Ground, Grounds
from sledsaga.check.kills.processes import Ran
from sledsaga.check.report import UNSEEN, Point, Row
from sledsaga.check.subject import Subject
from sledsaga.check.trials.series import OnPoint, one_in
from sledsaga.check.trials.trial import compared
from sledsaga.core.plan import plan
from sledsaga.engine.crashpoints import APPENDS, CALLS, COMMANDS

KINDS: Final = {"kill_at_appends": APPENDS, "kill_at_commands": COMMANDS, "kill_at_calls": CALLS}
TWICE, RANDOM, UNWINDING = "kill_twice", "kill_at_random", "_unwinding"
CHECKS: Final = tuple(f"{name}{way}" for name in (*KINDS, TWICE, RANDOM) for way in ("", UNWINDING))
"""The names of all rows, in order."""
SECOND: Final = (1, 2, 5, 13)
"""Where, among the points of a recovery, the process that recovers is killed as well."""
AFTER: Final = ("after-append", "after-command", "after-do", "after-undo")
NOTHING: Final = {
    "kill_at_appends": "nothing is written",
    "kill_at_commands": "no change of a sled is made",
    "kill_at_calls": "appends and changes of the sled tell more",
    TWICE: "no process that recovers passes a point",
    RANDOM: "no random moment was asked for",
}
TRIES: Final = 10
SOONER: Final = 0.5


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is tried: one point in `every`, so many random moments each way, so many trials at a time.

    `strict` asks of a saga that is to succeed that it does so after a kill, and of one that is to fail that
    it is undone; otherwise each may come to either end. `whole` also kills sagas that are to fail on their
    way forward (once; what they do there is what those do that succeed).
    """

    every: int = 1
    moments: int = 10
    seed: int = 1
    jobs: int = 1
    strict: bool = False
    whole: bool = False


ALL: Final = Extent()


@dataclass(frozen=True, slots=True)
class Way:
    """A saga without kills, that succeeds or unwinds: what it passed, and which ends there may be.

    `changes` says whether it changes the sled, `note` what weakens all that is found; `own` is what only
    this way passes: that of one that unwinds begins when its last step has failed.
    """

    unwinds: bool
    changes: bool
    passings: tuple[Passing, ...]
    own: tuple[Passing, ...]
    ends: dict[str, str]
    seconds: float
    wrong: str = ""
    note: str = ""

    @property
    def suffix(self) -> str:
        """What the names of its rows end in."""
        return UNWINDING if self.unwinds else ""

    @property
    def points(self) -> tuple[str, ...]:
        """The points at which a kill may find something new; around a call, only if no change tells more."""
        return APPENDS + (COMMANDS if self.changes else CALLS)

    def killable(self, points: Sequence[str]) -> list[Passing]:
        """Return the passings of these points at which to kill."""
        return [each for each in self.passings if each.point in points and each.point in self.points]


@dataclass(frozen=True, slots=True)
class Shot:
    """One trial: the kills in their order, and what the matrix calls it."""

    name: str
    kills: tuple[Kill, ...]


def real_kills(
    subject: Subject,
    *,
    only: Sequence[str] = CHECKS,
    extent: Extent = ALL,
    on_point: OnPoint | None = None,
) -> tuple[Row, ...]:
    """Kill the subject's saga at every point, recover it, and return a row for each kind of point.

    Raises UsageError when the operation cannot be had in another process, or does not take the params.
    """
    with Grounds(subject, jobs=extent.jobs) as grounds:
        return tuple(Matrix(grounds, extent, on_point).rows(only))


@dataclass(slots=True)
class Matrix:
    """The rows as they are made."""

    grounds: Grounds
    extent: Extent
    on_point: OnPoint | None
    recoveries: dict[tuple[bool, Kill], tuple[Passing, ...]] = field(default_factory=dict)

    def rows(self, only: Sequence[str]) -> Iterator[Row]:
        """Yield each row that is wanted."""
        ways = self.grounds.on_one(_ways, self.extent)
        for name in (*KINDS, TWICE, RANDOM):
            for way in ways:
                check = f"{name}{way.suffix}"
                if check in only:
                    yield self._row(check, name, way)

    def _row(self, check: str, name: str, way: Way) -> Row:
        begun = time.monotonic()
        if way.wrong:
            point = Point("without a kill", reached=False, passed=False, why=way.wrong)
            self._tell(check, point, 1)
            return Row(check, (point,))
        shots, total = self._shots(name, way)
        points = []
        for point in self.grounds.each(partial(self._try, way), shots):
            points.append(point)
            self._tell(check, point, len(shots))
        nothing = "" if points else NOTHING[name]
        seconds = time.monotonic() - begun
        return Row(check, tuple(points), total, nothing, seconds=seconds, note=way.note if points else "")

    def _tell(self, check: str, point: Point, count: int) -> None:
        if self.on_point is not None:
            self.on_point(check, point, count)

    def _shots(self, name: str, way: Way) -> tuple[list[Shot], int]:
        """Return the trials of a row, and how many there would be if none was left out."""
        if name == RANDOM:
            shots = list(_moments(way, self.extent))
            return shots, len(shots)
        if name == TWICE:
            return self._second_shots(way)
        shots = [Shot(str(each), (each.kill,)) for each in way.killable(KINDS[name])]
        return one_in(self.extent.every, shots), len(shots)

    def _second_shots(self, way: Way) -> tuple[list[Shot], int]:
        """Return trials with two kills; the total is estimated, for what is left out was not recovered."""
        points = tuple(point for point in AFTER if point in way.points)
        firsts = [each for each in way.killable(points) if each in way.own]
        some = one_in(self.extent.every, firsts)
        shots = [shot for first in some for shot in _second_shots(first, self._recovery(way, first), points)]
        return shots, len(shots) * len(firsts) // max(1, len(some))

    def _recovery(self, way: Way, first: Passing) -> tuple[Passing, ...] | None:
        """Return what the process passes that recovers after a kill; None when the kill did not come.

        It was seen when the kill was tried alone, or is looked at now.
        """
        if (way.unwinds, first.kill) not in self.recoveries:
            self.grounds.on_one(partial(self._try, way), Shot(str(first), (first.kill,)))
        return self.recoveries.get((way.unwinds, first.kill))

    def _try(self, way: Way, ground: Ground, shot: Shot) -> Point:
        """Kill and recover; a moment at which the saga was over already is tried again, sooner."""
        for number in range(TRIES):
            kills = tuple(replace(kill, after_s=kill.after_s * SOONER**number) for kill in shot.kills)
            point = self._fire(way, ground, Shot(shot.name, kills))
            if point.reached or all(kill.point for kill in kills):
                break
        return point

    def _fire(self, way: Way, ground: Ground, shot: Shot) -> Point:
        """Kill as often as told, recover, and look."""
        with ground.trial(unwinds=way.unwinds) as trial:
            for kill in shot.kills:
                ran = trial.run(kill)
                if not ran.killed:
                    why = ran.error or "the kill did not come"
                    return Point(shot.name, reached=False, passed=False, why=why)
            ran = trial.run()
            if len(shot.kills) == 1:
                self.recoveries[way.unwinds, shot.kills[0]] = ran.passings
            why = wrong(trial.end(ran), way.ends)
        return Point(shot.name, reached=True, passed=not why, why=why)


def _second_shots(
    first: Passing, recovery: Sequence[Passing] | None, points: Sequence[str]
) -> Iterator[Shot]:
    """Yield the trials that kill again after a first kill; one that did not come is to be told of."""
    if recovery is None:
        yield Shot(str(first), (first.kill,))
        return
    passed = [each for each in recovery if each.point in points]
    for second in (passed[number - 1] for number in SECOND if number <= len(passed)):
        yield Shot(f"{first}, then {second}", (first.kill, second.kill))


def _moments(way: Way, extent: Extent) -> Iterator[Shot]:
    dice = random.Random(f"{extent.seed} {way.unwinds}")  # noqa: S311 - dice, not keys
    for number in range(1, extent.moments + 1):
        kill = Kill(after_s=dice.uniform(0, way.seconds))
        yield Shot(f"moment {number}: {kill}", (kill,))


def _ways(ground: Ground, extent: Extent) -> tuple[Way, Way]:
    """Run the saga without kills, to its good end and undone."""
    before = ground.before()
    there, ran = _untroubled(ground, unwinds=False)
    good, undone = {"succeeded": there.seen}, {"undone": before}
    changes = any(each.point in COMMANDS for each in ran.passings)
    back, ran_back = _untroubled(ground, unwinds=True)
    is_unseen = before == there.seen and any(each.point == "after-undo" for each in ran_back.passings)
    note = UNSEEN if is_unseen else ""
    forward = Way(
        unwinds=False,
        changes=changes,
        passings=ran.passings,
        own=ran.passings,
        ends=good if extent.strict else good | undone,
        seconds=ran.seconds,
        wrong=wrong(there, good),
        note=note,
    )
    unwinding = Way(
        unwinds=True,
        changes=changes,
        passings=ran_back.passings if extent.whole else _undoing(ran_back.passings),
        own=_undoing(ran_back.passings),
        ends=undone if extent.strict else good | undone,
        seconds=ran_back.seconds,
        wrong=forward.wrong or wrong(back, undone),
        note=note,
    )
    return forward, unwinding


def _untroubled(ground: Ground, *, unwinds: bool) -> tuple[End, Ran]:
    with ground.trial(unwinds=unwinds) as trial:
        plan(ground.subject.operation, trial.task.params)  # what is wrong with the params is said here
        ran = trial.run()
        return trial.end(ran), ran


def _undoing(passings: tuple[Passing, ...]) -> tuple[Passing, ...]:
    """Return what is passed after the last call of a `do`."""
    calls = [place for place, each in enumerate(passings) if each.point.endswith("-do")]
    return passings[calls[-1] + 1 :] if calls else passings


def wrong(end: End, ends: Mapping[str, str]) -> str:
    """Say why an end is none of those that may be, "" when it is one."""
    if end.state not in ends:
        return f"{end.why}; it should be {' or '.join(ends)}"
    return compared(ends[end.state], end.seen)
