"""The checks of a machine and a process in trouble: dropped engines, lost replies, slow and cut-off commands.

The points are found, not given: every write of the log, and every change that a whole saga, or its undoing,
makes on the sled.

Rules
- An engine is dropped as a process that dies: nothing more of it reaches the log or the sled.
- A change is known by its step and number in it, so that it is the same one whatever runs beside it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NoReturn

from sledsaga.check.trials import variant
from sledsaga.check.trials.series import Sheet, Trials
from sledsaga.check.trials.suite import check_of
from sledsaga.check.trials.trial import (
    NONE,
    ONE_AT_A_TIME,
    Dropped,
    Mischief,
    Site,
    Trial,
    several,
)
from sledsaga.core.dag import Plan
from sledsaga.core.view import SagaView
from sledsaga.engine.context import Context
from sledsaga.errors import (
    CommandCancelled,
    CommandTimedOut,
    HostUnreachable,
    LogUnavailable,
    Transient,
)
from sledsaga.hosts.host import HostCommand

NO_CHANGE: Final = "the operation changes no sled"
MOMENTS: Final = ("before", "after")
FILE_CHANGES: Final = ("make_dir", "write_file", "erase_file", "remove_file", "remove_dir")
SLOW_S: Final = 0.1
SLOW_FACTOR: Final = 5.0
"""A slow command's step gets this much time, and as many times what its call took in the plain saga."""
SLACKS: Final = (1, 4, 16)
"""A step whose time was over before it came to the command gets so many times as much: machines are busy."""
Strike = Callable[[str, Site, Context, HostCommand], None]


@dataclass(slots=True)
class Drop:
    """Drop the engine at one moment: round the n-th write of the log, or round one change of the sled."""

    moment: str
    write: int = 0
    site: Site | None = None
    is_dropped: bool = False

    @property
    def mischief(self) -> Mischief:
        """The mischief that does it."""
        return Mischief(self._call, self._change, self._write)

    def __str__(self) -> str:
        """Name it for people."""
        return f"{self.moment} {self.site or f'write {self.write} of the log'}"

    def _call(self, _moment: str, _path: str) -> None:
        if self.is_dropped:
            raise Dropped

    def _change(self, moment: str, site: Site, _context: Context, _command: HostCommand) -> None:
        is_here = self.site is not None and (moment, site.key) == (self.moment, self.site.key)
        self.is_dropped = self.is_dropped or is_here
        self._call(moment, site.path)

    def _write(self, moment: str, number: int) -> None:
        self.is_dropped = self.is_dropped or (moment, number) == (self.moment, self.write)
        if self.is_dropped:
            raise LogUnavailable("the engine was dropped")


@check_of("steps", "undos", "do", "undo", nothing="the operation has no step")
def crash_each_point(sheet: Sheet) -> None:
    """Drop the engine at each write of the log and round each change, forward and unwinding.

    Another one takes over; the saga ends as if nothing had been, or undone with nothing left.
    """
    trials = sheet.trials
    points = [(False, drop) for drop in _drops(trials.plain.seen.writes, "forward", trials.do_sites)]
    points += [(True, drop) for drop in _drops(trials.unwound.seen.writes, "unwinding", trials.undo_sites)]
    for is_unwinding, drop in sheet.some(points):
        way = "unwinding" if is_unwinding else "forward"
        script = functools.partial(_dropped, trials, drop, is_unwinding=is_unwinding)
        sheet.try_(f"{way}, {drop}", script)


def _drops(writes: Sequence[str], direction: str, sites: Sequence[Site]) -> Iterator[Drop]:
    for moment in MOMENTS:
        yield from (Drop(moment, write=n) for n, way in enumerate(writes, 1) if way == direction)
        yield from (Drop(moment, site=site) for site in sites)


def _dropped(trials: Trials, drop: Drop, trial: Trial, *, is_unwinding: bool) -> tuple[bool, str]:
    planned = trials.unwinding(trial) if is_unwinding else trials.forward(trial)
    rest = trials.failing() if is_unwinding else NONE
    with suppress(LogUnavailable):
        trial.run(planned, several(drop.mischief, rest), limits=ONE_AT_A_TIME)
    if not drop.is_dropped:
        return False, ""
    view = trial.drive(rest, limits=ONE_AT_A_TIME)
    return True, trials.undone(trial, view) if is_unwinding else trials.either(trial, view)


@dataclass(slots=True)
class Struck:
    """Strike one change of the sled, once; `is_struck` says whether it came to that, `why` what was seen."""

    site: Site
    strike: Strike
    is_struck: bool = False
    why: str = ""
    moments: set[str] = field(default_factory=set)

    @property
    def mischief(self) -> Mischief:
        """The mischief that does it."""
        return Mischief(change=self._change)

    def _change(self, moment: str, site: Site, context: Context, command: HostCommand) -> None:
        if site.key != self.site.key or moment in self.moments:
            return
        self.moments.add(moment)
        self.strike(moment, site, context, command)


def _sites(trials: Trials) -> list[Site]:
    return [*trials.do_sites, *trials.undo_sites]


@check_of("steps", "undos", "do", "undo", nothing=NO_CHANGE)
def lost_reply_each_command(sheet: Sheet) -> None:
    """Let each change be made and its reply be lost: the saga succeeds, or is undone with nothing left."""
    for site in sheet.some(_sites(sheet.trials)):
        sheet.try_(f"reply lost: {site}", functools.partial(_in_trouble, sheet.trials, site, _lose))


def _lose(moment: str, _site: Site, _context: Context, command: HostCommand) -> None:
    if moment == "after":
        raise HostUnreachable(f"planted: no answer to {command.argv[0]}; it may have run")


