"""What the ZFS tools of Linux print becomes a value, or an error that says what was wrong with it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from uuid import UUID

import pytest

from sledsaga.errors import (
    CommandFailed,
    HostError,
    HostUnreachable,
    Unparsable,
)
from sledsaga.hosts.answer import failed
from sledsaga.hosts.host import Completed, HostCommand
from sledsaga.hosts.linux import abilities
from sledsaga.hosts.linux.abilities import find_abilities
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.names import COMPRESSIONS, Compression, DatasetKind, DatasetName, PoolName
from sledsaga.hosts.zfs import commands as zfs
from sledsaga.hosts.zfs.abilities import Abilities
from sledsaga.hosts.zfs.datasets import Datasets
from sledsaga.hosts.zfs.mounts import Mounts
from sledsaga.hosts.zfs.parse import parse_holders, parse_properties
from sledsaga.hosts.zfs.spec import DatasetSpec, Encryption, fitted, zone_place
from sledsaga.hosts.zpool import commands as zpool
from sledsaga.hosts.zpool.parse import Pool, parse_pool, parse_settings, parse_size
from tests.hosts.told import Told

ID = "10fec275-f937-40f7-9c25-616079ef3816"
POOL = PoolName(f"oxp_{ID}")
CRDB = DatasetName.of(POOL, DatasetKind("cockroachdb"))
PLACE = f"/pool/ext/{ID}/crypt/cockroachdb"
FUSE = Abilities(
    "zfs-fuse (pool version 23)",
    has_encryption=False,
    is_plain_allowed=True,
    sets_epoch_with_key=False,
    has_features=False,
    has_exact_sizes=False,
    has_bare_import=False,
    sets_many=False,
    compressions=("off", "on", "gzip", *(f"gzip-{level}" for level in range(1, 10)), "lzjb", "zle"),
    delegation="bind",
    set_immutable=("chattr", "+i"),
    clear_immutable=("chattr", "-i"),
    is_linux=True,
    turns_by="/run/zfs",
    busy_pauses_s=(0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
)

FUSE_ZFS = """missing command
usage: zfs command args ...
where 'command' is one of the following:

\tlist [-rH][-d max] [-o property[,...]] [-t type[,...]] [-s property] ...
\t    [-S property] ... [filesystem|volume|snapshot] ...

\tset <property=value> <filesystem|volume|snapshot> ...
\tget [-rHp] [-d max] [-o "all" | field[,...]] [-s source[,...]]
\t    <"all" | property[,...]> [filesystem|volume|snapshot] ...
"""
FUSE_ZFS_GET = """missing property argument
usage:
\tget [-rHp] [-d max] [-o "all" | field[,...]] [-s source[,...]]

The following properties are supported:

\tPROPERTY       EDIT  INHERIT   VALUES

\tavailable        NO       NO   <size>
\tmounted          NO       NO   yes | no
\tchecksum        YES      YES   on | off | fletcher2 | fletcher4 | sha256
\tcompression     YES      YES   on | off | lzjb | gzip | gzip-[1-9] | zle
\tcopies          YES      YES   1 | 2 | 3
"""
FUSE_ZPOOL = """missing command
usage: zpool command args ...
where 'command' is one of the following:

\tlist [-H] [-o property[,...]] [pool] ...
\timport [-d dir] [-D]
\timport [-d dir | -c cachefile] [-n] -F <pool | id>
\timport [-o mntopts] [-o property=value] ... 
\t    [-d dir | -c cachefile] [-D] [-f] [-R root] -a [-v]
\tget <"all" | property[,...]> <pool> ...
"""  # noqa: W291 - as it is printed
FUSE_ZPOOL_GET = """usage:
\tget <"all" | property[,...]> <pool> ...

the following properties are supported:

\tPROPERTY         EDIT   VALUES

\tfailmode          YES   wait | continue | panic
\tversion           YES   <version>
"""
OPEN_ZFS = """missing command
usage: zfs command args ...
where 'command' is one of the following:

