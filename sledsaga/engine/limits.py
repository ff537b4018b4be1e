"""How much an executor does at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sledsaga.errors import UsageError


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

    def __post_init__(self) -> None:
        """Refuse a bound below 1: under it nothing would ever run."""
        bounds = {"threads": self.threads, "async_calls": self.async_calls, "live": self.live}
        bounds |= {f"per_operation[{name!r}]": bound for name, bound in self.per_operation.items()}
        for name, bound in bounds.items():
            if bound < 1:
                msg = f"limit {name} is {bound}; it must be at least 1, or nothing would run"
                raise UsageError(msg)
