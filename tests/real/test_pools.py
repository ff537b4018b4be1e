"""Pools and disks of real ZFS: made on blank disks only, finished after a crash, never taken from others."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from sagas.steps import pools as steps
from sagas.steps.pools import PoolWanted
from sledsaga.check.room import Room
from sledsaga.errors import CommandFailed, ForeignObject, HostError, Transient, UsageError
from sledsaga.hosts.answer import changes
from sledsaga.hosts.keys import SECRET_FILE
from sledsaga.hosts.linux.disks import FileDisks
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.virtual import LEAST_BYTES, make_virtual, prepare_m2, remove_virtual
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.names import DiskIdentity, PoolName
from sledsaga.hosts.zpool.commands import create_pool
from tests.real.conftest import CANARY, file_disk, let_go, run
from tests.real.zfs_ground import MIB, Daemon, Ground, ground, write_gpt

OTHER = PoolName.of("external", UUID(int=9999, version=4))
NEW_HOSTNAME = 0x04000000


@pytest.fixture(scope="module")
def daemon(room: Room) -> Daemon:
    """Return the daemon of this module's room."""
    return Daemon(room)


@pytest.fixture
def blank(daemon: Daemon, tmp_path: Path) -> Iterator[Ground]:
    """Have a blank disk that is a file."""
    with ground(daemon, tmp_path, pool=False) as made:
        yield made


def imported() -> set[str]:
    """Return the names of the imported pools but the canary."""
    return set(run("zpool", "list", "-H", "-o", "name").split()) - {CANARY}


def test_a_pool_is_made_once_and_undone(blank: Ground) -> None:
    """A pool is made with its tag, mounted, and set up; undo leaves a disk that counts as blank again."""
    assert blank.disks.identify(blank.disk.path) is None
    for _ in range(2):
        assert blank.pools.create(blank.name, blank.disk)
        assert blank.disks.identify(blank.disk.path) == blank.name
    assert run("zpool", "history", blank.name).count("zpool create") == 1
    assert not blank.other("s2").pools.create(blank.name, blank.disk)
    run("zpool", "set", "failmode=wait", blank.name)
    assert blank.pools.configure(blank.name) == {"failmode": "wait"}
    assert blank.pools.configure(blank.name) == {}
    seen = blank.pools.observe(blank.name)
    assert seen is not None
    assert seen.health == "online"
    assert 100 * MIB < seen.size < 128 * MIB
    assert blank.pools.destroy(blank.name)
    assert not blank.pools.destroy(blank.name)
    assert blank.disks.identify(blank.disk.path) is None
    assert not Path(blank.name.mountpoint).exists()
    assert blank.pools.create(blank.name, blank.disk)


def test_a_pool_is_exported_and_imported(blank: Ground) -> None:
    """An exported pool is found on its disk, in whatever folder that is, and comes back with its tag."""
    blank.pools.create(blank.name, blank.disk)
    assert blank.pools.export(blank.name)
    assert not blank.pools.export(blank.name)
    assert blank.disks.identify(blank.disk.path) == blank.name
    Path(blank.name.mountpoint).mkdir(parents=True, exist_ok=True)
    Path(blank.name.mountpoint, "mine").write_text("kept")
    assert blank.pools.create(blank.name, blank.disk)
    assert Path(f"/pool/ext/old-under-mountpoint-{blank.name}-s1/mine").read_text() == "kept"
    assert run("zfs", "get", "-Hp", "-o", "value", "mounted", blank.name).split() == ["yes"]
    assert not blank.pools.import_pool(blank.name, path=blank.disk.path)


def test_a_mountpoint_that_is_not_empty_is_emptied_aside(blank: Ground) -> None:
    """A create that could not mount has made the pool all the same: it is known for ours, and mounted."""
    Path(blank.name.mountpoint).mkdir(parents=True)
    Path(blank.name.mountpoint, "mine").write_text("kept")
    assert blank.pools.create(blank.name, blank.disk)
    assert run("zfs", "get", "-Hp", "-o", "value", "mounted", blank.name).split() == ["yes"]
    assert Path(f"/pool/ext/old-under-mountpoint-{blank.name}-s1/mine").read_text() == "kept"


