"""Many mounts at once on real zfs-fuse, which its daemon does not survive when they overlap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sledsaga.check.room import Room
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.platform import open_linux
from tests.real.conftest import file_disk, let_go, run

THREADS, MOUNTS = 8, 40
SOON_S = 60.0


def test_mounts_at_once_do_not_stop_the_daemon(room: Room, tmp_path: Path) -> None:
    """Eight threads mount what is on pools of their own: all of it answers, and the daemon goes on.

    Without turns, every second time, one mount in some hundreds never answers, nor any that comes after it.
    """
    host, platform = open_linux(Machine())
    assert platform.abilities.turns_by
    for pool in range(THREADS):
        run("zpool", "create", "-m", "none", f"turns{pool}", file_disk(tmp_path / f"{pool}.img"))
        for number in range(MOUNTS):
            place = f"mountpoint={tmp_path}/{pool}-{number}"
            run("zfs", "create", "-o", "canmount=noauto", "-o", place, f"turns{pool}/{number}")

    def mounts(pool: int) -> None:
        for number in range(MOUNTS):
            mount, look = ("zfs", "mount", f"turns{pool}/{number}"), ("ls", f"{tmp_path}/{pool}-{number}")
            for argv in (mount, look):
                done = host.run(HostCommand(argv, mutates=argv is mount, timeout_s=SOON_S))
                assert done.code == 0, done.stderr

    with ThreadPoolExecutor(THREADS) as workers:
        list(workers.map(mounts, range(THREADS)))
    assert room.daemon.poll() is None
    for pool in range(THREADS):
        let_go("destroy", f"turns{pool}")