@check_of("steps", "undos", "do", "undo", nothing=NO_CHANGE)
def slow_each_command(sheet: Sheet) -> None:
    """Let each command take longer than its step may, made or not: the saga still has one of its two ends.

    File changes are left out: nobody waits for them, and no step's time ends them.
    """
    trials = sheet.trials
    commands = [site for site in _sites(trials) if site.text.partition(" ")[0] not in FILE_CHANGES]
    points = [(site, moment) for site in commands for moment in MOMENTS]
    for site, moment in sheet.some(points):
        name = f"{'made, but ' * (moment == 'after')}no answer in time: {site}"
        sheet.try_(name, *(functools.partial(_slow, trials, site, moment, slack=slack) for slack in SLACKS))


class EndlessError(BaseException):
    """A command that never answers, in a step that would wait for it for ever."""


def _slow(trials: Trials, site: Site, moment: str, trial: Trial, *, slack: int) -> tuple[bool, str]:
    limit_s = slack * (SLOW_S + SLOW_FACTOR * trials.seconds(site.path, site.direction))
    endless: list[str] = []

    def stall(now: str, at: Site, context: Context, command: HostCommand) -> None:
        if now != moment:
            return
        if context.deadline is None and command.timeout_s is None:
            which = "timeout_s" if at.direction == "do" else "undo_timeout_s"
            endless.append(f"{at.path} has no {which}: when a command does not answer, it waits for ever")
            raise EndlessError
        _wait(context, command, limit_s)

    policy = "timeout_s" if site.direction == "do" else "undo_timeout_s"
    reached, why = _in_trouble(trials, site, stall, trial, policy={policy: limit_s})
    return reached, endless[0] if endless else why


def _wait(context: Context, command: HostCommand, limit_s: float) -> NoReturn:
    """Wait until the command's time is over, or its step's."""
    own_s = limit_s if command.timeout_s is None else min(limit_s, command.timeout_s)
    left_s = own_s if context.deadline is None else min(own_s, context.deadline - time.monotonic())
    if context.cancelled.wait(max(0.0, left_s)):
        raise CommandCancelled(f"planted: {command.argv[0]} was ended: its step was cancelled")
    raise CommandTimedOut(f"planted: {command.argv[0]} was ended: its time was over")


@check_of("steps", "undos", "do", "undo", nothing=NO_CHANGE)
def cut_each_command(sheet: Sheet) -> None:
    """End each step before and after each of its changes, for good or to be tried again.

    For good: nothing is left. Tried again: the end is the same as without. An undo is tried again.
    """
    trials = sheet.trials
    points = [
        (site, moment, for_good)
        for site in _sites(trials)
        for moment in MOMENTS
        for for_good in ((True, False) if site.direction == "do" else (False,))
    ]
    for site, moment, for_good in sheet.some(points):
        name = f"ended {'for good ' * for_good}{moment} {site}"
        sheet.try_(name, functools.partial(_cut, trials, site, moment, for_good=for_good))


def _cut(trials: Trials, site: Site, moment: str, trial: Trial, *, for_good: bool) -> tuple[bool, str]:
    def end(now: str, _site: Site, _context: Context, _command: HostCommand) -> None:
        if now == moment:
            raise CutOff if for_good else Transient("planted: cut off")

    struck = Struck(site, end)
    view = _struck(trials, struck, trial, more=1)
    if site.direction == "undo" or (for_good and not trials.late.has_pivot):
        return moment in struck.moments, trials.undone(trial, view)
    if for_good:
        return moment in struck.moments, trials.either(trial, _retried(trials, trial, view))
    return moment in struck.moments, trials.succeeded(trial, view)


class CutOff(BaseException):
    """A step is ended here, whatever it catches."""


def _struck(
    trials: Trials,
    struck: Struck,
    trial: Trial,
    *,
    more: int = 0,
    policy: Mapping[str, float] = MappingProxyType({}),
) -> SagaView:
    """Run a saga whose change is struck: one that unwinds when the change is an undo's."""
    if struck.site.direction == "undo":
        planned = _limited(trials.unwinding(trial, more=more), struck.site.path, policy)
        return trial.run(planned, trials.failing(struck.mischief))
    planned = trials.forward(trial, more=more)
    return trial.run(_limited(planned, struck.site.path, policy), struck.mischief)


def _limited(planned: Plan, path: str, policy: Mapping[str, float]) -> Plan:
    """Return the plan with shorter limits for a step, where it has any."""
    step = next(step for step in planned.dag.steps if step.path == path)
    has = {name: limit_s for name, limit_s in policy.items() if getattr(step.policy, name) is not None}
    return variant.with_policy(planned, path, **has)


def _in_trouble(
    trials: Trials,
    site: Site,
    strike: Strike,
    trial: Trial,
    *,
    policy: Mapping[str, float] = MappingProxyType({}),
) -> tuple[bool, str]:
    struck = Struck(site, strike)
    view = _struck(trials, struck, trial, policy=policy)
    if site.direction == "undo":
        return bool(struck.moments), trials.undone(trial, view)
    view = _retried(trials, trial, view)
    return bool(struck.moments), trials.either(trial, view, in_trouble=True)


def _retried(trials: Trials, trial: Trial, view: SagaView) -> SagaView:
    """Tell a saga that is stuck past a pivot to go on, once, as a person would."""
    is_forward = view.state == "stuck" and all(one.direction == "do" for one in view.stuck)
    return trial.say("retry", NONE) if is_forward and trials.late.has_pivot else view