def test_a_pool_that_holds_data_is_kept(blank: Ground) -> None:
    """Undo of a pool with a file, or with a dataset, or of another saga, is refused."""
    blank.pools.create(blank.name, blank.disk)
    with pytest.raises(ForeignObject, match="carries the tag s1, not s2"):
        blank.other("s2").pools.destroy(blank.name)
    file = Path(blank.name.mountpoint, "file")
    file.touch()
    with pytest.raises(ForeignObject, match=r"holds files \(file\)"):
        blank.pools.destroy(blank.name)
    file.unlink()
    run("zfs", "create", f"{blank.name}/theirs")
    with pytest.raises(ForeignObject, match="has 1 below it"):
        blank.pools.destroy(blank.name)


def test_a_pool_in_use_is_not_exported_by_force(blank: Ground) -> None:
    """A pool in which a process stands is told to be used by it, and stays imported."""
    blank.pools.create(blank.name, blank.disk)
    with subprocess.Popen(("sleep", "60"), cwd=blank.name.mountpoint) as process:
        try:
            with pytest.raises(Transient, match=rf"is in use by sleep \(pid {process.pid}\)"):
                blank.pools.export(blank.name)
        finally:
            process.kill()
    assert blank.pools.export(blank.name)


def test_a_name_that_is_imported_from_another_disk_is_refused(blank: Ground) -> None:
    """A pool of our name on somebody else's disk stays, and no second one is made."""
    theirs = file_disk(blank.folder / "theirs.img")
    run("zpool", "create", "-o", "ashift=12", "-m", "none", blank.name, theirs)
    before = run("zpool", "history", blank.name)
    with pytest.raises(ForeignObject, match="is imported from another disk"):
        blank.pools.create(blank.name, blank.disk)
    assert run("zpool", "history", blank.name) == before
    assert blank.disks.identify(blank.disk.path) is None


def on_ext4(disk: str) -> None:
    """Make another file system on it."""
    run("mkfs.ext4", "-q", disk)


def on_foreign(disk: str) -> None:
    """Make somebody else's pool on it, imported."""
    run("zpool", "create", "-o", "ashift=12", "-m", "none", "tank", disk)


def on_exported(disk: str) -> None:
    """Make somebody else's pool on it, exported."""
    on_foreign(disk)
    let_go("export", "tank")


def on_destroyed(disk: str) -> None:
    """Make somebody else's pool on it, destroyed, which `zpool import -D` can still bring back."""
    on_foreign(disk)
    let_go("destroy", "tank")


def on_both(disk: str) -> None:
    """Make a file system on it, and a pool of ours over that, as zfs-fuse does without asking."""
    on_ext4(disk)
    run("zpool", "create", "-o", "ashift=12", "-m", "none", OTHER, disk)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (on_ext4, "holds ext4, expected a pool or a blank disk"),
        (write_gpt, "holds gpt, expected a pool or a blank disk"),
        (on_foreign, r"holds another pool \(in use\)"),
        (on_exported, r"holds another pool \(exported\)"),
        (on_destroyed, r"holds another pool \(destroyed\)"),
        (on_both, "holds more than one file system"),
    ],
)
def test_what_others_have_on_a_disk_stays(blank: Ground, make: object, text: str) -> None:
    """A disk with anything on it but a pool of ours is refused, and not a byte of it changes."""
    assert callable(make)
    make(blank.disk.path)
    os.sync()
    before = Path(blank.disk.path).read_bytes()
    with pytest.raises(ForeignObject, match=text):
        blank.disks.identify(blank.disk.path)
    with pytest.raises(ForeignObject, match=text):
        blank.pools.create(blank.name, blank.disk)
    after = Path(blank.disk.path).read_bytes()
    assert after == before or make in (on_foreign, on_both), "a pool that is imported writes by itself"
    assert blank.name not in imported()


