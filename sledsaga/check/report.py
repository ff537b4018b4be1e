"""What was tried, what of it was reached, and what passed: the matrix that every check ends in.

Rules
- A point that was never reached is a failure: a proof of something that did not happen is none.
- A report is data; how it looks as text, JSON or HTML is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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
class Row:
    """One check, and all the points at which it was tried."""

    check: str
    points: tuple[Point, ...]

    @property
    def reached(self) -> int:
        """How many points were reached."""
        return sum(point.reached for point in self.points)

    @property
    def passed(self) -> int:
        """How many points were reached and passed."""
        return sum(point.ok for point in self.points)

    @property
    def ok(self) -> bool:
        """Whether every point was reached and passed; a check without a point proves nothing."""
        return bool(self.points) and self.passed == len(self.points)


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
class Report:
    """The matrix of one operation."""

    operation: str
    version: int
    rows: tuple[Row, ...]
    coverage: tuple[Coverage, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def ok(self) -> bool:
        """Whether every check passed at every point, and nothing was left out."""
        return all(row.ok for row in self.rows) and not any(each.missing for each in self.coverage)

    def to_json(self) -> dict[str, Any]:
        """Return the matrix as JSON, with each point that is not ok."""
        return {
            "v": 1,
            "operation": self.operation,
            "version": self.version,
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
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


def _row(row: Row) -> dict[str, Any]:
    bad = [point for point in row.points if not point.ok]
    return {
        "check": row.check,
        "points": len(row.points),
        "reached": row.reached,
        "passed": row.passed,
        "failures": [{"point": each.name, "reached": each.reached, "why": each.why} for each in bad],
    }
