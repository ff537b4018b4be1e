"""Each driver against the simulated sled: what it makes is there, twice is once, and undo leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from sledsaga.errors import CommandFailed, ForeignObject, HostUnreachable, Mutates, Transient
from sledsaga.hosts.answer import changes
from sledsaga.hosts.disks import Disk
from sledsaga.hosts.illumos.services import SmfServices
from sledsaga.hosts.keys import KEY_DIR, SECRET_FILE, Secrets, secrets_document
from sledsaga.hosts.link import VnicSpec
from sledsaga.hosts.names import Compression, DatasetKind, DatasetName, LinkName, PoolName, ZoneName
from sledsaga.hosts.readonly import ReadOnlyHost
from sledsaga.hosts.sim import DiskSpec, Fault, SimHost, SimSled
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zfs.spec import DatasetSpec, Encryption
from sledsaga.hosts.zone import Profile, ServiceProfile, ZoneNetwork, ZoneSpec

ID = UUID("10fec275-f937-40f7-9c25-616079ef3816")
POOL = PoolName.of("external", ID)
M2 = PoolName.of("internal", ID)
CRYPT = f"{POOL}/crypt"
DEBUG = DatasetName.of(POOL, DatasetKind("debug"))
CRDB = DatasetName.of(POOL, DatasetKind("cockroachdb"))
ZONES = DatasetName.of(POOL, DatasetKind("zone"))
STUB, VNIC = LinkName("underlay_stub0"), LinkName("oxControlService0")
ADDRESS = f"{VNIC}/omicron6"
ZONE = ZoneName.of("cockroachdb", ID)
IMAGE = "/opt/oxide/cockroachdb.tar.gz"
SINGLE = "svc:/milestone/single-user:default"


@dataclass
class Rig:
    """A blank simulated sled, two sagas that work on it, and what they waited for."""

    sim: SimSled
    waits: list[float] = field(default_factory=list)

    @property
    def host(self) -> SimHost:
        return self.sim.host

    def sled(self, saga: str = "s1") -> Sled:
        return Sled(self.host, saga, pause=self.waits.append, monotonic=self.now)

    def now(self) -> float:
        """Tell a time that rises by nothing but waiting."""
        return sum(self.waits)

    def looking(self) -> Sled:
        """Return the same saga, which must not change anything any more."""
        return Sled(ReadOnlyHost(self.host), "s1", pause=self.waits.append, monotonic=self.now)

    def break_next(self, action: str, *argv: str, times: int = 1, text: str = "") -> None:
        self.sim.inject(Fault(action, argv, times=times, text=text))

    def shown(self) -> dict:
        return self.sim.describe()

    def disk(self, variant: str) -> Disk:
        return next(disk for disk in self.sled().disks.list() if disk.variant == variant)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    disks = [DiskSpec("1b96", "M", "S1"), DiskSpec("1b96", "M", "S2", variant="M.2", slot=17)]
    sim = SimSled.create(tmp_path / "sled", disks)
    host = sim.host
    host.make_dir("/var/lib/sledsaga")
    host.write_file(SECRET_FILE, secrets_document(Secrets("rack", {0: b"a" * 32, 1: b"b" * 32})), mode=0o600)
    host.write_file(IMAGE, b"image")
    host.make_dir(KEY_DIR, mode=0o700)
    host.make_dir("/var/run/sledsaga/owners")
    yield Rig(sim)
    sim.close()


def make_pool(sled: Sled, rig: Rig) -> None:
    assert sled.pools.create(POOL, rig.disk("U.2"))
    sled.pools.configure(POOL)


def make_crypt(sled: Sled, rig: Rig) -> None:
    disk = rig.disk("U.2").identity
    with sled.keys.file(disk, epoch=1) as path:
        sled.datasets.ensure(DatasetSpec(CRYPT, f"{POOL.mountpoint}/crypt", encryption=Encryption(path, 1)))


@pytest.fixture
def crypt(rig: Rig) -> Sled:
    """Format a data disk."""
    sled = rig.sled()
    make_pool(sled, rig)
    make_crypt(sled, rig)
    return sled


def test_a_pool_is_made_once(rig: Rig) -> None:
    """A blank disk gets the pool; again nothing is run; after undo the sled is as it was."""
    before = rig.shown()
    assert rig.sled().disks.identify(rig.disk("U.2").path) is None
    make_pool(rig.sled(), rig)
    assert rig.looking().pools.create(POOL, rig.disk("U.2"))
    assert rig.looking().pools.configure(POOL) == {}
    assert [pool.name for pool in rig.sled().pools.list()] == [POOL]
    assert rig.sled().pools.owner(POOL) == "s1"
    assert rig.sled().pools.destroy(POOL)
    assert not rig.looking().pools.destroy(POOL)
    assert rig.shown() == before


def test_a_pool_is_not_made_on_the_wrong_disk(rig: Rig) -> None:
    """A disk of the wrong class, with another pool, or that cannot be read stays as it is."""
    make_pool(rig.sled(), rig)
    other = PoolName(f"oxp_2{str(ID)[1:]}")
    before = rig.shown()
    with pytest.raises(ForeignObject, match=r"is a M\.2, for internal ones"):
        rig.sled().pools.create(POOL, rig.disk("M.2"))
    with pytest.raises(ForeignObject, match=f"holds {POOL}, not {other}"):
        rig.sled().pools.create(other, rig.disk("U.2"))
    rig.break_next("error", "fstyp", text="fstyp: cannot read: I/O error\n")
    with pytest.raises(CommandFailed, match="I/O error"):
        rig.sled().pools.create(M2, rig.disk("M.2"))
    assert rig.shown() == before


def test_a_pool_with_a_dataset_or_another_tag_is_kept(crypt: Sled, rig: Rig) -> None:
    """Undo of a pool refuses while it holds a dataset, and for any other saga."""
    with pytest.raises(ForeignObject, match="has 1 below it"):
        crypt.pools.destroy(POOL)
    with pytest.raises(ForeignObject, match="carries the tag s1, not s2"):
        rig.sled("s2").pools.destroy(POOL)


def test_a_pool_is_exported_and_imported(crypt: Sled, rig: Rig) -> None:
    """An exported pool is found on its disk, imported, and opened with the key of its disk."""
    assert crypt.pools.export(POOL)
    assert not rig.looking().pools.export(POOL)
    assert crypt.pools.observe(POOL) is None
    assert crypt.pools.import_pool(POOL)
    assert not rig.looking().pools.import_pool(POOL)
    disk = rig.disk("U.2").identity
    with crypt.keys.file(disk, epoch=0):
        assert not crypt.datasets.load_key(CRYPT)
    with crypt.keys.file(disk, epoch=1):
        assert crypt.datasets.load_key(CRYPT)
        assert crypt.datasets.load_key(CRYPT)
    assert crypt.datasets.mount(CRYPT)
    assert not rig.looking().datasets.mount(CRYPT)


def test_a_key_file_is_gone_after_use(crypt: Sled, rig: Rig) -> None:
    """The key is on the sled only inside the block, also when the block fails; leftovers can be erased."""
    disk = rig.disk("U.2").identity
    with pytest.raises(CommandFailed), crypt.keys.file(disk, epoch=1) as path:  # noqa: PT012 - the block is the test
        assert rig.host.read_file(path) == crypt.keys.key(disk, epoch=1)
        raise CommandFailed("zfs said no")
    assert rig.host.list_dir(KEY_DIR) == ()
    rig.host.write_file(crypt.keys.path(disk), b"left by a crash")
    crypt.keys.erase_all()
    assert rig.host.list_dir(KEY_DIR) == ()


def test_a_key_is_rotated(crypt: Sled, rig: Rig) -> None:
    """A key changes together with its recorded epoch, once, and back."""
    disk = rig.disk("U.2").identity
    with crypt.keys.file(disk, epoch=0):
        assert crypt.datasets.change_key(CRYPT, epoch=0) == 1
    assert rig.looking().datasets.change_key(CRYPT, epoch=0) == 0
    seen = crypt.datasets.observe(CRYPT)
    assert seen is not None
    assert (seen.epoch, seen.is_key_loaded) == (0, True)
    crypt.datasets.unmount(CRYPT)
    crypt.datasets.unload_key(CRYPT)
    with crypt.keys.file(disk, epoch=0):
        assert crypt.datasets.load_key(CRYPT)


def spec(**changes: object) -> DatasetSpec:
    facts: dict = {"quota": 10**9, "compression": Compression("gzip-9"), **changes}
    return DatasetSpec.of(DEBUG, ID, **facts)


def test_a_dataset_is_made_once(crypt: Sled, rig: Rig) -> None:
    """A dataset is made with all its properties and mounted; again nothing is run; undo leaves no trace."""
    before = rig.shown()
    ensured = crypt.datasets.ensure(spec())
    seen = crypt.datasets.observe(DEBUG)
    assert seen is not None
    assert (ensured.is_ours, ensured.changed) == (True, {})
    assert (seen.id, seen.saga, seen.quota, seen.compression) == (ID, "s1", 10**9, "gzip-9")
    assert (seen.is_mounted, seen.is_encrypted, seen.mountpoint) == (True, True, DEBUG.mountpoint)
    assert rig.looking().datasets.ensure(spec()) == ensured
    assert crypt.datasets.destroy(DEBUG, mountpoint=DEBUG.mountpoint)
    assert not rig.looking().datasets.destroy(DEBUG, mountpoint=DEBUG.mountpoint)
    assert rig.shown() == before
    assert rig.host.stat(DEBUG.mountpoint) is None


def test_a_dataset_is_adjusted_and_restored(crypt: Sled, rig: Rig) -> None:
    """Only what differs is set, by another saga too, and the values from before can be put back."""
    crypt.datasets.ensure(spec())
    before = rig.shown()
    other = rig.sled("s2").datasets
    ensured = other.ensure(spec(quota=2 * 10**9, reservation=10**6))
    assert (ensured.is_ours, ensured.was_mounted) == (False, True)
    assert ensured.changed == {"quota": "1000000000", "reservation": "none"}
    other.restore(DEBUG, ensured.changed)
    rig.looking().datasets.restore(DEBUG, ensured.changed)
    assert rig.shown() == before


def test_a_dataset_without_an_id_is_adopted_only_when_asked(crypt: Sled, rig: Rig) -> None:
    """Another saga's dataset without an id is refused, or adopted, and its lack of an id can be restored."""
    crypt.datasets.ensure(DatasetSpec.of(DEBUG, None))
    before = rig.shown()
    other = rig.sled("s2").datasets
    with pytest.raises(ForeignObject, match="oxide:uuid is not set"):
        other.ensure(DatasetSpec.of(DEBUG, ID))
    ensured = other.ensure(DatasetSpec.of(DEBUG, ID), adopt=True)
    assert ensured.changed == {"oxide:uuid": None}
    other.restore(DEBUG, ensured.changed)
    assert rig.shown() == before


