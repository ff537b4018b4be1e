"""Each command line that a driver can build on illumos, word for word, with what it is for.

The table of `docs/illumos.md` is these rows: `python -m tests.hosts.illumos.golden` prints it anew.
"""

from __future__ import annotations

import ipaddress
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sledsaga.hosts import chrony
from sledsaga.hosts.answer import looks
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
KEY = b"k" * 32
ZONE = ZoneName(f"oxz_cockroachdb_{ID}")
VNIC, STUB = LinkName("oxControlService0"), LinkName("underlay_stub0")
SPEC = ZoneSpec(
    ZONE,
    f"/pool/ext/{ID}/crypt/zone/{ZONE}",
    "/opt/oxide/cockroachdb.tar.gz",
    privileges=("default", "dtrace_proc"),
    datasets=(CRDB,),
    filesystems=(ZoneFilesystem("/in", "/out", options=("ro", "nodevices")),),
    devices=("/dev/vmm/*",),
    links=(VNIC,),
    attributes=(("note", "two words"),),
    security_flags=SecurityFlags(lower=("aslr",)),
)
CRYPT = DatasetSpec(
    f"{POOL}/crypt", f"/pool/ext/{ID}/crypt", encryption=Encryption("/var/run/oxide/k.key", 3)
)
DNS = "svc:/network/dns/client:default"
SCRIPT = (
    *("create -F -b", "set brand=omicron1", f"set zonepath={SPEC.path}", "set autoboot=false"),
    *("set ip-type=exclusive", "set limitpriv=default,dtrace_proc"),
    *("add dataset", f"set name={CRDB}", "end"),
    *("add fs", "set type=lofs", "set dir=/in", "set special=/out"),
    *("add options ro", "add options nodevices", "end"),
    *("add device", "set match=/dev/vmm/*", "end"),
    *("add net", "set physical=oxControlService0", "end"),
    *("add security-flags", "set lower=aslr", "end"),
    *("add attr", "set name=note", "set type=string", 'set value="two words"', "end"),
    *("add attr", "set name=sledsaga-saga", "set type=string", "set value=s1", "end"),
    *("add attr", "set name=sledsaga-config", "set type=string"),
    *(f"set value={zonecfg.fingerprint(SPEC)}", "end"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One command: who builds it, what was built, and what was meant, as one line or as words."""

    builder: Callable[..., HostCommand]
    command: HostCommand
    line: str | tuple[str, ...]

    @property
    def argv(self) -> tuple[str, ...]:
        """The words that are meant."""
        return tuple(self.line.split(" ")) if isinstance(self.line, str) else self.line

    @property
    def purpose(self) -> str:
        """What the command is for: the first sentence of its builder's docstring."""
        return (self.builder.__doc__ or "").partition("\n")[0].rstrip(".")


def row(
    line: str | tuple[str, ...], builder: Callable[..., HostCommand], *args: object, **named: object
) -> Row:
    """Build a command and put it beside the words that are meant."""
    return Row(builder, builder(*args, **named), line)


LOOKS = (
    row("diskinfo -cHp", disks.list_disks),
    row("fstyp -a /dev/dsk/c1t0d0s0", disks.identify, "/dev/dsk/c1t0d0"),
    row("fstyp -a /dev/dsk/c2t0d0s5", disks.identify, "/dev/dsk/c2t0d0s5"),
    row("zpool list -Hpo name,size,allocated,free,health", zpool.list_pools),
    row(f"zpool get -Hpo property,value feature@encryption,failmode {POOL}", zpool.get_settings, POOL),
    row(
        "zfs get -Hpo name,property,value,source"
        " oxide:uuid,oxide:epoch,oxide:agent,sledsaga:saga,type,mounted,mountpoint,canmount,zoned,"
        f"available,used,referenced,quota,reservation,compression,keystatus {CRDB} rpool",
        zfs.get_properties,
        [CRDB, "rpool"],
    ),
    row(f"zfs get -s local -Ho property all {CRDB}", zfs.get_own, CRDB),
    row(f"zfs list -d 1 -rHo name -t filesystem,volume,snapshot {CRDB}", zfs.list_below, CRDB),
    row("zfs list -Ho name,mountpoint,mounted", zfs.list_mounts),
    row(f"zfs load-key -n {POOL}/crypt", zfs.try_key, CRYPT.name),
    row("zoneadm list -cip", zoneadm.list_zones),
    row(("zonecfg", "-z", ZONE, "info attr"), zonecfg.show_attributes, ZONE),
    row("dladm show-etherstub -p -o LINK", network.list_etherstubs),
    row("dladm show-vnic -p -o LINK,OVER", network.list_vnics),
    row("dladm show-linkprop -c -o value -p mtu oxControlService0", network.get_mtu, VNIC),
    row("ipadm show-addr -p -o ADDR underlay0/sled6", network.show_address, "underlay0/sled6"),
    row("ipadm show-if -p -o IFNAME oxControlService0", network.show_interface, VNIC),
    row("ipadm show-addr -p -o ADDROBJ", network.list_addresses),
    row(f"svcs -z {ZONE} -H -o state {DNS}", services.show_state, DNS, zone=ZONE),
    row(f"svcprop -p config/x {DNS}", services.show_property, DNS, "config/x"),
    row(f"zlogin {ZONE} chronyc -c tracking", chrony.show_tracking, looks("zlogin", ZONE)),
)
"""What changes nothing: a plan may run it."""

CHANGES = (
    row(
        "zpool create -o ashift=12 -o feature@encryption=enabled -o failmode=continue"
        f" -O mountpoint=/pool/ext/{ID} -O sledsaga:saga=s1 {POOL} /dev/dsk/c1t0d0",
        zpool.create_pool,
        POOL,
        "/dev/dsk/c1t0d0",
        saga="s1",
    ),
    row(f"zpool set failmode=continue {POOL}", zpool.set_setting, POOL, "failmode", "continue"),
    row(f"zpool import -f {POOL}", zpool.import_pool, POOL),
    row(f"zpool export {POOL}", zpool.export_pool, POOL),
    row(f"zpool destroy {POOL}", zpool.destroy_pool, POOL),
    row(
        "zfs create -o encryption=aes-256-gcm -o keyformat=raw -o keylocation=file:///var/run/oxide/k.key"
        f" -o oxide:epoch=3 -o canmount=on -o mountpoint=/pool/ext/{ID}/crypt"
        f" -o sledsaga:saga=s1 {POOL}/crypt",
        zfs.create_dataset,
        CRYPT,
        saga="s1",
    ),
    row(
        "zfs create -o zoned=on -o canmount=on -o mountpoint=/data"
        f" -o oxide:uuid={ID} -o sledsaga:saga=s1 {CRDB}",
        zfs.create_dataset,
        DatasetSpec.of(CRDB, UUID(ID)),
        saga="s1",
    ),
    row(
        f"zfs create -o canmount=on -o mountpoint=/pool/ext/{ID}/crypt/debug -o quota=100"
        f" -o reservation=50 -o compression=gzip-9 -o oxide:uuid={ID} -o sledsaga:saga=s1 {DEBUG}",
        zfs.create_dataset,
        DatasetSpec.of(DEBUG, UUID(ID), quota=100, reservation=50, compression=Compression("gzip-9")),
        saga="s1",
    ),
    row(
        f"zfs set quota=none compression=lz4 {DEBUG}",
        zfs.set_properties,
        DEBUG,
        (("quota", "none"), ("compression", "lz4")),
    ),
    row(f"zfs inherit oxide:uuid {DEBUG}", zfs.inherit_property, DEBUG, "oxide:uuid"),
    row(f"zfs mount -l {DEBUG}", zfs.mount_dataset, DEBUG, load_key=True),
    row(f"zfs mount {DEBUG}", zfs.mount_dataset, DEBUG),
    row(f"zfs unmount {DEBUG}", zfs.unmount_dataset, DEBUG),
    row(f"zfs load-key {POOL}/crypt", zfs.load_key, CRYPT.name),
    row(f"zfs load-key -L prompt {POOL}/crypt", zfs.give_key, CRYPT.name, KEY),
    row(f"zfs unload-key {POOL}/crypt", zfs.unload_key, CRYPT.name),
    row(f"zfs change-key -o oxide:epoch=4 {POOL}/crypt", zfs.change_key, CRYPT.name, epoch=4),
    row(f"zfs destroy {DEBUG}", zfs.destroy_dataset, DEBUG),
    row("chmod S+ci /a", mountpoints.set_immutable, "/a"),
    row("chmod S-ci /a", mountpoints.clear_immutable, "/a"),
    row("mv /a/x /a/y /b", mountpoints.move_into, "/b", ("/a/x", "/a/y")),
    row(("zonecfg", "-z", ZONE, " ; ".join(SCRIPT)), zonecfg.configure_zone, SPEC, saga="s1"),
    row(
        f"zoneadm -z {ZONE} install /opt/oxide/cockroachdb.tar.gz /opt/oxide/overlay.tar.gz",
        zoneadm.install_zone,
        SPEC,
    ),
    row(f"zoneadm -z {ZONE} boot", zoneadm.boot_zone, ZONE),
    row(f"zoneadm -z {ZONE} halt", zoneadm.halt_zone, ZONE),
    row(f"zoneadm -z {ZONE} uninstall -F", zoneadm.uninstall_zone, ZONE),
    row(f"zonecfg -z {ZONE} delete -F", zonecfg.delete_zone, ZONE),
    row("dladm create-etherstub -t underlay_stub0", network.create_etherstub, STUB),
    row("dladm delete-etherstub underlay_stub0", network.delete_etherstub, STUB),
    row(
        "dladm create-vnic -t -l underlay_stub0 -p mtu=9000 oxControlService0",
        network.create_vnic,
        VnicSpec(VNIC, STUB, 9000),
    ),
    row(
        "dladm create-vnic -t -l underlay_stub0 -m a8:40:25:0:0:1 -v 3 -p mtu=1500 oxControlService0",
        network.create_vnic,
        VnicSpec(VNIC, STUB, 1500, mac="a8:40:25:0:0:1", vlan=3),
    ),
    row("dladm set-linkprop -t -p mtu=9000 oxControlService0", network.set_mtu, VNIC, 9000),
    row("dladm delete-vnic oxControlService0", network.delete_vnic, VNIC),
    row("ipadm create-if -t oxControlService0", network.create_interface, VNIC),
    row("ipadm delete-if oxControlService0", network.delete_interface, VNIC),
    row(
        "ipadm create-addr -t -T static -a fd00::1/64 underlay0/sled6",
        network.create_address,
        "underlay0/sled6",
        ipaddress.ip_interface("fd00::1/64"),
    ),
    row("ipadm create-addr -t -T addrconf underlay0/ll", network.create_address, "underlay0/ll", None),
    row("ipadm delete-addr underlay0/sled6", network.delete_address, "underlay0/sled6"),
    row(f"svcadm -z {ZONE} enable {DNS}", services.enable_service, DNS, zone=ZONE),
    row(f"svcadm disable -s -t {DNS}", services.disable_service, DNS, until_reboot=True),
    row(f"svcadm -z {ZONE} refresh {DNS}", services.refresh_service, DNS, zone=ZONE),
    row(
        f"svccfg -z {ZONE} -s {DNS} setprop config/x = astring: y",
        services.set_service_property,
        DNS,
        "config/x",
        "y",
        zone=ZONE,
    ),
    row(f"svccfg -s {DNS} addpg config application", services.add_property_group, DNS, "config"),
    row(f"svccfg -s {DNS} delprop config/x", services.delete_service_property, DNS, "config/x"),
)
"""What changes the sled: a plan may not run it."""

INPUT = {zfs.give_key: KEY}
"""What a command reads from its input; it is in no word of it. Any other reads nothing."""

NOT_ON_ILLUMOS = {
    zfs.forget_mount: "lets go of a mount whose server has gone, which only ZFS over FUSE has",
    zfs.find_holders: "reads /proc as Linux has it",
}
"""Builders of the shared ZFS drivers that are called for a Linux sled only, and why."""


def table() -> str:
    """Return the rows as the table of the docs; a long id is written as ID."""
    lines = ["| command | what it is for |", "| --- | --- |"]
    for title, rows in (("**only looks**", LOOKS), ("**changes the sled**", CHANGES)):
        lines.append(f"| {title} | |")
        lines += [f"| `{shlex.join(each.argv).replace(ID, 'ID')}` | {each.purpose} |" for each in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
