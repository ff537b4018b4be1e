"""The internal disks after their ZFS daemon died: ledgers and images are at hand again, or it is said why."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sagas.steps import images, ledger
from sagas.steps.images import ImageWanted
from sledsaga.check.room import Room
from sledsaga.core.define import Absent
from sledsaga.errors import HostError
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.platform import linux
from sledsaga.hosts.linux.virtual import make_virtual, prepare_m2
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.names import PoolName
from sledsaga.hosts.readonly import ReadOnlyHost
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.step import StepHost
from tests.real.conftest import CANARY, let_go, run

NAME = "config.json"
STEP = 6
"""Changes between two cuts: each costs a daemon's start and more than a second."""


@dataclass
class Ground:
    """A sled with two M.2s, and a daemon that can be killed."""

    room: Room
    machine: Machine
    pools: tuple[PoolName, ...]

    @property
    def sled(self) -> Sled:
        return Sled(LocalHost(), "s1", platform=linux(LocalHost(), self.machine))

    def restart(self) -> None:
        """Kill the daemon as a crash would, and start another; whoever owns the canary mounts it again."""
        self.room.restart_zfs()
        run("umount", "-l", str(self.room.folder / CANARY))
        run("zfs", "mount", CANARY)
        run("zfs", "mount", f"{CANARY}/kept")


@pytest.fixture
def ground(room: Room, tmp_path: Path) -> Iterator[Ground]:
    """Have two internal pools with a ledger and an image; they are gone at the end."""
    machine = make_virtual(tmp_path / "sled", u2=0, m2=2, size_bytes=128 * 2**20, plain=True)
    made = Ground(room, machine, prepare_m2(LocalHost(), machine))
    made.sled.ledgers.commit(NAME, {"v": "acked"})
    for pool in made.pools:
        LocalHost().write_file(f"{pool.mountpoint}/install/any.json", b"{}")
    yield made
    imported = run("zpool", "list", "-Ho", "name").split()
    for pool in made.pools:
        if pool in imported:
            let_go("destroy", pool)
        made.sled.datasets.release(pool.mountpoint)
        assert not Path(pool.mountpoint).exists()


def mounted(ground: Ground) -> set[str]:
    """Return what lies mounted of the internal pools, and can be listed."""
    mounts = ground.sled.datasets.mounts
    own = {point: name for point, name in mounts.all().items() if name.startswith(ground.pools)}
    return {name for point, name in own.items() if not mounts.is_dead(point)}


def all_of(ground: Ground) -> set[str]:
    return {name for pool in ground.pools for name in ground.sled.datasets.tree(pool)}


def test_a_ledger_is_read_after_the_daemon_died(ground: Ground) -> None:
    """A look at a ledger mounts again what is dead, with all beside it, and finds what was acknowledged."""
    ground.restart()
    assert mounted(ground) == set()
    seen = ledger.look(sled=ground.sled, name=NAME)
    assert (seen.document, seen.unavailable) == ({"v": "acked", "generation": 1}, ())
    assert mounted(ground) == all_of(ground)


def test_an_image_is_found_after_the_daemon_died(ground: Ground) -> None:
    """Who looks for an image, and who had found it before, has it at hand again."""
    ground.restart()
    found = images.locate(sled=ground.sled, wanted=ImageWanted(name="any"))
    assert Path(found.path).read_text() == "{}"
    ground.restart()
    images.have_at_hand(ground.sled, found)
    assert Path(found.path).read_text() == "{}"


def test_no_ledger_is_written_below_a_mountpoint(ground: Ground) -> None:
    """Where somebody let go of the dead mounts, a write mounts first; what lay in the way is kept aside."""
    ground.restart()
    for pool in ground.pools:
        run("umount", "-l", pool.mountpoint)
    bare = Path(ground.pools[0].mountpoint)
    run("chattr", "-i", str(bare))
    (bare / "config").mkdir()
    (bare / "config" / NAME).write_text('{"generation": 9}')
    written = ground.sled.ledgers.write(NAME, {"v": "new", "generation": 2})
    assert (len(written.written), written.failed) == (2, ())
    assert mounted(ground) == all_of(ground)
    ground.restart()
    assert ground.sled.ledgers.read(NAME).document == {"v": "new", "generation": 2}
    (kept,) = bare.parent.glob("old-under-mountpoint-*")
    assert (kept / "config" / NAME).read_text() == '{"generation": 9}'
    shutil.rmtree(kept)