def test_another_dataset_is_never_changed(crypt: Sled, rig: Rig) -> None:
    """A dataset of another id or another place is left as it is."""
    crypt.datasets.ensure(spec())
    before = rig.shown()
    with pytest.raises(ForeignObject, match="oxide:uuid is"):
        crypt.datasets.ensure(DatasetSpec.of(DEBUG, UUID(int=1)))
    with pytest.raises(ForeignObject, match="mountpoint is"):
        crypt.datasets.ensure(DatasetSpec(DEBUG, "/elsewhere", ID))
    assert rig.shown() == before


def test_a_dataset_that_holds_anything_is_kept(crypt: Sled, rig: Rig) -> None:
    """Undo refuses a dataset with a file, with much data, with a child, or with another saga's tag."""
    crypt.datasets.ensure(spec())
    path = f"{DEBUG.mountpoint}/core"
    rig.host.write_file(path, b"x")
    with pytest.raises(ForeignObject, match=r"holds files \(core\)"):
        crypt.datasets.destroy(DEBUG)
    rig.host.write_file(path, b"x" * 2**20)
    with pytest.raises(ForeignObject, match="an empty one at most"):
        crypt.datasets.destroy(DEBUG)
    with pytest.raises(ForeignObject, match="has 1 below it"):
        crypt.datasets.destroy(CRYPT)
    with pytest.raises(ForeignObject, match="carries the tag s1, not s2"):
        rig.sled("s2").datasets.destroy(DEBUG)
    assert rig.host.stat(path) is not None


