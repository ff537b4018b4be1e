"""Pools: find the disk of a pool, then import the pool, or make it when the disk may be formatted.

`find` only looks; its output says what was there before, so that an undo in doubt knows what to take away.
"""

from __future__ import annotations

from sagas.steps.patience import patient
from sledsaga.core.define import Absent, Conflicting, Present, Probe
from sledsaga.core.model import Model
from sledsaga.errors import CommandFailed, ForeignObject, HostError, Transient
from sledsaga.hosts.disks import Disk, Variant
from sledsaga.hosts.names import DiskIdentity, PoolName
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zpool.pools import refuse_class


class PoolWanted(Model):
    """A pool that should be imported. With `disk`, it is made there when that disk is blank."""

    name: PoolName
    disk: DiskIdentity | None = None


class FoundDisk(Model):
    """The disk of a pool, and what was so before the saga: its label, and whether the pool was imported."""

    identity: DiskIdentity
    path: str
    size: int
    slot: int
    variant: Variant
    label: PoolName | None
    was_imported: bool

    @property
    def disk(self) -> Disk:
        """The disk as the drivers know it."""
        return Disk(self.identity, self.path, self.size, self.slot, self.variant)


class PoolMade(Model):
    """A pool that is imported; `is_ours` says that this saga made it."""

    name: PoolName
    is_ours: bool


@patient
def find(sled: Sled, wanted: PoolWanted) -> FoundDisk:
    """Find the disk that is named, or the one that carries the pool.

    Raises Transient while it is not plugged in, ForeignObject when it is of another class or pool.
    """
    imported = sled.pools.observe(wanted.name) is not None
    disk, label = _carrier(sled, wanted.name) if wanted.disk is None else _named(sled, wanted)
    if imported and label is None:
        raise ForeignObject(
            f"{wanted.name} is imported from another disk than {disk.identity}; it stays there"
        )
    return FoundDisk(
        identity=disk.identity,
        path=disk.path,
        size=disk.size,
        slot=disk.slot,
        variant=disk.variant,
        label=label,
        was_imported=imported,
    )


def _named(sled: Sled, wanted: PoolWanted) -> tuple[Disk, PoolName | None]:
    assert wanted.disk is not None
    disk = sled.disks.find(wanted.disk)
    if disk is None:
        raise Transient(f"disk {wanted.disk} is not plugged in; {wanted.name} needs it")
    refuse_class(wanted.name, disk)
    label = sled.disks.identify(disk.path)
    if label not in (None, wanted.name):
        raise ForeignObject(
            f"{disk.path} ({disk.identity}) holds {label}, not {wanted.name}; it stays as it is"
        )
    return disk, label


def _carrier(sled: Sled, name: PoolName) -> tuple[Disk, PoolName]:
    unread = []
    for disk in sled.disks.list():
        if disk.pool_class != name.pool_class:
            continue
        try:
            if sled.disks.identify(disk.path) == name:
                return disk, name
        except (CommandFailed, ForeignObject) as error:
            unread.append(f"{disk.path}: {error}")
    others = f" (not read: {'; '.join(unread)})" if unread else ""
    raise ForeignObject(f"no disk of this sled carries {name}{others}; name a blank disk to make it on")


@patient
def ensure(sled: Sled, wanted: PoolWanted, disk: FoundDisk) -> PoolMade:
    """Have the pool imported and set up as each pool is; make it when its disk was blank."""
    is_ours = sled.pools.create(wanted.name, _now(sled, wanted, disk), was_blank=disk.label is None)
    sled.pools.configure(wanted.name)
    return PoolMade(name=wanted.name, is_ours=is_ours)


def undo_ensure(sled: Sled, wanted: PoolWanted, disk: FoundDisk) -> None:
    """Destroy the pool when the disk was blank before, export it when it was not imported; else leave it.

    Settings that each pool must have stay as they are. A pool without this saga's tag stays, too.
    Raises ForeignObject when the pool holds anything.
    """
    if disk.label is None:
        _bring_back(sled, wanted, disk)
        root = sled.pools.claim(wanted.name)
        if root is None or root.saga == sled.saga:
            sled.pools.destroy(wanted.name)
    elif not disk.was_imported:
        sled.pools.export(wanted.name)


def _bring_back(sled: Sled, wanted: PoolWanted, disk: FoundDisk) -> None:
    """Import the pool when a create that was cut short left it on the disk, but not imported.

    Raises HostError while the disk is not plugged in.
    """
    if sled.pools.observe(wanted.name) is not None:
        return
    there = _now(sled, wanted, disk)
    if sled.disks.identify(there.path) == wanted.name:
        sled.pools.bring_back(wanted.name, there, was_blank=True)


def _now(sled: Sled, wanted: PoolWanted, disk: FoundDisk) -> Disk:
    """Return the disk as it is now: after a reboot, or in another slot, it may be at another path.

    Raises HostError while it is not plugged in.
    """
    there = sled.disks.find(disk.identity)
    if there is None:
        raise HostError(
            f"disk {disk.identity} is not plugged in, so whether it holds {wanted.name} cannot be told; "
            f"plug it in, or skip this when the disk is gone for good"
        )
    return there


def probe(sled: Sled, wanted: PoolWanted) -> Probe:
    """Say whether the pool is imported, and whose it is."""
    if sled.pools.observe(wanted.name) is None:
        try:
            disk, label = _carrier(sled, wanted.name) if wanted.disk is None else _named(sled, wanted)
        except (ForeignObject, Transient) as error:
            return Conflicting(str(error))
        assert label in (None, wanted.name), f"{disk.path} was judged before"
        return Absent()
    is_ours = sled.pools.owner(wanted.name) == sled.saga
    return Present(PoolMade(name=wanted.name, is_ours=is_ours), ours=is_ours)
