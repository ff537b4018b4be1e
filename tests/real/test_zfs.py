"""Datasets on real ZFS: made once, known for whose they are, healed after a crash, never taken away."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from sagas.steps.nodes import _delegable
from sledsaga.check.room import Room
from sledsaga.errors import CommandFailed, ForeignObject, HostError, HostUnreachable, SledsagaError, Transient
from sledsaga.hosts.host import Completed, HostCommand
from sledsaga.hosts.linux.abilities import find_abilities
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.names import Compression, DatasetKind, DatasetName
from sledsaga.hosts.zfs.spec import DatasetSpec, Encryption
from tests.real.conftest import run
from tests.real.zfs_ground import MIB, Daemon, Ground, ground

ID = UUID("10fec275-f937-40f7-9c25-616079ef3816")


@pytest.fixture(scope="module")
def daemon(room: Room) -> Daemon:
    """Return the daemon of this module's room."""
    return Daemon(room)


@pytest.fixture
def pool(daemon: Daemon, tmp_path: Path) -> Iterator[Ground]:
    """Have a pool of our own on a file."""
    with ground(daemon, tmp_path) as made:
        yield made


def plain(on: Ground, name: str = "plain", **facts: object) -> DatasetSpec:
    """Describe a dataset that needs no encryption."""
    return DatasetSpec(f"{on.name}/{name}", f"{on.name.mountpoint}/{name}", ID, **facts)  # type: ignore[arg-type] # whatever a test wants


def crypt(on: Ground) -> DatasetSpec:
    """Describe the encryption root of the pool."""
    key = Encryption("/nowhere/key", 1)
    return DatasetSpec(f"{on.name}/crypt", f"{on.name.mountpoint}/crypt", encryption=key)


def for_zone(on: Ground) -> DatasetName:
    """Have a dataset for a zone; return its name."""
    name = DatasetName.of(on.name, DatasetKind("cockroachdb"))
    on.datasets.ensure(crypt(on))
    on.datasets.ensure(DatasetSpec.of(name, ID))
    return name


def got(name: str, *keys: str) -> list[str]:
    """Return properties as the tool prints them."""
    return run("zfs", "get", "-Hp", "-o", "value", ",".join(keys), name).split()


