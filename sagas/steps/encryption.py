"""The encryption root `crypt` of a pool: made with the disk's key, or its key loaded and it mounted.

The key is in a file only while a command reads it. A file that a killed run left behind is erased by the next
do or undo, whichever comes.
"""

from __future__ import annotations

from sagas.steps.datasets import Looked, put_back
from sagas.steps.patience import patient
from sagas.steps.pools import FoundDisk, PoolWanted
from sledsaga.core.define import Absent, Present, Probe
from sledsaga.core.model import Model
from sledsaga.errors import HostError
from sledsaga.hosts.keys import trial_epochs
from sledsaga.hosts.names import DiskIdentity, PoolName
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zfs.spec import EPOCH, Dataset, DatasetSpec, Encryption, fitted


class Crypt(Model):
    """An encryption root that is mounted with its key loaded; `epoch` of its key.

    Without one, it is the plain dataset that a sled has in its place when it cannot encrypt, and may so.
    """

    name: str
    epoch: int | None


def crypt_name(pool: PoolName) -> str:
    """Name the encryption root of a pool."""
    return f"{pool}/crypt"


@patient
def ensure(sled: Sled, wanted: PoolWanted, disk: FoundDisk, before: Looked) -> Crypt:
    """Have the encryption root there, mounted, its key loaded. Raises Transient while no key is to be had."""
    sled.keys.erase_left(disk.identity)
    name = crypt_name(wanted.name)
    before.refuse_away(name)
    seen = sled.datasets.observe(name)
    if seen is not None and name not in before.datasets and sled.datasets.discard_unmade(seen):
        seen = None
    spec = fitted(_spec(sled, wanted.name, disk.identity, epoch=0), sled.datasets.abilities)
    if spec.is_plain:
        sled.datasets.ensure(spec)
        return Crypt(name=name, epoch=None)
    if seen is None:
        epoch = sled.keys.latest_epoch()
        with sled.keys.file(disk.identity, epoch=epoch):
            sled.datasets.ensure(_spec(sled, wanted.name, disk.identity, epoch=epoch))
        return Crypt(name=name, epoch=epoch)
    if seen.is_key_loaded is False:
        load(sled, seen, disk.identity)
    sled.datasets.ensure(_spec(sled, wanted.name, disk.identity, epoch=seen.epoch or 0))
    return Crypt(name=name, epoch=seen.epoch)


def undo_ensure(sled: Sled, wanted: PoolWanted, disk: FoundDisk, before: Looked) -> None:
    """Destroy the root when it was not there before; else unmount it and unload its key, as it was."""
    sled.keys.erase_left(disk.identity)
    name = crypt_name(wanted.name)
    if name in before.away:
        return
    seen = before.datasets.get(name)
    put_back(sled, _spec(sled, wanted.name, disk.identity, epoch=0), seen)
    if seen is not None and not seen.is_key_loaded:
        sled.datasets.unload_key(name)


def probe(sled: Sled, wanted: PoolWanted) -> Probe:
    """Say whether the root is there, mounted, with its key loaded and in no file any more."""
    seen = sled.datasets.observe(crypt_name(wanted.name))
    if seen is None or not seen.is_mounted or _may_be_left(sled, wanted):
        return Absent()
    return Present(Crypt(name=seen.name, epoch=seen.epoch), ours=seen.saga == sled.saga)


def _may_be_left(sled: Sled, wanted: PoolWanted) -> bool:
    """Say whether a key file is left that may be this disk's: any, when the disk is not named."""
    left = sled.keys.left()
    return bool(left) if wanted.disk is None else sled.keys.path(wanted.disk) in left


def _spec(sled: Sled, pool: PoolName, disk: DiskIdentity, *, epoch: int) -> DatasetSpec:
    key = Encryption(sled.keys.path(disk), epoch)
    return DatasetSpec(crypt_name(pool), f"{pool.mountpoint}/crypt", encryption=key)


def load(sled: Sled, seen: Dataset, disk: DiskIdentity) -> None:
    """Load the key of the epoch that is recorded; without a record, try each from the latest down.

    Raises HostError when none fits, NotFound when the secret of the recorded epoch is gone, Transient.
    """
    epochs = trial_epochs(seen.epoch, sled.keys.epochs())
    for epoch in epochs:
        with sled.keys.file(disk, epoch=epoch):
            fits = sled.datasets.load_key(seen.name)
        if fits:
            if seen.epoch is None:
                sled.datasets.set_property(seen.name, EPOCH, str(epoch))
            return
    of = "the one recorded" if seen.epoch is not None else "all whose secrets are there"
    raise HostError(f"no key fits {seen.name} (epochs tried: {list(epochs)}, {of}); it stays locked")
