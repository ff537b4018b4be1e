"""Folders on the internal disks: where one dataset of each is mounted, or why it cannot be used now.

Rules
- A folder is used only when its dataset is mounted there: what is written below a bare mountpoint is lost
  under the next mount.
- On Linux what is not mounted is mounted anew, its pool's root first and itself last, so that whoever is
  killed midway is followed by one who sees it: a mount whose server has gone, and one that was let go of.
  Who may only look is told that it can be mended.
- A pool is never imported here, as nobody named it: a disk whose pool is not imported, and a pool that ZFS
  cannot open, is told with what to do.
"""

from __future__ import annotations

import contextlib
import posixpath
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sledsaga.errors import CommandFailed, ForeignObject, Mutates, Unparsable
from sledsaga.hosts.ledgers import Place
from sledsaga.hosts.names import PoolName
from sledsaga.hosts.zfs.spec import Dataset
from sledsaga.hosts.zpool.imported import refuse_shut
from sledsaga.hosts.zpool.pools import Pools

GLANCE_S: Final = 0.05
_MENDING: Final = threading.Lock()
"""One mends at a time: a second one would let go of what the first has just mounted."""


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one dataset on the internal disks of one sled."""

    pools: Pools
    dataset: str

    def all(self) -> tuple[Place, ...]:
        """Return the folder on each internal disk, by its pool's name; mounted, where that can be."""
        found = tuple(self._imported())
        return found if any(not place.problem for place in found) else (*found, *self._away(found))

    def _imported(self) -> Iterator[Place]:
        pools = sorted(self.pools.list(), key=lambda pool: pool.name)
        internal = [pool for pool in pools if pool.name.pool_class == "internal"]
        seen = self._seen([pool.name for pool in internal if not pool.is_shut])
        for pool in internal:
            try:
                refuse_shut(pool)
                yield self._place(pool.name, seen)
            except CommandFailed as error:
                yield Place(self._path(pool.name), str(error))

    def _seen(self, pools: list[PoolName]) -> dict[str, Dataset]:
        names = [name for pool in pools for name in (*self._above(pool), f"{pool}/{self.dataset}")]
        return self.pools.datasets.observe_all(names)

    def _above(self, pool: PoolName) -> tuple[str, ...]:
        return (pool,) if self._mends else ()

    @property
    def _mends(self) -> bool:
        return self.pools.datasets.abilities.is_linux

    def _path(self, pool: PoolName) -> str:
        return f"{pool.mountpoint}/{self.dataset}"

    def _place(self, pool: PoolName, seen: Mapping[str, Dataset]) -> Place:
        name = f"{pool}/{self.dataset}"
        needed = [seen.get(one) for one in (*self._above(pool), name)]
        if why := self._hopeless(pool, seen.get(name), needed):
            return Place(self._path(pool), why)
        if all(one is not None and one.is_mounted for one in needed):
            return Place(self._path(pool))
        try:
            self._mend(pool, name)
        except Mutates:
            return Place(self._path(pool), f"{name} is not mounted; an operation mounts it", is_mendable=True)
        except (CommandFailed, ForeignObject) as error:
            return Place(self._path(pool), str(error))
        return Place(self._path(pool))

    def _hopeless(self, pool: PoolName, found: Dataset | None, needed: Sequence[Dataset | None]) -> str:
        """Say why a dataset is of no use, whatever is done here; nothing when it is, or can be mounted."""
        name = f"{pool}/{self.dataset}"
        if found is None or None in needed:
            return f"its dataset {name} is not there"
        if found.mountpoint != self._path(pool):
            return f"its dataset {name} belongs at {found.mountpoint}"
        return "" if found.is_mounted or self._mends else "its dataset is not mounted"

    def _mend(self, pool: PoolName, wanted: str) -> None:
        """Mount all of a pool that is to be mounted, the dataset that is wanted last."""
        datasets = self.pools.datasets
        with self._alone():
            below = [name for name in datasets.tree(pool) if name not in (pool, wanted)]
            datasets.mount(pool)
            for one in datasets.observe_all(below).values():
                if one.is_for_here:
                    with contextlib.suppress(CommandFailed, ForeignObject):  # it is for whoever needs it
                        datasets.mount(one.name)
            datasets.mount(wanted)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        while not _MENDING.acquire(timeout=GLANCE_S):
            self.pools.datasets.pause(0)
        try:
            yield
        finally:
            _MENDING.release()

    def _away(self, found: tuple[Place, ...]) -> Iterator[Place]:
        """Tell of the internal disks whose pool is not imported, where disks and their labels say so."""
        if not self._mends:
            return
        paths = {place.path for place in found}
        for disk in (one for one in self.pools.disks.list() if one.pool_class == "internal"):
            with contextlib.suppress(CommandFailed, ForeignObject, Unparsable):  # then no pool is known of it
                pool = self.pools.disks.identify(disk.path)
                if pool is not None and self._path(pool) not in paths:
                    folder = posixpath.dirname(disk.path)
                    why = f"{pool} is on {disk.path}, not imported: `zpool import -d {folder} {pool}`"
                    yield Place(self._path(pool), why)
