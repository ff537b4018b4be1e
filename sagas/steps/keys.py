"""Keys of encrypted pools: look which epoch each is of, change it, tell how it went.

- A pool is named, never a disk: the disk is found by its label, so no pool gets the key of another disk.
- The key is changed under a dataset whose present key is loaded; its data stays readable throughout. A reboot
  in the middle unloads it: then it is loaded again, by the key that fits.
- The new key is tried (`load-key -n`) before its file is erased. Undo changes back to the key of the epoch
  from before, for which the secret of that epoch must still be there; else it fails, and the new key stays.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

from sagas.steps import pools
from sagas.steps.encryption import crypt_name, load
from sagas.steps.patience import KEY_TRIES, patient
from sagas.steps.pools import PoolWanted
from sledsaga.core.define import Absent, Conflicting, Present, Probe
from sledsaga.core.model import Model
from sledsaga.engine.context import Context
from sledsaga.errors import (
    CommandCancelled,
    ForeignObject,
    HostError,
    NotFound,
    SledsagaError,
    Transient,
)
from sledsaga.hosts.names import DiskIdentity, PoolName
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zfs.spec import Dataset


class KeySeen(Model):
    """The key of a pool as it was: its disk and its epoch; without them `why` says what is wrong."""

    pool: PoolName
    disk: DiskIdentity | None = None
    epoch: int | None = None
    why: str = ""


class KeyItem(Model):
    """How it went for one pool: which epoch its key is of now, and what that took."""

    pool: PoolName
    epoch: int | None
    state: Literal["changed", "present", "failed"]
    why: str = ""


class KeyReport(Model):
    """How it went for all pools, in the order in which they were given."""

    items: list[KeyItem]
    counts: dict[str, int]


@patient
def target(sled: Sled, epoch: int | None) -> int:
    """Return the epoch to change to: the one asked for, or the latest. Raises NotFound, Transient."""
    known = sled.keys.epochs()
    if epoch is not None and epoch not in known:
        raise NotFound(f"there is no secret of epoch {epoch}; known epochs: {list(known)}")
    return max(known) if epoch is None else epoch


@patient
def look(sled: Sled, pool: PoolName) -> KeySeen:
    """Find the disk of a pool and the epoch of its key. Raises HostError when its key cannot be changed."""
    name = crypt_name(pool)
    disk = pools.find(sled=sled, wanted=PoolWanted(name=pool)).identity
    seen = _there(sled, name)
    if not seen.is_key_loaded:
        raise HostError(f"the key of {name} is not loaded, and only then can it change: run format-u2 first")
    return KeySeen(pool=pool, disk=disk, epoch=_epoch_of(sled, seen, disk))


def undo_look(sled: Sled, pool: PoolName) -> None:
    """Erase the key file that a killed look left behind. One that found no disk has written none.

    Raises Transient while the disk is not found now and a key is left: the disk may have been found then.
    """
    try:
        disk = pools.find(sled=sled, wanted=PoolWanted(name=pool)).identity
    except ForeignObject as error:
        if left := sled.keys.left():
            raise Transient(
                f"the key in {' or '.join(left)} may be its key, so erase that: {error}"
            ) from error
        return
    sled.keys.erase_left(disk)


def look_or_tell(sled: Sled, ctx: Context, pool: PoolName) -> KeySeen:
    """Do the same, but tell of a failure instead of failing."""
    try:
        return look(sled=sled, pool=pool)
    except CommandCancelled:
        raise
    except (SledsagaError, Transient) as error:
        _raise_early(error, ctx)
        return KeySeen(pool=pool, why=str(error))


@patient
def change(sled: Sled, before: KeySeen, target: int) -> KeyItem:
    """Have the pool's key be the one of the epoch. Raises HostError when the new key does not fit."""
    assert before.disk is not None, f"{before.pool} was looked at"
    name = crypt_name(before.pool)
    sled.keys.erase_left(before.disk)
    if _opened(sled, name, before.disk).epoch != target:
        with sled.keys.file(before.disk, epoch=target):
            sled.datasets.change_key(name, epoch=target)
            if not sled.datasets.fits_key(name):
                raise HostError(f"the key of {name} was changed to epoch {target}, but it does not fit")
    state: Literal["present", "changed"] = "present" if before.epoch == target else "changed"
    return KeyItem(pool=before.pool, epoch=target, state=state)


def change_or_tell(sled: Sled, ctx: Context, before: KeySeen, target: int) -> KeyItem:
    """Do the same, but tell of a failure instead of failing; what may be tried again is, first."""
    if before.disk is None:
        return KeyItem(pool=before.pool, epoch=None, state="failed", why=before.why)
    try:
        return change(sled=sled, before=before, target=target)
    except CommandCancelled:
        raise
    except (SledsagaError, Transient) as error:
        _raise_early(error, ctx)
        return KeyItem(pool=before.pool, epoch=None, state="failed", why=str(error))


def undo_change(sled: Sled, before: KeySeen) -> None:
    """Have the pool's key be that of the epoch from before. Raises NotFound when its secret is gone."""
    if before.disk is None or before.epoch is None:
        return
    name = crypt_name(before.pool)
    sled.keys.erase_left(before.disk)
    if _there(sled, name).epoch != before.epoch:
        _opened(sled, name, before.disk)
        with sled.keys.file(before.disk, epoch=before.epoch):
            sled.datasets.change_key(name, epoch=before.epoch)


def probe(sled: Sled, before: KeySeen, target: int) -> Probe:
    """Say whether the key is of the epoch, and in no file any more. Nothing says which saga changed it."""
    seen = sled.datasets.observe(crypt_name(before.pool))
    if seen is None:
        return Conflicting(f"{crypt_name(before.pool)} is not there")
    if seen.epoch != target or (before.disk is not None and sled.keys.path(before.disk) in sled.keys.left()):
        return Absent()
    return Present(KeyItem(pool=before.pool, epoch=target, state="present"))


def report(items: list[KeyItem]) -> KeyReport:
    """Collect the results of all pools."""
    counts = Counter(item.state for item in items)
    return KeyReport(items=items, counts=dict(sorted(counts.items())))


def _there(sled: Sled, name: str) -> Dataset:
    """Return the encryption root. Raises HostError when it is not there, or is none."""
    seen = sled.datasets.observe(name)
    if seen is None:
        raise HostError(f"{name} is not there: import its pool, or make it ready with format-u2")
    if seen.is_key_loaded is None:
        raise HostError(f"{name} is not encrypted, so it has no key to change")
    return seen


def _opened(sled: Sled, name: str, disk: DiskIdentity) -> Dataset:
    """Return the encryption root with its key loaded, also after a reboot that has unloaded it."""
    seen = _there(sled, name)
    if seen.is_key_loaded:
        return seen
    load(sled, seen, disk)
    return _there(sled, name)


def _epoch_of(sled: Sled, seen: Dataset, disk: DiskIdentity) -> int:
    """Return the epoch that is recorded; without a record, find the key that fits."""
    if seen.epoch is not None:
        return seen.epoch
    for epoch in reversed(sled.keys.epochs()):
        with sled.keys.file(disk, epoch=epoch):
            if sled.datasets.fits_key(seen.name):
                return epoch
    raise HostError(f"no key fits {seen.name} (epochs tried: {list(sled.keys.epochs())}); it stays as it is")


def _raise_early(error: Exception, ctx: Context) -> None:
    """Raise what may be tried again, as long as there are tries."""
    if isinstance(error, Transient) and ctx.attempt < KEY_TRIES.attempts:
        raise error
