"""What the tools of illumos print, as values: each text of each table, and every form of a property.

The texts are written from the tools' man pages and libraries, no output was captured on illumos.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from sledsaga.errors import CommandFailed, SledsagaError, Transient, Unparsable
from sledsaga.hosts.answer import says
from sledsaga.hosts.host import Completed, Host, HostCommand
from sledsaga.hosts.illumos import disks, links, services, zones
from sledsaga.hosts.illumos.services import SmfServices
from sledsaga.hosts.illumos.zones import IllumosZones
from sledsaga.hosts.names import DiskIdentity
from sledsaga.hosts.zfs import encryption, mounting, mounts, parse
from sledsaga.hosts.zpool import pools
from sledsaga.hosts.zpool.parse import parse_pools, parse_settings
from tests.hosts.illumos.golden import DNS, ID, POOL, ZONE

NAME = f"{POOL}/crypt"

SAID = {
    "a link that is gone": (links.NO_LINK, "dladm: invalid link name 'ox0': object not found"),
    "a link that went meanwhile": (links.NO_LINK, "dladm: vnic deletion failed: object not found"),
    "a link that another made": (links.EXISTS, "dladm: etherstub creation failed: object already exists"),
    "an interface that another made": (
        links.EXISTS,
        "ipadm: cannot create interface ox0: Interface already exists",
    ),
    "an address that another gave": (
        links.EXISTS,
        "ipadm: Could not create address: Address object already exists",
    ),
    "a link in use": (links.BUSY, "dladm: vnic deletion failed: link busy"),
    "an address, since 16677": (links.NO_ADDRESS, "ipadm: Could not get address: Object not found"),
    "an address, before": (links.NO_ADDRESS, "ipadm: Address object not found"),
    "an interface": (links.NO_INTERFACE, "ipadm: Could not get interface(s): Interface does not exist"),
    "a service": (services.NO_SERVICE, "svcs: Pattern 'svc:/a' doesn't match any instances"),
    "a zone that does not run": (services.NO_SERVICE, "svcs: invalid zone 'z'"),
    "a zone that just booted": (
        services.NO_SERVICE,
        "svcs: Could not bind to repository server for zone z: repository server unavailable",
    ),
    "a property": (services.NO_PROPERTY, "svcprop: Couldn't find property `config/x' for instance `svc:/a'."),
    "a property to delete": (services.NO_PROPERTY, 'svccfg: No such property "config/x".'),
    "a group": (services.NO_GROUP, 'svccfg: No such property group "config".'),
    "a zone, by zonecfg": (zones.NO_SUCH_ZONE, "z: No such zone configured"),
    "a zone, by zoneadm": (zones.NO_SUCH_ZONE, "zoneadm: z: No such zone configured"),
    "a blank disk": (disks.BLANK, "unknown_fstyp (no matches)"),
    "a dataset": ((parse.ABSENT,), "cannot open 'p/a': dataset does not exist"),
    "a dataset in use": (mounts.BUSY, "cannot destroy 'p/a': dataset is busy"),
    "a mount in use": (mounts.BUSY, "cannot unmount '/p/a': Device busy"),
    "a dataset that is mounted": (
        mounts.ALREADY_MOUNTED,
        "cannot mount 'p/a': filesystem already mounted",
    ),
    "a dataset that is not mounted": (
        mounting.NOT_MOUNTED,
        "cannot unmount 'p/a': not currently mounted",
    ),
    "a wrong key": (encryption.WRONG_KEY, "Key load error: Incorrect key provided for 'p/crypt'."),
    "a key that is loaded": (encryption.KEY_LOADED, "Key load error: Key already loaded for 'p/crypt'."),
    "a pool that is imported": (
        pools.IMPORTED,
        "cannot import 'p': a pool with that name is already created/imported,\nand no additional ...",
    ),
}
NEVER = {
    "no rights for a link": (links.NO_LINK, "dladm: vnic deletion failed: permission denied"),
    "a link in use is not gone": (links.NO_LINK, "dladm: vnic deletion failed: link busy"),
    "no daemon for links": (links.NO_LINK, "dladm: could not open /dev/dld: No such file or directory"),
    "no daemon for addresses": (links.NO_ADDRESS, "ipadm: Could not open handle to library"),
    "no daemon for interfaces": (links.NO_INTERFACE, "ipadm: Could not communicate with ipmgmtd"),
    "no repository": (services.NO_SERVICE, "svcs: Could not bind to repository server: no server.  Exiting."),
    "no rights for a service": (services.NO_PROPERTY, "svccfg: Permission denied."),
    "no rights for a zone": (zones.NO_SUCH_ZONE, "z: Permission denied"),
    "a disk that cannot be opened": (disks.BLANK, "unknown_fstyp (cannot open device)"),
    "a disk with two filesystems": (disks.BLANK, "unknown_fstyp (multiple matches)"),
    "a missing tool": (disks.BLANK, "fstyp: not found"),
    "a pool that does not answer": ((parse.ABSENT,), "cannot open 'p': pool I/O is currently suspended"),
}


@pytest.mark.parametrize(("table", "text"), SAID.values(), ids=SAID)
def test_each_text_is_known(table: tuple[str, ...], text: str) -> None:
    """What a tool says of a thing that is not there, or so already, is in its table."""
    assert says(Completed(("x",), 1, "", text + "\n"), table)


@pytest.mark.parametrize(("table", "text"), NEVER.values(), ids=NEVER)
def test_no_other_text_is_taken_for_it(table: tuple[str, ...], text: str) -> None:
    """A failure of another kind is never read as absence, nor is any text of a command that ended well."""
    assert not says(Completed(("x",), 1, "", text + "\n"), table)
    assert not says(Completed(("x",), 0, "", table[0]), table)


def rows(**named: str | tuple[str, str]) -> str:
    """Print the properties of one dataset as `zfs get -Hpo name,property,value,source` does."""
    usual: dict[str, str | tuple[str, str]] = {
        "available": "100",
        "used": "40",
        "referenced": "30",
        "mounted": "yes",
        "compression": ("lz4", "inherited from p"),
        "type": "filesystem",
    }
    lines = []
    for key, given in (usual | named).items():
        value, source = given if isinstance(given, tuple) else (given, "-")
        lines.append(f"{NAME}\t{key.replace('__', ':')}\t{value}\t{source}")
    return "\n".join(lines) + "\n"


PROPERTIES: dict[str, tuple[str, dict[str, Any]]] = {
    "an id of its own": (rows(oxide__uuid=(ID, "local")), {"id": ID}),
    "an id that was received": (rows(oxide__uuid=(ID, "received")), {"id": ID}),
    "an id of its parent": (rows(oxide__uuid=(ID, f"inherited from {POOL}")), {"id": None}),
    "no id": (rows(oxide__uuid="-"), {"id": None}),
    "a tag of its parent": (rows(sledsaga__saga=("s1", f"inherited from {POOL}")), {"saga": None}),
    "a tag of its own": (rows(sledsaga__saga=("s1", "local")), {"saga": "s1"}),
    "a tag with a blank": (rows(sledsaga__saga=("s 1", "local")), {"saga": "s 1"}),
    "no quota, in bytes": (rows(quota=("0", "default")), {"quota": None}),
    "no quota, in words": (rows(quota="-"), {"quota": None}),
    "a quota": (rows(quota=("107374182400", "local")), {"quota": 107374182400}),
    "a reservation": (rows(reservation=("50", "received")), {"reservation": 50}),
    "no mountpoint": (rows(mountpoint=("none", "local")), {"mountpoint": "none"}),
    "a legacy mountpoint": (rows(mountpoint=("legacy", "local")), {"mountpoint": "legacy"}),
    "a mountpoint with a blank": (rows(mountpoint=("/a b", "local")), {"mountpoint": "/a b"}),
    "a volume": (
        rows(type="volume", mounted="-", mountpoint="-", canmount="-"),
        {"type": "volume", "is_mounted": False, "mountpoint": "none"},
    ),
    "a key that is loaded": (rows(keystatus="available"), {"is_key_loaded": True}),
    "a key that is not": (rows(keystatus="unavailable", mounted="no"), {"is_key_loaded": False}),
    "no key": (rows(keystatus="-"), {"is_key_loaded": None}),
    "a dataset of a zone": (rows(zoned=("on", "local"), mounted="no"), {"is_zoned": True}),
    "an epoch": (rows(oxide__epoch=("3", "local")), {"epoch": 3}),
    "an epoch of its parent": (rows(oxide__epoch=("3", f"inherited from {POOL}")), {"epoch": None}),
}
ODD = {
    "a size with a unit": rows(used="40K"),
    "a size with a comma": rows(available="1,5"),
    "a negative size": rows(quota=("-1", "local")).replace("-1", "minus one"),
    "another language": rows(mounted="ja"),
    "an id that is none": rows(oxide__uuid=("none", "local")),
    "an epoch that is none": rows(oxide__epoch=("latest", "local")),
    "three columns": f"{NAME}\tused\t40\n",
    "five columns": f"{NAME}\tused\t40\t-\t-\n",
    "blanks for tabs": f"{NAME}  used  40  -\n",
}


@pytest.mark.parametrize(("text", "expected"), PROPERTIES.values(), ids=PROPERTIES)
def test_properties_of_a_dataset(text: str, expected: dict[str, Any]) -> None:
    """Every form that a property can have is read as what it means."""
    seen = parse.parse_properties(text)[NAME]
    found = {key: getattr(seen, key) for key in expected}
    assert {key: str(value) if key == "id" and value else value for key, value in found.items()} == expected


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_properties_that_cannot_be(text: str) -> None:
    """A value of another form is an error, never a guess."""
    with pytest.raises(Unparsable):
        parse.parse_properties(text)


def test_pools_beside_ours() -> None:
    """A pool that is not ours is left out, a faulted one of ours is not."""
    text = f"rpool\t10\t4\t6\tONLINE\n{POOL}\t10\t4\t6\tFAULTED\nswap pool\n"
    with pytest.raises(Unparsable):
        parse_pools(text)
    assert [(pool.name, pool.health) for pool in parse_pools(text.removesuffix("swap pool\n"))] == [
        (POOL, "faulted")
    ]
    assert parse_settings("feature@encryption\tactive\nfailmode\tcontinue\n")["failmode"] == "continue"


def test_disks_that_no_operation_can_name() -> None:
    """A disk in no bay, without a serial, or with a blank in its name is left out; the others are there."""
    line = "NVME\tc1t0d0\t1b96\tWUS4\tA0\t10\t---S\t0,3"
    others = (
        line.replace("0,3", "-1,-1"),
        line.replace("\tA0\t", "\t-\t"),
        line.replace("WUS4", "Flash Disk"),
    )
    assert [disk.identity for disk in disks.parse_disks("\n".join((*others, line, "")))] == [
        DiskIdentity("1b96", "WUS4", "A0")
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [("a\n", "a"), ("a\\ b\n", "a b"), ('""\n', ""), ("\\\\\n", "\\"), ("a\\'\\\"b\n", "a'\"b"), ("\n", "")],
)
def test_values_of_services(text: str, value: str) -> None:
    """A value that svcprop printed escaped is read as it was set."""
    assert services.parse_property(text) == value


@dataclass
class Said:
    """A host that answers each command in turn, as a tool would, and knows nothing else."""

    answers: Iterator[Completed]
    asked: list[HostCommand] = field(default_factory=list)

    def run(self, command: HostCommand, *, cancel: object = None) -> Completed:
        """Give the next answer."""
        del cancel
        self.asked.append(command)
        return replace(next(self.answers), argv=command.argv)


def said(*answers: tuple[int, str, str]) -> Host:
    return cast("Host", Said(iter([Completed((), *answer) for answer in answers])))


def test_a_zone_that_zoneadm_left_out_is_not_absent() -> None:
    """`zoneadm list` ends well without a zone that it could not tell of: that is no absence."""
    left_out = f"zoneadm: {ZONE}: could not get state: No such zone configured\n"
    seen = IllumosZones(said((0, "0:global:running:/::ipkg:shared\n", left_out)), "s1", cast("Any", None))
    with pytest.raises(Transient, match="could not tell of every zone"):
        seen.observe(ZONE)
    with pytest.raises(CommandFailed):
        IllumosZones(said((1, "", "zoneadm: failed to get zone list")), "s1", cast("Any", None)).list()


def test_a_zone_whose_services_are_not_up_yet_is_waited_for() -> None:
    """Right after a boot the repository of a zone is not there: that is no error, it is waited out."""
    early = (1, "", SAID["a zone that just booted"][1])
    waited: list[float] = []
    SmfServices(said(early, early, (0, "online\n", "")), waited.append).wait_online(DNS, zone=ZONE)
    assert len(waited) == 2
    with pytest.raises(SledsagaError):
        SmfServices(said((1, "", "svcs: permission denied")), waited.append).wait_online(DNS, zone=ZONE)
