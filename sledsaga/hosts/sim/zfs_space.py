"""How full pools and datasets are.

A filesystem takes 96 KiB when it is empty, plus its files; a volume takes its reservation, or 56 KiB when
it is sparse. A parent's use holds its children's, and a reservation counts as used in full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sledsaga.hosts.sim.things import Dataset, Pool

if TYPE_CHECKING:
    from sledsaga.hosts.sim.argv import Call

EMPTY_FILESYSTEM = 98_304
EMPTY_VOLUME = 57_344
KEPT_BACK = 32
"""ZFS keeps one part in 32 of a pool for itself."""


class Space:
    """The sizes in one pool, each computed once per command."""

    def __init__(self, call: Call, pool: str) -> None:
        self._call = call
        self._pool = pool
        found = {pool: call.tx.get(Dataset, pool)} | dict(call.tx.under(Dataset, f"{pool}/"))
        found |= dict(call.tx.under(Dataset, f"{pool}@"))
        self._datasets = {name: each for name, each in found.items() if each is not None}
        self._children: dict[str, list[str]] = {}
        for name in self._datasets:
            parent = name.rpartition("@")[0] if "@" in name else name.rpartition("/")[0]
            self._children.setdefault(parent, []).append(name)
        self._referenced: dict[str, int] = {}
        self._used: dict[str, int] = {}

    def referenced(self, name: str) -> int:
        """Return the bytes that a dataset itself refers to."""
        if name not in self._referenced:
            self._referenced[name] = self._measured(name)
        return self._referenced[name]

    def used(self, name: str) -> int:
        """Return the bytes that a dataset and all below it take, reservations in full."""
        if name not in self._used:
            dataset = self._datasets[name]
            below = sum(self._held(child) for child in self._children.get(name, ()))
            own = dataset.used if dataset.type == "snapshot" else self.referenced(name)
            self._used[name] = max(own, self._limit(name, "refreservation")) + below
        return self._used[name]

    def written(self, name: str) -> int:
        """Return the bytes written since the latest snapshot; the whole when there is none."""
        snapshots = [self._datasets[each] for each in self._children.get(name, ()) if "@" in each]
        latest = max(snapshots, key=lambda each: each.born, default=None)
        return self.referenced(name) if latest is None else max(0, self.referenced(name) - latest.used)

    def available(self, name: str) -> int:
        """Return the bytes that can still be written below a dataset."""
        if "/" in name:
            parent = self.available(name.rpartition("/")[0])
            free = parent + max(0, self._limit(name, "reservation") - self.used(name))
        else:
            free = self._left(name)
        quota = self._limit(name, "quota")
        return min(free, max(0, quota - self.used(name))) if quota else free

    def least(self, name: str, key: str) -> int:
        """Return the smallest size that a quota may be set to, in bytes."""
        if key == "refquota":
            return self.referenced(name)
        return max(self.used(name), self._limit(name, "reservation"))

    def reserves(self, name: str, key: str, size: int) -> bool:
        """Say whether so many bytes can be reserved, by the rule of `dsl_dir_set_reservation_check`."""
        quota = self._limit(name, "quota")
        used = self.used(name)
        if key != "reservation":
            return size <= self.available(name) + used
        free = self.available(name.rpartition("/")[0]) if "/" in name else self._left(name)
        more = max(used, size) - max(used, self._limit(name, key))
        return more <= 0 or (more <= free and not 0 < quota < size)

    def _left(self, pool: str) -> int:
        found = self._call.tx.get(Pool, pool)
        return 0 if found is None else max(0, found.size - found.size // KEPT_BACK - self.used(pool))

    def _held(self, name: str) -> int:
        return max(self.used(name), self._limit(name, "reservation"))

    def _limit(self, name: str, key: str) -> int:
        return int(self._datasets[name].props.get(key, "0"))

    def _measured(self, name: str) -> int:
        dataset = self._datasets[name]
        if dataset.type == "snapshot":
            return dataset.used
        if dataset.type == "volume":
            return EMPTY_VOLUME
        return EMPTY_FILESYSTEM + self._call.tree.used(dataset.guid)


def size_fact(space: Space, name: str, key: str) -> int:
    """Return one of the sizes that are facts."""
    return {
        "used": space.used,
        "available": space.available,
        "referenced": space.referenced,
        "written": space.written,
    }[key](name)
