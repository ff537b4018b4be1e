"""How full pools and datasets are.

A filesystem takes 96 KiB when it is empty, plus its files; a volume takes its reservation, or 56 KiB when
it is sparse. A parent's use holds its children's, and a reservation counts as used in full. A snapshot uses
what only it refers to; what several do and the filesystem does not is the filesystem's use.
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
            if dataset.type == "snapshot":
                self._used[name] = self._unique(name)
                return self._used[name]
            below = sum(self._held(child) for child in self._children.get(name, ()) if "@" not in child)
            kept: dict[str, int] = {}
            for each in self._snapshots(name):
                kept |= self._datasets[each].files
            gone = sum(size for file, size in kept.items() if file not in self._files(name))
            self._used[name] = max(self.referenced(name), self._limit(name, "refreservation")) + gone + below
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
        return min([free, *self.left_by_quotas(name)])

    def left_by_quotas(self, name: str) -> list[int]:
        """Return the bytes that each quota on a dataset itself leaves."""
        limits = (("quota", self.used), ("refquota", self.referenced))
        return [max(0, size - taken(name)) for key, taken in limits if (size := self._limit(name, key))]

    def is_free(self, name: str, size: int) -> bool:
        """Say whether the pool has this many bytes more, whatever the quotas say."""
        return size <= self._left(name.partition("/")[0])

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

    def _snapshots(self, name: str) -> list[str]:
        return [each for each in self._children.get(name, ()) if "@" in each]

    def _files(self, name: str) -> dict[str, int]:
        dataset = self._datasets[name]
        return self._call.tree.files(dataset.guid) if dataset.type == "filesystem" else dataset.files

    def _unique(self, snapshot: str) -> int:
        """Return the bytes that neither the filesystem nor another of its snapshots refers to."""
        name = snapshot.partition("@")[0]
        shared = set(self._files(name))
        shared.update(*(self._datasets[each].files for each in self._snapshots(name) if each != snapshot))
        return sum(size for file, size in self._datasets[snapshot].files.items() if file not in shared)

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