def test_a_lost_reply_is_found_out_by_looking(crypt: Sled, rig: Rig) -> None:
    """When the reply to a create is lost, the next attempt finds the dataset and knows it for its own."""
    rig.break_next("reply_lost", "zfs", "create")
    with pytest.raises(HostUnreachable):
        crypt.datasets.ensure(spec())
    assert rig.looking().datasets.ensure(spec()).is_ours


def test_an_error_is_not_absence(crypt: Sled, rig: Rig) -> None:
    """When zfs fails, a dataset that is there is not taken for absent, and nothing is made."""
    rig.break_next("error", "zfs", "get", text="internal error: out of memory\n")
    with pytest.raises(CommandFailed, match="out of memory"):
        crypt.datasets.observe(CRYPT)


@pytest.mark.parametrize(("times", "is_gone"), [(2, True), (3, False)])
def test_a_busy_dataset_is_tried_a_few_times(crypt: Sled, rig: Rig, times: int, *, is_gone: bool) -> None:
    """A busy dataset is destroyed when it gets free in time; otherwise it is an error, soon."""
    crypt.datasets.ensure(spec())
    rig.break_next(
        "error", "zfs", "destroy", times=times, text=f"cannot destroy '{DEBUG}': dataset is busy\n"
    )
    if is_gone:
        assert crypt.datasets.destroy(DEBUG)
    else:
        with pytest.raises(CommandFailed, match="dataset is busy"):
            crypt.datasets.destroy(DEBUG)
    assert rig.waits == [1.0, 1.0]


