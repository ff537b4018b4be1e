"""zpool, disks, zones, services, links and addresses of the simulated sled: commands and answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sledsaga.hosts.host import Completed
from sledsaga.hosts.sim import SimSled

Run = Callable[..., Completed]
Row = tuple[str, int, str]
A0, A1 = "/dev/dsk/c1tA0d0", "/dev/dsk/c1tA1d0"
ZONE = "zonecfg -z z create -F -b ; set brand=omicron1 ; set zonepath=/p/z ; set autoboot=false"

TRANSCRIPTS: dict[str, list[Row]] = {
    "pools": [
        ("zpool create p /dev/dsk/c1tZZd0", 1, "cannot open '/dev/dsk/c1tZZd0': no such device"),
        (f"zpool create -o ashift=12 p {A0}", 0, ""),
        (f"zpool create p {A1}", 1, "cannot create 'p': pool already exists"),
        (f"zpool create -f q {A0}", 1, f"{A0} is part of active ZFS pool p"),
        ("zfs get -Hpo value mountpoint,mounted p", 0, "/p\nyes\n"),
        ("zpool list -Hpo name,size,health", 0, "p\t3200631791616\tONLINE\n"),
        ("zpool set failmode=continue p", 0, ""),
        (
            "zpool get -Hpo value,source failmode,feature@encryption p",
            0,
            "continue\tlocal\ndisabled\tdefault\n",
        ),
        ("zpool set failmode=never p", 1, "must be one of"),
        ("zpool set nosuch=1 p", 1, "invalid property 'nosuch'"),
        ("zpool import -f p", 1, "a pool with that name is already created"),
        ("zpool export p", 0, ""),
        ("zpool export p", 1, "cannot open 'p': no such pool"),
        ("zpool list -Hpo name p", 1, "no such pool"),
        ("zpool list -Hpo name", 0, ""),
        ("zfs list -Hpo name p", 1, "dataset does not exist"),
        (f"fstyp -a {A0}", 0, "name: 'p'"),
        (f"zpool create q {A0}", 1, "use '-f' to override"),
        ("zpool import nosuch", 1, "no such pool available"),
        ("zpool import -f p", 0, ""),
        ("zfs get -Hpo value mounted p", 0, "yes\n"),
        ("zpool destroy p", 0, ""),
        (f"fstyp -a {A0}", 1, "unknown_fstyp (no matches)"),
        (f"zpool create p {A0}", 0, ""),
        ("zpool list -q", 2, "invalid option 'q'"),
    ],
    "disks": [
        ("diskinfo -pH", 0, "NVME\tc1tA0d0\t1b96\tWUS4\t3200631791616\tno\tyes\nNVME\tc1tA1d0\t"),
        ("diskinfo -cHp", 0, "NVME\tc1tA0d0\t1b96\tWUS4\tA0\t3200631791616\t---S\t0,0\n"),
        (f"fstyp -a {A0}", 1, "unknown_fstyp (no matches)"),
        ("fstyp -a /dev/dsk/c1tNOd0", 1, "cannot open device"),
        ("fstyp", 2, "missing argument"),
    ],
    "zones are configured": [
        ("zonecfg -z z info", 1, "z: No such zone configured"),
        ("zonecfg -z z create -F -b ; set zonepath=/p/z", 1, "brand: required property is missing"),
        ("zonecfg -z z create -F -b ; set brand=omicron1", 1, "zonepath: required property is missing"),
        (f"{ZONE} ; add net ; set physical=net0", 1, "unfinished 'net' scope"),
        (f"{ZONE} ; add net ; end", 1, "physical not specified in net resource"),
        (f"{ZONE} ; set nosuch=1", 2, "unknown property 'nosuch'"),
        (f"{ZONE} ; add net ; set physical=oxControlService0 ; end", 0, ""),
        ("zonecfg -z z export", 0, "add net\nset physical=oxControlService0\nend\n"),
        ("zoneadm list -cip", 0, "\n-:z:configured:/p/z:"),
        ("zonecfg -z z delete -F", 0, ""),
        ("zonecfg -z z delete -F", 1, "No such zone configured"),
        ("zonecfg delete", 2, "say -z"),
    ],
    "a zone that is forgotten leaves its root": [
        (f"zpool create p {A0}", 0, ""),
        (ZONE, 0, ""),
        ("zoneadm -z z install", 0, ""),
        ("zonecfg -z z delete -F", 0, ""),
        ("zoneadm -z z list", 1, "No such zone configured"),
        ("zfs list -Hpo name p/z", 0, "p/z\n"),
    ],
    "zones live": [
        (f"zpool create p {A0}", 0, ""),
        ("zfs create -o zoned=on -o mountpoint=/data p/d", 0, ""),
        ("zoneadm -z z boot", 1, "No such zone configured"),
        (f"{ZONE} ; add dataset ; set name=p/d ; end ; add net ; set physical=ox0 ; end", 0, ""),
        ("zoneadm -z z boot", 1, "must be installed before boot"),
        ("zoneadm -z z install /opt/oxide/none.tar.gz", 1, "install failed"),
        ("zoneadm list -cp", 0, ":z:incomplete:/p/z:"),
        ("zfs list -Hpo name p/z", 0, "p/z\n"),
        ("zoneadm -z z uninstall -F", 0, ""),
        ("zfs list -Hpo name p/z", 1, "does not exist"),
        ("zoneadm -z z install /opt/oxide/overlay.tar.gz", 0, ""),
        ("zoneadm -z z install /opt/oxide/overlay.tar.gz", 1, "is already installed"),
        ("zonecfg -z z delete", 1, "Use -F to force delete"),
        (ZONE, 1, "already installed; create not allowed"),
        ("zoneadm -z z boot", 1, "could not add datalink ox0: object not found"),
        ("zlogin z true", 1, "login allowed only to running zones"),
        ("dladm create-etherstub -t stub0", 0, ""),
        ("dladm create-vnic -t -l stub0 ox0", 0, ""),
        ("zoneadm -z z boot", 0, ""),
        ("zoneadm -z z boot", 1, "already booted"),
        ("zoneadm -z z uninstall -F", 1, "invalid for running zones"),
        ("zonecfg -z z delete -F", 1, "Zone state is invalid for the requested operation"),
        ("zfs destroy p/d", 1, "dataset is busy"),
        ("zfs unmount p/z", 1, "Device busy"),
        ("zpool export p", 1, "busy"),
        ("dladm delete-vnic ox0", 1, "link busy"),
        ("pfexec zlogin z dladm show-vnic -p -o LINK", 0, "ox0\n"),
        ("zlogin z svcs -H -o state svc:/milestone/single-user:default", 0, "online\n"),
        ("svcs -z z -Ho state milestone/single-user", 0, "online\n"),
        ("zoneadm -z z halt", 0, ""),
        ("zoneadm -z z halt", 1, "must be running before halt"),
        ("zoneadm -z z uninstall -F", 0, ""),
        ("zonecfg -z z delete -F", 0, ""),
        ("dladm delete-vnic ox0", 0, ""),
        ("zfs destroy p/d", 0, ""),
        ("zfs list -Hpo name", 0, "p\n"),
    ],
    "services": [
        ("svcs -Ho state system/fmd", 0, "online\n"),
        ("svcs -Ho state nosuch", 1, "Pattern 'nosuch' doesn't match any instances"),
        ("svcadm disable -s -t system/fmd", 0, ""),
        ("svcs -Ho state svc:/system/fmd:default", 0, "disabled\n"),
        ("svcadm enable -s system/fmd", 0, ""),
        ("svcadm -z z enable -t system/fmd", 1, "invalid zone 'z'"),
        ("svcadm enable", 2, "missing argument"),
        ("svcadm clear system/fmd", 1, "not in a maintenance"),
        ("svccfg -s system/fmd addpg foo application", 0, ""),
        ("svccfg -s system/fmd addpg foo application", 1, "already exists"),
        ("svccfg -s system/fmd setprop foo/bar=baz", 1, "Type required for new properties"),
        ("svccfg -s system/fmd setprop foo/bar = astring: baz", 0, ""),
        ("svccfg -s system/fmd setprop foo/bar=quux", 0, ""),
        ('svccfg -s system/fmd setprop foo/bar = "a b"', 0, ""),
        ("svccfg -s system/fmd setprop foo/bar = a b", 2, "one value"),
        ("svccfg -s system/fmd addpropvalue foo/bar astring: c", 0, ""),
        ("svccfg -s system/fmd addpropvalue foo/bar astring c", 2, "usage"),
        ("svccfg -s system/fmd listprop foo", 0, "foo/bar astring a b c\n"),
        ("svcprop -p foo/bar system/fmd", 1, "Couldn't find property"),
        ("svccfg -s system/fmd refresh", 0, ""),
        ("svcprop -p foo/bar system/fmd", 0, "a\\ b c\n"),
        ("svccfg -s system/fmd delpropvalue foo/bar c", 0, ""),
        ("svccfg -s system/fmd delpropvalue foo/nosuch c", 1, "No such property"),
        ("svccfg -s system/fmd delpg foo", 0, ""),
        ("svccfg setprop foo/bar=baz", 1, "-s FMRI"),
        ("svccfg import a b", 2, "one file"),
        ("svccfg -s x import a", 2, "no -s"),
        ("svccfg import /nosuch", 1, "couldn't open"),
    ],
    "links": [
        ("dladm create-etherstub -t underlay_stub0", 0, ""),
        ("dladm create-etherstub -t underlay_stub0", 1, "object already exists"),
        ("dladm show-etherstub underlay_stub0", 0, "underlay_stub0"),
        ("dladm show-etherstub nosuch0", 1, "object not found"),
        ("dladm create-vnic -t -l underlay_stub0 -m 2:8:20:1:2:3 -v 3 -p mtu=9000 ox0", 0, ""),
        ("dladm create-vnic -t ox1", 2, "-l"),
        ("dladm create-vnic -t -l underlay_stub0", 2, "missing argument"),
        ("dladm create-vnic -t -l underlay_stub0 -p mtu ox1", 1, "invalid link property 'mtu'"),
        ("dladm create-vnic -q -l underlay_stub0 ox1", 2, "invalid option 'q'"),
        ("dladm create-vnic -t -l nosuch0 ox1", 1, "object not found"),
        ("dladm show-vnic -p -o LINK,OVER,VID,MACADDRESS", 0, r"ox0:underlay_stub0:3:2\:8\:20\:1\:2\:3"),
        ("dladm show-link -p ox0", 2, "-p requires -o"),
        ("dladm show-link -p -o LINK nosuch0", 1, "object not found"),
        ("dladm show-phys -p -o LINK", 0, "cxgbe0\n"),
        ("dladm show-linkprop -c -o value -p mtu ox0", 0, "9000\n"),
        ("dladm set-linkprop -t -p mtu=1500 ox0", 0, ""),
        ("dladm set-linkprop -t -p mtu ox0", 1, "invalid link property"),
        ("dladm set-linkprop -t -p mtu=1500", 2, "missing argument"),
        ("dladm reset-linkprop -t -p mtu ox0", 0, ""),
        ("dladm delete-etherstub underlay_stub0", 1, "link busy"),
        ("dladm delete-vnic -t ox0", 0, ""),
        ("dladm delete-etherstub -t underlay_stub0", 0, ""),
    ],
    "addresses and routes": [
        ("dladm create-etherstub -t stub0", 0, ""),
        ("ipadm create-if -t stub0", 0, ""),
        ("ipadm create-if -t stub0", 1, "Interface already exists"),
        ("ipadm create-if a b", 2, "too many arguments"),
        ("ipadm show-if -p", 2, "-p requires -o"),
        ("ipadm show-if -p -o IFNAME stub0", 0, "stub0\n"),
        ("ipadm create-addr -t -T addrconf stub0/ll", 0, ""),
        ("ipadm create-addr -t -T addrconf stub0/ll", 1, "Address object already exists"),
        ("ipadm create-addr -t -T static -a fd00::1/64 stub0/sled6", 0, ""),
        ("ipadm create-addr -t -T wrong stub0/x", 2, "invalid address type"),
        ("ipadm create-addr -t -T addrconf", 2, "missing argument"),
        ("ipadm create-addr -t -T addrconf stub0", 1, "Invalid address object name"),
        ("ipadm create-addr -t -T addrconf stub0/a extra", 2, "too many"),
        ("ipadm show-addr -p -o ADDR stub0/sled6", 0, "fd00::1/64\n"),
        ("ipadm show-addr -p -o ADDR stub0/none", 1, "Object not found"),
        ("ipadm set-ifprop -t -p mtu=9000 -m ipv6 stub0", 0, ""),
        ("ipadm delete-addr stub0/sled6", 0, ""),
        ("ipadm delete-addr stub0/sled6", 1, "Object not found"),
        ("ipadm delete-if stub0", 0, ""),
        ("route -n get -inet6 fd00::/16 -inet6 fd00::1 -ifp stub0", 3, "not in table"),
        ("route add -inet6 fd00::/16 -inet6 fd00::1 -ifp stub0", 0, ""),
        ("route add -inet6 fd00::/16 -inet6 fd00::1 -ifp stub0", 17, "entry exists"),
        ("route -n get -inet6 fd00::/16 -inet6 fd00::1 -ifp stub0", 0, ""),
        ("route add -inet6 fd00::/16 default -ifp stub0", 0, ""),
        ("route add -inet6 10.0.0.0/8 default", 2, "bad address"),
        ("route add -inet -inet6 fd00::/16 default", 2, "exclude each other"),
    ],
    "a tool that the sled has not": [
        ("frobnicate now", 127, "frobnicate: command not found"),
        ("pfexec", 127, "not found"),
        ("/usr/sbin/zpool list -H", 0, ""),
        ("pfexec zfs list -H", 0, ""),
    ],
}


@pytest.mark.parametrize("title", TRANSCRIPTS)
def test_tools_answer_as_the_real_ones(run: Run, title: str) -> None:
    """Each transcript of commands gets the codes and texts of the real tools."""
    for line, code, text in TRANSCRIPTS[title]:
        done = run(line)
        assert (done.code, text in done.stdout + done.stderr) == (code, True), (line, done)


def test_a_blank_disk_is_told_from_one_that_cannot_be_read(run: Run, sled: SimSled) -> None:
    """Of a blank, a failing and a pulled disk three things are said, and no pool is made on the last."""
    said = set()
    for condition in ("ok", "failing", "pulled"):
        sled.set_disk("A0", condition)
        said.add(run(f"fstyp -a {A0}").stderr)
    assert len(said) == 3
    assert run(f"zpool create p {A0}").code == 1
    assert "c1tA0d0" not in run("diskinfo -cHp").stdout


def test_a_disk_that_fails_shows_in_the_health_of_its_pool(run: Run, sled: SimSled) -> None:
    """The health of a pool follows its disk."""
    run(f"zpool create p {A0}")
    assert run("zpool status -x").stdout == "all pools are healthy\n"
    sled.set_disk("A0", "failing")
    assert run("zpool list -Ho health p").stdout == "FAULTED\n"
    assert "the pool's disk does not answer" in run("zpool status -x").stdout


def shut(run: Run, sled: SimSled) -> None:
    """Have a pool with a dataset, whose disk is away as the sled boots."""
    run(f"zpool create p {A0}")
    run("zfs create p/d")
    sled.set_disk("A0", "pulled")
    sled.reboot()


def test_a_pool_whose_disk_is_away_at_the_boot_is_shut(run: Run, sled: SimSled) -> None:
    """It is listed without sizes, and its datasets do not exist, as ZFS says; nothing can be made on it."""
    shut(run, sled)
    assert run("zpool list -Hpo name,size,allocated,free,health").stdout.split() == ["p", *"---", "UNAVAIL"]
    assert run("zfs get -Hpo value used p/d").stderr == "cannot open 'p/d': dataset does not exist\n"
    assert run("zfs list -Ho name").stdout == ""
    assert run("zpool clear p").stderr == "cannot clear errors for p: I/O error\n"
    for line in ("zfs create p/e", "zfs create -p p/e/f", "zpool destroy p", "zpool export p"):
        assert run(line).code == 1
    sled.set_disk("A0", "ok")
    assert run("zpool list -Ho health p").stdout == "UNAVAIL\n"
    assert run("zpool set failmode=wait p").code == 1


def clear(run: Run, _sled: SimSled) -> None:
    assert run("zpool clear p").code == 0


def boot(_run: Run, sled: SimSled) -> None:
    sled.reboot()


def take_again(run: Run, _sled: SimSled) -> None:
    assert run("zpool export p").code == 0
    assert run("zpool import p").code == 0


def destroy_and_take(run: Run, _sled: SimSled) -> None:
    """ZFS cannot write to what it has not opened: the pool is still on its disk."""
    assert run("zpool destroy p").code == 0
    assert run("zpool import p").code == 0


@pytest.mark.parametrize("way", [clear, boot, take_again, destroy_and_take])
def test_a_pool_that_was_shut_opens_again(
    run: Run, sled: SimSled, way: Callable[[Run, SimSled], None]
) -> None:
    """With its disk back, a clear, a boot or an import brings all of it back, mounted."""
    run(f"zpool create p {A0}")
    run("zfs create p/d")
    sled.host.write_file("/p/d/file", b"kept")
    whole = sled.describe()
    shut(run, sled)
    sled.set_disk("A0", "ok")
    way(run, sled)
    assert sled.describe() == whole
    assert sled.host.read_file("/p/d/file") == b"kept"
    assert run("zpool clear p").code == 0


def test_a_zone_runs_what_its_profile_says(run: Run, sled: SimSled) -> None:
    """After the boot a zone has its profile's services with their properties; those told so are disabled."""
    run(f"zpool create p {A0}")
    run(ZONE)
    run("zoneadm -z z install")
    sled.host.write_file(
        "/p/z/root/var/svc/profile/site.xml",
        b'<service_bundle type="profile" name="z"><service name="oxide/crdb" type="service" version="1">'
        b'<property_group name="config" type="application">'
        b'<propval name="store" type="astring" value="/data"/>'
        b'</property_group><instance name="default" enabled="true"/></service>'
        b'<service name="oxide/off" type="service" version="1">'
        b'<instance name="default" enabled="false"/></service>'
        b"</service_bundle>",
    )
    run("zoneadm -z z boot")
    assert run("svcs -z z -Ho state oxide/crdb").stdout == "online\n"
    assert run("svcs -z z -Ho state oxide/off").stdout == "disabled\n"
    assert run("svcprop -z z -p config/store oxide/crdb").stdout == "/data\n"
    sled.set_service("z", "oxide/crdb", "maintenance")
    assert run("svcadm -z z enable -s oxide/crdb").code == 3
    assert run("svcadm -z z clear *").code == 0
    assert run("svcs -z z -Ho state oxide/crdb").stdout == "online\n"


def test_services_of_a_zone_come_up_after_the_boot_delay(run: Run, sled: SimSled) -> None:
    """A zone that has just booted has its milestones offline for as long as the sled's owner said."""
    run(f"zpool create p {A0}")
    run(ZONE)
    run("zoneadm -z z install")
    sled.set_boot_delay(3600)
    run("zoneadm -z z boot")
    assert run("svcs -z z -Ho state milestone/single-user").stdout == "offline\n"
    sled.set_boot_delay(0)
    assert run("svcs -z z -Ho state milestone/single-user").stdout == "online\n"


def test_an_empty_dataset_at_the_zonepath_is_used_and_stays(run: Run, sled: SimSled) -> None:
    """A zone is installed into the dataset mounted at its zonepath; the uninstall only empties it."""
    run(f"zpool create p {A0}")
    run("zfs create -o oxide:uuid=1 p/z")
    run(ZONE)
    before = sled.describe()
    assert run("zoneadm -z z install").code == 0
    assert sled.host.stat("/p/z/root/var/svc/profile") is not None
    assert run("zoneadm -z z uninstall -F").code == 0
    assert sled.host.list_dir("/p/z") == ()
    assert sled.describe() == before