\tset <property=value> ... <filesystem|volume|snapshot> ...
\tget [-rHp] [-d max] [-o "all" | field[,...]]
\t    [-t type[,...]] [-s source[,...]]
\t    <"all" | property[,...]> [filesystem|volume|snapshot|bookmark] ...
"""
OPEN_ZFS_GET = """missing property argument
usage:

\tPROPERTY       EDIT  INHERIT   VALUES

\tkeystatus        NO       NO   none | unavailable | available
\tcompression     YES      YES   on | off | lzjb | gzip | gzip-[1-9] | zle | lz4 | zstd | zstd-[1-19]
\tencryption       NO      YES   on | off | aes-128-ccm | aes-256-gcm
"""
OPEN_ZPOOL = """missing command
usage: zpool command args ...
where 'command' is one of the following:

\tlist [-gHLpPv] [-o property[,...]] [-T d|u] [pool] ... 
\t    [interval [count]]
\timport [-d dir] [-D]
\timport [-o mntopts] [-o property=value] ... 
\t    [-d dir | -c cachefile] [-D] [-l] [-f] [-m] [-N] [-R root] [-F [-n]] -a
\tget [-Hp] [-o "all" | field[,...]] <"all" | property[,...]> <pool> ...
"""  # noqa: W291 - as it is printed
OPEN_ZPOOL_GET = """missing property argument

\tfailmode             YES   wait | continue | panic
\tfeature@...          YES   disabled | enabled | active
"""
USAGES = {
    "fuse": {
        ("zpool", "list", "-H", "-o", "name"): (0, ""),
        ("zfs",): (2, FUSE_ZFS),
        ("zfs", "get"): (2, FUSE_ZFS_GET),
        ("zpool",): (2, FUSE_ZPOOL),
        ("zpool", "get"): (2, FUSE_ZPOOL_GET),
        ("zfs", "--version"): (2, f"unrecognized command '--version'\n{FUSE_ZFS}"),
        ("zpool", "upgrade", "-v"): (0, "This system is currently running ZFS pool version 23.\n"),
    },
    "open": {
        ("zpool", "list", "-H", "-o", "name"): (0, ""),
        ("zfs",): (2, OPEN_ZFS),
        ("zfs", "get"): (2, OPEN_ZFS_GET),
        ("zpool",): (2, OPEN_ZPOOL),
        ("zpool", "get"): (2, OPEN_ZPOOL_GET),
        ("zfs", "--version"): (0, "zfs-2.1.11-1+deb12u1\nzfs-kmod-2.1.11-1+deb12u1\n"),
        ("zpool", "upgrade", "-v"): (0, "This system supports ZFS pool feature flags.\n"),
    },
}


def test_what_zfs_fuse_can_do() -> None:
    """Its usage texts tell what it lacks; plain data is allowed by the machine's document alone."""
    assert find_abilities(Told(USAGES["fuse"]), Machine(is_plain_allowed=True)) == FUSE
    assert find_abilities(Told(USAGES["fuse"]), Machine()) == replace(FUSE, is_plain_allowed=False)


def test_what_openzfs_can_do() -> None:
    """It has all but what only illumos has: one command for key and epoch, and delegation."""
    found = find_abilities(Told(USAGES["open"]), Machine())
    everything = Abilities("OpenZFS 2.1.11-1+deb12u1", compressions=COMPRESSIONS)
    assert found == replace(
        everything,
        sets_epoch_with_key=False,
        delegation="bind",
        set_immutable=("chattr", "+i"),
        clear_immutable=("chattr", "-i"),
        is_linux=True,
        busy_pauses_s=FUSE.busy_pauses_s,
    )


@pytest.mark.parametrize(
    ("code", "said", "text"),
    [
        (127, "zpool: No such file or directory", "no ZFS .*install zfsutils-linux .*or zfs-fuse"),
        (
            1,
            "connect: refused\nPlease make sure that the zfs-fuse daemon is running.",
            "connect: refused: start the zfs-fuse daemon",
        ),
        (1, "connect: Permission denied\ninternal error: failed", "Permission denied: root rights"),
        (
            1,
            "The ZFS modules are not loaded.\nTry running '/sbin/modprobe zfs'",
            "not loaded.: .*modprobe zfs",
        ),
        (1, "", r"\(nothing\)"),
    ],
)
def test_a_zfs_that_is_not_there_is_told(code: int, said: str, text: str) -> None:
    """No tool, no daemon, no module: one error that says what is wanted; nor for a user who may not ask."""
    with pytest.raises(HostError, match=text):
        find_abilities(Told({("zpool", "list", "-H", "-o", "name"): (code, said)}), Machine())