def test_another_pool_of_ours_is_told_by_name(blank: Ground) -> None:
    """A disk with another pool of ours is known for that, and not used for this one."""
    run("zpool", "create", "-o", "ashift=12", "-m", "none", OTHER, blank.disk.path)
    assert blank.disks.identify(blank.disk.path) == OTHER
    with pytest.raises(ForeignObject, match=f"holds {OTHER}, not {blank.name}"):
        blank.pools.create(blank.name, blank.disk)


def test_a_disk_that_zpool_finds_in_use_is_left(blank: Ground) -> None:
    """Should a disk be taken between the look and the create, zpool's own word is told."""
    found = replace(blank.pools, disks=_Blind(LocalHost(), blank.machine))
    on_foreign(blank.disk.path)
    with pytest.raises(ForeignObject, match="is part of active pool 'tank'; it was left as it is"):
        found.create(blank.name, blank.disk)


class _Blind(FileDisks):
    """Disks that are always thought to be blank."""

    def identify(self, path: str) -> PoolName | None:
        """See nothing, wherever it is asked to look."""
        assert path
        return None


def test_disks_are_those_of_the_document_that_are_there(blank: Ground) -> None:
    """A disk whose path is absent is not plugged in; a size is the file's."""
    away = replace(blank.disk, identity=DiskIdentity("v", "m", "away"), path="/nowhere", slot=1)
    disks = FileDisks(LocalHost(), Machine(disks=(away, blank.disk)))
    assert disks.list() == (blank.disk,)
    assert disks.find(away.identity) is None
    assert disks.find(blank.disk.identity) == blank.disk
    with pytest.raises(CommandFailed, match="plug the disk in"):
        disks.identify("/nowhere")


def test_a_pool_that_another_machine_has_in_use_stays(blank: Ground) -> None:
    """A label that says in use, by a machine of another name, is no pool that was cut off here."""
    blank.pools.create(blank.name, blank.disk)
    os.sync()
    copy = str(blank.folder / "copy.img")
    shutil.copyfile(blank.disk.path, copy)
    assert _elsewhere(blank, copy) == blank.name, "it is imported here, so it is in use by us"
    blank.pools.destroy(blank.name)
    assert blank.disks.identify(copy) == blank.name
    with pytest.raises(ForeignObject, match=f"which {os.uname().nodename} has in use"):
        _elsewhere(blank, copy)


def _elsewhere(on: Ground, path: str) -> PoolName | None:
    """Identify a disk on a machine that has another name, but the same ZFS."""
    found: list[PoolName | None] = []
    errors: list[Exception] = []

    def look() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(NEW_HOSTNAME) == 0
        assert libc.sethostname(b"elsewhere", 9) == 0
        try:
            found.append(on.disks.identify(path))
        except ForeignObject as error:
            errors.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    for error in errors:
        raise error
    return found[0]


def crash_in_create(on: Ground, delay_ms: int) -> None:
    """Kill the daemon so long after a create of the pool began, and start another."""
    command = create_pool(on.name, on.disk.path, saga=on.saga, zfs=on.abilities)
    maker = threading.Thread(target=LocalHost().run, args=(command,))
    maker.start()
    time.sleep(delay_ms / 1000)  # the moment of the crash, not a wait for anything
    on.daemon.room.daemon.kill()
    maker.join()
    on.daemon.restart()


@pytest.mark.parametrize("delay_ms", [5, 11, 17, 30])
def test_a_create_that_the_daemon_died_in_is_finished(blank: Ground, delay_ms: int) -> None:
    """Whatever a create had done when the daemon was killed, the next try ends with one pool of ours."""
    crash_in_create(blank, delay_ms)
    assert blank.disks.identify(blank.disk.path) in (None, blank.name)
    assert blank.pools.create(blank.name, blank.disk, was_blank=True)
    root = blank.datasets.observe(blank.name)
    assert root is not None
    assert (root.saga, root.mountpoint, root.is_mounted) == ("s1", blank.name.mountpoint, True)
    assert blank.pools.destroy(blank.name)


