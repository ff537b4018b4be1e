"""Pools: identify, create, import, export, destroy. Every call may be repeated.

Rules
- What is on a disk has three answers: a pool, blank, or an error. A pool is made on a blank disk only.
- A pool that was there before is never destroyed; neither is one that holds a dataset, a snapshot or data.
- A create that failed may have been done; one that a crash cut short may have left a pool without its
  mountpoint and tag. On a disk that was blank before this saga, an empty one of that name is this saga's.
- The disk's class decides the pool's: data pools are never made on internal disks, nor the other way.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from sledsaga.errors import CommandFailed, ForeignObject
from sledsaga.hosts.answer import failed, require, says
from sledsaga.hosts.disks import Disk, Disks
from sledsaga.hosts.host import Host
from sledsaga.hosts.names import PoolName
from sledsaga.hosts.zfs.datasets import Datasets
from sledsaga.hosts.zfs.spec import Dataset
from sledsaga.hosts.zpool import commands, parse
from sledsaga.hosts.zpool.imported import imported, refuse_shut
from sledsaga.hosts.zpool.parse import Pool

IMPORTED = ("a pool with that name is already created",)
TAKEN = ("pool already exists",)
UNMADE = ("one or more devices is currently unavailable",)
"""What `zpool import` says of a label that has no pool behind it: nothing was ever written but the label."""
IN_USE = (
    "is part of active",
    "is part of exported",
    "is part of potentially active",
    "is in use and contains",
)
"""What `zpool create` says of a disk that is not blank: whatever `identify` thought, it stays."""


@dataclass(frozen=True, slots=True)
class Pools:
    """The pools of one sled, as one saga sees them."""

    host: Host
    saga: str
    disks: Disks
    datasets: Datasets

    def list(self) -> tuple[Pool, ...]:
        """Return the imported pools that are named as ours are."""
        return imported(self.host, self.datasets.abilities)

    def observe(self, name: PoolName) -> Pool | None:
        """Return an imported pool, or None when it is not imported. Raises CommandFailed (it is shut)."""
        found = next((pool for pool in self.list() if pool.name == name), None)
        if found is not None:
            refuse_shut(found)
        return found

    def owner(self, name: PoolName) -> str | None:
        """Return the tag of the saga that made an imported pool, or None."""
        root = self.datasets.observe(name)
        return None if root is None else root.saga

    def create(self, name: PoolName, disk: Disk, *, was_blank: bool = False) -> bool:
        """Make the pool on a blank disk, or find it there and imported; True when this saga made it.

        `was_blank`: the disk was blank before this saga, so what a crash left half-made on it is finished.
        Raises ForeignObject when the disk holds anything else, or is of the wrong class.
        """
        refuse_class(name, disk)
        found = self.disks.identify(disk.path)
        if found not in (None, name):
            raise ForeignObject(
                f"{disk.path} ({disk.identity}) holds {found}, not {name}; it was left as it is"
            )
        if found is None:
            self._make(name, disk)
        else:
            self.bring_back(name, disk, was_blank=was_blank)
        root = self.claim(name) if was_blank else self.datasets.observe(name)
        if root is not None and root.mountpoint == name.mountpoint and not root.is_mounted:
            self.datasets.mount(name)
        return root is not None and root.saga == self.saga

    def bring_back(self, name: PoolName, disk: Disk, *, was_blank: bool) -> None:
        """Import the pool that is on a disk; one whose create never came that far is made anew.

        That is known when the disk was blank before this saga, the label names this pool, and there is
        nothing behind the label that could be imported. Raises CommandFailed.
        """
        try:
            self.import_pool(name, path=disk.path)
        except CommandFailed as error:
            if not was_blank or not any(text in str(error) for text in UNMADE):
                raise
            self._make(name, disk, is_again=True)

    def import_pool(self, name: PoolName, *, path: str = "") -> bool:
        """Import a pool from the disk at `path`; False when it was imported.

        A pool that is imported, though some mountpoint was not free, is imported: whoever needs it mounts it.
        """
        if self.observe(name) is not None:
            return False
        folder = posixpath.dirname(path) if self.datasets.abilities.is_linux else ""
        done = self.host.run(commands.import_pool(name, folder=folder))
        if done.code != 0 and not says(done, IMPORTED) and self.observe(name) is None:
            raise failed(done)
        return not says(done, IMPORTED)

    def configure(self, name: PoolName) -> dict[str, str]:
        """Give a pool the settings that each must have; return the earlier values of those that changed."""
        zfs = self.datasets.abilities
        have = parse.parse_settings(require(self.host, commands.get_settings(name, zfs)))
        wrong = [(key, want) for key, want in commands.settings_of(zfs) if not _is_so(have.get(key), want)]
        for key, want in wrong:
            require(self.host, commands.set_setting(name, key, want))
        return {key: have.get(key, "-") for key, _ in wrong}

    def export(self, name: PoolName) -> bool:
        """Export a pool; False when it was not imported."""
        if self.observe(name) is None:
            return False
        self.datasets.mounts.patiently(commands.export_pool(name), (), place=name.mountpoint)
        return True

    def destroy(self, name: PoolName) -> bool:
        """Destroy a pool that this saga made and that holds nothing; False when it is not imported.

        Raises ForeignObject.
        """
        root = self.datasets.observe(name)
        if root is None:
            self.observe(name)  # of a pool that cannot be opened ZFS says, too, that there is no dataset
        if root is not None:
            self.datasets.refuse_destruction(root)
            self.datasets.mounts.patiently(commands.destroy_pool(name), (), place=name.mountpoint)
        self.datasets.release(name.mountpoint)
        return root is not None

    def claim(self, name: PoolName) -> Dataset | None:
        """Return the root of an imported pool; one whose create was cut short gets its mountpoint and tag.

        Only for a pool on a disk that was blank before this saga. One that holds anything stays as it is.
        """
        root = self.datasets.observe(name)
        if (
            root is None
            or root.saga is not None
            or root.quota
            or root.reservation
            or self.datasets.below(name)
        ):
            return root
        self.datasets.complete(name, name.mountpoint)
        return self.datasets.observe(name)

    def _make(self, name: PoolName, disk: Disk, *, is_again: bool = False) -> None:
        zfs = self.datasets.abilities
        done = self.host.run(
            commands.create_pool(name, disk.path, saga=self.saga, zfs=zfs, is_again=is_again)
        )
        if done.code == 0 or self.owner(name) == self.saga:
            return
        if says(done, TAKEN):
            raise ForeignObject(f"{name} is imported from another disk than {disk.path}; it stays there")
        if says(done, IN_USE):
            why = next(line for line in done.stderr.splitlines() if any(text in line for text in IN_USE))
            raise ForeignObject(f"{why}; it was left as it is ({disk.identity})")
        raise failed(done)


def refuse_class(name: PoolName, disk: Disk) -> None:
    """Raise ForeignObject when a pool of that class may not be on that disk."""
    if name.pool_class != disk.pool_class:
        raise ForeignObject(
            f"{name} is {name.pool_class}, but {disk.path} is a {disk.variant}, for {disk.pool_class} ones"
        )


def _is_so(have: str | None, want: str) -> bool:
    """Whether a setting is as wanted; a feature in use is `active`, which is more than `enabled`."""
    return have == want or (want == "enabled" and have == "active")
