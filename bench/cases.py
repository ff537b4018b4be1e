"""What a case is, as data: sides that are measured, and rows that compare them with the bar.

Rules
- A side is a function that is run in a process of its own and returns figures by name.
- A figure is named `side.figure`. A row's ratio is ours by the other, taken within one round; the median
  ratio is held against the bar.
- In each round every side is measured once; the order turns round by round.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

RELATIONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "≥": operator.ge,
    "≤": operator.le,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Bar:
    """What the median ratio must be."""

    relation: str
    bound: float

    def __str__(self) -> str:
        """Write it as the table shows it."""
        return f"{self.relation} {self.bound:g}"

    def holds(self, ratio: float) -> bool:
        """Say whether a ratio reaches it."""
        return RELATIONS[self.relation](ratio, self.bound)


def at_least(bound: float) -> Bar:
    """Return the bar for what should be large."""
    return Bar("≥", bound)


def at_most(bound: float) -> Bar:
    """Return the bar for what should be small."""
    return Bar("≤", bound)


@dataclass(frozen=True, slots=True)
class Side:
    """One measurement: `place` is module:function, which is given the rest by name."""

    name: str
    place: str
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; without a bar it only informs.

    `against` is a figure, a number, or several figures, of which the largest counts.
    """

    workload: str
    ours: str
    against: str | float | tuple[str, ...] | None
    bar: Bar | None = None
    unit: str = ""
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """Sides that are measured in turn; `prepare` is run once before, for what they share."""

    name: str
    sides: tuple[Side, ...]
    rows: tuple[Row, ...]
    prepare: Side | None = None
    rounds: int = 5