@pytest.mark.parametrize(("times", "is_mounted"), [(2, True), (3, False)])
def test_a_busy_place_is_tried_a_few_times(crypt: Sled, rig: Rig, times: int, *, is_mounted: bool) -> None:
    """What was just unmounted is mounted when its place gets free in time; otherwise it is an error, soon."""
    crypt.datasets.ensure(spec())
    crypt.datasets.unmount(DEBUG)
    text = f"cannot mount '{DEBUG}': mountpoint or dataset is busy\n"
    rig.break_next("error", "zfs", "mount", times=times, text=text)
    if is_mounted:
        assert crypt.datasets.mount(DEBUG)
    else:
        with pytest.raises(CommandFailed, match="mountpoint or dataset is busy"):
            crypt.datasets.mount(DEBUG)
    assert rig.waits == [1.0, 1.0]


def test_a_mountpoint_in_use_is_refused(crypt: Sled) -> None:
    """No dataset is made where another one is mounted."""
    with pytest.raises(ForeignObject, match=f"{CRYPT} is mounted at"):
        crypt.datasets.ensure(DatasetSpec(f"{POOL}/other", f"{POOL.mountpoint}/crypt"))


def test_links_and_addresses(rig: Rig) -> None:
    """Links are made once, are known for this saga's, and are gone after undo with their records."""
    before, links = rig.shown(), rig.sled().links
    assert links.ensure_etherstub(STUB)
    assert links.ensure_vnic(VnicSpec(VNIC, STUB, 9000))
    assert links.ensure_address(ADDRESS, "fd00::5/64")
    again = rig.looking().links
    assert again.ensure_etherstub(STUB)
    assert again.ensure_vnic(VnicSpec(VNIC, STUB, 9000))
    assert again.ensure_address(ADDRESS, "fd00:0::5/64")
    assert links.ensure_address(ADDRESS, "fd00::6/64")
    assert links.address(ADDRESS) == "fd00::6/64"
    assert links.delete_address(ADDRESS)
    assert not links.delete_address(ADDRESS)
    assert links.delete_vnic(VNIC)
    assert links.delete_etherstub(STUB)
    assert not again.delete_etherstub(STUB)
    assert rig.shown() == before
    assert rig.host.list_dir("/var/run/sledsaga/owners") == ()