def test_an_unknown_zfs_is_told_so() -> None:
    """What neither tells its version nor a pool version has no name; nothing listed is nothing known."""
    assert abilities.parse_name("", "") == "an unknown ZFS"
    assert abilities.parse_compressions("") == ()


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("568K", 581_632), ("123M", 128_974_848), ("1.5G", 1_610_612_736)],
)
def test_sizes(text: str, size: int) -> None:
    """Bytes are exact, what is for people is rounded."""
    assert parse_size(text) == size


def test_pools_as_people_read_them() -> None:
    """Without exact sizes a pool's are rounded; its settings come in a table."""
    assert parse_pool(f"{POOL}\t123M\t568K\t122M\tONLINE") == Pool(
        POOL, 123 * 2**20, 568 * 1024, 122 * 2**20, "online"
    )
    table = f"NAME   PROPERTY  VALUE     SOURCE\n{POOL}  failmode  continue  local\n"
    assert parse_settings(table) == {"failmode": "continue"}
    with pytest.raises(Unparsable, match=r"such as 1\.5G"):
        parse_pool(f"{POOL}\t123Q\t568K\t122M\tONLINE")


LINES = [
    (zpool.list_pools(FUSE), "zpool list -Ho name,size,allocated,free,health"),
    (zpool.get_settings(POOL, FUSE), f"zpool get failmode {POOL}"),
    (
        zpool.create_pool(POOL, "/d/disk", saga="s1", zfs=FUSE),
        (
            "zpool create -o ashift=12 -o failmode=continue"
            f" -O mountpoint=/pool/ext/{ID} -O sledsaga:saga=s1 {POOL} /d/disk"
        ),
    ),
    (zpool.import_pool(POOL, folder="/d"), f"zpool import -f -d /d {POOL}"),
    (
        zfs.get_properties([CRDB], zfs=FUSE),
        (
            "zfs get -Hpo name,property,value,source oxide:uuid,oxide:epoch,oxide:agent,sledsaga:saga,type,"
            "mounted,mountpoint,canmount,zoned,available,used,referenced,quota,reservation,compression,"
            f"sledsaga:plain,sledsaga:zoned {CRDB}"
        ),
    ),
    (
        zfs.create_dataset(fitted(DatasetSpec.of(CRDB, UUID(ID)), FUSE), saga="s1"),
        (
            f"zfs create -o sledsaga:zoned=on -o canmount=noauto -o mountpoint={PLACE}"
            f" -o oxide:uuid={ID} -o sledsaga:saga=s1 {CRDB}"
        ),
    ),
    (
        zfs.create_dataset(
            fitted(DatasetSpec(f"{POOL}/crypt", "/c", encryption=Encryption("/k", 3)), FUSE), saga="s1"
        ),
        f"zfs create -o sledsaga:plain=yes -o canmount=on -o mountpoint=/c -o sledsaga:saga=s1 {POOL}/crypt",
    ),
    (zfs.change_key(f"{POOL}/crypt", epoch=None), f"zfs change-key {POOL}/crypt"),
    (zfs.forget_mount(PLACE), f"umount -l {PLACE}"),
    (
        zfs.find_holders(PLACE),
        f"find /proc -mindepth 2 -maxdepth 3 ( -lname {PLACE} -o -lname {PLACE}/* )",
    ),
]


@pytest.mark.parametrize(("command", "line"), LINES, ids=lambda row: row if isinstance(row, str) else "")
def test_commands_for_zfs_fuse(command: HostCommand, line: str) -> None:
    """Each command line that differs from illumos, word for word."""
    assert command.argv == tuple(line.split(" "))


