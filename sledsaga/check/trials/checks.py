"""All checks of an operation in this process, and the report that they end in."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

from sledsaga.check.report import Report, Row, merged
from sledsaga.check.subject import Subject
from sledsaga.check.trials.probes import probe_truthful
from sledsaga.check.trials.series import OnPoint, trials_of
from sledsaga.check.trials.suite import Check, actions_twice, fail_each_step, undo_fails_each_step, undo_twice
from sledsaga.check.trials.troubles import (
    crash_each_point,
    cut_each_command,
    lost_reply_each_command,
    slow_each_command,
)
from sledsaga.errors import UsageError

CHECKS: Final[Mapping[str, Check]] = {
    "actions_twice": actions_twice,
    "fail_each_step": fail_each_step,
    "undo_twice": undo_twice,
    "undo_fails_each_step": undo_fails_each_step,
    "crash_each_point": crash_each_point,
    "probe_truthful": probe_truthful,
    "lost_reply_each_command": lost_reply_each_command,
    "slow_each_command": slow_each_command,
    "cut_each_command": cut_each_command,
}
"""Every check by its name, in the order in which they are made."""


def check(
    subject: Subject,
    *,
    only: Iterable[str] | None = None,
    every: int = 1,
    on_point: OnPoint | None = None,
) -> Report:
    """Try the operation of a subject by every check, or by `only` these, and report.

    `every` takes one point in so many of each check, and the last one. `on_point(check, point, of)` is told
    after each point. When the saga without mischief does not end well, that is the only row.
    Raises UsageError for a check that there is not, and what planning raises when the params do not fit.
    """
    chosen = tuple(CHECKS) if only is None else tuple(only)
    unknown = [name for name in chosen if name not in CHECKS]
    if unknown:
        msg = f"there is no check {unknown[0]!r}; there are: {', '.join(CHECKS)}"
        raise UsageError(msg)
    began = time.monotonic()
    trials = trials_of(subject)
    if trials.wrong:
        rows: tuple[Row, ...] = (Row("no_mischief", trials.wrong),)
    else:
        rows = tuple(CHECKS[name](trials, every=every, on_point=on_point) for name in chosen)
    dag, coverage = trials.plan.dag, merged(each for row in rows for each in row.coverage)
    return Report(dag.operation, dag.version, rows, coverage, time.monotonic() - began)
