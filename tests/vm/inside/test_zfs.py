"""Pools and datasets on OpenZFS: made once, found again, adjusted, taken away, refused where they must be."""

from __future__ import annotations

import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from sledsaga.errors import CommandFailed, ForeignObject, Transient
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.linux.abilities import find_abilities
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.names import COMPRESSIONS, Compression, DatasetKind, DatasetName
from sledsaga.hosts.zfs.spec import DatasetSpec, printed
from tests.vm.inside.ground import INTERNAL, OTHER, POOL, Ground, sh, value

LOCAL = DatasetName.of(POOL, DatasetKind("local_storage_unencrypted"))
CRUCIBLE = DatasetName.of(POOL, DatasetKind("crucible"))
ID = UUID("b0000000-0000-4000-8000-000000000001")


@pytest.fixture
def pool(ground: Ground) -> Ground:
    """Give a ground with a pool on its first disk."""
    assert ground.sled().pools.create(POOL, ground.disks[0])
    ground.sled().pools.configure(POOL)
    return ground


def unchanged(ground: Ground) -> None:
    """Begin to count anew what is changed."""
    ground.spy.asked.clear()


def test_what_openzfs_can_do_is_found_out(ground: Ground) -> None:
    """OpenZFS encrypts, has features and exact sizes and all compressions, and no epoch with the key."""
    found = find_abilities(LocalHost(), ground.machine)
    assert found.name.startswith("OpenZFS 2.")
    assert (found.has_encryption, found.has_features, found.has_exact_sizes) == (True, True, True)
    assert (found.sets_epoch_with_key, found.has_bare_import, found.sets_many) == (False, True, True)
    assert found.compressions == COMPRESSIONS


def test_openzfs_takes_no_epoch_with_a_key(ground: Ground) -> None:
    """The command that changes key and epoch at once is refused, as the abilities say."""
    ground.formatted()
    with ground.sled().keys.file(ground.disks[0].identity, epoch=0):
        argv = ("zfs", "change-key", "-o", "oxide:epoch=1", f"{POOL}/crypt")
        done = LocalHost().run(HostCommand(argv, mutates=True))
    assert done.code != 0
    assert "may be set with this command" in done.stderr


def test_a_pool_is_made_once_and_taken_away(ground: Ground) -> None:
    """A blank disk gets a pool with all that each has; again nothing is run; then the disk is blank again."""
    pools, disk = ground.sled().pools, ground.disks[0]
    assert ground.sled().disks.identify(disk.path) is None
    assert pools.create(POOL, disk)
    pools.configure(POOL)
    assert ground.sled().disks.identify(disk.path) == POOL
    settings = sh("zpool", "get", "-Hpo", "value", "failmode,feature@encryption,ashift", POOL).split()
    assert settings == ["continue", "enabled", "12"]
    unchanged(ground)
    assert pools.create(POOL, disk)
    assert pools.configure(POOL) == {}
    assert ground.spy.asked == []
    seen = pools.observe(POOL)
    assert seen is not None
    assert (seen.health, pools.owner(POOL)) == ("online", "s1")
    assert seen.size == seen.allocated + seen.free
    assert pools.destroy(POOL)
    assert not pools.destroy(POOL)
    assert ground.sled().disks.identify(disk.path) is None
    assert not Path(POOL.mountpoint).exists()


def test_a_pool_is_exported_and_found_again(pool: Ground) -> None:
    """An exported pool is absent, and its disk still tells it; imported, its datasets are as they were."""
    sled = pool.sled()
    sled.datasets.ensure(DatasetSpec.of(CRUCIBLE, ID))
    assert sled.pools.export(POOL)
    assert not sled.pools.export(POOL)
    assert sled.pools.observe(POOL) is None
    assert sled.disks.identify(pool.disks[0].path) == POOL
    assert sled.pools.import_pool(POOL)
    assert not sled.pools.import_pool(POOL)
    found = sled.datasets.observe(CRUCIBLE)
    assert found is not None
    assert found.id == ID


def test_no_pool_is_made_where_something_is(pool: Ground) -> None:
    """A disk with another pool, with a file system, or of the wrong class, keeps what it has."""
    sled = pool.sled()
    with pytest.raises(ForeignObject, match=f"holds {POOL}, not {OTHER}"):
        sled.pools.create(OTHER, pool.disks[0])
    with pytest.raises(ForeignObject, match="is internal"):
        sled.pools.create(INTERNAL, pool.disks[1])
    sh("mke2fs", "-q", "-t", "ext4", "-L", "somebody", pool.disks[1].path)
    with pytest.raises(ForeignObject, match="ext4"):
        sled.pools.create(OTHER, pool.disks[1])
    assert "somebody" in sh("blkid", "-p", pool.disks[1].path)


def test_a_pool_that_holds_anything_is_kept(pool: Ground) -> None:
    """A pool with a dataset in it, or of another saga, is not destroyed."""
    pool.sled().datasets.ensure(DatasetSpec.of(LOCAL, ID))
    with pytest.raises(ForeignObject, match="has 1 below it"):
        pool.sled().pools.destroy(POOL)
    with pytest.raises(ForeignObject, match="carries the tag s1, not s2"):
        pool.sled("s2").pools.destroy(POOL)


