"""Which disks the sled has, and what is on each.

`diskinfo -cHp` (diskinfo(8)) prints one line a disk, eight columns parted by one tab: type, device, vendor,
model, serial, size in bytes, four flags, and `chassis,slot`. The device is a bare name such as `c1t0d0`.

Rules
- What is on a disk has three answers: a pool, blank, or an error; blank is never guessed from a failure.
- A U.2 is given to `zpool create` whole; that labels it and puts the pool into its first slice, so that is
  where `fstyp` looks. The pool of an M.2 is in a slice that the maker of the sled laid out.
- A disk in no slot, or with a name that no document can hold (no serial, blanks), can be of no operation:
  it is left out. A line that is not of this form is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sledsaga.errors import ForeignObject, InvalidName, Unparsable
from sledsaga.hosts.answer import failed, looks, require, says
from sledsaga.hosts.disks import Disk, Variant
from sledsaga.hosts.host import Completed, Host, HostCommand
from sledsaga.hosts.names import DiskIdentity, PoolName

BLANK = ("unknown_fstyp (no matches)",)
"""The only words by which `fstyp` says that a disk is blank (fstyp(8)); every other failure is an error.

`unknown_fstyp (cannot open device)` is such a failure.
"""
M2_SLOTS = frozenset({17, 18})
"""The slots of a sled that are M.2 (omicron: sled-hardware); all others are U.2."""
M2_SLICE = "s5"
"""The slice of an M.2 that holds its pool (omicron: sled-hardware, the partition layout of an M.2)."""
_NAME = re.compile(r"^\s*name: '([^']*)'", re.MULTILINE)
_DEVICE = re.compile(r"c[0-9]+(?:t[0-9A-Za-z]+)?d[0-9]+")
_WHOLE = re.compile(rf"/dev/dsk/{_DEVICE.pattern}")
_NUMBER = re.compile(r"[0-9]{1,20}")
_PLACE = re.compile(r"-?[0-9]{1,9},(-?[0-9]{1,9})")
_COLUMNS = 8


def list_disks() -> HostCommand:
    """List every disk that is plugged in."""
    return looks("diskinfo", "-cHp")


def identify(path: str) -> HostCommand:
    """Ask what is on a disk: in the first slice of a whole one, where `zpool create` puts the pool."""
    return looks("fstyp", "-a", f"{path}s0" if _WHOLE.fullmatch(path) else path)


def parse_disks(text: str) -> tuple[Disk, ...]:
    """Read what `diskinfo -cHp` printed, by slot. Raises Unparsable."""
    found = (_disk(line) for line in text.splitlines())
    return tuple(sorted((disk for disk in found if disk is not None), key=lambda disk: disk.slot))


def _disk(line: str) -> Disk | None:
    columns = line.split("\t")
    if len(columns) != _COLUMNS:
        raise Unparsable(f"diskinfo printed {line!r}; expected {_COLUMNS} columns by tab")
    _, device, vendor, model, serial, size, _, place = columns
    where = _PLACE.fullmatch(place)
    if where is None or not _NUMBER.fullmatch(size) or not _DEVICE.fullmatch(device):
        raise Unparsable(f"diskinfo printed {line!r}; expected a device, a size in bytes and `chassis,slot`")
    try:
        identity = DiskIdentity(vendor, model, serial)
    except InvalidName:
        return None
    slot = int(where[1])
    variant: Variant = "M.2" if slot in M2_SLOTS else "U.2"
    path = f"/dev/dsk/{device}{M2_SLICE if variant == 'M.2' else ''}"
    return None if slot < 0 else Disk(identity, path, int(size), slot, variant)


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
