"""Which disks the sled has, and what is on each.

`diskinfo -pH` prints one line a disk, eight columns parted by one tab: type, path, vendor, model, serial,
size in bytes, slot, variant (`U.2` or `M.2`). The path is the one that `fstyp` and `zpool create` take.
What is on a disk has three answers: a pool, blank, or an error; blank is never guessed from a failure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sledsaga.errors import ForeignObject, InvalidName, Unparsable
from sledsaga.hosts.answer import failed, looks, require, says
from sledsaga.hosts.disks import Disk, Variant
from sledsaga.hosts.host import Completed, Host, HostCommand
from sledsaga.hosts.names import DiskIdentity, PoolName

BLANK = ("unknown_fstyp (no matches)",)
"""The only words by which `fstyp` says that a disk is blank; every other failure is an error."""
_NAME = re.compile(r"^\s*name: '([^']*)'", re.MULTILINE)
_VARIANTS: Mapping[str, Variant] = {"U.2": "U.2", "M.2": "M.2"}
_COLUMNS = 8


def list_disks() -> HostCommand:
    """List every disk that is plugged in."""
    return looks("diskinfo", "-pH")


def identify(path: str) -> HostCommand:
    """Ask what is on a disk."""
    return looks("fstyp", "-a", path)


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


def parse_label(done: Completed, path: str) -> PoolName | None:
    """Say which pool is on a disk; None only when it is blank.

    Raises CommandFailed (it cannot be told), ForeignObject (something that is no pool of ours), Unparsable.
    """
    if says(done, BLANK):
        return None
    if done.code != 0:
        raise failed(done)
    kind = done.stdout.partition("\n")[0].strip()
    if kind != "zfs":
        raise ForeignObject(
            f"{path} holds {kind or 'something unnamed'}, expected a pool or a blank disk; it stays"
        )
    found = _NAME.search(done.stdout)
    if found is None:
        raise Unparsable(f"fstyp found zfs on {path} but no pool name in {len(done.stdout)} characters")
    try:
        return PoolName(found[1])
    except InvalidName as error:
        raise ForeignObject(f"{path} holds another pool, which stays: {error}") from error


@dataclass(frozen=True, slots=True)
class DiskInfo:
    """The disks of one sled."""

    host: Host

    def list(self) -> tuple[Disk, ...]:
        """Return every disk that is plugged in, by slot. Raises CommandFailed, Unparsable."""
        return parse_disks(require(self.host, list_disks()))

    def find(self, identity: DiskIdentity) -> Disk | None:
        """Return the disk of that identity, or None when it is not plugged in."""
        return next((disk for disk in self.list() if disk.identity == identity), None)

    def identify(self, path: str) -> PoolName | None:
        """Say which pool is on a disk; None only when it is blank.

        Raises CommandFailed (it cannot be told), ForeignObject (something else is on it), Unparsable.
        """
        return parse_label(self.host.run(identify(path)), path)
