"""`rotate-keys` on OpenZFS, where key and record take a command each: killed anywhere, no data is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.vm.inside.ground import INTERNAL, OTHER, POOL, Ground, key_files, lock, sh, value, why

SAGA = "0197a000-0000-7000-8000-0000000000{:02}"
CRYPT = f"{POOL}/crypt"
LOGS = Path(INTERNAL.mountpoint, "logs")
LOG = f"sqlite:///{LOGS}/log.db"
"""The log is on a dataset of this ZFS."""
CHANGES = 6
"""What the step changes: the key's folder and file, the old record, the key, the new record, the file."""


@pytest.fixture
def disks(ground: Ground) -> Ground:
    """Give a ground with two disks made ready, data on them, and two more epochs than they know of."""
    ground.formatted(0, 1)
    for pool in (POOL, OTHER):
        Path(pool.mountpoint, "crypt/debug/data").write_text(f"data of {pool}")
    ground.give_secrets(0, 1, 2)
    return ground


@pytest.fixture
def logged(ground: Ground) -> Ground:
    """Give a ground with one disk made ready, and the log on a pool of the internal one."""
    ground.formatted(0)
    Path(POOL.mountpoint, "crypt/debug/data").write_text(f"data of {POOL}")
    ground.give_secrets(0, 1)
    ground.sled().pools.create(INTERNAL, ground.disks[2])
    sh("zfs", "create", "-o", f"mountpoint={LOGS}", f"{INTERNAL}/logs")
    return ground


def fitting(ground: Ground, pool: str = POOL) -> list[int]:
    """Return the epochs whose key opens a pool."""
    sled, found = ground.sled(), []
    disk = ground.disks[0 if pool == POOL else 1].identity
    for epoch in sled.keys.epochs():
        with sled.keys.file(disk, epoch=epoch):
            found += [epoch] if sled.datasets.fits_key(f"{pool}/crypt") else []
    return found


def reopened(ground: Ground, number: int = 0) -> str:
    """Return the data of a pool after it was locked as by a reboot, and opened by `format-u2`."""
    pool = (POOL, OTHER)[number]
    lock(pool)
    ground.formatted(number)
    return Path(pool.mountpoint, "crypt/debug/data").read_text()


def rotate(ground: Ground, **more: Any) -> Any:
    return ground.run("rotate-keys", {"pools": [POOL, OTHER], **more})


def test_keys_are_changed_under_mounted_data(disks: Ground) -> None:
    """Both disks have the key of the latest epoch, no other opens them, and their data is as it was."""
    view = rotate(disks)
    assert (view.state, view.steps[-1].output["counts"]) == ("succeeded", {"changed": 2}), why(view)
    for number, pool in enumerate((POOL, OTHER)):
        assert (fitting(disks, pool), value(f"{pool}/crypt", "oxide:epoch")) == ([2], "2")
        assert value(f"{pool}/crypt/debug", "mounted") == "yes"
        assert reopened(disks, number) == f"data of {pool}"
    assert key_files() == []
    assert rotate(disks).steps[-1].output["counts"] == {"present": 2}


def test_a_locked_disk_keeps_its_key(disks: Ground) -> None:
    """A disk whose key is not loaded is told as failed; the other is changed."""
    lock(OTHER)
    view = rotate(disks)
    assert view.steps[-1].output["counts"] == {"changed": 1, "failed": 1}
    assert "is not loaded, and only then can it change" in view.steps[-1].output["items"][1]["why"]
    assert (fitting(disks), fitting(disks, OTHER)) == ([2], [0])


def test_all_keys_are_changed_back(disks: Ground) -> None:
    """With all-or-nothing a disk that fails has the others changed back, which their old keys open."""
    sh("zfs", "unmount", f"{OTHER}/crypt/debug")
    sh("zfs", "set", "keylocation=file:///nowhere", f"{OTHER}/crypt")
    view = rotate(disks, policy="all-or-nothing")
    assert view.state == "undone", why(view)
    assert (fitting(disks), value(CRYPT, "oxide:epoch"), key_files()) == ([0], "0", [])
    assert reopened(disks) == f"data of {POOL}"


def started(ground: Ground, crash: str, number: int) -> tuple[Any, str]:
    """Kill a saga that changes the key to the other epoch; return what carries it on, and that epoch."""
    epoch = "1" if value(CRYPT, "oxide:epoch") == "0" else "0"
    params = {"pools": [POOL], "epoch": int(epoch)}

    def act() -> Any:
        return ground.run("rotate-keys", params, log=LOG, saga=SAGA.format(number))

    assert ground.killed(crash, act)
    return act, epoch


@pytest.mark.parametrize("moment", ["before-command", "after-command"])
def test_killed_anywhere_the_key_is_changed(logged: Ground, moment: str) -> None:
    """Killed round any change, what is recorded fits or nothing is; carried on, the key is the new one."""
    for number in range(1, CHANGES + 1):
        carry_on, epoch = started(logged, f"{moment}:key:{POOL}:{number}", number)
        assert value(CRYPT, "oxide:epoch") in ("-", *map(str, fitting(logged)))
        view = carry_on()
        assert view.state == "succeeded", why(view)
        assert (fitting(logged), value(CRYPT, "oxide:epoch"), key_files()) == ([int(epoch)], epoch, [])


def test_killed_and_rebooted_the_data_is_opened(logged: Ground) -> None:
    """Killed when the old record went, the key changed, or the new record came, then rebooted: it opens."""
    for number in (3, 4, 5):
        carry_on, epoch = started(logged, f"after-command:key:{POOL}:{number}", number)
        assert reopened(logged) == f"data of {POOL}"
        assert (value(CRYPT, "oxide:epoch"), key_files()) == (str(fitting(logged)[0]), [])
        view = carry_on()
        assert (view.state, fitting(logged)) == ("succeeded", [int(epoch)]), why(view)
