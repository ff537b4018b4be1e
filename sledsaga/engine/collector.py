"""How often Python looks for cycles of garbage, in a process that is there for sagas alone.

A saga in memory is some hundred objects, which live as long as it runs. By its own threshold (700 new
objects) Python looks through the young ones several times a turn, when 256 sagas run, and finds nothing: a
fifth of the time. While a program is loaded it finds nothing either. Memory that is in no cycle is freed at
once, whatever the threshold.
"""

from __future__ import annotations

import gc
from typing import Final

NEW_OBJECTS: Final = 50_000
"""New objects until Python looks: some MB. Above 10,000 driving gets no faster, and starting a little."""


def collect_rarely() -> None:
    """Look for garbage less often, in this whole process; a threshold that is higher already stays."""
    young, *older = gc.get_threshold()
    if 0 < young < NEW_OBJECTS:
        gc.set_threshold(NEW_OBJECTS, *older)
