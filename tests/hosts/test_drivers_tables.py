"""Each command line that a driver builds, word for word."""

from __future__ import annotations

import ipaddress
from uuid import UUID

import pytest

from sledsaga.errors import InvalidName
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.illumos import disks, network, services, zoneadm, zonecfg
from sledsaga.hosts.link import VnicSpec
from sledsaga.hosts.names import Compression, DatasetKind, DatasetName, LinkName, PoolName, ZoneName
from sledsaga.hosts.zfs import commands as zfs
from sledsaga.hosts.zfs import mountpoints
from sledsaga.hosts.zfs.spec import DatasetSpec, Encryption
from sledsaga.hosts.zone import SecurityFlags, ZoneFilesystem, ZoneSpec
from sledsaga.hosts.zpool import commands as zpool

ID = "10fec275-f937-40f7-9c25-616079ef3816"
POOL = PoolName(f"oxp_{ID}")
CRDB = DatasetName.of(POOL, DatasetKind("cockroachdb"))
DEBUG = DatasetName.of(POOL, DatasetKind("debug"))
ZONE = ZoneName(f"oxz_cockroachdb_{ID}")
VNIC, STUB = LinkName("oxControlService0"), LinkName("underlay_stub0")
SPEC = ZoneSpec(ZONE, f"/pool/ext/{ID}/crypt/zone/{ZONE}", "/opt/oxide/cockroachdb.tar.gz")
CRYPT = DatasetSpec(
    f"{POOL}/crypt", f"/pool/ext/{ID}/crypt", encryption=Encryption("/var/run/oxide/k.key", 3)
)
DNS = "svc:/network/dns/client:default"

LOOKS = [
    (disks.list_disks(), "diskinfo -cHp"),
    (disks.identify("/dev/dsk/c1t0d0"), "fstyp -a /dev/dsk/c1t0d0s0"),
    (zpool.list_pools(), "zpool list -Hpo name,size,allocated,free,health"),
    (zpool.get_settings(POOL), f"zpool get -Hpo property,value feature@encryption,failmode {POOL}"),
    (
        zfs.get_properties([CRDB, "rpool"], depth=1),
        (
            "zfs get -t filesystem,volume -d 1 -Hpo name,property,value,source"
            " oxide:uuid,oxide:epoch,oxide:agent,sledsaga:saga,type,mounted,mountpoint,canmount,zoned,"
            f"available,used,referenced,quota,reservation,compression,keystatus {CRDB} rpool"
        ),
    ),
    (zfs.list_below(CRDB), f"zfs list -d 1 -rHpo name -t filesystem,volume,snapshot {CRDB}"),
    (zfs.list_mounts(), "zfs list -Hpo name,mountpoint,mounted"),
    (zoneadm.list_zones(), "zoneadm list -cip"),
    (network.list_etherstubs(), "dladm show-etherstub -p -o LINK"),
    (network.list_vnics(), "dladm show-vnic -p -o LINK,OVER"),
    (network.get_mtu(VNIC), "dladm show-linkprop -c -o value -p mtu oxControlService0"),
    (network.show_address("underlay0/sled6"), "ipadm show-addr -p -o ADDR underlay0/sled6"),
    (network.show_interface(VNIC), "ipadm show-if -p -o IFNAME oxControlService0"),
    (network.list_addresses(), "ipadm show-addr -p -o ADDROBJ"),
    (services.show_state(DNS, zone=ZONE), f"svcs -z {ZONE} -H -o state {DNS}"),
    (services.show_property(DNS, "config/x"), f"svcprop -p config/x {DNS}"),
]

