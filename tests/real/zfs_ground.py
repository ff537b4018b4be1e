"""What tests of real ZFS stand on: a pool on a file, the drivers over it, and a daemon that can be killed."""

from __future__ import annotations

import itertools
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from sledsaga.check.room import Room
from sledsaga.hosts.answer import changes
from sledsaga.hosts.disks import Disk
from sledsaga.hosts.linux.abilities import find_abilities
from sledsaga.hosts.linux.disks import FileDisks
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.platform import linux
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.names import DiskIdentity, PoolName
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zfs.abilities import Abilities
from sledsaga.hosts.zfs.datasets import Datasets
from sledsaga.hosts.zpool.pools import Pools
from tests.real.conftest import CANARY, file_disk, run

NUMBERS = itertools.count(1)
MIB = 2**20
SECTOR = 512


@dataclass
class Daemon:
    """The ZFS daemon of this module's room."""

    room: Room

    def restart(self) -> None:
        """Kill it as a crash would, and start another; whoever owns the canary mounts it again."""
        self.room = self.room.restart_zfs()
        canary = str(self.room.folder / CANARY)
        run("umount", "-l", canary)
        run("zfs", "mount", CANARY)
        run("zfs", "mount", f"{CANARY}/kept")


@dataclass(frozen=True)
class Ground:
    """One pool's worth of ground: its name, its disk, and the drivers of a saga."""

    folder: Path
    name: PoolName
    disk: Disk
    abilities: Abilities
    daemon: Daemon
    saga: str = "s1"

    @property
    def machine(self) -> Machine:
        """The machine with this one disk."""
        return Machine(disks=(self.disk,), is_plain_allowed=self.abilities.is_plain_allowed)

    @property
    def disks(self) -> FileDisks:
        """The disks."""
        return FileDisks(LocalHost(), self.machine)

    @property
    def datasets(self) -> Datasets:
        """The datasets."""
        return Datasets(LocalHost(), self.saga, time.sleep, self.abilities)

    @property
    def pools(self) -> Pools:
        """The pools."""
        return Pools(LocalHost(), self.saga, self.disks, self.datasets)

    @property
    def sled(self) -> Sled:
        """The sled as steps see it."""
        return Sled(LocalHost(), self.saga, platform=linux(LocalHost(), self.machine))

    def other(self, saga: str) -> Ground:
        """Return the same ground as another saga sees it."""
        return replace(self, saga=saga)


@contextmanager
def ground(daemon: Daemon, folder: Path, *, pool: bool = True) -> Iterator[Ground]:
    """Have a blank disk, and a pool on it unless told otherwise; all pools but the canary are gone after."""
    number = next(NUMBERS)
    name = PoolName.of("external", UUID(int=number, version=4))
    identity = DiskIdentity("virtual", "file", f"D{number}")
    disk = Disk(identity, file_disk(folder / f"{number}.img"), 128 * MIB, 0, "U.2")
    abilities = replace(find_abilities(LocalHost(), Machine()), is_plain_allowed=True)
    made = Ground(folder, name, disk, abilities, daemon)
    if pool:
        assert made.pools.create(name, disk)
    try:
        yield made
    finally:
        for left in set(run("zpool", "list", "-H", "-o", "name").split()) - {CANARY}:
            made.datasets.mounts.patiently(changes("zpool", "destroy", "-f", left), ())


def write_gpt(path: str) -> None:
    """Write an empty GUID partition table, with its checksums, as a partitioning tool would."""
    sectors, entries = Path(path).stat().st_size // SECTOR, bytes(128 * 128)
    fields = (0, 1, sectors - 1, 34, sectors - 34, b"\x11" * 16, 2, 128, 128, zlib.crc32(entries))

    def header(check: int) -> bytes:
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, check, *fields)

    whole = header(zlib.crc32(header(0)))
    with Path(path).open("r+b") as stream:
        stream.seek(446)
        stream.write(struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff" * 3, 1, sectors - 1))
        stream.seek(510)
        stream.write(b"\x55\xaa" + whole)
        stream.seek(2 * SECTOR)
        stream.write(entries)
