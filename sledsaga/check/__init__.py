"""The proof: every interleaving and crash explored, and suites for any store, host and operation.

For those who write operations: `check(Subject(operation, params, sled))` tries an operation at every point
and returns a `Report`; each check alone is a function, too, and under `pytest` a fixture. What is public is
named here and imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sledsaga.check.kills.matrix import Extent, real_kills
    from sledsaga.check.leaves import files_below, leaves_nothing
    from sledsaga.check.render import to_html, to_text
    from sledsaga.check.report import Coverage, Point, Report, Row
    from sledsaga.check.subject import Subject
    from sledsaga.check.trials.checks import CHECKS, check
    from sledsaga.check.trials.probes import probe_truthful
    from sledsaga.check.trials.suite import actions_twice, fail_each_step, undo_fails_each_step, undo_twice
    from sledsaga.check.trials.troubles import (
        crash_each_point,
        cut_each_command,
        lost_reply_each_command,
        slow_each_command,
    )

_HOMES = {
    "CHECKS": "trials.checks",
    "Coverage": "report",
    "Extent": "kills.matrix",
    "Point": "report",
    "Report": "report",
    "Row": "report",
    "Subject": "subject",
    "actions_twice": "trials.suite",
    "check": "trials.checks",
    "crash_each_point": "trials.troubles",
    "cut_each_command": "trials.troubles",
    "fail_each_step": "trials.suite",
    "files_below": "leaves",
    "leaves_nothing": "leaves",
    "lost_reply_each_command": "trials.troubles",
    "probe_truthful": "trials.probes",
    "real_kills": "kills.matrix",
    "slow_each_command": "trials.troubles",
    "to_html": "render",
    "to_text": "render",
    "undo_fails_each_step": "trials.suite",
    "undo_twice": "trials.suite",
}

__all__ = [
    "CHECKS",
    "Coverage",
    "Extent",
    "Point",
    "Report",
    "Row",
    "Subject",
    "actions_twice",
    "check",
    "crash_each_point",
    "cut_each_command",
    "fail_each_step",
    "files_below",
    "leaves_nothing",
    "lost_reply_each_command",
    "probe_truthful",
    "real_kills",
    "slow_each_command",
    "to_html",
    "to_text",
    "undo_fails_each_step",
    "undo_twice",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever stands under that name
    """Import a public name from its home when it is first used."""
    if name not in _HOMES:
        msg = f"sledsaga.check has no {name!r}"
        raise AttributeError(msg)
    found = getattr(importlib.import_module(f"sledsaga.check.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
