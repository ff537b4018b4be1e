"""Real ZFS natively: zfs-fuse in a room of its own, on disks that are files."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sledsaga.hosts.host import Completed, HostCommand
from sledsaga.hosts.local import LocalHost
from tests.real.differential.side import DISK_MIB, DISKS, KIB, Files

BUSY: Final = ("dataset is busy", "pool is busy", "pool or dataset is busy")
BUSY_S: Final = 3.0
"""How long a command is repeated that says busy: FUSE lets go of a file system only after its unmount."""
UNMOUNT: Final = '#!/bin/sh\n{umount} "$@"\ncode=$?\nsleep 0.03\nexit $code\n'
"""What the tools of zfs-fuse unmount by. A rename unmounts, and renames at once: its daemon, which has to
write first all that is dirty, says busy, each time anew."""
FOREIGN: Final = ("canary",)
"""Pools in the same room that are not ours: never touched, never looked at."""


class FuseSide:
    """The room that this thread is in."""

    name = "zfs-fuse"

    def __init__(self, folder: Path) -> None:
        """Keep disks and mountpoints in a folder of one's own."""
        self._folder = folder
        self._host = LocalHost()
        self.root = str(folder / "root")
        self.disks = tuple(str(folder / "disks" / f"disk{each}") for each in range(DISKS + 1))
        self._path = f"PATH={_slow_unmounts(folder / 'bin')}:{os.environ['PATH']}"

    def renew(self) -> None:
        """Destroy our pools, and make blank disks and an empty root."""
        for pool in self.run(("zpool", "list", "-H", "-o", "name")).stdout.split():
            if pool not in FOREIGN:
                done = self.run(("zpool", "destroy", "-f", pool))
                assert done.code == 0, done
        for folder in (Path(self.root), self._folder / "disks"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        for disk in self.disks[:DISKS]:
            with Path(disk).open("wb") as stream:
                stream.truncate(DISK_MIB * KIB**2)

    def run(self, argv: Sequence[str]) -> Completed:
        """Run one command line to its end, again while it is only busy."""
        ends_at = time.monotonic() + BUSY_S
        while True:
            done = self._host.run(HostCommand(("env", self._path, *argv), mutates=True, timeout_s=30.0))
            if done.code == 0 or not any(text in done.stderr for text in BUSY) or time.monotonic() > ends_at:
                return done
            time.sleep(0.01)

    def write(self, path: str, kib: int) -> str:
        """Write a file that cannot be compressed; return what was refused, or nothing."""
        return Files(self._host).write(path, kib)

    def make_dir(self, path: str) -> str:
        """Make a folder and those above it; return what was refused, or nothing."""
        return Files(self._host).make_dir(path)

    def remove(self, path: str) -> str:
        """Unlink a file; return what was refused, or nothing."""
        return Files(self._host).remove(path)

    def names(self, path: str) -> dict[str, int]:
        """Return all below a folder, by the path from there, with its size in bytes; a folder has -1."""
        return Files(self._host).names(path)


def _slow_unmounts(folder: Path) -> Path:
    """Make an `umount` that gives the daemon time to let go; return its folder."""
    folder.mkdir(parents=True)
    script = folder / "umount"
    script.write_text(UNMOUNT.format(umount=shutil.which("umount")))
    script.chmod(0o755)
    return folder
