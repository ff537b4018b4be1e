"""Sequences in which the sides once differed, and what is there after them: each side alone has it, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

POOL: Final = "zpool create -o ashift=12 -m ROOT/pa pa DISK0"


@dataclass(frozen=True, slots=True)
class Learned:
    """Lines that follow `POOL`, and what is there in the end, parted by blanks.

    `files` are below ROOT, `mounted` are datasets; both beside `pa`. `said` is the last line's code and text.
    """

    lines: tuple[str, ...]
    files: str = ""
    mounted: str = ""
    said: str = "0: "

    @property
    def whole(self) -> tuple[str, ...]:
        """All lines, that of the pool too."""
        return (POOL, *self.lines)


LEARNED: Final[dict[str, Learned]] = {
    "a rename takes along the folders of all below": Learned(
        (
            *("zfs create -o canmount=off pa/x", "zfs create -o canmount=off pa/x/y", "zfs create pa/x/y/z"),
            *("zfs create pa/x/z", "zfs unmount pa/x/z", "zfs rename pa/x pa/y"),
        ),
        files="pa/x pa/x/y pa/y pa/y/y pa/y/y/z",
        mounted="pa/y/y/z",
    ),
    "a rename leaves the folders whose place was set": Learned(
        (
            *("zfs create -o canmount=off pa/x", "zfs create -o mountpoint=ROOT/pa/x/in pa/x/y"),
            "zfs rename pa/x pa/y",
        ),
        files="pa/x pa/x/in",
        mounted="pa/y/y",
    ),
    "a rename clears the new place of what is not mounted": Learned(
        ("zfs create pa/x", "zfs unmount pa/x", "mkdir ROOT/pa/y", "zfs rename pa/x pa/y")
    ),
    "a rename clears only the place that is first in order": Learned(
        (
            *("zfs create pa/x", "zfs create -o mountpoint=ROOT/m1 pa/x/y", "zfs unmount pa/x"),
            *("mkdir ROOT/pa/y", "zfs rename pa/x pa/y"),
        ),
        files="m1 pa/y",
        mounted="pa/y/y",
    ),
    "a rename clears the place that the old settings give the new name": Learned(
        (
            *("zfs create pa/x", "zfs create -o mountpoint=ROOT/m1 pa/y", "mkdir ROOT/pa/y/z"),
            "zfs rename pa/x pa/y/z",
        ),
        files="m1 m1/z pa/y",
        mounted="pa/y pa/y/z",
    ),
    "a rename to a taken name clears the old place": Learned(
        ("zfs create pa/x", "zfs create pa/y", "zfs unmount pa/x", "zfs rename pa/x pa/y"),
        files="pa/y",
        mounted="pa/y",
        said="1: cannot rename 'pa/x': dataset already exists",
    ),
    "a rename tells first what cannot be unmounted": Learned(
        (
            *("zfs create pa/x", "zfs create pa/y", "zfs create -o mountpoint=ROOT/pa/x/in pa/z"),
            "zfs rename pa/x pa/y",
        ),
        files="pa/x pa/x/in pa/y",
        mounted="pa/x pa/y pa/z",
        said="1: cannot unmount 'ROOT/pa/x': [busy]",
    ),
    "a rename of what has no place mounts all that may be": Learned(
        (
            *("zfs create -o mountpoint=none pa/x", "zfs create -p pa/x/y/z", "zfs create pa/z"),
            *("zfs create -o canmount=noauto pa/x/y/x", "zfs create -o mountpoint=ROOT/m1 pa/x/y/y"),
            *("zfs unmount pa/x/y/y", "zfs rename pa/x/y pa/z/y"),
        ),
        files="m1 pa/z pa/z/y pa/z/y/z",
        mounted="pa/z pa/z/y pa/z/y/y pa/z/y/z",
    ),
    "a refused rename of what has no place mounts what has one": Learned(
        (
            *("zfs create -o mountpoint=none pa/x", "zfs create -o mountpoint=ROOT/m1 pa/x/y"),
            *("zfs unmount pa/x/y", "zfs create pa/y", "zfs rename pa/x pa/y"),
        ),
        files="m1 pa/y",
        mounted="pa/x/y pa/y",
        said="1: cannot rename 'pa/x': dataset already exists",
    ),
    "an import mounts the root in any case, and nothing below another that has noauto": Learned(
        (
            *("zfs create -o canmount=noauto pa/x", "zfs create pa/x/y", "zfs create -o canmount=off pa/z"),
            *("zfs create pa/z/y", "zfs set canmount=noauto pa", "zpool export pa"),
            "zpool import -d DISKS pa",
        ),
        files="pa/x pa/x/y pa/z pa/z/y",
        mounted="pa/z/y",
    ),
    "what an import leaves unmounted, mount -a mounts": Learned(
        (
            *("zfs create -o canmount=noauto pa/x", "zfs create pa/x/y", "zpool export pa"),
            *("zpool import -d DISKS pa", "zfs mount -a"),
        ),
        files="pa/x pa/x/y",
        mounted="pa/x/y",
    ),
    "a pool whose root cannot have its quota is taken back": Learned(
        (
            *("zpool create -o ashift=12 -m ROOT/pb pb DISK1", "zpool export pb"),
            "zpool create -f -m ROOT/pb -O refquota=16K pb DISK1",
            "zpool create -m ROOT/pb -O reservation=1G pb DISK1",
            "zpool create -m ROOT/pb -O quota=2M -O reservation=8M pb DISK1",
        ),
        files="pb",
        said="1: cannot create 'pb': one or more devices is out of space",
    ),
    "an export tells what cannot be unmounted, and lets the other pools go": Learned(
        (
            *("zpool create -m ROOT/pa/deep pb DISK1", "zpool create -m ROOT/pc pc DISK2"),
            "zpool export pa nosuch pc",
        ),
        files="pa/deep pc",
        mounted="pb",
        said="1: cannot unmount 'ROOT/pa': [busy]\ncannot open 'nosuch': no such pool",
    ),
}
