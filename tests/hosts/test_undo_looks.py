"""Undo looks before it destroys: what a reboot has unmounted, or locked, is kept when it holds a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest

from sagas.steps.datasets import put_back
from sledsaga.errors import CommandFailed, ForeignObject, HostError, Transient
from sledsaga.hosts.answer import changes
from sledsaga.hosts.disks import Disk
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.keys import KEY_DIR, SECRET_FILE, Secrets, secrets_document
from sledsaga.hosts.names import DatasetKind, DatasetName, PoolName, ZoneName
from sledsaga.hosts.sim import DiskSpec, Fault, SimHost, SimSled
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.step import StepHost
from sledsaga.hosts.zfs.spec import Dataset, DatasetSpec, Encryption
from sledsaga.hosts.zone import Profile, ZoneNetwork, ZoneSpec

ID = UUID("10fec275-f937-40f7-9c25-616079ef3816")
POOL = PoolName.of("external", ID)
CRYPT = f"{POOL}/crypt"
DEBUG = DatasetName.of(POOL, DatasetKind("debug"))
CRDB = DatasetName.of(POOL, DatasetKind("cockroachdb"))
ZONES = DatasetName.of(POOL, DatasetKind("zone"))
ZONE = ZoneName.of("nexus", ID)
ROOT = DatasetName.of(POOL, DatasetKind(f"zone/{ZONE}"))
IMAGE = "/opt/oxide/nexus.tar.gz"
SECRETS = Secrets("rack", {0: b"a" * 32, 1: b"b" * 32})
LINK = "oxControlService0"


@dataclass
class Rig:
    """A simulated sled whose data disk is formatted, as one saga sees it."""

    sim: SimSled

    @property
    def host(self) -> SimHost:
        return self.sim.host

    @property
    def sled(self) -> Sled:
        return Sled(self.host, "s1", pause=lambda _seconds: None)

    @property
    def disk(self) -> Disk:
        return next(iter(self.sled.disks.list()))

    def give(self, secrets: Secrets) -> None:
        self.host.write_file(SECRET_FILE, secrets_document(secrets), mode=0o600)

    def run(self, *argv: str) -> None:
        done = self.host.run(changes(*argv))
        assert done.code == 0, done.stderr

    def seen(self, name: str) -> Dataset:
        found = self.sled.datasets.observe(name)
        assert found is not None
        return found

    def opened(self) -> None:
        """Have all there is mounted again, as a person would after a reboot."""
        with self.sled.keys.file(self.disk.identity, epoch=1):
            self.sled.datasets.load_key(CRYPT)
        self.run("zfs", "mount", "-a")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    sim = SimSled.create(tmp_path / "sled", [DiskSpec("1b96", "M", "S1")])
    rig = Rig(sim)
    for folder in ("/var/lib/sledsaga", "/var/run/sledsaga/owners"):
        rig.host.make_dir(folder)
    rig.give(SECRETS)
    rig.host.write_file(IMAGE, b"image")
    rig.sled.pools.create(POOL, rig.disk)
    rig.sled.pools.configure(POOL)
    with rig.sled.keys.file(rig.disk.identity, epoch=1) as path:
        key = Encryption(path, 1)
        rig.sled.datasets.ensure(DatasetSpec(CRYPT, f"{POOL.mountpoint}/crypt", encryption=key))
    rig.sled.datasets.ensure(DatasetSpec.of(DEBUG, ID))
    yield rig
    sim.close()


def reboot(rig: Rig) -> None:
    rig.sim.reboot()


def unmount(rig: Rig) -> None:
    rig.run("zfs", "unmount", DEBUG)


def unmount_all(rig: Rig) -> None:
    for name in (DEBUG, CRYPT, POOL):
        rig.run("zfs", "unmount", name)


CLOSED = pytest.mark.parametrize("close", [reboot, unmount, unmount_all])
"""What may have befallen a dataset that is not mounted: its key is gone, those above it are not mounted."""


@CLOSED
def test_what_is_not_mounted_is_kept_with_its_file(rig: Rig, close: Callable[[Rig], None]) -> None:
    """A dataset with one file of a byte is kept, and not mounted after the look, as before it."""
    rig.host.make_dir(f"{DEBUG.mountpoint}/cores")
    rig.host.write_file(f"{DEBUG.mountpoint}/cores/core", b"x")
    close(rig)
    for _ in range(2):
        with pytest.raises(ForeignObject, match=r"debug holds files \(cores/core\)"):
            rig.sled.datasets.destroy(DEBUG, mountpoint=DEBUG.mountpoint)
        assert not rig.seen(DEBUG).is_mounted
    rig.opened()
    assert rig.host.read_file(f"{DEBUG.mountpoint}/cores/core") == b"x"
    assert rig.host.list_dir(KEY_DIR) == ()


@CLOSED
def test_what_is_not_mounted_and_empty_goes(rig: Rig, close: Callable[[Rig], None]) -> None:
    """All that holds nothing is undone, up to the pool, without a person, and no key is left in a file."""
    close(rig)
    assert rig.sled.datasets.destroy(DEBUG, mountpoint=DEBUG.mountpoint)
    assert rig.host.stat(DEBUG.mountpoint) is None
    assert rig.sled.datasets.destroy(CRYPT, mountpoint=f"{POOL.mountpoint}/crypt")
    assert rig.sled.pools.destroy(POOL)
    assert rig.host.stat(POOL.mountpoint) is None
    assert rig.host.list_dir(KEY_DIR) == ()


@pytest.mark.parametrize("is_mounted", [True, False])
def test_a_mountpoint_that_was_left_is_no_file(rig: Rig, *, is_mounted: bool) -> None:
    """The folder of a child that went while its parent was not mounted does not keep the parent."""
    rig.run("zfs", "unmount", DEBUG)
    rig.run("zfs", "destroy", DEBUG)
    rig.host.make_dir(f"{POOL.mountpoint}/crypt/debug/inner")
    if not is_mounted:
        reboot(rig)
    assert rig.sled.datasets.destroy(CRYPT)


def test_a_file_below_a_mountpoint_that_was_left_is_one(rig: Rig) -> None:
    """What lies in such a folder keeps the dataset, however deep it lies."""
    rig.run("zfs", "unmount", DEBUG)
    rig.run("zfs", "destroy", DEBUG)
    rig.host.make_dir(f"{POOL.mountpoint}/crypt/debug/inner")
    rig.host.write_file(f"{POOL.mountpoint}/crypt/debug/inner/file", b"x")
    reboot(rig)
    with pytest.raises(ForeignObject, match=r"holds files \(debug/inner/file\)"):
        rig.sled.datasets.destroy(CRYPT)


@pytest.mark.parametrize(
    ("secrets", "why"),
    [
        (None, "no secrets yet"),
        (replace(SECRETS, by_epoch={0: b"a" * 32}), "there is no secret of epoch 1"),
        (replace(SECRETS, rack_id="another"), "no key fits it"),
    ],
)
def test_what_stays_locked_is_kept(rig: Rig, secrets: Secrets | None, why: str) -> None:
    """Without its key a dataset cannot be looked into: it is kept, and the refusal says what to do."""
    if secrets is None:
        rig.host.remove_file(SECRET_FILE)
    else:
        rig.give(secrets)
    reboot(rig)
    for name in (DEBUG, CRYPT):
        if name == CRYPT:
            rig.run("zfs", "destroy", DEBUG)
        told = rf"is locked, .*it was kept \(.*{why}.*\): load the key of {CRYPT}"
        with pytest.raises((ForeignObject, Transient), match=told):
            rig.sled.datasets.destroy(name)
    rig.give(SECRETS)
    assert rig.sled.datasets.destroy(CRYPT)


def test_without_a_recorded_epoch_each_key_is_tried(rig: Rig) -> None:
    """Where no epoch is recorded the key that fits is found; a disk that cannot be read gives none."""
    rig.run("zfs", "inherit", "oxide:epoch", CRYPT)
    reboot(rig)
    assert rig.sled.datasets.destroy(DEBUG)
    reboot(rig)
    rig.sim.inject(Fault("error", ("fstyp",), text="fstyp: cannot read: I/O error\n"))
    with pytest.raises(ForeignObject, match=f"no disk of this sled is seen to carry {POOL}"):
        rig.sled.datasets.destroy(CRYPT)


def test_a_look_that_was_cut_short_is_taken_up(rig: Rig) -> None:
    """When a dataset stays mounted after a look, the next look finds what it holds all the same."""
    rig.host.write_file(f"{DEBUG.mountpoint}/core", b"x")
    reboot(rig)
    rig.sim.inject(Fault("error", ("zfs", "unmount"), text="internal error\n"))
    with pytest.raises(CommandFailed, match="internal error"):
        rig.sled.datasets.destroy(DEBUG)
    assert rig.seen(DEBUG).is_mounted
    with pytest.raises(ForeignObject, match=r"holds files \(core\)"):
        rig.sled.datasets.destroy(DEBUG)
    rig.host.remove_file(f"{DEBUG.mountpoint}/core")
    assert rig.sled.datasets.destroy(DEBUG)


@pytest.mark.parametrize("setting", ["canmount=off", "mountpoint=none", "mountpoint=legacy"])
def test_what_cannot_be_mounted_is_kept(rig: Rig, setting: str) -> None:
    """A dataset that has no place, or may not be mounted, cannot be looked into."""
    rig.run("zfs", "set", setting, DEBUG)
    with pytest.raises(ForeignObject, match="without a place"):
        rig.sled.datasets.destroy(DEBUG)
    seen = replace(rig.seen(DEBUG), is_mounted=True, mountpoint="legacy")
    with pytest.raises(ForeignObject, match="mountpoint legacy"):
        rig.sled.datasets.refuse_destruction(seen)


def test_a_dataset_of_a_zone_is_weighed(rig: Rig) -> None:
    """On illumos a delegated dataset is mounted by its zone alone, so its size decides, locked or not."""
    rig.sled.datasets.ensure(DatasetSpec.of(CRDB, ID))
    reboot(rig)
    count = rig.sim.changes()
    rig.sled.datasets.refuse_destruction(rig.seen(CRDB))
    with pytest.raises(ForeignObject, match="an empty one at most"):
        rig.sled.datasets.refuse_destruction(replace(rig.seen(CRDB), referenced=2**20))
    assert rig.sim.changes() == count


@pytest.mark.parametrize("close", [reboot, unmount_all])
def test_nothing_is_made_where_a_parent_belongs(rig: Rig, close: Callable[[Rig], None]) -> None:
    """Going forward, nothing is made or mounted, and no folder either, below what is not mounted."""
    close(rig)
    for name in (DEBUG, ZONES):
        with pytest.raises(HostError, match=r"is not mounted, and .* belongs below it"):
            rig.sled.datasets.ensure(DatasetSpec.of(name, ID))
        assert rig.host.stat(name.mountpoint) is None
    rig.opened()
    assert rig.sled.datasets.ensure(DatasetSpec.of(DEBUG, ID)).is_ours


@pytest.fixture
def zone(rig: Rig) -> ZoneSpec:
    """Have a zone installed, with a dataset for its root."""
    rig.sled.datasets.ensure(DatasetSpec.of(ZONES, None))
    rig.sled.datasets.ensure(DatasetSpec.of(ROOT, None))
    profile = Profile(ZoneNetwork(LINK, "fd00::1", "fd00::2"), ())
    spec = ZoneSpec(ZONE, ROOT.mountpoint, IMAGE, profile=profile)
    rig.sled.zones.configure(spec)
    rig.sled.zones.install(spec)
    rig.sled.zones.write_profile(spec.path, profile)
    return spec


def gone(rig: Rig) -> bool:
    """Undo the zone's root and what is above it, as the undo of a saga does."""
    names = (ROOT, ZONES, DEBUG)
    done = [rig.sled.datasets.destroy(name, mountpoint=name.mountpoint) for name in names]
    return all([*done, rig.sled.datasets.destroy(CRYPT), rig.sled.pools.destroy(POOL)])