def test_one_who_is_killed_midway_is_followed(ground: Ground) -> None:
    """Whatever of the mending was done when it was cut short, the next look does the rest."""

    class Cut(Exception):
        pass

    for point in range(1, 100, STEP):
        ground.restart()
        left = [point]

        def before(_command: object, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Cut

        try:
            replace(ground.sled, host=StepHost(LocalHost(), before=before)).ledgers.read(NAME)
        except Cut:
            pass
        else:
            break
        seen = ground.sled.ledgers.read(NAME)
        assert (seen.document, seen.is_degraded) == ({"v": "acked", "generation": 1}, False)
        assert mounted(ground) == all_of(ground)
    assert point > len(all_of(ground)), "it was never cut short"


def test_who_only_looks_mounts_nothing(ground: Ground) -> None:
    """A plan says of what is to be mounted first that it is not there yet, and mounts nothing."""
    ground.restart()
    looking = replace(ground.sled, host=ReadOnlyHost(LocalHost()))
    document = {"v": "acked", "generation": 1}
    assert ledger.probe(sled=looking, name=NAME, document=document) == Absent()
    assert images.probe(sled=looking, wanted=ImageWanted(name="any")) == Absent()
    assert mounted(ground) == set()


def test_a_pool_that_is_not_imported_is_named(ground: Ground) -> None:
    """With no pool imported a ledger is neither read as new nor written; the command that helps is named."""
    for pool in ground.pools:
        let_go("export", pool)
    for look in (ground.sled.ledgers.read, lambda name: ground.sled.ledgers.commit(name, {"v": 2})):
        with pytest.raises(HostError, match=r"not imported: `zpool import -d \S+ oxi_\S+`"):
            look(NAME)
    with pytest.raises(HostError, match="cannot be told; import it"):
        ground.sled.datasets.destroy(f"{ground.pools[0]}/config")
    with pytest.raises(HostError, match="not imported"):
        images.locate(sled=ground.sled, wanted=ImageWanted(name="any"))
    for disk, pool in zip(ground.machine.disks, ground.pools, strict=True):
        run("zpool", "import", "-d", str(Path(disk.path).parent), pool)
    assert ground.sled.ledgers.read(NAME).document == {"v": "acked", "generation": 1}


def test_a_pool_that_cannot_be_opened_is_named(ground: Ground) -> None:
    """With a disk away when the daemon starts, one copy is missing and told; the other pools serve."""
    disk, pool = Path(ground.machine.disks[0].path), ground.pools[0]
    away = disk.rename(disk.with_suffix(".away"))
    ground.restart()
    written = ground.sled.ledgers.write(NAME, {"v": "new", "generation": 2})
    ((path, why),) = written.failed
    assert path.startswith(pool.mountpoint)
    assert f"`zpool clear {pool}`" in why
    for undo in (
        lambda: ground.sled.pools.destroy(pool),
        lambda: ground.sled.datasets.destroy(f"{pool}/config"),
        lambda: ground.sled.datasets.restore(f"{pool}/debug", {"quota": "none"}),
        lambda: ground.sled.datasets.mount_at(f"{pool.mountpoint}/config"),
    ):
        with pytest.raises(HostError, match="zpool clear"):
            undo()
    away.rename(disk)
    run("zpool", "clear", pool)
    ledger.write(
        sled=ground.sled,
        name=NAME,
        document={"v": "new", "generation": 2},
        before=ledger.look(sled=ground.sled, name=NAME),
    )
    assert not ground.sled.ledgers.read(NAME).is_degraded
