"""The keys of encrypted datasets: loaded, unloaded, changed, and found among those that may fit.

Rules
- A key that a person or a step names is in a file; one that is tried for a look is given on stdin.
- The epoch of a key is recorded on its root. Where that takes a command of its own, the old record goes
  first, so that a crash never leaves the epoch of a key that is no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sledsaga.errors import ForeignObject, NotFound, Transient, Unparsable
from sledsaga.hosts.answer import attempt, failed, require, says
from sledsaga.hosts.zfs import commands
from sledsaga.hosts.zfs.reader import DatasetReader
from sledsaga.hosts.zfs.spec import EPOCH, Dataset, encryption_root

KEY_LOADED = ("Key already loaded",)
KEY_UNLOADED = ("Key already unloaded",)
WRONG_KEY = ("Incorrect key provided",)


@dataclass(frozen=True, slots=True)
class DatasetKeys(DatasetReader):
    """Locks and unlocks the datasets of one sled."""

    def load_key(self, name: str) -> bool:
        """Load the key from its key file; False when it is the wrong key. Loaded already is fine."""
        if self.present(name).is_key_loaded:
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
        seen = self.present(name)
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
        require(self.host, commands.set_properties(name, ((EPOCH, str(epoch)),)))
        return before

    def fits_key(self, name: str) -> bool:
        """Say whether the key in the key file is the one of an encryption root; nothing is loaded."""
        done = self.host.run(commands.try_key(name))
        if done.code != 0 and not says(done, WRONG_KEY):
            raise failed(done)
        return done.code == 0

    def _unlock(self, name: str) -> None:
        """Load the key of a dataset's encryption root, from no file. Raises ForeignObject, Transient."""
        root = self.present(encryption_root(name))
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


def _locked(root: str, name: str, why: object) -> str:
    """Say that a dataset cannot be looked into, why, and what to do."""
    return (
        f"{root} is locked, so what {name} holds cannot be seen; it was kept ({why}): "
        f"load the key of {root}, then try again"
    )
