"""Where datasets are mounted: each at its place, none on another, and nothing below what is not there.

Rules
- Nothing is made or mounted below the empty mountpoint of what is not mounted. Undo and the roots of zones
  have those above mounted first, keys loaded, as before the reboot that ended it; they stay so, as others
  may stand on them by then.
- What a zone uses is mounted for it by `mount_for_zone` where nothing can be delegated; else for a look only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sledsaga.errors import ForeignObject, HostError
from sledsaga.hosts.answer import attempt
from sledsaga.hosts.zfs import commands, parse
from sledsaga.hosts.zfs.encryption import DatasetKeys
from sledsaga.hosts.zfs.mountpoints import Mountpoints
from sledsaga.hosts.zfs.mounts import GONE
from sledsaga.hosts.zfs.spec import Dataset
from sledsaga.hosts.zpool.imported import refuse_away_at

NOT_MOUNTED = ("not currently mounted",)


@dataclass(frozen=True, slots=True)
class DatasetMounting(DatasetKeys):
    """Mounts the datasets of one sled."""

    def mount(self, name: str) -> bool:
        """Mount a dataset where it belongs, its key too; False when it was mounted. Raises ForeignObject."""
        seen = self.present(name)
        if seen.is_mounted:
            return False
        self._mount(seen)
        return True

    def mount_at(self, place: str) -> tuple[str, ...]:
        """Have the dataset whose place this is mounted, when a reboot has unmounted it; none is fine.

        Returns the name of one that was mounted now.

        Raises ForeignObject when several belong there, or when its key is not to be had; CommandFailed when
        its pool is away.
        """
        there = [each for each in self.mounts.places() if each.mountpoint == place]
        if not there:
            refuse_away_at(self.host, self.abilities, place)
        if any(each.is_mounted for each in there):
            return ()
        found = self.observe_all([each.name for each in there]) if there else {}
        missing = [seen for seen in found.values() if seen.canmount == "on" and not seen.is_zoned]
        if len(missing) > 1:
            names = " and ".join(seen.name for seen in missing)
            raise ForeignObject(f"{names} belong at {place}, and none is mounted there; mount the right one")
        for seen in missing:
            self._open(seen)
        return tuple(seen.name for seen in missing)

    def unmount(self, name: str) -> bool:
        """Unmount a dataset; False when it was not mounted, or is gone. Raises Transient while it is used."""
        seen = self.recall(name)
        if seen is None or not (seen.is_mounted or seen.is_dead):
            return False
        self._unmount(seen)
        return True

    def mount_for_zone(self, name: str) -> str:
        """Mount a zone's dataset outside, for the zone to be given the folder; return where.

        Only where nothing can be delegated. A dead mount is made anew. Raises ForeignObject.
        """
        seen = self.present(name)
        if not seen.is_zoned or self.abilities.delegation != "bind":
            raise ForeignObject(f"{name} is not mounted outside for a zone: it is {seen}")
        if not seen.is_bound:
            self._mount(seen)
        return seen.mountpoint

    def unmount_from_zone(self, name: str) -> None:
        """Unmount what `mount_for_zone` mounted; not mounted is fine. Raises Transient while it is used."""
        seen = self.recall(name)
        if seen is not None and seen.is_zoned:
            if seen.is_bound or seen.is_dead:
                self._unmount(seen)
            self.release(seen.mountpoint)

    def release(self, mountpoint: str) -> None:
        """Remove the folder of a mountpoint when it is empty; what others are mounted on stays as it is."""
        self.mounts.heal(mountpoint)
        if mountpoint not in self.mounts.all():
            Mountpoints(self.host, self.saga, self.abilities).release(mountpoint)

    def _open(self, seen: Dataset) -> None:
        """Mount a dataset that a reboot has unmounted: its key loaded, and those above it mounted, first."""
        self.mounts.heal(seen.mountpoint)
        above = self._missing_above(seen.name, seen.mountpoint, self.mounts.places())
        if any(each.is_key_loaded is False for each in (*above, seen)):
            self._unlock(seen.name)
        for each in above:
            self.mounts.mount(each.name)
        self._mount(self.present(seen.name))

    def _missing_above(self, name: str, mountpoint: str, places: Sequence[parse.Place]) -> list[Dataset]:
        """Return those above a dataset that should be mounted on the way to its place and are not."""
        names = [
            each.name
            for each in places
            if not each.is_mounted
            and name.startswith(f"{each.name}/")
            and mountpoint.startswith(f"{each.mountpoint.rstrip('/')}/")
        ]
        found = self.observe_all(sorted(names)) if names else {}
        return [each for each in found.values() if each.canmount == "on" and not each.is_zoned]

    def _mount(self, seen: Dataset) -> None:
        self._prepare(seen.mountpoint, seen.name)
        load_key = seen.is_key_loaded is False
        self.mounts.mount(seen.name, load_key=load_key)

    def _unmount(self, seen: Dataset) -> None:
        if seen.is_dead:
            attempt(self.host, commands.forget_mount(seen.mountpoint), GONE)
            return
        gone = (*NOT_MOUNTED, parse.ABSENT)
        self.mounts.patiently(commands.unmount_dataset(seen.name), gone, place=seen.mountpoint)

    def _prepare(self, mountpoint: str, name: str) -> None:
        self.mounts.heal(mountpoint)
        places = self.mounts.places()
        other = next(
            (each.name for each in places if each.is_mounted and each.mountpoint == mountpoint), None
        )
        if other is not None:
            raise ForeignObject(f"{other} is mounted at {mountpoint}, where {name} belongs; unmount it first")
        for above in self._missing_above(name, mountpoint, places):
            raise HostError(
                f"{above.name} is not mounted, and {name} belongs below it, at {mountpoint}; mount it first"
            )
        Mountpoints(self.host, self.saga, self.abilities).prepare(mountpoint, dataset=name)
