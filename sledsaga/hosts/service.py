"""What a driver of services tells of a zone, on every kind of sled."""

from __future__ import annotations

from typing import Protocol


class Services(Protocol):
    """The services of one sled's zones."""

    def wait_ready(self, zone: str, *, timeout_s: float) -> None:
        """Wait until a zone's services do what they are for.

        Raises Transient (not in time), CommandFailed (they will not come up by waiting).
        """
        ...

    def is_time_in_step(self, zone: str) -> bool:
        """Say whether the clock that an NTP zone keeps follows its source. False when it cannot be asked."""
        ...