@pytest.mark.parametrize("state", ["configured", "installed", "booted"])
def test_a_zone_is_undone_after_a_reboot(rig: Rig, zone: ZoneSpec, state: str) -> None:
    """The root of a zone is mounted before it is emptied, so its dataset holds nothing, and goes."""
    if state == "configured":
        rig.sled.zones.uninstall(ZONE)
    elif state == "booted":
        rig.sled.zones.boot(zone)
    reboot(rig)
    assert rig.sled.zones.remove(ZONE)
    assert gone(rig)
    assert rig.host.list_dir("/pool/ext") == ()


def test_a_file_in_a_zones_root_goes_with_the_zone_only(rig: Rig, zone: ZoneSpec) -> None:
    """A root is disposable, but what somebody puts there when the zone is gone keeps the dataset."""
    reboot(rig)
    assert rig.sled.zones.remove(ZONE)
    rig.host.write_file(f"{zone.path}/notes", b"mine")
    reboot(rig)
    with pytest.raises(ForeignObject, match=r"holds files \(notes\)"):
        rig.sled.datasets.destroy(ROOT)


@pytest.mark.parametrize("act", ["install", "profile", "boot", "reboot"])
def test_a_zone_is_changed_in_its_own_root(rig: Rig, zone: ZoneSpec, act: str) -> None:
    """After a reboot each act finds the root of the zone in its dataset; the bare folder stays empty."""
    zones = rig.sled.zones
    if act == "install":
        zones.uninstall(ZONE)
    reboot(rig)
    if act == "install":
        zones.install(zone)
    elif act == "profile":
        assert zone.profile is not None
        zones.write_profile(zone.path, zone.profile)
    elif act == "boot":
        zones.boot(zone)
    else:
        zones.reboot(ZONE)
    assert rig.seen(ROOT).is_mounted
    assert rig.host.list_dir(zone.path)
    zones.halt(ZONE)
    reboot(rig)
    assert rig.host.list_dir(POOL.mountpoint) == ("crypt",)
    assert rig.host.list_dir(f"{POOL.mountpoint}/crypt") == ()


