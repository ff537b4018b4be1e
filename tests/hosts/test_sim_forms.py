"""The rarer forms of the sled's commands: scripts from stdin, all at once, for people."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sledsaga.hosts.host import Completed
from sledsaga.hosts.sim import SimSled

Run = Callable[..., Completed]
Row = tuple[str, int, str]
KEY = "-o encryption=on -o keyformat=raw -o keylocation=file:///var/run/k"
A0, A1 = "/dev/dsk/c1tA0d0", "/dev/dsk/c1tA1d0"
SCRIPT = b"""
# a zone with one of everything
create -b
set brand=omicron1
set zonepath=/p/z
set limitpriv="default,dtrace_user"
add attr; set name=a; set type=string; set value="x;y"; end
add fs
set dir=/x
set special=/opt/oxide
set type=lofs
add options [ro]
end
add net; set physical=net0; add property (name=gateway,value="fd00::1"); end
add device; cancel
verify
commit
exit
"""

TRANSCRIPTS: dict[str, list[Row]] = {
    "all at once": [
        ("zfs create -o canmount=noauto p/a", 0, ""),
        ("zfs mount", 0, "/p\n"),
        ("zfs unmount /p", 0, ""),
        ("zfs unmount /p", 1, "not a ZFS filesystem"),
        ("zfs mount -a", 0, ""),
        ("zfs unmount -a", 0, ""),
        ("zfs get -Hpo value mounted p p/a", 0, "no\nno\n"),
        ("zfs snapshot -r p@s", 0, ""),
        ("zfs snapshot p@s", 1, "dataset already exists"),
        ("zfs snapshot p", 2, "usage:"),
        ("zfs snapshot -o quota=1 p@t", 1, "this property can not be modified for snapshots"),
        ("zfs rename p@s p@t", 0, ""),
        ("zfs list -Ho name -t all", 0, "p\np@t\np/a\np/a@s\n"),
        ("zfs list -Ho name -t snapshot p/a", 0, "p/a@s\n"),
        ("zfs list -Ho name -t volume p/a", 1, "not applicable"),
        ("zfs destroy -nvr p/a", 0, "would destroy p/a@s\nwould destroy p/a\n"),
        ("zfs inherit -r compression p", 0, ""),
        ("zfs inherit used p", 1, "read-only"),
        ("zfs inherit canmount p", 1, "cannot be inherited"),
        ("zfs get -H all p", 0, "p\tcompression\toff\tdefault\n"),
        ("zfs get -Ho value quota p", 0, "none\n"),
        ("zfs create -V 1G p/v", 0, ""),
        ("zfs mount p/v", 1, "not applicable"),
        ("zfs get -Ho value volsize,refreservation p/v", 0, "1G\n1G\n"),
        ("zfs destroy p/v", 0, ""),
    ],
    "pools that come and go": [
        ("zpool list -H", 0, "p\t2.91T\t"),
        ("zpool get -Hp all p", 0, "p\thealth\tONLINE\t-\n"),
        ("zpool status p", 0, "state: ONLINE"),
        ("zpool export p", 0, ""),
        ("zpool status", 0, "no pools available"),
        ("zpool import", 0, "pool: p\n"),
        ("zpool import -N p", 0, ""),
        ("zfs get -Hpo value mounted p", 0, "no\n"),
        ("zpool export p", 0, ""),
        ("zpool import -a", 0, ""),
        ("zpool export p", 0, ""),
        (f"zpool create -f q {A0}", 0, ""),
        ("zpool import p", 1, "no such pool available"),
        (f"zpool create p/q {A1}", 1, "invalid character '/' in pool name"),
        (f"zpool create mirror1 {A1}", 1, "name is reserved"),
        (f"zpool create -O used=1 r {A1}", 1, "readonly"),
        (f"zpool create -o failmode=continue -m none r {A1}", 0, ""),
        ("zfs get -Hpo value mountpoint,mounted r", 0, "none\nno\n"),
    ],
    "a pool in use is not let go": [
        ("zfs create p/a", 0, ""),
        (f"zpool create q {A1}", 0, ""),
        ("zfs set mountpoint=/p/a/q q", 0, ""),
        ("zpool export p", 1, "Device busy"),
        ("zpool destroy p", 1, "Device busy"),
        ("zfs unmount p/a", 1, "Device busy"),
        ("zfs unmount q", 0, ""),
        ("zpool destroy p", 0, ""),
    ],
    "links and addresses for people": [
        ("dladm show-link", 0, "LINK"),
        ("dladm show-link -o LINK,NOSUCH", 2, "unknown output field"),
        ("dladm show-linkprop -c -o link,value -p mtu", 0, "cxgbe0:9000\n"),
        ("dladm show-linkprop -c -o value -p nosuch cxgbe0", 1, "invalid link property"),
        ("dladm set-linkprop -p mtu=1 cxgbe0", 1, "invalid value"),
        ("dladm create-vnic -l cxgbe0 -v 9999 ox0", 1, "invalid VLAN"),
        ("dladm create-vnic -l cxgbe0 -m zz ox0", 1, "invalid MAC"),
        ("dladm create-vnic -l cxgbe0 ox", 1, "invalid link name"),
        ("dladm create-vnic -l cxgbe0 ox0", 0, ""),
        ("dladm show-vnic -p -o LINK -l cxgbe0", 0, "ox0\n"),
        ("dladm delete-etherstub ox0", 1, "invalid etherstub name"),
        ("dladm delete-vnic nosuch0", 1, "object not found"),
        ("dladm", 2, "missing subcommand"),
        ("dladm fly", 2, "unknown subcommand"),
        ("ipadm create-addr -T dhcp ox0/d", 0, ""),
        ("ipadm create-addr -T static -a 10.0.0.1 ox0/s", 0, ""),
        ("ipadm create-addr -T static -a 10.0.0.999 ox0/t", 1, "Invalid address"),
        ("ipadm create-addr -T static -a 10.0.0.1 ox0/t", 1, "Can't assign requested address"),
        ("ipadm create-addr -T addrconf none0/t", 1, "No such device"),
        ("ipadm show-addr", 0, "ADDROBJ"),
        ("ipadm show-addr -p -o ADDROBJ,NOSUCH", 2, "unknown output field"),
        ("dladm delete-vnic ox0", 1, "link busy"),
        ("ipadm delete-if ox0", 0, ""),
        ("ipadm delete-if ox0", 1, "Interface does not exist"),
        ("ipadm show-if -p -o IFNAME ox0", 1, "Interface does not exist"),
        ("ipadm set-ifprop -p mtu=1500 -m ipv6 ox0", 1, "Interface does not exist"),
        ("ipadm set-ifprop -p mtu=1500 ox0", 2, "protocol"),
        ("ipadm fly", 2, "unknown subcommand"),
        ("route add 10.0.0.0/8 10.0.0.1", 0, ""),
        ("route delete 10.0.0.0/8 10.0.0.1", 0, ""),
        ("route delete 10.0.0.0/8 10.0.0.1", 3, "not in table"),
        ("route fly", 2, "get, add or delete"),
    ],
}


@pytest.mark.parametrize("title", TRANSCRIPTS)
def test_rarer_forms_answer_as_the_real_tools(pool: Run, title: str) -> None:
    """Each transcript of rarer forms gets the codes and texts of the real tools."""
    for line, code, text in TRANSCRIPTS[title]:
        done = pool(line)
        assert (done.code, text in done.stdout + done.stderr) == (code, True), (line, done)


def test_a_zone_is_configured_by_a_script_on_stdin(pool: Run, sled: SimSled) -> None:
    """A script with comments, quotes and every kind of resource makes the zone that export prints again."""
    assert pool("zonecfg -z z -f -", stdin=SCRIPT).code == 0
    shown = pool("zonecfg -z z info").stdout
    assert all(each in shown for each in ("limitpriv: default,dtrace_user", "value: x;y", "options: [ro]"))
    assert "gateway: fd00::1" in shown
    sled.host.write_file("/etc/z.cfg", pool("zonecfg -z z export").stdout.encode())
    before = sled.describe()
    assert pool("zonecfg -z z create -F -b").code == 1
    assert pool("zonecfg -z z delete -F").code == 0
    assert pool("zonecfg -z z -f /etc/z.cfg").code == 0
    assert sled.describe()["zones"] == before["zones"]
    assert pool("zonecfg -z z remove attr name=a ; clear limitpriv").code == 0
    assert "attr" not in pool("zonecfg -z z export").stdout
    assert pool("zonecfg -z z remove attr name=a").code == 1
    assert pool("zonecfg -z z -f /nosuch").code == 1


def test_a_zone_whose_root_is_not_mounted_does_not_boot_but_can_be_removed(pool: Run, sled: SimSled) -> None:
    """After a reboot a zone's encrypted root is closed: it does not boot, yet it can be removed."""
    sled.host.write_file("/var/run/k", b"k" * 32)
    pool(f"zfs create {KEY} p/c")
    before = [each["name"] for each in sled.describe()["datasets"]]
    pool("zonecfg -z z create -b ; set brand=omicron1 ; set zonepath=/p/c/z")
    pool("zoneadm -z z install")
    assert pool("zoneadm -z z ready").code == 0
    assert pool("zoneadm -z z boot").code == 0
    assert pool("zoneadm -z z reboot").code == 0
    assert pool("zoneadm -z z mark incomplete").code == 1
    sled.reboot()
    assert "is its dataset mounted?" in pool("zoneadm -z z boot").stderr
    assert pool("zoneadm -z z uninstall -F").code == 0
    assert pool("zonecfg -z z delete -F").code == 0
    assert [each["name"] for each in sled.describe()["datasets"]] == before