CHANGES = [
    (
        zpool.create_pool(POOL, "/dev/dsk/c1t0d0", saga="s1"),
        (
            "zpool create -o ashift=12 -o feature@encryption=enabled -o failmode=continue"
            f" -O mountpoint=/pool/ext/{ID} -O sledsaga:saga=s1 {POOL} /dev/dsk/c1t0d0"
        ),
    ),
    (zpool.set_setting(POOL, "failmode", "continue"), f"zpool set failmode=continue {POOL}"),
    (zpool.import_pool(POOL), f"zpool import -f {POOL}"),
    (zpool.export_pool(POOL), f"zpool export {POOL}"),
    (zpool.destroy_pool(POOL), f"zpool destroy {POOL}"),
    (
        zfs.create_dataset(CRYPT, saga="s1"),
        (
            "zfs create -o encryption=aes-256-gcm -o keyformat=raw -o keylocation=file:///var/run/oxide/k.key"
            f" -o oxide:epoch=3 -o canmount=on -o mountpoint=/pool/ext/{ID}/crypt"
            f" -o sledsaga:saga=s1 {POOL}/crypt"
        ),
    ),
    (
        zfs.create_dataset(DatasetSpec.of(CRDB, UUID(ID)), saga="s1"),
        (
            "zfs create -o zoned=on -o canmount=on -o mountpoint=/data"
            f" -o oxide:uuid={ID} -o sledsaga:saga=s1 {CRDB}"
        ),
    ),
    (
        zfs.create_dataset(
            DatasetSpec.of(DEBUG, UUID(ID), quota=100, reservation=50, compression=Compression("gzip-9")),
            saga="s1",
        ),
        (
            f"zfs create -o canmount=on -o mountpoint=/pool/ext/{ID}/crypt/debug -o quota=100"
            f" -o reservation=50 -o compression=gzip-9 -o oxide:uuid={ID} -o sledsaga:saga=s1 {DEBUG}"
        ),
    ),
    (
        zfs.set_properties(DEBUG, (("quota", "none"), ("compression", "lz4"))),
        f"zfs set quota=none compression=lz4 {DEBUG}",
    ),
    (zfs.inherit_property(DEBUG, "oxide:uuid"), f"zfs inherit oxide:uuid {DEBUG}"),
    (zfs.mount_dataset(DEBUG, load_key=True), f"zfs mount -l {DEBUG}"),
    (zfs.mount_dataset(DEBUG), f"zfs mount {DEBUG}"),
    (zfs.unmount_dataset(DEBUG), f"zfs unmount {DEBUG}"),
    (zfs.load_key(CRYPT.name), f"zfs load-key {POOL}/crypt"),
    (zfs.unload_key(CRYPT.name), f"zfs unload-key {POOL}/crypt"),
    (zfs.change_key(CRYPT.name, epoch=4), f"zfs change-key -o oxide:epoch=4 {POOL}/crypt"),
    (zfs.destroy_dataset(DEBUG), f"zfs destroy {DEBUG}"),
    (mountpoints.set_immutable("/a"), "chmod S+ci /a"),
    (mountpoints.clear_immutable("/a"), "chmod S-ci /a"),
    (mountpoints.move_into("/b", ("/a/x", "/a/y")), "mv /a/x /a/y /b"),
    (
        zoneadm.install_zone(SPEC),
        f"zoneadm -z {ZONE} install /opt/oxide/cockroachdb.tar.gz /opt/oxide/overlay.tar.gz",
    ),
    (zoneadm.boot_zone(ZONE), f"zoneadm -z {ZONE} boot"),
    (zoneadm.halt_zone(ZONE), f"zoneadm -z {ZONE} halt"),
    (zoneadm.uninstall_zone(ZONE), f"zoneadm -z {ZONE} uninstall -F"),
    (zonecfg.delete_zone(ZONE), f"zonecfg -z {ZONE} delete -F"),
    (network.create_etherstub(STUB), "dladm create-etherstub -t underlay_stub0"),
    (network.delete_etherstub(STUB), "dladm delete-etherstub underlay_stub0"),
    (
        network.create_vnic(VnicSpec(VNIC, STUB, 9000)),
        "dladm create-vnic -t -l underlay_stub0 -p mtu=9000 oxControlService0",
    ),
    (
        network.create_vnic(VnicSpec(VNIC, STUB, 1500, mac="a8:40:25:0:0:1", vlan=3)),
        "dladm create-vnic -t -l underlay_stub0 -m a8:40:25:0:0:1 -v 3 -p mtu=1500 oxControlService0",
    ),
    (network.set_mtu(VNIC, 9000), "dladm set-linkprop -t -p mtu=9000 oxControlService0"),
    (network.delete_vnic(VNIC), "dladm delete-vnic oxControlService0"),
    (network.create_interface(VNIC), "ipadm create-if -t oxControlService0"),
    (network.delete_interface(VNIC), "ipadm delete-if oxControlService0"),
    (
        network.create_address("underlay0/sled6", ipaddress.ip_interface("fd00::1/64")),
        "ipadm create-addr -t -T static -a fd00::1/64 underlay0/sled6",
    ),
    (network.create_address("underlay0/ll", None), "ipadm create-addr -t -T addrconf underlay0/ll"),
    (network.delete_address("underlay0/sled6"), "ipadm delete-addr underlay0/sled6"),
    (services.enable_service(DNS, zone=ZONE), f"svcadm -z {ZONE} enable {DNS}"),
    (services.disable_service(DNS, until_reboot=True), f"svcadm disable -s -t {DNS}"),
    (services.refresh_service(DNS, zone=ZONE), f"svcadm -z {ZONE} refresh {DNS}"),
    (
        services.set_service_property(DNS, "config/x", "y", zone=ZONE),
        f"svccfg -z {ZONE} -s {DNS} setprop config/x = astring: y",
    ),
    (services.add_property_group(DNS, "config"), f"svccfg -s {DNS} addpg config application"),
    (services.delete_service_property(DNS, "config/x"), f"svccfg -s {DNS} delprop config/x"),
]