@contextmanager
def held(path: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have a process stand in a folder."""
    with subprocess.Popen(("sleep", "60"), cwd=path) as process:
        try:
            yield process
        finally:
            process.kill()


def test_what_this_zfs_can_do_is_found(pool: Ground) -> None:
    """The probe of zfs-fuse: no encryption, no features, one property a command, no lz4."""
    found = find_abilities(LocalHost(), Machine())
    assert found.name.startswith("zfs-fuse (pool version 23)")
    lacks = (found.has_encryption, found.has_features, found.has_exact_sizes, found.has_bare_import)
    assert (*lacks, found.sets_many, found.sets_epoch_with_key, found.is_plain_allowed) == (False,) * 7
    assert {"on", "off", "lzjb", "zle", "gzip", "gzip-9"} <= set(found.compressions)
    assert "lz4" not in found.compressions
    assert found == replace(pool.abilities, is_plain_allowed=False)


def test_a_dataset_is_made_once_and_undone(pool: Ground) -> None:
    """One command makes it whole; again nothing is run; undo leaves neither dataset nor folder."""
    spec = plain(pool, quota=20 * MIB, reservation=MIB, compression=Compression("gzip-9"))
    first = pool.datasets.ensure(spec)
    history = run("zpool", "history", pool.name)
    assert history.count("zfs create") == 1
    assert pool.datasets.ensure(spec) == first
    assert run("zpool", "history", pool.name) == history
    seen = pool.datasets.observe(spec.name)
    assert seen is not None
    assert (seen.id, seen.saga, seen.quota, seen.reservation) == (ID, "s1", 20 * MIB, MIB)
    assert (seen.compression, seen.is_mounted, seen.is_encrypted) == ("gzip-9", True, False)
    assert pool.datasets.destroy(spec.name, mountpoint=spec.mountpoint)
    assert not pool.datasets.destroy(spec.name, mountpoint=spec.mountpoint)
    assert not Path(spec.mountpoint).exists()


def test_several_settings_are_set_and_put_back(pool: Ground) -> None:
    """Where `zfs set` takes one property, each gets a command of its own, and all can be put back."""
    spec = plain(pool, quota=20 * MIB)
    pool.datasets.ensure(spec)
    other = pool.other("s2").datasets
    ensured = other.ensure(replace(spec, quota=30 * MIB, reservation=MIB, compression=Compression("zle")))
    assert got(spec.name, "quota", "reservation", "compression") == [str(30 * MIB), str(MIB), "zle"]
    other.restore(spec.name, ensured.changed)
    assert got(spec.name, "quota", "reservation", "compression") == [str(20 * MIB), "0", "off"]


@pytest.mark.parametrize(("before", "after"), [(20, 40), (40, 20)])
def test_a_quota_and_a_reservation_move_together(pool: Ground, before: int, after: int) -> None:
    """Both are raised, or lowered below what the other was, and put back, by a command for each."""

    def sized(mib: int) -> DatasetSpec:
        return replace(plain(pool), quota=mib * MIB, reservation=(mib - 4) * MIB)

    pool.datasets.ensure(sized(before))
    done = pool.datasets.ensure(sized(after))
    assert got(sized(after).name, "quota", "reservation") == [str(after * MIB), str((after - 4) * MIB)]
    pool.datasets.restore(done.name, done.changed)
    assert got(sized(after).name, "quota", "reservation") == [str(before * MIB), str((before - 4) * MIB)]


def test_a_dataset_of_another_id_is_left(pool: Ground) -> None:
    """A dataset that has another uuid is refused and stays as it is."""
    spec = plain(pool)
    pool.datasets.ensure(spec)
    before = run("zpool", "history", pool.name)
    with pytest.raises(ForeignObject, match="oxide:uuid is"):
        pool.datasets.ensure(replace(spec, id=UUID(int=1), quota=20 * MIB))
    assert run("zpool", "history", pool.name) == before


def test_data_is_kept_under_undo(pool: Ground) -> None:
    """A dataset that holds a file, a snapshot or a child is not destroyed."""
    spec = plain(pool)
    pool.datasets.ensure(spec)
    file = Path(spec.mountpoint, "file")
    file.write_text("data")
    with pytest.raises(ForeignObject, match=r"holds files \(file\)"):
        pool.datasets.destroy(spec.name)
    assert file.read_text() == "data"
    run("zfs", "snapshot", f"{spec.name}@before")
    with pytest.raises(ForeignObject, match="has 1 below it"):
        pool.datasets.destroy(spec.name)


@pytest.mark.parametrize("is_alone", [True, False])
def test_what_is_not_mounted_is_looked_into(pool: Ground, tmp_path: Path, *, is_alone: bool) -> None:
    """A file keeps a dataset that is not mounted, nor those above it; folders do not, but links do."""
    inner = plain(pool, "plain/inner")
    for spec in (plain(pool), inner):
        pool.datasets.ensure(spec)

    def closed() -> None:
        for name in (inner.name, *(() if is_alone else (plain(pool).name, pool.name))):
            run("zfs", "unmount", name)

    left = Path(inner.mountpoint, "folder", "left")
    left.parent.mkdir()
    for is_link in (False, True):
        if is_link:
            left.symlink_to(tmp_path)
        else:
            left.touch()
        closed()
        with pytest.raises(ForeignObject, match=r"inner holds files \(folder/left\)"):
            pool.datasets.destroy(inner.name)
        assert got(inner.name, "mounted") == ["no"]
        pool.datasets.mount(inner.name)
        left.unlink()
    closed()
    assert pool.datasets.destroy(inner.name, mountpoint=inner.mountpoint)
    assert pool.datasets.destroy(plain(pool).name, mountpoint=plain(pool).mountpoint)
    assert pool.pools.destroy(pool.name)


def test_a_quota_below_what_is_used_is_refused(pool: Ground) -> None:
    """A quota that the data exceeds is refused by ZFS, and the old one stays."""
    spec = plain(pool, quota=50 * MIB)
    pool.datasets.ensure(spec)
    Path(spec.mountpoint, "file").write_bytes(bytes(range(256)) * 4096 * 8)
    run("sync", "-f", spec.mountpoint)
    with pytest.raises(CommandFailed, match="size is less than current used or reserved space"):
        pool.datasets.ensure(replace(spec, quota=100_000))
    assert got(spec.name, "quota") == [str(50 * MIB)]


@pytest.mark.parametrize("is_immutable", [False, True])
def test_what_lies_under_a_mountpoint_is_kept_aside(
    pool: Ground, tmp_path: Path, *, is_immutable: bool
) -> None:
    """A folder with files in it, immutable or not, is emptied into a sibling; the files are kept."""
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "mine").write_text("kept")
    if is_immutable:
        run("chattr", "+i", str(folder))
    spec = DatasetSpec(f"{pool.name}/elsewhere", str(folder), ID)
    pool.datasets.ensure(spec)
    assert got(spec.name, "mounted") == ["yes"]
    assert (tmp_path / "old-under-mountpoint-elsewhere-s1" / "mine").read_text() == "kept"
    assert pool.datasets.destroy(spec.name, mountpoint=spec.mountpoint)
    assert not folder.exists()


def test_where_another_dataset_is_mounted_none_is_made(pool: Ground) -> None:
    """A mountpoint that another dataset uses is refused before anything is made."""
    pool.datasets.ensure(plain(pool))
    with pytest.raises(ForeignObject, match="is mounted at"):
        pool.datasets.ensure(DatasetSpec(f"{pool.name}/b", f"{pool.name.mountpoint}/plain"))
    assert pool.datasets.observe(f"{pool.name}/b") is None


class Meddler(LocalHost):
    """A machine on which somebody puts a file where a dataset is about to be mounted."""

    def __init__(self, place: str) -> None:
        """Take the folder in which the file is put, at the last moment."""
        super().__init__()
        self.place = place

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        """Run for real, after meddling when a dataset is made."""
        if command.argv[:2] == ("zfs", "create"):
            LocalHost().run(HostCommand(("chattr", "-i", self.place), mutates=True))
            Path(self.place, "meddled").touch()
        return super().run(command, cancel=cancel)


def test_created_but_not_mounted_is_finished(pool: Ground, tmp_path: Path) -> None:
    """When `zfs create` says no, yet made the dataset, it is known for ours, and mounted."""
    spec = DatasetSpec(f"{pool.name}/elsewhere", str(tmp_path / "place"), ID)
    assert replace(pool.datasets, host=Meddler(spec.mountpoint)).ensure(spec).is_ours
    assert run("zpool", "history", pool.name).count("zfs create") == 1
    assert got(spec.name, "mounted", "sledsaga:saga") == ["yes", "s1"]
    assert (tmp_path / "old-under-mountpoint-elsewhere-s1" / "meddled").exists()


def test_what_cannot_be_compressed_is_refused_first(pool: Ground) -> None:
    """A compression that this ZFS does not know is refused with those that it knows, before any command."""
    with pytest.raises(HostError, match=r"cannot compress .* by lz4; it knows off, on, gzip"):
        pool.datasets.ensure(plain(pool, compression=Compression("lz4")))
    assert pool.datasets.observe(f"{pool.name}/plain") is None


def test_encryption_is_never_left_out_in_silence(pool: Ground) -> None:
    """A crypt that cannot be encrypted is refused with the way out; where that may be, it says so itself."""
    strict = replace(pool.datasets, abilities=replace(pool.abilities, is_plain_allowed=False))
    with pytest.raises(HostError, match=r'must be encrypted, and zfs-fuse .* "plain": true'):
        strict.ensure(crypt(pool))
    assert pool.datasets.observe(f"{pool.name}/crypt") is None
    pool.datasets.ensure(crypt(pool))
    assert got(f"{pool.name}/crypt", "sledsaga:plain", "sledsaga:saga") == ["yes", "s1"]
    debug = DatasetSpec.of(DatasetName.of(pool.name, DatasetKind("debug")), ID)
    pool.datasets.ensure(debug)
    seen = pool.datasets.observe(debug.name)
    assert seen is not None
    assert (seen.is_plain, seen.is_encrypted, seen.is_open) == (True, False, True)
    with pytest.raises(HostError, match="must be encrypted"):
        strict.ensure(debug)


def test_a_dataset_that_does_not_say_that_it_is_plain_is_not_taken(pool: Ground) -> None:
    """Whoever made a crypt without encryption and without saying so did not make ours."""
    run("zfs", "create", "-o", f"mountpoint={pool.name.mountpoint}/crypt", f"{pool.name}/crypt")
    with pytest.raises(ForeignObject, match="sledsaga:plain is False, expected True"):
        pool.datasets.ensure(crypt(pool))


def test_a_dataset_for_a_zone_is_bound(pool: Ground) -> None:
    """It says that it is a zone's, is mounted only for it, and does not count as mounted here."""
    name = for_zone(pool)
    place = f"{pool.name.mountpoint}/crypt/cockroachdb"
    assert got(name, "sledsaga:zoned", "canmount", "mountpoint", "mounted") == ["on", "noauto", place, "no"]
    assert not Path(place).exists()
    for _ in range(2):
        assert pool.datasets.mount_for_zone(name) == place
        assert got(name, "mounted") == ["yes"]
        seen = pool.datasets.observe(name)
        assert seen is not None
        assert (seen.is_zoned, seen.is_bound, seen.is_mounted) == (True, True, False)
        pool.datasets.ensure(DatasetSpec.of(name, ID))
        assert _delegable(sled=pool.sled, name=name) == name
    for _ in range(2):
        pool.datasets.unmount_from_zone(name)
        assert got(name, "mounted") == ["no"]
        assert not Path(place).exists()
    with pytest.raises(ForeignObject, match="not mounted outside for a zone"):
        pool.datasets.mount_for_zone(f"{pool.name}/crypt")


def test_undo_of_a_zones_dataset_looks_into_it(pool: Ground) -> None:
    """One file of a byte keeps it, unmounted as it was; ten MiB that were deleted do not."""
    name = for_zone(pool)
    file = Path(pool.datasets.mount_for_zone(name), "data")
    file.write_bytes(b"x")
    pool.datasets.unmount_from_zone(name)
    with pytest.raises(ForeignObject, match=r"holds files \(data\)"):
        pool.datasets.destroy(name)
    assert got(name, "mounted") == ["no"]
    pool.datasets.mount_for_zone(name)
    file.write_bytes(bytes(range(256)) * 4096 * 10)
    run("sync", "-f", str(file.parent))
    file.unlink()
    assert pool.datasets.destroy(name)
    assert pool.datasets.destroy(f"{pool.name}/crypt", mountpoint=f"{pool.name.mountpoint}/crypt")


def test_dead_mounts_are_seen_and_healed(pool: Ground) -> None:
    """After kill -9 of the daemon a mount says that it is there; it is made again, and has its data."""
    name = for_zone(pool)
    debug = DatasetSpec.of(DatasetName.of(pool.name, DatasetKind("debug")), ID)
    pool.datasets.ensure(debug)
    file = Path(pool.datasets.mount_for_zone(name), "data")
    with file.open("w") as stream:
        stream.write("acked")
        stream.flush()
        os.fsync(stream.fileno())
    pool.daemon.restart()
    assert got(name, "mounted") == ["yes"]
    seen = pool.datasets.observe_all([name, debug.name])
    assert [(one.is_dead, one.is_mounted, one.is_bound) for one in seen.values()] == [
        (True, False, False)
    ] * 2
    assert pool.datasets.mount_for_zone(name) == str(file.parent)
    assert file.read_text() == "acked"
    pool.datasets.ensure(debug)
    assert got(debug.name, "mounted") == ["yes"]
    assert got(pool.name, "mounted") == ["yes"]
    assert pool.datasets.destroy(debug.name, mountpoint=debug.mountpoint)


def test_a_daemon_that_hangs_is_told_in_time(pool: Ground) -> None:
    """A look that its daemon does not answer is given up when its time is over, and made when it does."""
    spec = plain(pool)
    pool.datasets.ensure(spec)
    LocalHost().write_file(f"{spec.mountpoint}/file", b"data")
    stopped = pool.daemon.room.daemon.pid
    os.kill(stopped, signal.SIGSTOP)
    try:
        with pytest.raises(HostUnreachable, match=r"had no answer within 0.25 s: .* hangs, then retry"):
            LocalHost().list_dir(spec.mountpoint, timeout_s=0.25)
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert LocalHost().list_dir(spec.mountpoint, timeout_s=60.0) == ("file",)
    assert LocalHost().read_file(f"{spec.mountpoint}/file", timeout_s=60.0) == b"data"
    assert LocalHost().stat(f"{spec.mountpoint}/none", timeout_s=60.0) is None
    LocalHost().remove_file(f"{spec.mountpoint}/file")


def test_a_dead_mount_is_looked_into(pool: Ground) -> None:
    """What was written before the daemon died keeps its dataset, which is not mounted afterwards."""
    pool.datasets.ensure(plain(pool))
    file = Path(plain(pool).mountpoint, "file")
    with file.open("w") as stream:
        os.fsync(stream.fileno())
    pool.daemon.restart()
    with pytest.raises(ForeignObject, match=r"holds files \(file\)"):
        pool.datasets.destroy(plain(pool).name)
    assert got(plain(pool).name, "mounted") == ["no"]
    pool.datasets.mount(plain(pool).name)
    file.unlink()
    assert pool.datasets.destroy(plain(pool).name)


def test_a_dead_mount_can_be_unmounted(pool: Ground) -> None:
    """Undo after a crash of the daemon needs no healing first."""
    name = for_zone(pool)
    pool.datasets.mount_for_zone(name)
    pool.daemon.restart()
    pool.datasets.unmount_from_zone(name)
    assert got(name, "mounted") == ["no"]
    assert pool.datasets.destroy(name)


def test_a_dataset_in_use_names_who_uses_it(pool: Ground) -> None:
    """What a process stands in is not unmounted, and nothing is forced; the process is named."""
    spec = plain(pool)
    pool.datasets.ensure(spec)
    with held(spec.mountpoint) as process:
        with pytest.raises(Transient, match=rf"is in use by sleep \(pid {process.pid}\)"):
            pool.datasets.destroy(spec.name)
        assert got(spec.name, "mounted") == ["yes"]
    assert pool.datasets.destroy(spec.name, mountpoint=spec.mountpoint)


def test_busy_after_use_is_waited_out(pool: Ground) -> None:
    """Destroying a dataset right after its files were used succeeds each time."""
    for number in range(5):
        spec = plain(pool, f"n{number}")
        pool.datasets.ensure(spec)
        Path(spec.mountpoint, "file").write_bytes(bytes(100_000))
        Path(spec.mountpoint, "file").unlink()
        assert pool.datasets.destroy(spec.name, mountpoint=spec.mountpoint)


def test_a_half_made_dataset_is_only_taken_where_nothing_was(pool: Ground) -> None:
    """One without any property of its own is made anew when nothing was there before; else it is refused."""
    spec = plain(pool)
    run("zfs", "create", spec.name)
    with pytest.raises(ForeignObject, match="oxide:uuid is not set"):
        pool.datasets.ensure(spec)
    file = Path(spec.mountpoint, "file")
    file.touch()
    with pytest.raises(ForeignObject, match="oxide:uuid is not set"):
        pool.datasets.ensure(spec, was_absent=True)
    file.unlink()
    run("zfs", "set", "atime=off", spec.name)
    with pytest.raises(ForeignObject, match="oxide:uuid is not set"):
        pool.datasets.ensure(spec, was_absent=True)
    run("zfs", "inherit", "atime", spec.name)
    assert pool.datasets.ensure(spec, was_absent=True).is_ours


def test_a_daemon_that_died_is_unreachable(pool: Ground) -> None:
    """Without its daemon ZFS is not asked in vain: nothing is taken for absent, and the reason is told."""
    pool.daemon.room.daemon.kill()
    pool.daemon.room.daemon.wait()
    try:
        with pytest.raises(HostUnreachable, match="zfs-fuse daemon went away or does not run"):
            pool.datasets.observe(pool.name)
        with pytest.raises(HostError, match=r"ZFS does not answer; it said: .*zfs-fuse daemon"):
            find_abilities(LocalHost(), Machine())
    finally:
        pool.daemon.restart()


@pytest.mark.parametrize("delay_s", [0.004, 0.012, 0.02])
def test_a_create_that_the_daemon_died_in_is_repeated(pool: Ground, delay_s: float) -> None:
    """Whatever a create had done when the daemon was killed, the next try ends with one dataset of ours."""
    specs = [plain(pool, f"n{number}") for number in range(6)]
    acked: list[str] = []

    def make() -> None:
        try:
            for spec in specs:
                pool.datasets.ensure(spec)
                acked.append(spec.name)
        except SledsagaError as error:
            told.append(error)

    told: list[SledsagaError] = []
    maker = threading.Thread(target=make)
    maker.start()
    time.sleep(5 * delay_s)  # the moment of the crash, not a wait for anything
    pool.daemon.room.daemon.kill()
    maker.join()
    pool.daemon.restart()
    assert set(acked) <= set(pool.datasets.observe_all(acked))
    assert all(isinstance(error, HostUnreachable | CommandFailed | HostError) for error in told)
    for spec in specs:
        assert pool.datasets.ensure(spec, was_absent=True).is_ours
    found = pool.datasets.observe_all([spec.name for spec in specs])
    assert [one.is_mounted for one in found.values()] == [True] * len(specs)