def test_a_dataset_is_made_adjusted_and_taken_away(pool: Ground) -> None:
    """A dataset has its id and exact sizes and is mounted; again nothing is run; a change can be undone."""
    datasets = pool.sled().datasets
    wanted = DatasetSpec.of(LOCAL, ID, quota=10**7 + 1, compression=Compression("gzip-9"))
    datasets.ensure(wanted)
    assert (value(LOCAL, "quota"), value(LOCAL, "compression")) == ("10000001", "gzip-9")
    assert (value(LOCAL, "mounted"), value(LOCAL, "oxide:uuid")) == ("yes", str(ID))
    unchanged(pool)
    datasets.ensure(wanted)
    assert pool.spy.asked == []
    done = datasets.ensure(DatasetSpec.of(LOCAL, ID, quota=2 * 10**7, reservation=10**6))
    assert (value(LOCAL, "quota"), value(LOCAL, "reservation")) == ("20000000", "1000000")
    datasets.restore(LOCAL, done.changed)
    assert (value(LOCAL, "quota"), value(LOCAL, "reservation")) == ("10000001", "0")
    assert datasets.destroy(LOCAL, mountpoint=LOCAL.mountpoint)
    assert not datasets.destroy(LOCAL, mountpoint=LOCAL.mountpoint)
    assert not Path(LOCAL.mountpoint).exists()


def test_every_compression_is_known(pool: Ground) -> None:
    """Each compression that a config may name can be set and is known again; two names are one value."""
    datasets = pool.sled().datasets
    for compression in map(Compression, COMPRESSIONS):
        wanted = DatasetSpec.of(LOCAL, ID, compression=compression)
        datasets.ensure(wanted)
        assert value(LOCAL, "compression") == printed(compression)
        unchanged(pool)
        datasets.ensure(wanted)
        assert pool.spy.asked == []


def test_a_dataset_with_anything_in_it_is_kept(pool: Ground) -> None:
    """A dataset with another id, a file, a snapshot or another tag is left as it is."""
    datasets = pool.sled().datasets
    datasets.ensure(DatasetSpec.of(LOCAL, ID))
    with pytest.raises(ForeignObject, match="oxide:uuid is"):
        datasets.ensure(DatasetSpec.of(LOCAL, UUID(int=1)))
    with pytest.raises(ForeignObject, match="carries the tag s1, not s2"):
        pool.sled("s2").datasets.destroy(LOCAL)
    Path(LOCAL.mountpoint, "kept").write_text("data")
    with pytest.raises(ForeignObject, match=r"holds files \(kept\)"):
        datasets.destroy(LOCAL)
    Path(LOCAL.mountpoint, "kept").unlink()
    sh("zfs", "snapshot", f"{LOCAL}@one")
    with pytest.raises(ForeignObject, match="has 1 below it"):
        datasets.destroy(LOCAL)


def test_a_quota_below_what_is_used_is_refused(pool: Ground) -> None:
    """ZFS refuses such a quota, nothing else is changed, and an equal one is not set again."""
    datasets = pool.sled().datasets
    datasets.ensure(DatasetSpec.of(LOCAL, ID, quota=10**7))
    Path(LOCAL.mountpoint, "data").write_bytes(bytes(range(256)) * 2**14)
    sh("zpool", "sync", POOL)
    with pytest.raises(CommandFailed, match="quota"):
        datasets.ensure(DatasetSpec.of(LOCAL, ID, quota=10**6))
    assert value(LOCAL, "quota") == "10000000"
    datasets.ensure(DatasetSpec.of(LOCAL, ID, quota=10**7))


def test_what_lies_at_a_mountpoint_is_kept_aside(pool: Ground) -> None:
    """Nothing is mounted over files: they are moved beside the mountpoint first."""
    Path(LOCAL.mountpoint).mkdir(parents=True)
    Path(LOCAL.mountpoint, "older").write_text("kept")
    pool.sled().datasets.ensure(DatasetSpec.of(LOCAL, ID))
    kept = list(Path(LOCAL.mountpoint).parent.glob("old-under-mountpoint-*/older"))
    assert [path.read_text() for path in kept] == ["kept"]
    assert list(Path(LOCAL.mountpoint).iterdir()) == []


def test_a_dataset_in_use_is_kept(pool: Ground) -> None:
    """A dataset that a process stands in is not taken away; when it has gone, it is."""
    datasets = pool.sled().datasets
    datasets.ensure(DatasetSpec.of(LOCAL, ID))
    holder = subprocess.Popen(("sleep", "600"), cwd=LOCAL.mountpoint)
    try:
        with pytest.raises(Transient, match=f"in use by .*{holder.pid}"):
            datasets.destroy(LOCAL)
        assert value(LOCAL, "mounted") == "yes"
    finally:
        holder.kill()
        holder.wait()
    assert datasets.destroy(LOCAL)
