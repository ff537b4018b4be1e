"""Who made what: records of the sagas that made things on which the kernel keeps no tag.

- A record is a file `<object>=<owner>` on a volatile filesystem, written before the thing is made: after a
  reboot both are gone. Its text is the owner's, or what the driver has to remember of the thing.
- Each owner takes back its own record only, and the thing goes with the last one. Two may take
  theirs back at one moment: who finds none when its own is gone takes the thing away.
- A `/` in an object's name is written as `@`; no name of an object has a `@` or an `=`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sledsaga.errors import ForeignObject
from sledsaga.hosts.host import Host


@dataclass(frozen=True, slots=True)
class Owners:
    """The records in one folder, as one owner sees them: a saga, or a zone that shares something."""

    host: Host
    who: str
    folder: str

    def of(self, name: str) -> tuple[str, ...]:
        """Return everyone who has a record of an object, sorted."""
        key = _key(name)
        return tuple(
            each.removeprefix(key) for each in self.host.list_dir(self.folder) if each.startswith(key)
        )

    def owner(self, name: str) -> str | None:
        """Return who made an object (this owner, if in doubt), or None."""
        owners = self.of(name)
        return self.who if self.who in owners else next(iter(owners), None)

    def is_only_mine(self, name: str) -> bool:
        """Whether nobody else may have made it, or uses it."""
        return self.of(name) == (self.who,)

    def mine(self) -> tuple[str, ...]:
        """Return the names of all objects that this owner has a record of."""
        end = f"={self.who}"
        found = (each for each in self.host.list_dir(self.folder) if each.endswith(end))
        return tuple(each.removesuffix(end).replace("@", "/") for each in found)

    def text(self, name: str, who: str) -> str | None:
        """Return what someone's record says, or None when there is none."""
        data = self.host.read_file(self._path(name, who))
        return None if data is None else data.decode("utf-8", "replace")

    def record(self, name: str, text: str | None = None) -> None:
        """Write this owner's record, before the thing is made."""
        self.host.make_dir(self.folder)
        self.host.write_file(self._path(name, self.who), (self.who if text is None else text).encode())

    def forget(self, name: str, who: str | None = None) -> None:
        """Take back a record, this owner's unless told whose; nothing there is fine."""
        self.host.remove_file(self._path(name, who or self.who))

    def give_up(self, name: str, take_away: Callable[[], object]) -> None:
        """Take back this owner's record, and the thing with the last one; none of this owner's is fine."""
        was_last = self.is_only_mine(name)
        if was_last:
            take_away()
        if self.who not in self.of(name):
            return
        self.forget(name)
        if not was_last and not self.of(name):
            self.record(name)
            take_away()
            self.forget(name)

    def refuse_foreign(self, name: str, why: str) -> None:
        """Let this owner's objects pass. Raises ForeignObject for those of others, and of nobody."""
        owner = self.owner(name)
        if owner != self.who:
            raise ForeignObject(
                f"{name} {why}, and was made by {owner or 'no saga'}, not {self.who}; it was kept"
            )

    def _path(self, name: str, who: str) -> str:
        return f"{self.folder}/{_key(name)}{who}"


def _key(name: str) -> str:
    return f"{name.replace('/', '@')}="