def test_a_zone_starts_by_itself_only_when_told(pool: Run, sled: SimSled) -> None:
    """After a reboot zones with autoboot run, when their parts are there; others are installed."""
    for name, autoboot, net in (("a", "true", "cxgbe0"), ("b", "false", "cxgbe0"), ("c", "true", "gone0")):
        script = f"create -b ; set brand=omicron1 ; set zonepath=/p/{name} ; set autoboot={autoboot}"
        pool(f"zonecfg -z {name}", script)
        pool(f"zonecfg -z {name} add net ; set physical={net} ; end")
        assert pool(f"zoneadm -z {name} install").code == 0
    sled.reboot()
    assert {each["name"]: each["state"] for each in sled.describe()["zones"]} == {
        "a": "running",
        "b": "installed",
        "c": "installed",
    }
    assert "in use by zone a" in pool("zoneadm -z b boot").stderr


def test_a_delegated_dataset_must_be_fit_for_it(pool: Run) -> None:
    """A zone does not boot without its dataset, nor with one whose mountpoint is inherited."""
    pool("zonecfg -z z create -b ; set brand=omicron1 ; set zonepath=/p/z ; add dataset ; set name=p/d ; end")
    pool("zoneadm -z z install")
    assert "dataset does not exist" in pool("zoneadm -z z verify").stderr
    pool("zfs create p/d")
    assert "mountpoint cannot be inherited" in pool("zoneadm -z z boot").stderr
    pool("zfs set mountpoint=/data p/d")
    assert pool("zoneadm -z z boot").code == 0
    assert pool("zfs get -Hpo value zoned,mounted p/d").stdout == "on\nno\n"
    assert "dataset is busy" in pool("zfs set zoned=off p/d").stderr
    assert "non-global zone" in pool("zfs set mountpoint=/x p/d").stderr
    assert pool("zlogin z svcadm disable network/physical").code == 0
    assert pool("zlogin z frobnicate").code == 127
    assert pool("zlogin z dladm create-etherstub s0").code == 1
    assert pool("zlogin z echo a b").stdout == "a b\n"
    assert pool("zlogin nosuch true").code == 1


