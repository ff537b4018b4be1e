"""Which disks the sled has.

`diskinfo -pH` prints one line a disk, eight columns parted by one tab: type, path, vendor, model, serial,
size in bytes, slot, variant (`U.2` or `M.2`). The path is the one that `fstyp` and `zpool create` take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sledsaga.errors import InvalidName, Unparsable
from sledsaga.hosts.answer import looks, require
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.names import DiskIdentity, PoolClass

Variant = Literal["U.2", "M.2"]
POOL_CLASS: Mapping[Variant, PoolClass] = {"U.2": "external", "M.2": "internal"}
"""Which pools may be made on which disk; the wrong class is never repaired."""
_VARIANTS: Mapping[str, Variant] = {"U.2": "U.2", "M.2": "M.2"}
_COLUMNS = 8


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


def list_disks() -> HostCommand:
    """List every disk that is plugged in."""
    return looks("diskinfo", "-pH")


def parse_disks(text: str) -> tuple[Disk, ...]:
    """Read what `diskinfo -pH` printed, by slot. Raises Unparsable."""
    return tuple(sorted((_disk(line) for line in text.splitlines()), key=lambda disk: disk.slot))


def _disk(line: str) -> Disk:
    columns = line.split("\t")
    if len(columns) != _COLUMNS or columns[7] not in _VARIANTS:
        raise Unparsable(f"diskinfo printed {line!r}; expected {_COLUMNS} columns by tab, U.2 or M.2 last")
    _, path, vendor, model, serial, size, slot, variant = columns
    try:
        identity = DiskIdentity(vendor, model, serial)
        return Disk(identity, path, int(size), int(slot), _VARIANTS[variant])
    except (InvalidName, ValueError) as error:
        raise Unparsable(f"diskinfo printed {line!r}: {error}") from error


@dataclass(frozen=True, slots=True)
class Disks:
    """The disks of one sled."""

    host: Host

    def list(self) -> tuple[Disk, ...]:
        """Return every disk that is plugged in, by slot. Raises CommandFailed, Unparsable."""
        return parse_disks(require(self.host, list_disks()))

    def find(self, identity: DiskIdentity) -> Disk | None:
        """Return the disk of that identity, or None when it is not plugged in."""
        return next((disk for disk in self.list() if disk.identity == identity), None)
