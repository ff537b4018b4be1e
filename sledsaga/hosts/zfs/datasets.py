"""Datasets: observe, create, adjust, mount, destroy. Every call may be repeated.

Rules
- Each call looks first, and runs nothing when all is as wanted.
- A dataset with another id, another place or another encryption is never changed: ForeignObject.
- What undoes takes nothing for gone whose pool is not imported and open.
- Only what carries this saga's tag is destroyed, never recursively, never what holds anything. What is not
  mounted is mounted for a look, and unmounted again; what cannot be looked into is kept. Empty folders are no
  files: the mountpoint of a child that is gone stays in its parent when that was not mounted then.
- A dataset that is delegated to a zone of illumos can only be weighed: mounted out here, its zone's settings
  would take effect here.
- Nothing is made or mounted below the empty mountpoint of what is not mounted. Undo and the roots of zones
  have those above mounted first, keys loaded, as before the reboot that ended it; they stay so, as others
  may stand on them by then.
- A create that failed may have been done: what is there then, with this saga's tag, was made by it.
- ZFS makes a dataset first and sets its properties then, so a crash may leave one that has none. Where it is
  known that nothing was there before this saga, such a one is this saga's: it is taken away and made anew.
- What a zone uses is mounted for it by `mount_for_zone` where nothing can be delegated; else for a look only.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sledsaga.errors import (
    CommandFailed,
    ForeignObject,
    HostError,
    NotFound,
    Transient,
    Unparsable,
)
from sledsaga.hosts.answer import Pause, attempt, failed, lookup, require, says
from sledsaga.hosts.host import Completed, Host
from sledsaga.hosts.zfs import commands, parse
from sledsaga.hosts.zfs.abilities import ILLUMOS_ZFS, Abilities
from sledsaga.hosts.zfs.mountpoints import Mountpoints
from sledsaga.hosts.zfs.mounts import GONE, Mounts
from sledsaga.hosts.zfs.spec import (
    EPOCH,
    Dataset,
    DatasetSpec,
    Settings,
    differing_settings,
    encryption_root,
    fitted,
    one_by_one,
    present_settings,
    zone_place,
)
from sledsaga.hosts.zpool.commands import TAG
from sledsaga.hosts.zpool.imported import refuse_shut_at, require_open

EMPTY_BYTES = 512 * 1024
"""More than a dataset of ours refers to when nothing was written (about 100 to 200 KiB at ashift 12)."""
NOT_MOUNTED = ("not currently mounted",)
KEY_LOADED = ("Key already loaded",)
KEY_UNLOADED = ("Key already unloaded",)
WRONG_KEY = ("Incorrect key provided",)
NOWHERE = ("none", "legacy")
"""Mountpoints that are no place."""
SET_BY_ENCRYPTION = frozenset({"keylocation"})
"""What ZFS sets together with making an encrypted dataset, before all else."""
KeysOf = Callable[[str, int | None], Iterator[bytes]]
"""Yields the keys that may open the encryption root of a pool, by the epoch that is recorded on it."""
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
    """The datasets of one sled, as one saga sees them; without `keys` what is locked stays locked."""

    host: Host
    saga: str
    pause: Pause
    abilities: Abilities = ILLUMOS_ZFS
    keys: KeysOf | None = None

    def observe(self, name: str) -> Dataset | None:
        """Return a dataset, or None when it is not there. Raises CommandFailed, Unparsable."""
        return self.observe_all([name]).get(name)

    def recall(self, name: str) -> Dataset | None:
        """Return a dataset that a saga knows of, or None when it is known to be gone. Raises CommandFailed.

        What undoes asks this way: of a pool that is away, ZFS says that its datasets do not exist.
        """
        seen = self.observe(name)
        if seen is None:
            require_open(self.host, self.abilities, name)
        return seen

    def observe_all(self, names: Sequence[str]) -> dict[str, Dataset]:
        """Return those of the datasets that are there, in one command for each hundred."""
        found: dict[str, Dataset] = {}
        for start in range(0, len(names), NAMES_A_COMMAND):
            some = names[start : start + NAMES_A_COMMAND]
            asked = commands.get_properties(some, zfs=self.abilities)
            found |= parse.read_observation(self.host.run(asked))
        return {name: self._checked(seen) for name, seen in found.items()}

    def below(self, name: str) -> tuple[str, ...]:
        """Return the names of a dataset's children and snapshots; empty when it is not there."""
        text = lookup(self.host, commands.list_below(name), (parse.ABSENT,))
        return parse.parse_below(text or "", name)

    def tree(self, name: str) -> Iterator[str]:
        """Yield the names of a dataset and of all datasets below it, parents first."""
        yield name
        for child in self.below(name):
            if "@" not in child:
                yield from self.tree(child)

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
        seen = self._present(name)
        before = present_settings(seen, (key,))
        if before[key] != value:
            self._set(name, ((key, value),), seen)
        return before[key]

    def mount(self, name: str) -> bool:
        """Mount a dataset where it belongs, its key too; False when it was mounted. Raises ForeignObject."""
        seen = self._present(name)
        if seen.is_mounted:
            return False
        self._mount(seen)
        return True

    def mount_at(self, place: str) -> None:
        """Have the dataset whose place this is mounted, when a reboot has unmounted it; none is fine.

        Raises ForeignObject when several belong there, or when its key is not to be had; CommandFailed when
        its pool cannot be opened.
        """
        there = [each for each in self.mounts.places() if each.mountpoint == place]
        if not there:
            refuse_shut_at(self.host, self.abilities, place)
        if any(each.is_mounted for each in there):
            return
        found = self.observe_all([each.name for each in there]) if there else {}
        missing = [seen for seen in found.values() if seen.canmount == "on" and not seen.is_zoned]
        if len(missing) > 1:
            names = " and ".join(seen.name for seen in missing)
            raise ForeignObject(f"{names} belong at {place}, and none is mounted there; mount the right one")
        for seen in missing:
            self._open(seen)

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
        seen = self._present(name)
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

    def ensure(self, spec: DatasetSpec, *, adopt: bool = False, was_absent: bool = False) -> Ensured:
        """Create, adjust and mount, whichever is needed. Raises ForeignObject, CommandFailed."""
        seen = self.create(spec, adopt=adopt, was_absent=was_absent)
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
        seen = self.recall(name)
        if seen is not None and seen.is_key_loaded:
            attempt(self.host, commands.unload_key(name), KEY_UNLOADED)

    def change_key(self, name: str, *, epoch: int) -> int | None:
        """Change to the key in the key file, unless its epoch is recorded; return the epoch from before.

        Where the epoch is recorded by a command of its own, the old record goes first: a crash in between
        leaves no record, for which every key is tried, and never one of a key that is no more.
        """
        seen = self._present(name)
        before = seen.epoch
        if before == epoch:
            return before
        if self.abilities.sets_epoch_with_key:
            require(self.host, commands.change_key(name, epoch=epoch))
            return before
        if not self.fits_key(name):
            if before is not None:
                require(self.host, commands.inherit_property(name, EPOCH))
            require(self.host, commands.change_key(name, epoch=None))
        self._set(name, ((EPOCH, str(epoch)),), seen)
        return before

    def fits_key(self, name: str) -> bool:
        """Say whether the key in the key file is the one of an encryption root; nothing is loaded."""
        done = self.host.run(commands.try_key(name))
        if done.code != 0 and not says(done, WRONG_KEY):
            raise failed(done)
        return done.code == 0

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
            self.mounts.patiently(commands.destroy_dataset(name), (parse.ABSENT,), place=seen.mountpoint)
        if place is not None:
            self.release(place)
        return seen is not None

    def discard_unmade(self, seen: Dataset) -> bool:
        """Destroy a dataset whose create was cut short: it holds nothing and nothing was ever set on it.

        Only for one that was not there before this saga. False, and nothing is done, for any other.
        """
        if seen.saga is not None or seen.id is not None or seen.referenced > EMPTY_BYTES:
            return False
        own = set(require(self.host, commands.get_own(seen.name)).split()) - SET_BY_ENCRYPTION
        if own or self.below(seen.name) or (seen.is_mounted and self.host.list_dir(seen.mountpoint)):
            return False
        self.unmount(seen.name)
        self.mounts.patiently(commands.destroy_dataset(seen.name), (parse.ABSENT,), place=seen.mountpoint)
        return True

    def release(self, mountpoint: str) -> None:
        """Remove the folder of a mountpoint when it is empty; what others are mounted on stays as it is."""
        self.mounts.heal(mountpoint)
        if mountpoint not in self.mounts.all():
            Mountpoints(self.host, self.saga, self.abilities).release(mountpoint)

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

    @property
    def mounts(self) -> Mounts:
        """The mounts of all datasets."""
        return Mounts(self.host, self.pause, self.abilities)

    def _checked(self, seen: Dataset) -> Dataset:
        """Tell a dead mount from a live one: it does not count as mounted."""
        if not (seen.is_mounted or seen.is_bound) or not self.mounts.is_dead(seen.mountpoint):
            return seen
        return replace(seen, is_mounted=False, is_bound=False, is_dead=True)

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

    def _open(self, seen: Dataset) -> None:
        """Mount a dataset that a reboot has unmounted: its key loaded, and those above it mounted, first."""
        self.mounts.heal(seen.mountpoint)
        above = self._missing_above(seen.name, seen.mountpoint, self.mounts.places())
        if any(each.is_key_loaded is False for each in (*above, seen)):
            self._unlock(seen.name)
        for each in above:
            self.mounts.mount(each.name)
        self._mount(self._present(seen.name))

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

    def _unlock(self, name: str) -> None:
        """Load the key of a dataset's encryption root, from no file. Raises ForeignObject, Transient."""
        root = self._present(encryption_root(name))
        try:
            for key in self._keys_of(root):
                done = self.host.run(commands.give_key(root.name, key))
                if done.code == 0 or says(done, KEY_LOADED):
                    return
                if not says(done, WRONG_KEY):
                    raise failed(done)
        except Transient as error:
            raise Transient(_locked(root.name, name, error)) from error
        except (ForeignObject, NotFound, Unparsable) as error:
            raise ForeignObject(_locked(root.name, name, error)) from error
        raise ForeignObject(_locked(root.name, name, "no key fits it"))

    def _keys_of(self, root: Dataset) -> Iterator[bytes]:
        if self.keys is None:
            raise NotFound("no keys are at hand")
        return self.keys(root.name.partition("/")[0], root.epoch)

    def _made(self, name: str, done: Completed) -> Dataset:
        """Return a dataset after its create; a create that said no counts when it left one of this saga's."""
        seen = self.observe(name)
        if done.code != 0 and (seen is None or seen.saga != self.saga):
            raise failed(done)
        return seen or self._present(name)

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

    def _set(self, name: str, settings: Settings, seen: Dataset) -> None:
        if self.abilities.sets_many:
            groups = [settings] if settings else []
        else:
            groups = [(one,) for one in one_by_one(settings, seen)]
        for some in groups:
            require(self.host, commands.set_properties(name, some))

    def _present(self, name: str) -> Dataset:
        seen = self.observe(name)
        if seen is None:
            raise CommandFailed(
                f"{name} should be there, but zfs says that it does not exist; create it first"
            )
        return seen


def _locked(root: str, name: str, why: object) -> str:
    """Say that a dataset cannot be looked into, why, and what to do."""
    return (
        f"{root} is locked, so what {name} holds cannot be seen; it was kept ({why}): "
        f"load the key of {root}, then try again"
    )
