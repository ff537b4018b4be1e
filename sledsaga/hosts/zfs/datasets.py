"""Datasets: create, adjust, destroy. Every call may be repeated.

Rules
- Each call looks first, and runs nothing when all is as wanted.
- A dataset with another id, another place or another encryption is never changed: ForeignObject.
- What undoes takes nothing for gone whose pool is not imported and open.
- Only what carries this saga's tag is destroyed, never recursively, never what holds anything. What is not
  mounted is mounted for a look, and unmounted again; what cannot be looked into is kept. Empty folders are no
  files: the mountpoint of a child that is gone stays in its parent when that was not mounted then.
- A dataset that is delegated to a zone of illumos can only be weighed: mounted out here, its zone's settings
  would take effect here.
- A create that failed may have been done: what is there then, with this saga's tag, was made by it.
- ZFS makes a dataset first and sets its properties then, so a crash may leave one that has none. Where it is
  known that nothing was there before this saga, such a one is this saga's: it is taken away and made anew.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from sledsaga.errors import ForeignObject
from sledsaga.hosts.answer import failed, require
from sledsaga.hosts.host import Completed
from sledsaga.hosts.zfs import commands, parse
from sledsaga.hosts.zfs.mounting import DatasetMounting
from sledsaga.hosts.zfs.spec import (
    Dataset,
    DatasetSpec,
    Settings,
    differing_settings,
    fitted,
    one_by_one,
    present_settings,
    zone_place,
)
from sledsaga.hosts.zpool.commands import TAG

EMPTY_BYTES = 512 * 1024
"""More than a dataset of ours refers to when nothing was written (about 100 to 200 KiB at ashift 12)."""
NOWHERE = ("none", "legacy")
"""Mountpoints that are no place."""
SET_BY_ENCRYPTION = frozenset({"keylocation"})
"""What ZFS sets together with making an encrypted dataset, before all else."""


@dataclass(frozen=True, slots=True)
class Ensured:
    """What `ensure` found and did. `is_ours`: this saga's tag is on it, whichever attempt made it.

    `changed` holds the earlier values of what was adjusted; give it to `restore` to undo.
    """

    name: str
    is_ours: bool
    was_mounted: bool
    changed: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Datasets(DatasetMounting):
    """The datasets of one sled, as one saga sees them."""

    def create(self, spec: DatasetSpec, *, adopt: bool = False, was_absent: bool = False) -> Dataset:
        """Make the dataset be there and return it as it is; one that is there is not adjusted.

        `adopt` accepts one without an id; `was_absent` says that it was not there before this saga. An
        encryption root needs its key file. Raises ForeignObject; HostError, before any command, for what this
        ZFS cannot do.
        """
        spec = fitted(spec, self.abilities)
        seen = self.observe(spec.name)
        if seen is not None and was_absent and self.discard_unmade(seen):
            seen = None
        if seen is None:
            if spec.is_mounted_here:
                self._prepare(spec.mountpoint, spec.name)
            done = self.host.run(commands.create_dataset(spec, saga=self.saga))
            seen = self._made(spec.name, done)
        self.refuse_other(spec, seen, adopt=adopt)
        return seen

    def adjust(self, spec: DatasetSpec, seen: Dataset) -> dict[str, str | None]:
        """Set what differs, in one command where this ZFS can, and return the values from before."""
        settings = differing_settings(fitted(spec, self.abilities), seen)
        self._set(spec.name, settings, seen)
        return present_settings(seen, (name for name, _ in settings))

    def restore(self, name: str, before: Mapping[str, str | None]) -> None:
        """Give properties the values that they had before `adjust`; a dataset that is gone is fine."""
        seen = self.recall(name)
        if seen is None:
            return
        now = present_settings(seen, before)
        back = ((key, value) for key, value in before.items() if value not in (None, now[key]))
        self._set(name, tuple((key, str(value)) for key, value in back), seen)
        for key in (key for key, value in before.items() if value is None and now[key] is not None):
            require(self.host, commands.inherit_property(name, key))

    def complete(self, name: str, mountpoint: str) -> None:
        """Give a dataset whose create was cut short its mountpoint and, last, this saga's tag."""
        for setting in (("mountpoint", mountpoint), (TAG, self.saga)):
            self.mounts.patiently(commands.set_properties(name, (setting,)), ())

    def set_property(self, name: str, key: str, value: str) -> str | None:
        """Set one of quota, reservation, compression or our own properties; return the value from before."""
        seen = self.present(name)
        before = present_settings(seen, (key,))
        if before[key] != value:
            self._set(name, ((key, value),), seen)
        return before[key]

    def ensure(self, spec: DatasetSpec, *, adopt: bool = False, was_absent: bool = False) -> Ensured:
        """Create, adjust and mount, whichever is needed. Raises ForeignObject, CommandFailed."""
        seen = self.create(spec, adopt=adopt, was_absent=was_absent)
        changed = self.adjust(spec, seen)
        if spec.is_mounted_here and not seen.is_mounted:
            self.mount(spec.name)
        is_ours = seen.saga == self.saga
        return Ensured(spec.name, is_ours, was_mounted=seen.is_mounted and not is_ours, changed=changed)

    def destroy(self, name: str, *, mountpoint: str | None = None) -> bool:
        """Destroy a dataset that this saga made and that holds nothing; False when it is not there.

        `mountpoint` is the folder to remove after it, when that is empty. Raises ForeignObject.
        """
        seen = self.recall(name)
        place = mountpoint or (zone_place(name) if self.abilities.delegation == "bind" else None)
        if seen is not None:
            self.refuse_destruction(seen)
            self.unmount(name)
            self.unmount_from_zone(name)
            self._destroy(seen)
        if place is not None:
            self.release(place)
        return seen is not None

    def discard_unmade(self, seen: Dataset) -> bool:
        """Destroy a dataset whose create was cut short: it holds nothing and nothing was ever set on it.

        Only for one that was not there before this saga. False, and nothing is done, for any other. Raises
        ForeignObject for one that cannot be looked into.
        """
        if seen.saga is not None or seen.id is not None or seen.referenced > EMPTY_BYTES:
            return False
        own = set(require(self.host, commands.get_own(seen.name)).split()) - SET_BY_ENCRYPTION
        if own or self.below(seen.name) or self._held(seen) is not None:
            return False
        self.unmount(seen.name)
        self._destroy(seen)
        return True

    def refuse_other(self, spec: DatasetSpec, seen: Dataset, *, adopt: bool = False) -> None:
        """Raise ForeignObject when what is there is not what the spec names, HostError when it cannot be."""
        spec = fitted(spec, self.abilities)
        pairs = (
            ("type", "filesystem", seen.type),
            ("mountpoint", spec.mountpoint, seen.mountpoint),
            ("zoned", spec.is_zoned, seen.is_zoned),
            ("encrypted", spec.is_encrypted and not spec.is_plain, seen.is_encrypted),
            ("sledsaga:plain", spec.is_plain, seen.is_plain),
            ("oxide:uuid", spec.id or seen.id, seen.id),
        )
        may_adopt = adopt or seen.saga == self.saga
        for what, want, have in pairs:
            if want != have and not (what == "oxide:uuid" and have is None and may_adopt):
                raise ForeignObject(
                    f"{seen.name} is another dataset: {what} is {'not set' if have is None else have}, "
                    f"expected {want}; it was left as it is"
                )

    def refuse_destruction(self, seen: Dataset) -> None:
        """Raise ForeignObject when a dataset is not this saga's, or holds anything."""
        if seen.saga != self.saga:
            raise ForeignObject(f"{seen.name} carries the tag {seen.saga}, not {self.saga}; it was kept")
        below = self.below(seen.name)
        if below:
            raise ForeignObject(
                f"{seen.name} has {len(below)} below it ({below[0]}); it was kept with all of them"
            )
        is_bindable = seen.is_zoned and self.abilities.delegation == "bind"
        is_delegated = seen.is_zoned and not is_bindable
        if seen.referenced > EMPTY_BYTES and not is_bindable:
            raise ForeignObject(
                f"{seen.name} holds {seen.referenced} bytes, an empty one at most {EMPTY_BYTES}; it was kept"
            )
        held = None if is_delegated else self._held(seen)
        if held is not None:
            raise ForeignObject(f"{seen.name} holds files ({held}) at {seen.mountpoint}; it was kept")

    def _destroy(self, seen: Dataset) -> None:
        """Destroy a dataset that was looked into; when zfs says that it is gone, its pool may be away."""
        done = self.mounts.patiently(
            commands.destroy_dataset(seen.name), (parse.ABSENT,), place=seen.mountpoint
        )
        if done.code != 0:
            self.recall(seen.name)

    def _held(self, seen: Dataset) -> str | None:
        """Name a file that a dataset holds; it is mounted for the look, when it was not."""
        is_mounted = seen.is_mounted or seen.is_bound
        is_mountable = seen.type == "filesystem" and seen.canmount != "off"
        if seen.mountpoint in NOWHERE or not (is_mounted or is_mountable):
            raise ForeignObject(
                f"{seen.name} is a {seen.type} without a place (mountpoint {seen.mountpoint}, canmount "
                f"{seen.canmount}), so what it holds cannot be seen; it was kept: destroy it, if it may go"
            )
        if is_mounted:
            return self._file_in(seen.mountpoint)
        try:
            self._open(seen)
            return self._file_in(seen.mountpoint)
        finally:
            self.unmount(seen.name)
            self.unmount_from_zone(seen.name)

    def _file_in(self, folder: str) -> str | None:
        """Name the first thing in a folder, or below it, that is no folder; no link is followed."""
        for name in self.host.list_dir(folder):
            path = posixpath.join(folder, name)
            found = self.host.stat(path)
            if found is None or found.kind != "dir" or found.is_link:
                return name
            inner = self._file_in(path)
            if inner is not None:
                return f"{name}/{inner}"
        return None

    def _made(self, name: str, done: Completed) -> Dataset:
        """Return a dataset after its create; a create that said no counts when it left one of this saga's."""
        seen = self.observe(name)
        if done.code != 0 and (seen is None or seen.saga != self.saga):
            raise failed(done)
        return seen or self.present(name)

    def _set(self, name: str, settings: Settings, seen: Dataset) -> None:
        if self.abilities.sets_many:
            groups = [settings] if settings else []
        else:
            groups = [(one,) for one in one_by_one(settings, seen)]
        for some in groups:
            require(self.host, commands.set_properties(name, some))
