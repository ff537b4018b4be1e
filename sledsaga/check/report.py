"""What was tried, what of it was reached, and what passed: the matrix that every check ends in.

Rules
- A point that was never reached is a failure: a proof of something that did not happen is none.
- A check that had nothing to try says why; one that tried some of its points says of how many.
- A check that could not see what the saga does says so: that nothing was left is then no finding.
- A report is data; how it looks as text, JSON or HTML is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

UNSEEN: Final = (
    "nothing is seen of what the saga does, so nothing that it leaves would be: let its params be of the "
    "folder that each trial has of its own, or give a snapshot of what it changes"
)


@dataclass(frozen=True, slots=True)
class Point:
    """One place where something was made to happen, such as "dataset: do" or "before-command 12: zfs …".

    `why` says what went wrong, in one sentence; "" when nothing did.
    """

    name: str
    reached: bool
    passed: bool
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was reached, and all went well."""
        return self.reached and self.passed


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which steps, undos and changing commands there are, and which of them ran in all trials together."""

    kind: str
    known: tuple[str, ...]
    reached: frozenset[str]

    @property
    def missing(self) -> tuple[str, ...]:
        """What never ran, in order."""
        return tuple(name for name in self.known if name not in self.reached)


@dataclass(frozen=True, slots=True)
class Row:
    """One check, and all the points at which it was tried.

    `of` is how many points there are in all, when only some were tried. `nothing` says why there is no
    point to try, such as an operation whose steps have no probe. `coverage` is what ran in its trials.
    `note` is what weakens all of it, such as `UNSEEN`.
    """

    check: str
    points: tuple[Point, ...]
    of: int | None = None
    nothing: str = ""
    coverage: tuple[Coverage, ...] = ()
    seconds: float = field(default=0.0, compare=False)
    note: str = ""

    @property
    def total(self) -> int:
        """How many points there are, tried or not."""
        return max(len(self.points), self.of or 0)

    @property
    def reached(self) -> int:
        """How many points were reached."""
        return sum(point.reached for point in self.points)

    @property
    def passed(self) -> int:
        """How many points were reached and passed."""
        return sum(point.ok for point in self.points)

    @property
    def failures(self) -> tuple[Point, ...]:
        """The points that were not reached, or did not pass."""
        return tuple(point for point in self.points if not point.ok)

    @property
    def ok(self) -> bool:
        """Whether all that was tried was reached and passed, and all that had to run ran.

        A check without a point proves nothing, unless there is nothing to prove.
        """
        is_tried = bool(self.points or self.nothing)
        return is_tried and not self.failures and not any(each.missing for each in self.coverage)


@dataclass(frozen=True, slots=True)
class Report:
    """The matrix of one operation."""

    operation: str
    version: int
    rows: tuple[Row, ...]
    coverage: tuple[Coverage, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def ok(self) -> bool:
        """Whether every check passed at every point, and nothing was left out; no check is no proof."""
        is_tried = bool(self.rows) and all(row.ok for row in self.rows)
        return is_tried and not any(each.missing for each in self.coverage)

    @property
    def notes(self) -> tuple[str, ...]:
        """What its checks say that weakens them, each once."""
        return tuple(dict.fromkeys(row.note for row in self.rows if row.note))

    def to_json(self) -> dict[str, Any]:
        """Return the matrix as JSON, with each point that is not ok."""
        return {
            "v": 1,
            "operation": self.operation,
            "version": self.version,
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
            "checks": [_row(row) for row in self.rows],
            "coverage": {
                each.kind: {
                    "known": len(each.known),
                    "reached": len(each.known) - len(each.missing),
                    "missing": list(each.missing),
                }
                for each in self.coverage
            },
        }


def merged(coverages: Iterable[Coverage]) -> tuple[Coverage, ...]:
    """Return one coverage for each kind: what any of them knows, and what any of them reached."""
    known: dict[str, dict[str, None]] = {}
    reached: dict[str, frozenset[str]] = {}
    for each in coverages:
        known.setdefault(each.kind, {}).update(dict.fromkeys(each.known))
        reached[each.kind] = reached.get(each.kind, frozenset()) | each.reached
    return tuple(Coverage(kind, tuple(names), reached[kind]) for kind, names in known.items())


def _row(row: Row) -> dict[str, Any]:
    return {
        "check": row.check,
        "ok": row.ok,
        "points": len(row.points),
        "of": row.total,
        "reached": row.reached,
        "passed": row.passed,
        "nothing": row.nothing,
        "seconds": round(row.seconds, 3),
        "missing": [f"{each.kind}: {name}" for each in row.coverage for name in each.missing],
        "failures": [{"point": each.name, "reached": each.reached, "why": each.why} for each in row.failures],
    }
