"""Folders on which datasets are mounted: empty, and immutable so that nothing is written under a mount.

Rules
- What lies in the way is moved aside to a sibling and kept. The sibling's name is made of the dataset's
  name and the saga, so a crash midway moves the rest into the same place.
- A filesystem that has no immutable flag is put up with; the flag is a safety net, not a promise.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from sledsaga.errors import ForeignObject
from sledsaga.hosts.answer import attempt, changes, require
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.zfs.abilities import ILLUMOS_ZFS, Abilities

NO_FLAGS = (
    *("not supported", "Not supported", "Invalid argument", "command not found"),
    "Inappropriate ioctl for device",
)
"""What `chmod S+ci` and `chattr +i` say where the file system has no such flag, or the sled no such tool."""
_ODD = re.compile(r"[^A-Za-z0-9_.-]")


def set_immutable(path: str, zfs: Abilities = ILLUMOS_ZFS) -> HostCommand:
    """Forbid any change in a folder, also to root."""
    return changes(*zfs.set_immutable, path)


def clear_immutable(path: str, zfs: Abilities = ILLUMOS_ZFS) -> HostCommand:
    """Allow changes in a folder again."""
    return changes(*zfs.clear_immutable, path)


def move_into(folder: str, paths: tuple[str, ...]) -> HostCommand:
    """Move files and folders into a folder of the same filesystem."""
    return changes("mv", *paths, folder)


def sibling(path: str, *, dataset: str, saga: str) -> str:
    """Name the folder that keeps what lay under a dataset's mountpoint."""
    kept = _ODD.sub("-", f"{posixpath.basename(dataset)}-{saga}")
    return posixpath.join(posixpath.dirname(path), f"old-under-mountpoint-{kept}")


@dataclass(frozen=True, slots=True)
class Mountpoints:
    """The mountpoint folders of one sled, as one saga sees them."""

    host: Host
    saga: str
    zfs: Abilities = ILLUMOS_ZFS

    def prepare(self, path: str, *, dataset: str) -> None:
        """Make the folder be there, empty and immutable. The caller knows that nothing is mounted on it."""
        found = self.host.stat(path)
        if found is not None and found.kind != "dir":
            raise ForeignObject(f"{path} is no folder, so {dataset} cannot be mounted there; move it away")
        self.host.make_dir(path)
        in_the_way = self.host.list_dir(path)
        if in_the_way:
            kept = sibling(path, dataset=dataset, saga=self.saga)
            attempt(self.host, clear_immutable(path, self.zfs), NO_FLAGS)
            self.host.make_dir(kept)
            require(self.host, move_into(kept, tuple(posixpath.join(path, name) for name in in_the_way)))
        attempt(self.host, set_immutable(path, self.zfs), NO_FLAGS)

    def release(self, path: str) -> None:
        """Remove the folder when it is there and empty; one that is not empty stays."""
        found = self.host.stat(path)
        if found is None or found.kind != "dir" or self.host.list_dir(path):
            return
        attempt(self.host, clear_immutable(path, self.zfs), NO_FLAGS)
        self.host.remove_dir(path)
