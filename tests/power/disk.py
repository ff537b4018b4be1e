"""A disk under a file system, as far as power matters: what is on it for sure, and what may be.

Rules
- What was synced is there after the cut. Of what was written since, anything may be there: nothing, all,
  some of it in any order, or parts of a write. The same holds for lengths of files, and for names: a file
  that was made or removed may be there or not until its folder is synced.
- What a failed sync was to write is not made sure by a later one, for its pages count as clean (`forgets`).
- A disk does not read what it is given; it knows nothing of SQLite.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

SECTOR: Final = 512


@dataclass(frozen=True, slots=True)
class Made:
    name: str
    file: int
    content: bytes = b""  # of a file that was there, for sure, when the tape began


@dataclass(frozen=True, slots=True)
class Removed:
    name: str
    synced: bool


@dataclass(frozen=True, slots=True)
class Wrote:
    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Resized:
    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    file: int
    folder: bool
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """What the one who writes knows at this moment; the disk passes over it."""

    what: Any


Change = Wrote | Resized
Entry = Made | Removed | Wrote | Resized | Synced | Note


@dataclass(frozen=True, slots=True)
class Way:
    """How a disk loses power: how likely each thing is that may happen to what was not synced."""

    name: str
    keeps: float  # a write
    tears: float = 0.0  # a write that is kept, into some of its parts
    grows: float = 0.0  # a file to the length that a lost write would have given it
    shuffles: bool = False


WAYS: Final = (
    Way("nothing unsynced is kept", keeps=0.0),
    Way("all is kept", keeps=1.0),
    Way("some is kept", keeps=0.5),
    Way("most is kept", keeps=0.9),
    Way("some is kept, in another order", keeps=0.7, shuffles=True),
    Way("writes are torn", keeps=0.8, tears=0.5),
    Way("files grow without their data", keeps=0.3, tears=0.2, grows=0.7),
    Way("all at once", keeps=0.6, tears=0.3, grows=0.3, shuffles=True),
)


@dataclass(slots=True)
class _Unsure:
    change: Change
    sure: bool = False  # synced, but it lies upon something that is not
    doomed: bool = False  # its sync has failed


@dataclass(slots=True)
class _File:
    content: bytearray = field(default_factory=bytearray)
    since: list[_Unsure] = field(default_factory=list)

    def sync(self, *, failed: bool) -> None:
        for one in self.since:
            one.doomed = one.doomed or (failed and not one.sure)
            one.sure = one.sure or not (failed or one.doomed)
        while self.since and self.since[0].sure:
            put(self.content, self.since.pop(0).change)


@dataclass(slots=True)
class Disk:
    """What is on the disk, and what was written since; hears a tape entry by entry."""

    files: dict[int, _File] = field(default_factory=dict)
    names: dict[str, list[int | None]] = field(default_factory=dict)  # first what is sure, then what came
    forgets: bool = True

    def hear(self, entry: Entry) -> None:
        """Take the next entry."""
        match entry:
            case Made(name, file, content):
                self.files[file] = _File(bytearray(content))
                self.names.setdefault(name, [None]).append(file)
                if content:
                    self._settle()
            case Removed(name, synced):
                self.names[name].append(None)
                if synced:
                    self._settle()
            case Wrote(file) | Resized(file):
                self.files[file].since.append(_Unsure(entry))
            case Synced(file, folder, failed):
                if not failed or self.forgets:
                    self.files[file].sync(failed=failed)
                if folder and not failed:
                    self._settle()

    def _settle(self) -> None:
        self.names = {name: files[-1:] for name, files in self.names.items()}

    def now(self) -> dict[str, bytes]:
        """Return the files as programs see them while there is power."""
        found = {}
        for name, files in self.names.items():
            if files[-1] is not None:
                file = self.files[files[-1]]
                found[name] = bytes(_written(file.content, [one.change for one in file.since]))
        return found

    def after_cut(self, seed: int) -> tuple[str, dict[str, bytes]]:
        """Lose power now, in a way of that seed; return how, and the files that are found afterwards."""
        dice = random.Random(seed)  # noqa: S311 - a dice
        way = WAYS[seed % len(WAYS)]
        found = {}
        for name, files in sorted(self.names.items()):
            file = files[0] if way.keeps == 0 else files[-1] if way.keeps == 1 else dice.choice(files)
            if file is not None:
                found[name] = bytes(_after_cut(self.files[file], way, dice))
        return way.name, found


def disk_after(entries: Iterable[Entry]) -> Disk:
    """Return the disk after these entries."""
    disk = Disk()
    for entry in entries:
        disk.hear(entry)
    return disk


def put(content: bytearray, change: Change) -> None:
    """Do one change to the content of a file."""
    if isinstance(change, Wrote):
        end = change.offset + len(change.data)
        if len(content) < end:
            content.extend(bytes(end - len(content)))
        content[change.offset : end] = change.data
    elif len(content) < change.size:
        content.extend(bytes(change.size - len(content)))
    else:
        del content[change.size :]


def _written(content: bytearray, changes: Iterable[Change]) -> bytearray:
    content = bytearray(content)
    for change in changes:
        put(content, change)
    return content


def _after_cut(file: _File, way: Way, dice: random.Random) -> bytearray:
    since = list(file.since)
    if way.shuffles and not any(one.sure for one in since):
        dice.shuffle(since)
    kept: list[Change] = []
    for one in since:
        kept += [one.change] if one.sure else _kept(one.change, way, dice)
    return _written(file.content, kept)


def _kept(change: Change, way: Way, dice: random.Random) -> list[Change]:
    """Return what the disk has of a change that was not synced."""
    if dice.random() >= way.keeps:
        if isinstance(change, Wrote) and dice.random() < way.grows:
            return [Wrote(change.file, change.offset + len(change.data), b"")]
        return []
    if isinstance(change, Wrote) and dice.random() < way.tears:
        return [*_torn(change, dice)]
    return [change]


def _torn(write: Wrote, dice: random.Random) -> list[Wrote]:
    """Return the parts of a torn write that are there: its beginning, its end, or some of its sectors."""
    cut = dice.randrange(len(write.data) + 1)
    if dice.random() < 0.5:
        cut -= (write.offset + cut) % SECTOR  # power fails between sectors more often than in one
    cut = max(cut, 0)
    head = replace(write, data=write.data[:cut])
    tail = replace(write, offset=write.offset + cut, data=write.data[cut:])
    if dice.random() < 0.6:
        return [dice.choice((head, head, tail))]
    return [one for one in _sectors(write) if dice.random() < 0.5]


def _sectors(write: Wrote) -> Iterable[Wrote]:
    at, end = write.offset, write.offset + len(write.data)
    while at < end:
        to = min(at - at % SECTOR + SECTOR, end)
        yield Wrote(write.file, at, write.data[at - write.offset : to - write.offset])
        at = to
