"""What time it is, as a value: the engine asks nobody else.

`now` is in seconds since 1970, UTC, and may jump when somebody sets it; it goes into the log. `monotonic`
only rises; time limits of calls are on it. A simulation gives a clock of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Two functions that tell the time, in seconds."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


SYSTEM = Clock()
