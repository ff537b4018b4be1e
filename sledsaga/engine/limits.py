"""How much an executor does at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is in flight.

    `threads` calls of `def` steps and `async_calls` of `async def` steps at once; `per_operation` calls at
    once for all sagas of one operation; `live` sagas held in memory (the others wait in the log).
    """

    threads: int = 16
    async_calls: int = 256
    per_operation: Mapping[str, int] = field(default_factory=dict)
    live: int = 2048
