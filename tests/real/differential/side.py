"""The two sides that are held against each other: the simulated sled, and a machine with real ZFS.

Rules
- A side knows its own paths. Lines are written with `ROOT` (the folder below which all is mounted) and
  `DISK0` to `DISK3`; each side puts its own paths there, and takes them out of what was said.
- The last of the disks is a path at which nothing is.
- Each side begins anew for each sequence: no pool, blank disks, an empty `ROOT`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, Protocol

from sledsaga.errors import SledsagaError
from sledsaga.hosts.host import Completed, Host, HostCommand
from sledsaga.hosts.sim import DiskSpec, SimSled

DISKS: Final = 3
DISK_MIB: Final = 64
"""The smallest disk that a pool can be made on."""
KIB: Final = 1024


class Side(Protocol):
    """What a sequence needs of a machine. Paths are the machine's own."""

    name: str
    """Which table of allowed differences holds: `zfs-fuse`, `openzfs`, or `sim`."""
    root: str
    disks: tuple[str, ...]
    """Paths of `DISKS` disks, and last one at which there is none."""

    def renew(self) -> None:
        """Begin anew: no pool of ours, blank disks, an empty root."""
        ...

    def run(self, argv: Sequence[str]) -> Completed:
        """Run one command line to its end."""
        ...

    def write(self, path: str, kib: int) -> str:
        """Write a file that cannot be compressed; return what was refused, or nothing."""
        ...

    def make_dir(self, path: str) -> str:
        """Make a folder and those above it; return what was refused, or nothing."""
        ...

    def remove(self, path: str) -> str:
        """Unlink a file; return what was refused, or nothing."""
        ...

    def names(self, path: str) -> dict[str, int]:
        """Return all below a folder, by the path from there, with its size in bytes; a folder has -1."""
        ...


@dataclass(frozen=True, slots=True)
class Files:
    """The file half of a side, over any host."""

    host: Host

    def write(self, path: str, kib: int) -> str:
        """Write a file that cannot be compressed; return what was refused, or nothing."""
        return _refused(lambda: self.host.write_file(path, _noise(kib)))

    def make_dir(self, path: str) -> str:
        """Make a folder and those above it; return what was refused, or nothing."""
        return _refused(lambda: self.host.make_dir(path))

    def remove(self, path: str) -> str:
        """Unlink a file; return what was refused, or nothing."""
        return _refused(lambda: self.host.remove_file(path))

    def names(self, path: str) -> dict[str, int]:
        """Return all below a folder, by the path from there, with its size in bytes; a folder has -1."""
        return dict(self._below(path, ""))

    def _below(self, folder: str, prefix: str) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for name in self.host.list_dir(folder):
            stat = self.host.stat(f"{folder}/{name}")
            if stat is not None and stat.kind == "dir":
                found += [(f"{prefix}{name}", -1), *self._below(f"{folder}/{name}", f"{prefix}{name}/")]
            elif stat is not None:
                found.append((f"{prefix}{name}", stat.size))
        return found


class SimSide:
    """The simulated sled; each sequence gets a new one."""

    name = "sim"
    root = "/sledroot"
    disks = tuple(f"/dev/dsk/c1tD{each}d0" for each in range(DISKS + 1))

    def __init__(self, folder: Path, heard: Callable[[Sequence[str]], Sequence[str]] = tuple) -> None:
        """Keep sleds in a folder of one's own. `heard` makes of each command line what the sled is given."""
        self._folder = folder
        self._heard = heard
        self._blank: Path | None = None
        self._sled: SimSled | None = None

    def renew(self) -> None:
        """Begin anew, from a copy of a sled that nothing was done to."""
        if self._blank is None:
            self._blank = self._folder / "blank"
            specs = [DiskSpec("1b96", "file", f"D{each}", DISK_MIB * KIB**2) for each in range(DISKS)]
            made = SimSled.create(self._blank, specs)
            made.host.make_dir(self.root)
            made.close()
        self.close()
        shutil.rmtree(self._folder / "sled", ignore_errors=True)
        shutil.copytree(self._blank, self._folder / "sled")
        self._sled = SimSled.open(self._folder / "sled")

    def close(self) -> None:
        """Close the sled's file."""
        if self._sled is not None:
            self._sled.close()

    @property
    def sled(self) -> SimSled:
        """The present sled."""
        assert self._sled is not None, "renew comes first"
        return self._sled

    def run(self, argv: Sequence[str]) -> Completed:
        """Interpret one command line."""
        return self.sled.host.run(HostCommand(tuple(self._heard(argv)), mutates=True))

    def write(self, path: str, kib: int) -> str:
        """Write a file that cannot be compressed; return what was refused, or nothing."""
        return Files(self.sled.host).write(path, kib)

    def make_dir(self, path: str) -> str:
        """Make a folder and those above it; return what was refused, or nothing."""
        return Files(self.sled.host).make_dir(path)

    def remove(self, path: str) -> str:
        """Unlink a file; return what was refused, or nothing."""
        return Files(self.sled.host).remove(path)

    def names(self, path: str) -> dict[str, int]:
        """Return all below a folder, by the path from there, with its size in bytes; a folder has -1."""
        return Files(self.sled.host).names(path)


def to_side(side: Side, word: str) -> str:
    """Put a side's own paths into a word of a line."""
    for number, path in enumerate(side.disks):
        word = word.replace(f"DISK{number}", path)
    return word.replace("ROOT", side.root)


def from_side(side: Side, text: str) -> str:
    """Take a side's own paths out of what it said."""
    for number, path in enumerate(side.disks):
        text = text.replace(path, f"DISK{number}")
    return text.replace(side.root, "ROOT")


def _refused(act: Callable[[], None]) -> str:
    try:
        act()
    except SledsagaError as error:
        return str(error)
    return ""


def _noise(kib: int) -> bytes:
    """Return bytes that no compression makes fewer, the same for the same size."""
    return Random(kib).randbytes(kib * KIB)  # noqa: S311 - nothing secret
