"""Pools: identify, create, import, export, destroy. Every call may be repeated.

Rules
- What is on a disk has three answers: a pool, blank, or an error. A pool is made on a blank disk only.
- A pool that was there before is never destroyed; neither is one that holds a dataset, a snapshot or data.
- The disk's class decides the pool's: data pools are never made on internal disks, nor the other way.
"""

from __future__ import annotations

from dataclasses import dataclass

from sledsaga.errors import ForeignObject
from sledsaga.hosts.answer import attempt, require
from sledsaga.hosts.disks import Disk, Disks
from sledsaga.hosts.host import Host
from sledsaga.hosts.names import PoolName
from sledsaga.hosts.zfs.datasets import Datasets
from sledsaga.hosts.zpool import commands, parse
from sledsaga.hosts.zpool.parse import Pool

IMPORTED = ("a pool with that name is already created",)


@dataclass(frozen=True, slots=True)
class Pools:
    """The pools of one sled, as one saga sees them."""

    host: Host
    saga: str
    disks: Disks
    datasets: Datasets

    def list(self) -> tuple[Pool, ...]:
        """Return the imported pools that are named as ours are."""
        return parse.parse_pools(require(self.host, commands.list_pools()))

    def observe(self, name: PoolName) -> Pool | None:
        """Return an imported pool, or None when it is not imported."""
        return next((pool for pool in self.list() if pool.name == name), None)

    def owner(self, name: PoolName) -> str | None:
        """Return the tag of the saga that made an imported pool, or None."""
        root = self.datasets.observe(name)
        return None if root is None else root.saga

    def create(self, name: PoolName, disk: Disk) -> bool:
        """Make the pool on a blank disk, or find it there and imported; True when this saga made it.

        Raises ForeignObject when the disk holds anything else, or is of the wrong class.
        """
        refuse_class(name, disk)
        found = self.disks.identify(disk.path)
        if found not in (None, name):
            raise ForeignObject(
                f"{disk.path} ({disk.identity}) holds {found}, not {name}; it was left as it is"
            )
        if found is None:
            require(self.host, commands.create_pool(name, disk.path, saga=self.saga))
        else:
            self.import_pool(name)
        return self.owner(name) == self.saga

    def import_pool(self, name: PoolName) -> bool:
        """Import a pool; False when it was imported."""
        if self.observe(name) is not None:
            return False
        return attempt(self.host, commands.import_pool(name), IMPORTED)

    def configure(self, name: PoolName) -> dict[str, str]:
        """Give a pool the settings that each must have; return the earlier values of those that changed."""
        have = parse.parse_settings(require(self.host, commands.get_settings(name)))
        wrong = [(key, want) for key, want in commands.SETTINGS if not _is_so(have.get(key), want)]
        for key, want in wrong:
            require(self.host, commands.set_setting(name, key, want))
        return {key: have.get(key, "-") for key, _ in wrong}

    def export(self, name: PoolName) -> bool:
        """Export a pool; False when it was not imported."""
        if self.observe(name) is None:
            return False
        require(self.host, commands.export_pool(name))
        return True

    def destroy(self, name: PoolName) -> bool:
        """Destroy a pool that this saga made and that holds nothing; False when it is not imported.

        Raises ForeignObject.
        """
        root = self.datasets.observe(name)
        if root is not None:
            self.datasets.refuse_destruction(root)
            require(self.host, commands.destroy_pool(name))
        self.datasets.release(name.mountpoint)
        return root is not None


def refuse_class(name: PoolName, disk: Disk) -> None:
    """Raise ForeignObject when a pool of that class may not be on that disk."""
    if name.pool_class != disk.pool_class:
        raise ForeignObject(
            f"{name} is {name.pool_class}, but {disk.path} is a {disk.variant}, for {disk.pool_class} ones"
        )


def _is_so(have: str | None, want: str) -> bool:
    """Whether a setting is as wanted; a feature in use is `active`, which is more than `enabled`."""
    return have == want or (want == "enabled" and have == "active")
