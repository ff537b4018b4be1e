"""How things are shown to people: a sign and a colour for each state, times, ids, text that is safe.

A state is always a word; sign and colour only help the eye.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

SHORT_ID: Final = 13  # the milliseconds of a UUIDv7; two sagas of one millisecond need more
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Look(NamedTuple):
    """A sign and a colour."""

    sign: str
    colour: str


STATES: Final[dict[str, Look]] = {
    "waiting": Look("…", "cyan"),
    "running": Look("▶", "blue"),
    "unwinding": Look("◀", "yellow"),
    "paused": Look("‖", "magenta"),
    "stuck": Look("!", "bold red"),
    "succeeded": Look("✓", "green"),
    "undone": Look("↺", "yellow"),
    "abandoned": Look("✗", "red"),
}

STEPS: Final[dict[str, Look]] = {
    "pending": Look("·", "dim"),
    "running": Look("▶", "blue"),
    "backing_off": Look("~", "yellow"),
    "in_doubt": Look("?", "magenta"),
    "succeeded": Look("✓", "green"),
    "skipped": Look("»", "cyan"),
    "failed": Look("✗", "red"),
    "failed_clean": Look("✗", "red"),
    "undoing": Look("◀", "yellow"),
    "undo_backing_off": Look("~", "yellow"),
    "undo_in_doubt": Look("?", "magenta"),
    "undone": Look("↺", "dim yellow"),
    "undo_failed": Look("!", "bold red"),
    "undo_skipped": Look("»", "cyan"),
}

EVENTS: Final[dict[str, str]] = {
    "submitted": "submitted",
    "claimed": "taken over",
    "locks-acquired": "has its resources",
    "parked": "parked",
    "step-started": "started",
    "step-succeeded": "succeeded",
    "step-failed": "failed",
    "step-failed-clean": "failed, left nothing",
    "step-deferred": "failed, will be tried again",
    "undo-started": "undo started",
    "undo-succeeded": "undone",
    "undo-failed": "undo failed: a person is needed",
    "undo-deferred": "undo failed, will be tried again",
    "paused": "paused",
    "resumed": "resumed",
    "cancel-requested": "cancel requested",
    "step-retried": "will be tried again, as asked",
    "step-skipped": "skipped, as asked",
    "undo-retried": "undo will be tried again, as asked",
    "undo-skipped": "undo skipped, as asked",
    "abandoned": "abandoned, as asked",
    "ended": "ended",
}


def clean(text: object) -> str:
    """Return text without what could move a terminal's cursor or change its colours; line breaks stay."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))


def one_line(text: object) -> str:
    """Return text on one line, and safe to print."""
    return " ".join(clean(text).split())


def duration(seconds: float) -> str:
    """Return a duration as a person would say it: `0.4 s`, `12 s`, `3 min`, `2 h`, `5 d`."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:  # noqa: PLR2004 - below ten, tenths matter
        return f"{seconds:.1f} s"
    for size, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def moment(at: float | None, now: float) -> str:
    """Return a time (seconds since 1970) as `3 min ago (2031-05-06 07:08:09Z)`; None is a dash."""
    if at is None:
        return "-"
    absolute = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    relative = f"{duration(now - at)} ago" if at <= now else f"in {duration(at - now)}"
    return f"{relative} ({absolute})"


def shorten(ids: Iterable[str], known: Iterable[str] = ()) -> dict[str, str]:
    """Return the shortest beginning of each id, from 13 characters, that tells it from all others."""
    wanted = tuple(ids)
    ordered = sorted({*wanted, *known})
    short: dict[str, str] = {}
    for place, saga in enumerate(ordered):
        beside = [ordered[i] for i in (place - 1, place + 1) if 0 <= i < len(ordered)]
        length = max([SHORT_ID, *(_alike(saga, other) + 1 for other in beside)])
        short[saga] = saga[:length].rstrip("-")
    return {saga: short[saga] for saga in wanted}


def _alike(left: str, right: str) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )
