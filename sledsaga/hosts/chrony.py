"""Whether the clock that chrony keeps is in step, by `chronyc -c tracking`: one line of values by comma."""

from __future__ import annotations

from dataclasses import replace

from sledsaga.errors import Unparsable
from sledsaga.hosts.host import HostCommand

IN_STEP = ("Normal", "Insert second", "Delete second")
"""Leap states of a clock that follows its source; the other one is `Not synchronised`."""
LEAP_COLUMN = 13
COLUMNS = 14


def show_tracking(inside: HostCommand) -> HostCommand:
    """Ask the time daemon of a zone how it follows its source; `inside` is how to run something there."""
    return replace(inside, argv=(*inside.argv, "chronyc", "-c", "tracking"))


def is_in_step(text: str) -> bool:
    """Read what `chronyc -c tracking` printed. Raises Unparsable."""
    columns = text.strip().split(",")
    if len(columns) != COLUMNS:
        raise Unparsable(
            f"chronyc tracking printed {text!r}; expected {COLUMNS} values by comma, the leap state last"
        )
    return columns[LEAP_COLUMN] in IN_STEP
