"""Datasets: observe, create, adjust, mount, destroy. Every call may be repeated.

Rules
- Each call looks first, and runs nothing when all is as wanted.
- A dataset with another id, another place or another encryption is never changed: ForeignObject.
- Only what carries this saga's tag is destroyed, never recursively, never what holds anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sledsaga.errors import CommandFailed, ForeignObject
from sledsaga.hosts.answer import Pause, attempt, failed, lookup, require, says
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.zfs import commands, parse
from sledsaga.hosts.zfs.abilities import ILLUMOS_ZFS, Abilities
from sledsaga.hosts.zfs.mountpoints import Mountpoints
from sledsaga.hosts.zfs.spec import Dataset, DatasetSpec, differing_settings, present_settings

EMPTY_BYTES = 512 * 1024
"""More than a dataset of ours refers to when nothing was written (about 100 to 200 KiB at ashift 12)."""
BUSY = ("dataset is busy", "pool or dataset is busy", "Device busy")
BUSY_TRIES = 3
"""As many as the sled agent makes: one, and two more."""
BUSY_PAUSE_S = 1.0
ALREADY_MOUNTED = ("filesystem already mounted",)
NOT_MOUNTED = ("not currently mounted",)
KEY_LOADED = ("Key already loaded",)
KEY_UNLOADED = ("Key already unloaded",)
WRONG_KEY = ("Incorrect key provided",)
NAMES_A_COMMAND = 100
"""Datasets that one `zfs get` is asked for, so that argv stays far below its limit."""


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
class Datasets:
    """The datasets of one sled, as one saga sees them."""

    host: Host
    saga: str
    pause: Pause
    abilities: Abilities = ILLUMOS_ZFS

    def observe(self, name: str) -> Dataset | None:
        """Return a dataset, or None when it is not there. Raises CommandFailed, Unparsable."""
        return self.observe_all([name]).get(name)

    def observe_all(self, names: Sequence[str]) -> dict[str, Dataset]:
        """Return those of the datasets that are there, in one command for each hundred."""
        found: dict[str, Dataset] = {}
        for start in range(0, len(names), NAMES_A_COMMAND):
            some = names[start : start + NAMES_A_COMMAND]
            found |= parse.read_observation(self.host.run(commands.get_properties(some)))
        return found

    def below(self, name: str) -> tuple[str, ...]:
        """Return the names of a dataset's children and snapshots; empty when it is not there."""
        text = lookup(self.host, commands.list_below(name), (parse.ABSENT,))
        return parse.parse_below(text or "", name)

    def create(self, spec: DatasetSpec, *, adopt: bool = False) -> Dataset:
        """Make the dataset be there and return it as it is; one that is there is not adjusted.

        `adopt` accepts one without an id. An encryption root needs its key file. Raises ForeignObject.
        """
        seen = self.observe(spec.name)
        if seen is None:
            if spec.is_mounted_here:
                self._prepare(spec.mountpoint, spec.name)
            require(self.host, commands.create_dataset(spec, saga=self.saga))
            seen = self._present(spec.name)
        self.refuse_other(spec, seen, adopt=adopt)
        return seen

    def adjust(self, spec: DatasetSpec, seen: Dataset) -> dict[str, str | None]:
        """Set what differs, in one command, and return the values from before."""
        settings = differing_settings(spec, seen)
        if settings:
            require(self.host, commands.set_properties(spec.name, settings))
        return present_settings(seen, (name for name, _ in settings))

    def restore(self, name: str, before: Mapping[str, str | None]) -> None:
        """Give properties the values that they had before `adjust`; a dataset that is gone is fine."""
        seen = self.observe(name)
        if seen is None:
            return
        now = present_settings(seen, before)
        settings = tuple((key, value) for key, value in before.items() if value not in (None, now[key]))
        if settings:
            require(
                self.host, commands.set_properties(name, tuple((key, str(value)) for key, value in settings))
            )
        for key in (key for key, value in before.items() if value is None and now[key] is not None):
            require(self.host, commands.inherit_property(name, key))

    def set_property(self, name: str, key: str, value: str) -> str | None:
        """Set one of quota, reservation, compression or our own properties; return the value from before."""
        before = present_settings(self._present(name), (key,))
        if before[key] != value:
            require(self.host, commands.set_properties(name, ((key, value),)))
        return before[key]

    def mount(self, name: str) -> bool:
        """Mount a dataset where it belongs, its key too; False when it was mounted. Raises ForeignObject."""
        seen = self._present(name)
        if seen.is_mounted:
            return False
        self._prepare(seen.mountpoint, name)
        attempt(
            self.host, commands.mount_dataset(name, load_key=seen.is_key_loaded is False), ALREADY_MOUNTED
        )
        return True

    def unmount(self, name: str) -> bool:
        """Unmount a dataset; False when it was not mounted, or is gone."""
        seen = self.observe(name)
        if seen is None or not seen.is_mounted:
            return False
        self._patiently(commands.unmount_dataset(name), (*NOT_MOUNTED, parse.ABSENT))
        return True

    def ensure(self, spec: DatasetSpec, *, adopt: bool = False) -> Ensured:
        """Create, adjust and mount, whichever is needed. Raises ForeignObject, CommandFailed."""
        seen = self.create(spec, adopt=adopt)
        changed = self.adjust(spec, seen)
        if spec.is_mounted_here and not seen.is_mounted:
            self.mount(spec.name)
        is_ours = seen.saga == self.saga
        return Ensured(spec.name, is_ours, was_mounted=seen.is_mounted and not is_ours, changed=changed)

    def load_key(self, name: str) -> bool:
        """Load the key from its key file; False when it is the wrong key. Loaded already is fine."""
        if self._present(name).is_key_loaded:
            return True
        done = self.host.run(commands.load_key(name))
        if says(done, WRONG_KEY):
            return False
        if done.code != 0 and not says(done, KEY_LOADED):
            raise failed(done)
        return True

    def unload_key(self, name: str) -> None:
        """Unload the key; not loaded, or no such dataset, is fine."""
        seen = self.observe(name)
        if seen is not None and seen.is_key_loaded:
            attempt(self.host, commands.unload_key(name), KEY_UNLOADED)

    def change_key(self, name: str, *, epoch: int) -> int | None:
        """Change to the key in the key file, unless its epoch is recorded; return the epoch from before."""
        before = self._present(name).epoch
        if before != epoch:
            require(self.host, commands.change_key(name, epoch=epoch))
        return before

    def destroy(self, name: str, *, mountpoint: str | None = None) -> bool:
        """Destroy a dataset that this saga made and that holds nothing; False when it is not there.

        `mountpoint` is the folder to remove after it, when that is empty. Raises ForeignObject.
        """
        seen = self.observe(name)
        if seen is not None:
            self.refuse_destruction(seen)
            self.unmount(name)
            self._patiently(commands.destroy_dataset(name), (parse.ABSENT,))
        if mountpoint is not None:
            self.release(mountpoint)
        return seen is not None

    def release(self, mountpoint: str) -> None:
        """Remove the folder of a mountpoint when it is empty; what others are mounted on stays as it is."""
        if mountpoint not in self._mounts():
            Mountpoints(self.host, self.saga).release(mountpoint)

    def refuse_other(self, spec: DatasetSpec, seen: Dataset, *, adopt: bool = False) -> None:
        """Raise ForeignObject when what is there is not what the spec names."""
        pairs = (
            ("type", "filesystem", seen.type),
            ("mountpoint", spec.mountpoint, seen.mountpoint),
            ("zoned", spec.is_zoned, seen.is_zoned),
            ("encrypted", spec.is_encrypted, seen.is_encrypted),
            ("oxide:uuid", spec.id or seen.id, seen.id),
        )
        may_adopt = adopt or seen.saga == self.saga
        for what, want, have in pairs:
            if want != have and not (what == "oxide:uuid" and have is None and may_adopt):
                raise ForeignObject(
                    f"{seen.name} is another dataset: {what} is {have}, expected {want}; it was left as it is"
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
        if seen.referenced > EMPTY_BYTES:
            raise ForeignObject(
                f"{seen.name} holds {seen.referenced} bytes, an empty one at most {EMPTY_BYTES}; it was kept"
            )
        held = self.host.list_dir(seen.mountpoint) if seen.is_mounted else ()
        if held:
            raise ForeignObject(f"{seen.name} holds files ({held[0]}) at {seen.mountpoint}; it was kept")

    def _prepare(self, mountpoint: str, name: str) -> None:
        other = self._mounts().get(mountpoint)
        if other is not None:
            raise ForeignObject(f"{other} is mounted at {mountpoint}, where {name} belongs; unmount it first")
        Mountpoints(self.host, self.saga).prepare(mountpoint, dataset=name)

    def _mounts(self) -> dict[str, str]:
        return parse.parse_mounts(require(self.host, commands.list_mounts()))

    def _present(self, name: str) -> Dataset:
        seen = self.observe(name)
        if seen is None:
            raise CommandFailed(
                f"{name} should be there, but zfs says that it does not exist; create it first"
            )
        return seen

    def _patiently(self, command: HostCommand, fine: tuple[str, ...]) -> None:
        for _ in range(BUSY_TRIES - 1):
            done = self.host.run(command)
            if not says(done, BUSY):
                break
            self.pause(BUSY_PAUSE_S)
        else:
            done = self.host.run(command)
        if done.code != 0 and not says(done, fine):
            raise failed(done)
