"""A file that was written is there after a crash of the file system, also where folders cannot be synced."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sledsaga.check.room import missing, open_room
from sledsaga.hosts.local import LocalHost
from tests.real.conftest import file_disk, run
from tests.tiers import skip_tier


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_written_file_outlives_the_file_system(tmp_path: Path, before: bytes | None) -> None:
    """ZFS is killed once a file is written, new or over an old one; the new bytes are there afterwards."""
    if why := missing():
        skip_tier("native", why)
    with open_room(tmp_path) as room:
        mounted = tmp_path / "kept"
        run("zpool", "create", "-m", str(mounted), "kept", file_disk(tmp_path / "disk.img", 64))
        host, path = LocalHost(), str(mounted / "file")
        if before is not None:
            host.write_file(path, before)
        host.write_file(path, b"new", mode=0o640)
        room.restart_zfs()
        subprocess.run(("umount", "-l", str(mounted)), check=True)
        run("zfs", "mount", "kept")
        assert host.list_dir(str(mounted)) == ("file",)
        found = host.stat(path)
        assert found is not None
        assert (host.read_file(path), found.mode) == (b"new", 0o640)