def test_a_manifest_brings_a_service(run: Run, sled: SimSled) -> None:
    """A manifest that is imported brings its service with properties; one that is no XML is refused."""
    sled.host.write_file(
        "/etc/m.xml",
        b'<service_bundle type="manifest" name="m"><service name="site/m" type="service" version="1">'
        b"<create_default_instance enabled='false'/>"
        b'<property_group name="config" type="application"><property name="many" type="astring">'
        b"<astring_list><value_node value='a'/><value_node value='b'/></astring_list></property>"
        b"</property_group></service></service_bundle>",
    )
    sled.host.write_file("/etc/bad.xml", b"<service")
    assert run("svccfg import /etc/m.xml").code == 0
    assert run("svcprop -p config/many site/m").stdout == "a b\n"
    assert run("svccfg import /etc/bad.xml").code == 1
    assert run("svcadm mark maintenance site/m").code == 0
    assert run("svcs -Ho state,fmri site/m").stdout == "maintenance svc:/site/m:default\n"
    assert run("svcs -Hao state svc:/site/*").stdout == "maintenance\n"


def test_a_key_that_is_not_raw_or_has_no_format_is_refused(run: Run, sled: SimSled) -> None:
    """The sled takes raw keys only, and says so before it makes anything."""
    run(f"zpool create -o feature@encryption=enabled p {A0}")
    sled.host.write_file("/var/run/k", b"k" * 32)
    start = "zfs create -o encryption=aes-256-gcm"
    assert "Keyformat required" in run(f"{start} p/c").stderr
    assert "takes keyformat=raw only" in run(f"{start} -o keyformat=hex p/c").stderr
    assert "Invalid keylocation" in run(f"{start} -o keyformat=raw -o keylocation=http://x p/c").stderr
    assert "encryption must be on" in run("zfs create -o keyformat=raw p/c").stderr
    assert run(f"{start} -o keyformat=raw p/c", stdin=b"k" * 32).code == 0
    assert "cannot be turned off below" in run("zfs create -o encryption=off p/c/d").stderr
    assert "keylocation may only be set on encryption roots" in run("zfs set keylocation=prompt p").stderr
    assert "not encrypted" in run("zfs load-key p").stderr
    assert sled.host.spent_s > 0