def _id(row: object) -> str:
    return row if isinstance(row, str) else ""


@pytest.mark.parametrize(("command", "line"), LOOKS, ids=_id)
def test_commands_that_look(command: HostCommand, line: str) -> None:
    """A command that looks has these words, and a plan may run it."""
    assert (command.argv, command.mutates, command.stdin) == (tuple(line.split(" ")), False, None)


@pytest.mark.parametrize(("command", "line"), CHANGES, ids=_id)
def test_commands_that_change(command: HostCommand, line: str) -> None:
    """A command that changes the sled has these words, and a plan may not run it."""
    assert (command.argv, command.mutates, command.stdin) == (tuple(line.split(" ")), True, None)


def test_attributes_of_a_zone_are_asked_for_by_one_script() -> None:
    """Zonecfg takes its script as one argument."""
    assert zonecfg.show_attributes(ZONE) == HostCommand(("zonecfg", "-z", ZONE, "info attr"), mutates=False)


def test_a_zone_is_configured_by_one_script() -> None:
    """The script overwrites what is there, names all resources, and ends with tag and fingerprint."""
    spec = ZoneSpec(
        ZONE,
        "/z",
        "/img",
        privileges=("default", "dtrace_proc"),
        datasets=(CRDB,),
        filesystems=(ZoneFilesystem("/in", "/out", options=("ro", "nodevices")),),
        devices=("/dev/vmm/*",),
        links=(VNIC,),
        attributes=(("note", "two words"),),
        security_flags=SecurityFlags(lower=("aslr",)),
    )
    command = zonecfg.configure_zone(spec, saga="s1")
    assert command.argv[:3] == ("zonecfg", "-z", ZONE)
    assert command.argv[3].split(" ; ") == [
        *(
            "create -F -b",
            "set brand=omicron1",
            "set zonepath=/z",
            "set autoboot=false",
            "set ip-type=exclusive",
        ),
        "set limitpriv=default,dtrace_proc",
        *("add dataset", f"set name={CRDB}", "end"),
        *("add fs", "set type=lofs", "set dir=/in", "set special=/out"),
        *("add options ro", "add options nodevices", "end"),
        *("add device", "set match=/dev/vmm/*", "end"),
        *("add net", "set physical=oxControlService0", "end"),
        *("add security-flags", "set lower=aslr", "end"),
        *("add attr", "set name=note", "set type=string", 'set value="two words"', "end"),
        *("add attr", "set name=sledsaga-saga", "set type=string", "set value=s1", "end"),
        *("add attr", "set name=sledsaga-config", "set type=string"),
        *(f"set value={zonecfg.fingerprint(spec)}", "end"),
    ]


@pytest.mark.parametrize("value", ['a"b', "a\nb", "", "back\\slash"])
def test_a_value_cannot_leave_its_place_in_the_script(value: str) -> None:
    """What zonecfg would read as more than one value is refused."""
    with pytest.raises(InvalidName, match="cannot stand in a zone's configuration"):
        zonecfg.script(ZoneSpec(ZONE, "/z", "/img", attributes=(("note", value),)))


def test_a_fingerprint_knows_the_image_by_its_hash_only() -> None:
    """Another image hash, root or link is another zone; the same image from another path is the same zone."""
    base = ZoneSpec(ZONE, "/z", "/a.tar.gz", image_hash="aa")
    others = (
        ZoneSpec(ZONE, "/z", "/a.tar.gz", image_hash="bb"),
        ZoneSpec(ZONE, "/y", "/a.tar.gz", image_hash="aa"),
        ZoneSpec(ZONE, "/z", "/a.tar.gz", image_hash="aa", links=(VNIC,)),
    )
    moved = ZoneSpec(ZONE, "/z", "/b.tar.gz", image_hash="aa")
    assert zonecfg.fingerprint(moved) == zonecfg.fingerprint(base)
    assert len({zonecfg.fingerprint(spec) for spec in (base, *others)}) == 4


def test_a_property_value_is_one_word() -> None:
    """A value with blanks or quotes is quoted for svccfg, which reads its arguments as one line."""
    command = services.set_service_property(DNS, "config/x", 'a "b"')
    assert command.argv[-2:] == ("astring:", r'"a \"b\""')


@pytest.mark.parametrize("text", ["-x", "a b", "", "svc:/a;b"])
def test_no_service_name_can_be_an_option(text: str) -> None:
    """What is no service name never reaches argv."""
    with pytest.raises(InvalidName, match="is not a service"):
        services.show_state(text)


@pytest.mark.parametrize("text", ["underlay0", "underlay0/", "-x/y", "underlay0/a b"])
def test_no_address_object_can_be_an_option(text: str) -> None:
    """What is no address object never reaches argv."""
    with pytest.raises(InvalidName, match="is not an address object"):
        network.show_address(text)