def test_two_datasets_of_one_place_are_left(rig: Rig, zone: ZoneSpec) -> None:
    """When two datasets belong at a zonepath and none is mounted there, it is not guessed which is meant."""
    other = f"{POOL}/other"
    reboot(rig)
    rig.run("zfs", "create", "-o", f"mountpoint={zone.path}", other)
    rig.run("zfs", "unmount", other)
    with pytest.raises(ForeignObject, match=r"belong at .*, and none is mounted there"):
        rig.sled.zones.remove(ZONE)


def shut(rig: Rig) -> None:
    rig.sim.set_disk("S1", "pulled")
    rig.sim.reboot()


def export(rig: Rig) -> None:
    rig.run("zpool", "export", POOL)


def back(rig: Rig) -> None:
    """Have the pool as before, whatever befell it: its disk in, imported, and open."""
    rig.sim.set_disk("S1", "ok")
    if rig.sled.pools.list():
        rig.run("zpool", "clear", POOL)
    rig.sled.pools.import_pool(POOL, path=rig.disk.path)


UNDOES: dict[str, Callable[[Sled], object]] = {
    "destroy": lambda sled: sled.datasets.destroy(DEBUG, mountpoint=DEBUG.mountpoint),
    "restore": lambda sled: sled.datasets.restore(DEBUG, {"quota": "none"}),
    "unmount": lambda sled: sled.datasets.unmount(DEBUG),
    "unmount from a zone": lambda sled: sled.datasets.unmount_from_zone(DEBUG),
    "unload key": lambda sled: sled.datasets.unload_key(CRYPT),
    "put back what was made": lambda sled: put_back(sled, DatasetSpec.of(DEBUG, ID), None),
}


