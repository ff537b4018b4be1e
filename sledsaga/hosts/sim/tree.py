"""The sled's file tree: each dataset has a folder of its own, and mounts decide which one a path falls into.

    SLED/root/              the root file system, a ramdisk on a real sled
    SLED/datasets/GUID/     the content of one dataset, wherever it is mounted, or if it is not

A path belongs to the mount with the longest mountpoint above it. What is written below a mountpoint while
nothing is mounted there lands in the folder underneath, and is hidden by the next mount: as on a real
machine.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sledsaga.errors import HostError
from sledsaga.hosts.sim.things import Mount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sledsaga.hosts.sim.state import Tx

BLOCK = 4096
"""With ashift 12 each file takes whole blocks of 4 KiB."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The folders below a sled's own folder."""

    home: Path

    def folder(self, guid: str) -> Path:
        """Return where a dataset's files are."""
        return self.home / "datasets" / guid

    def real(self, tx: Tx, path: str) -> Path:
        """Return where a path of the sled is kept. Raises HostError for one that is not absolute."""
        clean = posixpath.normpath(path)
        if not clean.startswith("/"):
            raise HostError(f"the path {path!r} is not absolute: say where it is from the sled's root")
        clean = "/" + clean.lstrip("/")
        for point in _upwards(clean):
            mount = tx.get(Mount, point)
            if mount is not None:
                folder = self.folder(mount.guid)
                folder.mkdir(parents=True, exist_ok=True)
                return folder / clean[len(point) :].lstrip("/")
        return self.home / "root" / clean.lstrip("/")

    def dataset_at(self, tx: Tx, path: str) -> str | None:
        """Return the dataset that a path falls into, or None for the root file system."""
        for point in _upwards(posixpath.normpath(path)):
            mount = tx.get(Mount, point)
            if mount is not None:
                return mount.dataset
        return None

    def used(self, guid: str) -> int:
        """Return how many bytes the files of a dataset take."""
        return sum(self.files(guid).values())

    def files(self, guid: str) -> dict[str, int]:
        """Return how many bytes each file of a dataset takes, by what tells it from one written later."""
        return dict(_taken(entry) for entry in _walk(self.folder(guid)))

    def is_empty(self, tx: Tx, path: str) -> bool:
        """Say whether a folder is empty or not there."""
        real = self.real(tx, path)
        return not real.exists() or (real.is_dir() and not any(real.iterdir()))

    def discard(self, guid: str) -> None:
        """Remove the files of a destroyed dataset."""
        shutil.rmtree(self.folder(guid), ignore_errors=True)

    def empty(self, folder: Path) -> None:
        """Remove what is in a folder, and keep the folder."""
        for entry in list(folder.iterdir()) if folder.is_dir() else []:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def _upwards(path: str) -> Iterator[str]:
    while path not in ("/", "//", ""):
        yield path
        path = posixpath.dirname(path)


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))


def _taken(entry: os.DirEntry[str]) -> tuple[str, int]:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return "", 0
    if entry.is_dir(follow_symlinks=False):
        return f"{found.st_ino}", 512
    return f"{found.st_ino}.{found.st_mtime_ns}", -(-found.st_size // BLOCK) * BLOCK