def test_what_a_zfs_can_make_of_a_dataset() -> None:
    """A dataset is fitted to its ZFS once; fitting it again changes nothing; illumos needs no fitting."""
    spec = DatasetSpec.of(CRDB, UUID(ID))
    once = fitted(spec, FUSE)
    assert (once.mountpoint, once.canmount, once.delegation, once.is_plain) == (PLACE, "noauto", "bind", True)
    assert fitted(once, FUSE) == once
    assert fitted(spec, Abilities("illumos")) == spec
    assert (zone_place(CRDB), zone_place(f"{POOL}/crypt/debug"), zone_place("tank/x")) == (PLACE, None, None)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (DatasetSpec.of(CRDB, None), r'oxp_\S+ must be encrypted, .*OpenZFS, or say "plain": true'),
        (
            DatasetSpec(f"{POOL}/x", "/x", compression=Compression("lz4")),
            "cannot compress .* by lz4; it knows off, on, gzip",
        ),
    ],
)
def test_what_a_zfs_cannot_do_is_refused(spec: DatasetSpec, text: str) -> None:
    """The refusal says what is missing, on which ZFS, and the way out."""
    with pytest.raises(HostError, match=text):
        fitted(spec, replace(FUSE, is_plain_allowed=False))


def test_a_dataset_that_says_what_it_is() -> None:
    """Plain may be told by one above it, a zone's is its own; what is mounted for a zone is not here."""
    own = {"available": "1", "used": "1", "compression": "off", "mounted": "yes"}
    text = "".join(f"D\t{key}\t{value}\t-\n" for key, value in own.items())
    bound = text + "D\tsledsaga:zoned\ton\tlocal\nD\tsledsaga:plain\tyes\tinherited from P\n"
    seen = parse_properties(bound)["D"]
    assert (seen.is_zoned, seen.is_bound, seen.is_mounted, seen.is_plain, seen.is_open) == (
        *(True, True, False, True, True),
    )
    inherited = parse_properties(text + "D\tsledsaga:zoned\ton\tinherited from P\n")["D"]
    assert (inherited.is_zoned, inherited.is_mounted, inherited.is_open) == (False, True, False)
    locked = replace(seen, is_key_loaded=False)
    assert not locked.is_open


def test_holders() -> None:
    """Process numbers, each once, from the paths of their open files."""
    assert parse_holders("/proc/12/cwd\n/proc/12/fd/3\n/proc/7/root\n/proc/self/cwd\n") == (7, 12)


def test_a_daemon_that_is_away_is_no_refusal() -> None:
    """The words of zfs-fuse's tools without a daemon mean that nobody knows what was done."""
    said = "zfsfuse_ioctl_read_loop(): file descriptor closed\ncannot create 'p': I/O error\n"
    assert isinstance(failed(Completed(("zpool", "create"), 1, "", said)), HostUnreachable)
    assert isinstance(failed(Completed(("zpool", "create"), 1, "", "cannot create 'p'")), CommandFailed)


def test_a_legacy_mount_of_the_machine_is_in_nobodys_way() -> None:
    """A dataset that the machine mounts by itself, as its root, keeps no other from being healed."""
    listed = "rpool/ROOT\tlegacy\tyes\nrpool/all\t/\tyes\n"
    host = Told({zfs.list_mounts().argv: (0, listed)})
    Mounts(host, time.sleep, FUSE).heal(PLACE)


class BusyOnce(LocalHost):
    """A machine on which the first command finds its place in use, and every other one goes well."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        assert cancel is None
        self.ran.append(command.argv[2].partition("=")[0])
        busy = "cannot mount 'p': mountpoint or dataset is busy" if len(self.ran) == 1 else ""
        return Completed(command.argv, 1 if busy else 0, "", busy)


def test_a_pool_that_was_cut_short_is_finished_when_its_place_is_free() -> None:
    """Right after its daemon came back a place may be busy for a moment; the same command is tried again."""
    host, waited = BusyOnce(), list[float]()
    Datasets(host, "s1", waited.append, FUSE).complete("p", "/p")
    assert (host.ran, waited) == (["mountpoint", "mountpoint", "sledsaga:saga"], [0.02])
