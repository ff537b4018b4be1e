"""Datasets as they are: looked at, never changed.

Rules
- Absent is what zfs says of one that is not there, and also of one whose pool is away: who undoes asks by
  `recall`, which tells the two apart.
- A mount whose server has gone still says that it is mounted. It does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from sledsaga.errors import CommandFailed
from sledsaga.hosts.answer import Pause, lookup
from sledsaga.hosts.host import Host
from sledsaga.hosts.zfs import commands, parse
from sledsaga.hosts.zfs.abilities import ILLUMOS_ZFS, Abilities
from sledsaga.hosts.zfs.mounts import Mounts
from sledsaga.hosts.zfs.spec import Dataset
from sledsaga.hosts.zpool.imported import untold

KeysOf = Callable[[str, int | None], Iterator[bytes]]
"""Yields the keys that may open the encryption root of a pool, by the epoch that is recorded on it."""
NAMES_A_COMMAND = 100
"""Datasets that one `zfs get` is asked for, so that argv stays far below its limit."""


@dataclass(frozen=True, slots=True)
class DatasetReader:
    """Reads the datasets of one sled, for one saga; without `keys` what is locked stays locked."""

    host: Host
    saga: str
    pause: Pause
    abilities: Abilities = ILLUMOS_ZFS
    keys: KeysOf | None = None

    def observe(self, name: str) -> Dataset | None:
        """Return a dataset, or None when it is not there. Raises CommandFailed, Unparsable."""
        return self.observe_all([name]).get(name)

    def observe_all(self, names: Sequence[str]) -> dict[str, Dataset]:
        """Return those of the datasets that are there, in one command for each hundred."""
        found: dict[str, Dataset] = {}
        for start in range(0, len(names), NAMES_A_COMMAND):
            some = names[start : start + NAMES_A_COMMAND]
            asked = commands.get_properties(some, zfs=self.abilities)
            found |= parse.read_observation(self.host.run(asked))
        return {name: self._checked(seen) for name, seen in found.items()}

    def recall(self, name: str) -> Dataset | None:
        """Return a dataset that a saga knows of, or None when it is known to be gone. Raises CommandFailed.

        What undoes asks this way: of a pool that is away, ZFS says that its datasets do not exist.
        """
        found, away = self.recall_all([name])
        if name in away:
            raise CommandFailed(away[name])
        return found.get(name)

    def recall_all(self, names: Sequence[str]) -> tuple[dict[str, Dataset], dict[str, str]]:
        """Return those of the datasets that are there, and why it cannot be told of those whose pool is away.

        What seems absent is looked at again when its pool is known to be open: it may have come meanwhile.
        """
        found = self.observe_all(names)
        missing = [name for name in names if name not in found]
        away = untold(self.host, self.abilities, missing) if missing else {}
        return found | self.observe_all([name for name in missing if name not in away]), away

    def present(self, name: str) -> Dataset:
        """Return a dataset that has to be there. Raises CommandFailed when it is not."""
        seen = self.observe(name)
        if seen is None:
            raise CommandFailed(
                f"{name} should be there, but zfs says that it does not exist; create it first"
            )
        return seen

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

    @property
    def mounts(self) -> Mounts:
        """The mounts of all datasets."""
        return Mounts(self.host, self.pause, self.abilities)

    def _checked(self, seen: Dataset) -> Dataset:
        """Tell a dead mount from a live one: it does not count as mounted."""
        if not (seen.is_mounted or seen.is_bound) or not self.mounts.is_dead(seen.mountpoint):
            return seen
        return replace(seen, is_mounted=False, is_bound=False, is_dead=True)