@pytest.mark.parametrize("undo", UNDOES.values(), ids=list(UNDOES))
@pytest.mark.parametrize(("close", "why"), [(shut, f"`zpool clear {POOL}`"), (export, "is not imported")])
def test_nothing_is_gone_while_its_pool_is_away(
    rig: Rig, undo: Callable[[Sled], object], close: Callable[[Rig], None], why: str
) -> None:
    """Of a pool that is away zfs says that nothing is there; undo asks for the pool, then goes on."""
    close(rig)
    count = rig.sim.changes()
    with pytest.raises(CommandFailed, match=why):
        undo(rig.sled)
    assert rig.sim.changes() == count
    back(rig)
    undo(rig.sled)


@pytest.mark.parametrize(("close", "why"), [(shut, "zpool clear"), (export, "is not imported")])
@pytest.mark.parametrize("act", ["install", "profile", "boot", "remove"])
def test_no_zone_is_changed_where_its_pool_is_away(
    rig: Rig, zone: ZoneSpec, act: str, close: Callable[[Rig], None], why: str
) -> None:
    """With the root of a zone on a pool that is away the zone stays as it is, and it is said why."""
    profile = zone.profile or pytest.fail("the zone has one")
    acts: dict[str, Callable[[], object]] = {
        "install": lambda: rig.sled.zones.install(zone),
        "profile": lambda: rig.sled.zones.write_profile(zone.path, profile),
        "boot": lambda: rig.sled.zones.boot(zone),
        "remove": lambda: rig.sled.zones.remove(ZONE),
    }
    if act == "install":
        rig.sled.zones.uninstall(ZONE)
    close(rig)
    count = rig.sim.changes()
    with pytest.raises(CommandFailed, match=why):
        acts[act]()
    assert rig.sim.changes() == count
    back(rig)
    acts[act]()


