"""Encryption for real: keys on tmpfs while in use, loaded by their epochs, refused when they do not fit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sagas.steps import datasets, encryption, pools
from sagas.steps.pools import PoolWanted
from sledsaga.errors import CommandFailed, ForeignObject, HostError, NotFound
from sledsaga.hosts.host import Completed, HostCommand
from sledsaga.hosts.keys import KEY_DIR
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.zfs import encryption as texts
from tests.vm.inside.ground import POOL, Ground, key_files, lock, secret_of, sh, value, why

CRYPT = f"{POOL}/crypt"
DATA = Path(POOL.mountpoint, "crypt/debug/data")


@pytest.fixture
def crypt(ground: Ground) -> Ground:
    """Give a ground with a disk that was made ready when epoch 0 was the latest, with data on it."""
    ground.formatted()
    DATA.write_text("secret")
    return ground


def ask(*argv: str) -> Completed:
    return LocalHost().run(HostCommand(argv, mutates=True))


def test_a_disk_is_encrypted_by_its_own_key(crypt: Ground) -> None:
    """The root is encrypted by the raw key of the disk and its epoch; children share it; no key is left."""
    assert (value(CRYPT, "encryption"), value(CRYPT, "keyformat")) == ("aes-256-gcm", "raw")
    assert (value(CRYPT, "oxide:epoch"), value(f"{CRYPT}/debug", "encryptionroot")) == ("0", CRYPT)
    assert (value(CRYPT, "keystatus"), key_files()) == ("available", [])
    with crypt.sled().keys.file(crypt.disks[0].identity, epoch=0):
        assert crypt.sled().datasets.fits_key(CRYPT)
    with crypt.sled().keys.file(crypt.disks[1].identity, epoch=0) as other:
        assert ask("zfs", "load-key", "-n", "-L", f"file://{other}", CRYPT).code == 255


@pytest.mark.parametrize("fails", [False, True])
def test_a_key_file_is_volatile_private_and_zeroed(ground: Ground, *, fails: bool) -> None:
    """The file is on tmpfs, for root only, and its bytes are zeros before it goes, also after a failure."""
    keys, disk = ground.sled().keys, ground.disks[0].identity
    try:
        with keys.file(disk, epoch=0) as path:
            assert sh("stat", "-f", "-c", "%T", KEY_DIR).strip() == "tmpfs"
            assert (Path(path).stat().st_mode & 0o777, Path(KEY_DIR).stat().st_mode & 0o777) == (0o600, 0o700)
            held = os.open(path, os.O_RDONLY)
            assert os.pread(held, 64, 0) == keys.key(disk, epoch=0)
            if fails:
                ground.sled().datasets.change_key(CRYPT, epoch=0)
    except CommandFailed:
        assert fails
    assert (os.pread(held, 64, 0), os.fstat(held).st_nlink) == (bytes(32), 0)
    os.close(held)
    assert key_files() == []


def test_a_key_file_is_erased_when_zfs_refuses(ground: Ground) -> None:
    """A create that ZFS refuses leaves no key, no root and no mountpoint."""
    ground.sled().pools.create(POOL, ground.disks[0])
    sh("zfs", "create", "-o", "canmount=off", CRYPT)
    view = ground.run("format-u2", ground.params())
    assert view.state == "undone"
    assert "encrypted is" in why(view)
    assert key_files() == []


def test_a_killed_run_leaves_a_key_only_until_the_next(ground: Ground) -> None:
    """Killed while the key is in its file, that is there; carried on, the disk is ready and it is gone."""
    log, saga = "sqlite:////logs/log.db", "0197a000-0000-7000-8000-000000000001"
    Path("/logs").mkdir()
    act = lambda: ground.run("format-u2", ground.params(), log=log, saga=saga)  # noqa: E731 - an act for a child
    assert ground.killed("before-command:crypt:4", act)
    assert [name.endswith("-zfs-aes-256-gcm.key") for name in key_files()] == [True]
    view = ground.run("format-u2", ground.params(), log=log, saga=saga)
    assert (view.state, key_files()) == ("succeeded", []), why(view)
    assert value(CRYPT, "keystatus") == "available"


def test_a_reboot_locks_and_the_recorded_epoch_opens(crypt: Ground) -> None:
    """Imported anew nothing is open; the key of the recorded epoch opens it, and the data is back."""
    crypt.give_secrets(0, 1, 2)
    lock()
    assert (value(CRYPT, "keystatus"), value(CRYPT, "mounted"), DATA.exists()) == ("unavailable", "no", False)
    crypt.formatted()
    assert (DATA.read_text(), value(CRYPT, "oxide:epoch"), key_files()) == ("secret", "0", [])


def adopt(ground: Ground) -> None:
    """Have the key loaded by the step that does it, told here what it asks for."""
    wanted = PoolWanted(name=POOL, disk=ground.disks[0].identity)
    ground.spy.asked.clear()
    disk = pools.find(sled=ground.sled(), wanted=wanted)
    before = datasets.look(sled=ground.sled(), names=[CRYPT])
    encryption.ensure(sled=ground.sled(), wanted=wanted, disk=disk, before=before)


def test_without_a_record_epochs_are_tried_from_the_latest(crypt: Ground) -> None:
    """The keys of all secrets that are there are tried, the latest first; what fits is recorded."""
    crypt.give_secrets(0, 2, 5)
    sh("zfs", "inherit", "oxide:epoch", CRYPT)
    lock()
    adopt(crypt)
    assert len(crypt.spy.said("zfs", "load-key")) == 3
    crypt.formatted()
    assert (value(CRYPT, "oxide:epoch"), DATA.read_text(), key_files()) == ("0", "secret", [])


def test_a_key_that_does_not_fit_opens_nothing(crypt: Ground) -> None:
    """A changed secret gives a key that ZFS refuses: the disk stays locked, and no key is left."""
    crypt.give_secrets(0, epoch0=secret_of(7))
    lock()
    with pytest.raises(HostError, match=r"no key fits .* \(epochs tried: \[0\], the one recorded\)"):
        adopt(crypt)
    assert (value(CRYPT, "keystatus"), key_files()) == ("unavailable", [])


def test_a_secret_that_is_missing_is_named(crypt: Ground) -> None:
    """Without the secret of the recorded epoch nothing is tried; it is said which secrets there are."""
    crypt.give_secrets(3)
    lock()
    with pytest.raises(NotFound, match=r"no secret of epoch 0; known epochs: \[3\]"):
        adopt(crypt)
    assert (crypt.spy.said("zfs", "load-key"), key_files()) == ([], [])


def test_what_load_key_refuses_has_its_own_code(crypt: Ground) -> None:
    """Loaded already, wrong key and no key file end with 255 and the texts that the driver knows."""
    disk = crypt.disks[0].identity
    with crypt.sled().keys.file(disk, epoch=0):
        loaded = ask("zfs", "load-key", CRYPT)
    assert (loaded.code, any(text in loaded.stderr for text in texts.KEY_LOADED)) == (255, True)
    lock()
    crypt.give_secrets(0, 1)
    with crypt.sled().keys.file(disk, epoch=1):
        wrong = ask("zfs", "load-key", CRYPT)
        assert crypt.sled().datasets.load_key(CRYPT) is False
        assert crypt.sled().datasets.fits_key(CRYPT) is False
    assert (wrong.code, any(text in wrong.stderr for text in texts.WRONG_KEY)) == (255, True)
    missing = ask("zfs", "load-key", CRYPT)
    assert (missing.code, "Failed to open key material file" in missing.stderr) == (255, True)
    with pytest.raises(CommandFailed, match="Failed to open key material file"):
        crypt.sled().datasets.load_key(CRYPT)


def test_a_key_in_use_is_not_unloaded(crypt: Ground) -> None:
    """What is mounted keeps its key, with 255 and `busy`; unmounted it goes, and once more is fine."""
    busy = ask("zfs", "unload-key", CRYPT)
    assert (busy.code, "busy" in busy.stderr) == (255, True)
    with pytest.raises(CommandFailed, match="busy"):
        crypt.sled().datasets.unload_key(CRYPT)
    for name in (f"{CRYPT}/debug", f"{CRYPT}/zone", CRYPT):
        assert crypt.sled().datasets.unmount(name)
    crypt.sled().datasets.unload_key(CRYPT)
    crypt.sled().datasets.unload_key(CRYPT)
    again = ask("zfs", "unload-key", CRYPT)
    assert (again.code, any(text in again.stderr for text in texts.KEY_UNLOADED)) == (255, True)


def test_data_on_the_disk_cannot_be_read_without_the_key(crypt: Ground) -> None:
    """What was written to an encrypted dataset is not on the disk in clear; what was written beside it is."""
    DATA.write_text("a text that is nowhere else: ciphertext")
    Path(POOL.mountpoint, "plain").mkdir(parents=True)
    sh("zfs", "create", "-o", "compression=off", f"{POOL}/plain")
    Path(POOL.mountpoint, "plain", "data").write_text("a text that is nowhere else: plaintext")
    sh("zpool", "sync", POOL)
    device = crypt.disks[0].path
    found = [
        subprocess.run(
            ("grep", "-c", "-a", f"nowhere else: {word}", device), check=False, stdout=-3
        ).returncode
        for word in ("plaintext", "ciphertext")
    ]
    assert found == [0, 1]


def test_what_is_locked_is_looked_into(crypt: Ground) -> None:
    """Undo loads the key, from no file: what holds a file is kept, what holds none goes, up to the pool."""
    sled, debug = crypt.sled(value(CRYPT, "sledsaga:saga")), f"{CRYPT}/debug"
    lock()
    with pytest.raises(ForeignObject, match=r"debug holds files \(data\)"):
        sled.datasets.destroy(debug)
    assert (value(debug, "mounted"), value(CRYPT, "mounted")) == ("no", "yes")
    sled.datasets.mount(debug)
    assert DATA.read_text() == "secret"
    DATA.unlink()
    lock()
    for name in ("debug", "zone"):
        assert sled.datasets.destroy(f"{CRYPT}/{name}", mountpoint=f"{POOL.mountpoint}/crypt/{name}")
    lock()
    assert sled.datasets.destroy(CRYPT, mountpoint=f"{POOL.mountpoint}/crypt")
    assert sled.pools.destroy(POOL)
    given = ("zfs", "load-key", "-L", "prompt", CRYPT)
    assert [each for each in crypt.spy.said("zfs", "load-key") if len(each) > 3] == [given] * 3
    assert key_files() == []


def test_what_stays_locked_is_kept(crypt: Ground) -> None:
    """With another secret, or none, the undo refuses and says what to do; nothing is destroyed."""
    sled = crypt.sled(value(CRYPT, "sledsaga:saga"))
    for secrets, reason in (
        ({"epoch0": secret_of(7)}, "no key fits it"),
        ({}, "there is no secret of epoch 0"),
    ):
        crypt.give_secrets(*((0,) if secrets else (3,)), **secrets)
        lock()
        with pytest.raises(ForeignObject, match=rf"is locked, .*{reason}.*: load the key of {CRYPT}"):
            sled.datasets.destroy(f"{CRYPT}/debug")
    assert (value(f"{CRYPT}/debug", "keystatus"), key_files()) == ("unavailable", [])