def test_links_of_others_are_kept(rig: Rig) -> None:
    """A link of another saga is used when it fits, refused when it does not, and never deleted."""
    rig.sled("s2").links.ensure_etherstub(STUB)
    rig.sled("s2").links.ensure_vnic(VnicSpec(VNIC, STUB, 1500))
    rig.sled("s2").links.ensure_address(ADDRESS, "fd00::5/64")
    links = rig.sled().links
    assert not links.ensure_vnic(VnicSpec(VNIC, STUB, 1500))
    with pytest.raises(ForeignObject, match="is over underlay_stub0, expected other0"):
        links.ensure_vnic(VnicSpec(VNIC, LinkName("other0"), 1500))
    with pytest.raises(ForeignObject, match="expected fd00::6/64, and was made by s2"):
        links.ensure_address(ADDRESS, "fd00::6/64")
    with pytest.raises(ForeignObject, match="was made by s2, not s1; it was kept"):
        links.delete_vnic(VNIC)


def test_a_busy_link_is_transient(rig: Rig) -> None:
    """A link that stays busy is an error that may be tried again later."""
    links = rig.sled().links
    links.ensure_etherstub(STUB)
    links.ensure_vnic(VnicSpec(VNIC, STUB, 1500))
    rig.break_next("error", "dladm", "delete-vnic", times=3, text="dladm: vnic deletion failed: link busy\n")
    with pytest.raises(Transient, match="is busy: tried 3 times"):
        links.delete_vnic(VNIC)
    assert links.delete_vnic(VNIC)


@pytest.fixture
def grounds(crypt: Sled) -> Sled:
    """Make all that the zone of a database needs."""
    crypt.datasets.ensure(DatasetSpec.of(ZONES, ID))
    crypt.datasets.ensure(DatasetSpec.of(CRDB, ID))
    crypt.links.ensure_etherstub(STUB)
    crypt.links.ensure_vnic(VnicSpec(VNIC, STUB, 9000))
    return crypt


def zone_spec(image_hash: str = "aa") -> ZoneSpec:
    path = f"{ZONES.mountpoint}/{ZONE}"
    return ZoneSpec(ZONE, path, IMAGE, image_hash=image_hash, datasets=(CRDB,), links=(VNIC,))


def test_a_zone_is_brought_up_once(grounds: Sled, rig: Rig) -> None:
    """A zone is brought up in four acts; again nothing is run; undo leaves no trace."""
    before, wanted = rig.shown(), zone_spec()
    assert grounds.zones.configure(wanted)
    assert grounds.zones.install(wanted)
    database = ServiceProfile("oxide/cockroachdb", (("store", "/data"),))
    profile = Profile(ZoneNetwork(VNIC, "fd00::1", "fd00::2"), (database,))
    path = grounds.zones.write_profile(wanted.path, profile)
    assert b"oxide/cockroachdb" in (rig.host.read_file(path) or b"")
    assert rig.looking().zones.write_profile(wanted.path, profile) == path
    assert grounds.zones.boot(wanted)
    grounds.services.wait_ready(ZONE, timeout_s=60.0)
    assert (
        SmfServices(rig.host, rig.waits.append).state("svc:/oxide/cockroachdb:default", zone=ZONE) == "online"
    )
    assert not rig.looking().zones.ensure(wanted)
    seen = grounds.zones.observe(ZONE)
    assert seen is not None
    assert (seen.state, seen.saga) == ("running", "s1")
    assert grounds.zones.remove(ZONE)
    assert not rig.looking().zones.remove(ZONE)
    assert rig.shown() == before


def test_a_zone_of_others_is_kept(grounds: Sled, rig: Rig) -> None:
    """A running zone of another configuration is foreign; only its saga undoes it, and any may retire it."""
    grounds.zones.ensure(zone_spec())
    other = rig.sled("s2").zones
    assert not other.ensure(zone_spec())
    with pytest.raises(ForeignObject, match="running with another configuration"):
        other.ensure(zone_spec("bb"))
    with pytest.raises(ForeignObject, match="carries the tag s1, not s2"):
        other.remove(ZONE)
    assert other.retire(ZONE)
    assert other.ensure(zone_spec("bb"))
    assert other.observe_all()[0].saga == "s2"


