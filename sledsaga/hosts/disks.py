"""What a disk is, on every kind of sled, and what a driver of disks can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from sledsaga.hosts.names import DiskIdentity, PoolClass, PoolName

Variant = Literal["U.2", "M.2"]
POOL_CLASS: Mapping[Variant, PoolClass] = {"U.2": "external", "M.2": "internal"}
"""Which pools may be made on which disk; the wrong class is never repaired."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that is plugged in: `path` holds (or will hold) its pool, `size` is in bytes."""

    identity: DiskIdentity
    path: str
    size: int
    slot: int
    variant: Variant

    @property
    def pool_class(self) -> PoolClass:
        """The class of the pools that may be on it."""
        return POOL_CLASS[self.variant]


class Disks(Protocol):
    """The disks of one sled."""

    def list(self) -> tuple[Disk, ...]:
        """Return every disk that is plugged in, by slot. Raises CommandFailed, Unparsable."""
        ...

    def find(self, identity: DiskIdentity) -> Disk | None:
        """Return the disk of that identity, or None when it is not plugged in."""
        ...

    def identify(self, path: str) -> PoolName | None:
        """Say which pool is on a disk; None only when it is blank.

        Raises CommandFailed (it cannot be told), ForeignObject (something else is on it), Unparsable.
        """
        ...
