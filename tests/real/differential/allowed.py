"""The differences that may be, each with its reason, and a sequence that shows that it still is one.

A row is for one kind of line (`line`). It allows what was said to differ (`simulated`, `real`), or what can
be observed (`state`, one text for each difference: what, simulated | real); all are regular expressions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

POOL: Final = "zpool create -o ashift=12 -m ROOT/pa pa DISK0"


@dataclass(frozen=True, slots=True)
class Allowed:
    """A difference that may be. `side` says with which ZFS, `witness` leads to it."""

    name: str
    reason: str
    side: str
    line: str
    witness: tuple[str, ...]
    simulated: str = ""
    real: str = ""
    state: str = ""
    parts: bool = False
    """The states differ from here on: a sequence ends."""

    def says(self, line: str, simulated: str, happened: str) -> bool:
        """Say whether this row allows that other thing to be said."""
        pairs = ((self.line, line), (self.simulated, simulated), (self.real, happened))
        return bool(self.simulated) and all(re.search(pattern, text) for pattern, text in pairs)

    def shows(self, line: str, difference: str) -> bool:
        """Say whether this row allows that difference between the states."""
        return bool(self.state and re.search(self.line, line) and re.search(self.state, difference))


ALLOWED: Final[tuple[Allowed, ...]] = (
    Allowed(
        "a snapshot of nothing is a wrong command line",
        "since 2012 zfs snapshot opens all datasets first, and prints its usage when one is not there",
        "zfs-fuse",
        r"^zfs snapshot ",
        (POOL, "zfs snapshot pa/x@s"),
        r"^2: ",
        r"^1: .*(not exist|missing '@'|can not be modified|wrong name)",
    ),
    Allowed(
        "settings of a snapshot are refused in other words",
        "since 2012 all snapshots of a command are made at once, so the message names none of them",
        "zfs-fuse",
        r"^zfs snapshot ",
        (POOL, "zfs snapshot -o quota=1G pa@s"),
        r"^1: cannot create snapshots? ",
        r"^1: cannot (create )?snapshot '",
    ),
    Allowed(
        "a property may be set to nothing",
        "the old tool takes an empty value or name for a wrong command line; since 2012 it may be empty",
        "zfs-fuse",
        r"^zfs set \S*(=| =1 )",
        (POOL, "zfs set oxide:uuid= pa"),
        r"^[01]: ",
        r"^2: (\[what is missing\]|missing property in)",
        parts=True,
    ),
    Allowed(
        "the snapshots to destroy are looked for",
        "since 2012 destroy looks for snapshots of what is before the @; none is told in words of their own",
        "zfs-fuse",
        r"^zfs destroy .*@",
        (POOL, "zfs destroy pa@s"),
        r"^1: (could not find any snapshots to destroy; check|cannot open '[^'@]*': (\[wrong|dataset does))",
        r"^1: cannot (open|destroy) '[^']*@[^']*': (\[wrong name\]|dataset does not exist)",
    ),
    Allowed(
        "the folder of a new pool is looked at only for -m",
        "the old tool does not know mountpoint among the -O settings; it makes the pool, and cannot mount it",
        "zfs-fuse",
        r"^zpool create .*-O mountpoint=",
        (POOL, "zpool create -O mountpoint=ROOT pb DISK1"),
        r"^1: mountpoint '\S+' exists and is not empty",
        r"^[01]: ",
        parts=True,
    ),
    Allowed(
        "two may be mounted at one place",
        "illumos refuses a second mount at a place, busy; FUSE puts it over the first",
        "zfs-fuse",
        r"^zfs (create|mount|set|inherit|rename) |^zpool (import|create) ",
        (POOL, "zfs create -o mountpoint=ROOT/m1 pa/x", "zfs create -o mountpoint=ROOT/m1 pa/y"),
        r"^1: (.*\n)*cannot mount '\S+': mountpoint or dataset is busy",
        r"^[01]: ",
        parts=True,
    ),
    Allowed(
        "canmount moves what is mounted",
        "the old library unmounts and mounts again also for on and noauto, so what is mounted below keeps it",
        "zfs-fuse",
        r"^zfs set canmount=(on|noauto) ",
        (
            *(POOL, "zpool create -o ashift=12 -m ROOT/pa/in pb DISK1"),
            "zfs set canmount=on pa",
        ),
        r"^0: ",
        r"^1: cannot unmount '\S+': \[busy\]$",
        parts=True,
    ),
    Allowed(
        "a destroyed pool is seen on its disk",
        "the simulated disk forgets a destroyed pool at once; the real one only does not offer it",
        "zfs-fuse",
        r"^zpool import -d DISKS$",
        (POOL, "zpool destroy pa", "zpool import -d DISKS"),
        r"^1: $",
        r"^0: no pools available to import$",
    ),
    Allowed(
        "a destroyed pool has kept its name",
        "the same: the destroyed pool that is still on its disk counts as another of that name",
        "zfs-fuse",
        r"^zpool import -d DISKS (-f )?\w+$",
        (POOL, "zpool destroy pa", "zpool create -m ROOT/pa pa DISK1", "zpool import -d DISKS pa"),
        r"^1: .* is already created/imported",
        r"^1: .* already exists\nuse the form",
    ),
    Allowed(
        "a forced unmount is put off",
        "with -f the old tool takes a mount away from under others; without -f, as drivers do, both refuse",
        "zfs-fuse",
        r"^z(fs unmount|pool destroy) -f ",
        (POOL, "zfs create -o mountpoint=ROOT/pa/deep pa/x", "zfs unmount -f pa"),
        r"^1: cannot unmount '\S+': \[busy\]",
        r"^0: $",
        parts=True,
    ),
    Allowed(
        "what comes from nowhere is mounted deepest first",
        "the old library keeps dependents as it finds them, though it asserts that it need not; newer sort",
        "zfs-fuse",
        r"^zfs rename ",
        (
            *(POOL, "zfs create -o mountpoint=none pa/x", "zfs create -p pa/x/y/z/w"),
            "zfs rename pa/x/y pa/y",
        ),
        r"^0: $",
        r"^1: cannot mount '\S+': directory is not empty",
        parts=True,
    ),
    Allowed(
        "a limit of none keeps its source",
        "the old pool version calls a limit that was set to none local; since 2010 it is the default again",
        "zfs-fuse",
        "",
        (POOL, "zfs set quota=none pa"),
        state=r"(quota|reservation): \('0', 'default'\) \| \('0', 'local'\)$",
    ),
    Allowed(
        "canmount takes the folder of what is not mounted",
        "the old library runs the second half of a move also when there was no first; newer ones neither",
        "zfs-fuse",
        r"^zfs set canmount=",
        (POOL, "zfs create pa/x", "zfs unmount pa/x", "zfs set canmount=off pa/x"),
        state=r"^files \S+: -1 \| absent$",
        parts=True,
    ),
)


def allowing(side: str, line: str, simulated: str, happened: str) -> Allowed | None:
    """Return the row that allows other words, or None."""
    rows = (row for row in ALLOWED if row.side == side)
    return next((row for row in rows if row.says(line, simulated, happened)), None)


def allowing_all(side: str, line: str, differences: Sequence[str]) -> list[Allowed] | None:
    """Return the rows that allow all these differences between the states; None when one is not allowed."""
    rows = [row for row in ALLOWED if row.side == side]
    found = [next((row for row in rows if row.shows(line, each)), None) for each in differences]
    return None if None in found else [row for row in found if row is not None]