def test_a_half_made_zone_is_made_anew(grounds: Sled, rig: Rig) -> None:
    """An install that failed midway is taken away and done again; so is what another saga left."""
    rig.host.remove_file(IMAGE)
    with pytest.raises(CommandFailed):
        rig.sled("s2").zones.ensure(zone_spec("bb"))
    rig.host.write_file(IMAGE, b"image")
    assert grounds.zones.ensure(zone_spec())
    seen = grounds.zones.observe(ZONE)
    assert seen is not None
    assert (seen.state, seen.saga) == ("running", "s1")


def test_an_untagged_zone_is_never_touched(grounds: Sled, rig: Rig) -> None:
    """A zone that no saga made is refused in whatever state."""
    script = "create -b ; set brand=omicron1 ; set zonepath=/z"
    assert rig.host.run(changes("zonecfg", "-z", ZONE, script)).code == 0
    for act in (grounds.zones.ensure, lambda spec: grounds.zones.retire(spec.name)):
        with pytest.raises(ForeignObject, match="made by no saga"):
            act(zone_spec())


def test_zones_halt_and_uninstall(grounds: Sled, rig: Rig) -> None:
    """Halting and uninstalling are done once each, and leave the configuration."""
    grounds.zones.ensure(zone_spec())
    assert grounds.zones.halt(ZONE)
    assert not rig.looking().zones.halt(ZONE)
    assert grounds.zones.uninstall(ZONE)
    assert not rig.looking().zones.uninstall(ZONE)
    assert [zone.state for zone in grounds.zones.list()] == ["configured"]


def test_services_wait_and_change(grounds: Sled, rig: Rig) -> None:
    """A service that does not come up is transient; one in maintenance fails at once; changes are undone."""
    services, looking = rig.sled().services, rig.looking().services
    assert isinstance(services, SmfServices)
    assert isinstance(looking, SmfServices)
    with pytest.raises(Transient, match=r"is None after 2.0 s, expected online"):
        services.wait_online(zone=ZONE, timeout_s=2.0)
    assert rig.waits == [0.5] * 4
    grounds.zones.ensure(zone_spec())
    assert services.set_property(SINGLE, "config/x", 'a "b" c', zone=ZONE) is None
    assert looking.set_property(
        SINGLE, "config/x", services.property(SINGLE, "config/x", zone=ZONE) or "", zone=ZONE
    )
    services.restore_property(SINGLE, "config/x", None, zone=ZONE)
    assert services.property(SINGLE, "config/x", zone=ZONE) is None
    assert services.disable(SINGLE, zone=ZONE)
    assert not looking.disable(SINGLE, zone=ZONE)
    assert services.enable(SINGLE, zone=ZONE)
    assert not looking.enable(SINGLE, zone=ZONE)
    rig.host.run(changes("svcadm", "-z", ZONE, "mark", "maintenance", SINGLE))
    with pytest.raises(CommandFailed, match="is in maintenance"):
        services.wait_online(zone=ZONE)


def test_ledgers_are_on_internal_disks(rig: Rig) -> None:
    """A ledger is kept in the mounted `config` datasets of internal pools; others are named with why."""
    sled = rig.sled()
    sled.pools.create(M2, rig.disk("M.2"))
    assert [bool(place.problem) for place in sled.ledger_places()] == [True]
    sled.datasets.ensure(DatasetSpec(f"{M2}/config", f"{M2.mountpoint}/config"))
    assert [place.path for place in sled.ledger_places()] == [f"{M2.mountpoint}/config"]
    assert not sled.ledgers.commit("x.json", {}).is_degraded
    assert rig.looking().ledgers.read("x.json").generation == 1


def test_a_plan_changes_nothing(rig: Rig) -> None:
    """On a host for plans every driver looks, and refuses to make what is missing."""
    sled = rig.looking()
    before = rig.shown()
    with pytest.raises(Mutates):
        sled.pools.create(POOL, rig.disk("U.2"))
    with pytest.raises(Mutates):
        sled.links.ensure_etherstub(STUB)
    with pytest.raises(Mutates):
        sled.zones.configure(zone_spec())
    assert rig.shown() == before