def test_what_is_gone_from_an_open_pool_is_gone(rig: Rig) -> None:
    """Where the pool is there and the dataset is not, all that undoes is content."""
    assert rig.sled.datasets.destroy(DEBUG)
    assert rig.sled.datasets.unmount(CRYPT)
    for undo in UNDOES.values():
        undo(rig.sled)
    assert not rig.sled.datasets.destroy(DEBUG)


@pytest.mark.parametrize("is_rebooted", [True, False])
def test_files_in_what_seems_half_made_are_kept(rig: Rig, *, is_rebooted: bool) -> None:
    """A dataset that nothing was set on is a create that was cut short only when it holds no file."""

    def undo() -> Dataset | None:
        rig.run("zfs", "unmount", ZONES)
        if is_rebooted:
            rig.sim.reboot()
        put_back(rig.sled, DatasetSpec.of(ZONES, None), None)
        return rig.sled.datasets.observe(ZONES)

    rig.run("zfs", "create", ZONES)
    rig.host.write_file(f"{ZONES.mountpoint}/notes", b"mine")
    assert undo() is not None
    rig.sled.datasets.mount(ZONES)
    assert rig.host.read_file(f"{ZONES.mountpoint}/notes") == b"mine"
    rig.host.remove_file(f"{ZONES.mountpoint}/notes")
    assert undo() is None


def test_what_went_with_its_pool_was_not_destroyed(rig: Rig) -> None:
    """When the pool goes just before the destroy, zfs says of what is still on it that it does not exist."""
    waiting = [lambda: rig.run("zpool", "export", POOL)]

    def tell(command: HostCommand) -> None:
        if command.argv[:2] == ("zfs", "destroy") and waiting:
            waiting.pop()()

    host = StepHost(rig.host, before=tell)
    with pytest.raises(CommandFailed, match="is not imported"):
        Sled(host, "s1", pause=lambda _seconds: None).datasets.destroy(DEBUG)
    back(rig)
    assert rig.sled.datasets.destroy(DEBUG)