@pytest.mark.parametrize("delay_ms", [8, 14, 20])
def test_a_create_that_the_daemon_died_in_is_undone(blank: Ground, delay_ms: int) -> None:
    """Undo after such a crash leaves a blank disk, however far the create had come."""
    wanted = PoolWanted(name=blank.name, disk=blank.disk.identity)
    found = steps.find(sled=blank.sled, wanted=wanted)
    crash_in_create(blank, delay_ms)
    for _ in range(2):
        steps.undo_ensure(sled=blank.sled, wanted=wanted, disk=found)
        assert blank.name not in imported()
        assert blank.disks.identify(blank.disk.path) is None
    assert not Path(blank.name.mountpoint).exists()


def test_a_half_made_pool_is_only_taken_on_a_disk_that_was_blank(blank: Ground) -> None:
    """A pool without a tag is somebody's, unless the disk was blank before and the pool is empty."""
    run("zpool", "create", "-o", "ashift=12", blank.name, blank.disk.path)
    assert not blank.pools.create(blank.name, blank.disk)
    run("zfs", "create", f"{blank.name}/theirs")
    assert not blank.pools.create(blank.name, blank.disk, was_blank=True)
    blank.datasets.mounts.patiently(changes("zfs", "destroy", f"{blank.name}/theirs"), ())
    assert blank.pools.create(blank.name, blank.disk, was_blank=True)


def test_virtual_hardware_comes_and_goes(blank: Ground) -> None:
    """A folder becomes a sled with prepared M.2s; again changes nothing; what others put there stays."""
    host, folder = LocalHost(), blank.folder / "sled"
    named = DiskIdentity("1b96", "WUS4C6432DSP3X3", "A079E3F1")
    machine = make_virtual(folder, u2=2, size_bytes=LEAST_BYTES, plain=True, disks=[named])
    assert machine.disks[0].identity == named
    assert [disk.variant for disk in machine.disks] == ["U.2", "U.2", "M.2", "M.2"]
    with pytest.raises(UsageError, match="is not an empty folder"):
        make_virtual(folder, u2=1, size_bytes=LEAST_BYTES, plain=True)
    pools = prepare_m2(host, machine, folder=folder)
    secret = host.read_file(SECRET_FILE)
    assert imported() == set(pools)
    history = run("zpool", "history")
    assert prepare_m2(host, machine, folder=folder) == pools
    assert (run("zpool", "history"), host.read_file(SECRET_FILE)) == (history, secret)
    assert Path(pools[0].mountpoint, "config").is_mount()
    blank.daemon.restart()
    assert prepare_m2(host, machine, folder=folder) == pools
    assert Path(pools[0].mountpoint, "config").is_mount()
    (folder / "mine").touch()
    blank.pools.create(blank.name, blank.disk)
    assert remove_virtual(host, folder) == ("mine",)
    assert imported() == {blank.name}
    assert list(folder.iterdir()) == [folder / "mine"]
    assert host.read_file(SECRET_FILE) is None
    assert not Path(pools[0].mountpoint).exists()
    (folder / "mine").unlink()
    assert remove_virtual(host, folder) == ()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"u2": 1, "size_bytes": MIB}, "too small for ZFS"),
        ({"u2": 18, "size_bytes": LEAST_BYTES}, "up to 17 U.2s"),
        ({"u2": 0, "size_bytes": LEAST_BYTES, "disks": [DiskIdentity("v", "m", "s")]}, "1 of them named"),
    ],
)
def test_hardware_that_cannot_be_is_refused(tmp_path: Path, facts: dict, text: str) -> None:
    """What no sled can have is refused before a folder is made."""
    with pytest.raises(UsageError, match=text):
        make_virtual(tmp_path / "sled", plain=True, **facts)
    assert not (tmp_path / "sled").exists()


def test_disks_that_cannot_be_made_leave_nothing(tmp_path: Path) -> None:
    """When the file system takes no disk of that size, nothing stays, and smaller ones can be made."""
    with pytest.raises(HostError, match=r"cannot hold a disk of \d+ bytes: .*; ask for smaller ones"):
        make_virtual(tmp_path, u2=1, size_bytes=2**63, plain=True)
    assert list(tmp_path.iterdir()) == []
    assert make_virtual(tmp_path, u2=1, size_bytes=LEAST_BYTES, plain=True).disks
