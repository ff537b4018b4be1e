"""What commands print becomes a value, or an error that says what was wrong with it; never a guess."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from sledsaga.errors import CommandFailed, ForeignObject, InvalidName, Unparsable
from sledsaga.hosts.disks import Disk
from sledsaga.hosts.host import Completed
from sledsaga.hosts.illumos import network, services, zoneadm, zonecfg
from sledsaga.hosts.illumos.disks import parse_disks, parse_label
from sledsaga.hosts.link import Vnic
from sledsaga.hosts.names import Compression, DiskIdentity, PoolName
from sledsaga.hosts.zfs.parse import parse_below, parse_mounts, parse_properties, read_observation
from sledsaga.hosts.zfs.spec import Dataset, DatasetSpec, differing_settings, present_settings
from sledsaga.hosts.zone import ListedZone
from sledsaga.hosts.zpool.parse import Pool, parse_pool, parse_pools, parse_settings

ID = "10fec275-f937-40f7-9c25-616079ef3816"
POOL = PoolName(f"oxp_{ID}")
PLAIN = {
    "available": ("1234", "-"),
    "used": ("5678", "-"),
    "name": ("I_AM_IGNORED", "-"),
    "mounted": ("yes", "-"),
    "compression": ("off", "inherited from parent"),
}
SEEN = Dataset("D", 1234, 5678, 5678, "off", is_mounted=True)
INHERITED = "inherited from oxp"


def rows(name: str = "D", /, **changed: tuple[str, str]) -> str:
    """Print the plain dataset with some properties more or other; `__` stands for a colon."""
    table = {**PLAIN, **{key.replace("__", ":"): row for key, row in changed.items()}}
    return "".join(f"{name}\t{key}\t{value}\t{source}\n" for key, (value, source) in table.items())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rows(), SEEN),
        (
            rows(oxide__uuid=(ID, "local"), quota=("111", "default"), reservation=("222", "default")),
            replace(SEEN, id=UUID(ID), quota=111, reservation=222),
        ),
        (rows(mounted=("-", "-")), replace(SEEN, is_mounted=False)),
        (rows(mounted=("no", "-")), replace(SEEN, is_mounted=False)),
        (rows(oxide__uuid=(ID, INHERITED)), SEEN),
        (rows(oxide__uuid=("-", "-")), SEEN),
        (rows(quota=("0", "default"), reservation=("0", "default")), SEEN),
        (rows(quota=("-", "-"), reservation=("-", "-")), SEEN),
        (rows(sledsaga__saga=("s1", INHERITED), oxide__epoch=("7", INHERITED)), SEEN),
        (
            rows(sledsaga__saga=("s1", "local"), oxide__epoch=("7", "local"), oxide__agent=("a", "received")),
            replace(SEEN, saga="s1", epoch=7, agent="a"),
        ),
        (rows(keystatus=("-", "-")), SEEN),
        (rows(keystatus=("unavailable", "-")), replace(SEEN, is_key_loaded=False)),
        (
            rows(keystatus=("available", "-"), zoned=("on", "local")),
            replace(SEEN, is_key_loaded=True, is_zoned=True),
        ),
        (
            rows(referenced=("98304", "-"), type=("volume", "-")),
            replace(SEEN, referenced=98304, type="volume"),
        ),
    ],
)
def test_properties(text: str, expected: Dataset) -> None:
    """Rows of one dataset become that dataset; what is inherited or `-` is not its own."""
    assert parse_properties(text) == {"D": expected}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (rows().replace("\t-\n", "\t-\tEXTRA\n", 1), "Unexpected column data: 'EXTRA'"),
        (rows().replace("\t-\n", "\n", 1), "Missing 'source'"),
        ("D\n", "Missing 'property'"),
        (rows(oxide__uuid=("bad", "local")), "badly formed"),
        (rows(oxide__epoch=("new", "local")), "'new'"),
        *(
            (rows("D", **{key: ("BAD", "-")}), "'BAD'")
            for key in ("available", "used", "quota", "reservation")
        ),
        *(
            (
                "".join(line + "\n" for line in rows().splitlines() if f"\t{key}\t" not in line),
                f"Missing '{key}'",
            )
            for key in ("available", "used", "compression", "mounted")
        ),
    ],
)
def test_properties_that_cannot_be(text: str, says: str) -> None:
    """A wrong number of columns, a missing property or a value of the wrong kind is named."""
    with pytest.raises(Unparsable, match=says):
        parse_properties(text)


def test_many_datasets_are_sorted_and_merged() -> None:
    """Rows of several datasets in any order become one dataset each, sorted by name."""
    lines = [*rows("b").splitlines(), *rows("a").splitlines(), *rows("b").splitlines()]
    found = parse_properties("\n".join(lines))
    assert list(found.items()) == [("a", replace(SEEN, name="a")), ("b", replace(SEEN, name="b"))]


def test_absent_is_only_what_zfs_calls_absent() -> None:
    """Missing datasets are left out; any other complaint, also beside them, is an error."""
    gone = "cannot open 'x/y': dataset does not exist\n"
    some = Completed(("zfs",), 1, rows(), gone)
    assert read_observation(some) == {"D": SEEN}
    assert read_observation(Completed(("zfs",), 1, "", gone)) == {}
    for stderr in ("", gone + "internal error: out of memory\n", "cannot open 'x': I/O error\n"):
        with pytest.raises(CommandFailed, match="`zfs` ended with 1, expected 0"):
            read_observation(Completed(("zfs",), 1, rows(), stderr))


WANT = DatasetSpec("D", "/d", UUID(ID), quota=107374182400, compression=Compression("gzip-9"))
HAVE = replace(SEEN, id=UUID(ID), quota=107374182400, compression="gzip-9", used=107374182912)


@pytest.mark.parametrize(
    ("spec", "seen", "settings"),
    [
        (WANT, HAVE, ()),
        (replace(WANT, quota=200), replace(HAVE, quota=100), (("quota", "200"),)),
        (replace(WANT, quota=None), HAVE, (("quota", "none"),)),
        (replace(WANT, quota=0), replace(HAVE, quota=None), ()),
        (replace(WANT, reservation=5), HAVE, (("reservation", "5"),)),
        (
            replace(WANT, compression=Compression("lz4")),
            replace(HAVE, compression="off"),
            (("compression", "lz4"),),
        ),
        (WANT, replace(HAVE, compression="zstd-fast"), (("compression", "gzip-9"),)),
        (replace(WANT, compression=None), replace(HAVE, compression="lz4"), ()),
        (replace(WANT, compression=Compression("gzip-6")), replace(HAVE, compression="gzip"), ()),
        (WANT, replace(HAVE, id=None), (("oxide:uuid", ID),)),
        (replace(WANT, id=None), HAVE, ()),
    ],
)
def test_only_what_differs_is_set(
    spec: DatasetSpec, seen: Dataset, settings: tuple[tuple[str, str], ...]
) -> None:
    """Equal values are not set again, also on a full dataset; none, unset and 0 are equal."""
    assert differing_settings(spec, seen) == settings


def test_present_settings_can_be_put_back() -> None:
    """The values from before are as `zfs set` takes them; a missing id is None."""
    names = ("quota", "reservation", "compression", "oxide:uuid")
    assert present_settings(replace(HAVE, id=None), names) == {
        "quota": "107374182400",
        "reservation": "none",
        "compression": "gzip-9",
        "oxide:uuid": None,
    }


def test_lists_of_datasets() -> None:
    """A listing gives what is below a dataset, and what is mounted where, as far as zfs knows."""
    assert parse_below("p/d\np/d@s\np/d/c\n", "p/d") == ("p/d/c", "p/d@s")
    assert parse_mounts("p\t/p\tyes\np/d\t/d\tno\nr\tlegacy\tyes\n") == {"/p": "p"}
    with pytest.raises(Unparsable, match="expected name, mountpoint and mounted"):
        parse_mounts("p /p yes\n")


@pytest.mark.parametrize("gap", ["\t", "   "])
def test_a_pool_line(gap: str) -> None:
    """A line of five fields, parted by any white space, is a pool."""
    line = gap.join((POOL, "10000", "6000", "4000", "ONLINE"))
    assert parse_pool(line) == Pool(POOL, 10000, 6000, 4000, "online")


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        (f"{POOL} 10000 6000 4000", Unparsable, "missing health"),
        (f"{POOL} 10000 6000 4000 FINE", Unparsable, "expected one of ONLINE"),
        (f"{POOL} big 6000 4000 ONLINE", Unparsable, "expected sizes in bytes"),
        ("rpool 10000 6000 4000 ONLINE", InvalidName, "is not a pool name"),
    ],
)
def test_pool_lines_that_cannot_be(line: str, error: type[Exception], says: str) -> None:
    """A missing field, an unknown health, a size in words or a foreign name is an error that names it."""
    with pytest.raises(error, match=says):
        parse_pool(line)


def test_a_pool_that_cannot_be_opened_has_no_size() -> None:
    """One that ZFS lists without sizes is shut, and hides no other pool; only a lost disk makes it so."""
    other = PoolName("oxp_6340805e-c5af-418d-8bd1-fc0085667f33")
    shut, found = parse_pools(f"{POOL}\t-\t-\t-\tFAULTED\n{other}\t3\t2\t1\tONLINE\n")
    assert (shut.is_shut, shut.health, found.is_shut) == (True, "faulted", False)
    with pytest.raises(Unparsable):
        parse_pools(f"{POOL}\t-\t-\t-\tONLINE\n")


def test_foreign_pools_are_left_out_of_the_list() -> None:
    """A list of pools has only those named as ours are."""
    text = f"rpool\t1\t1\t1\tONLINE\n{POOL}\t3\t2\t1\tDEGRADED\n"
    assert parse_pools(text) == (Pool(POOL, 3, 2, 1, "degraded"),)


def test_pool_settings() -> None:
    """Settings are read as pairs, and anything else is an error."""
    assert parse_settings("failmode\twait\n") == {"failmode": "wait"}
    with pytest.raises(Unparsable, match="zpool get printed"):
        parse_settings("failmode wait\n")


FOUND = f"zfs\n  version: 5000\n  name: '{POOL}'\n  state: 0\n"
BLANK = Completed(("fstyp",), 1, "", "unknown_fstyp (no matches)\n")


def test_a_disk_holds_a_pool_or_nothing() -> None:
    """A label names its pool; only one text means a blank disk."""
    assert parse_label(Completed(("fstyp",), 0, FOUND), "/d") == POOL
    assert parse_label(BLANK, "/d") is None


@pytest.mark.parametrize(
    ("done", "error", "says"),
    [
        (Completed(("fstyp",), 1, "", 'fstyp: cannot open device "/d"'), CommandFailed, "cannot open device"),
        (Completed(("fstyp",), 127, "", "fstyp: not found"), CommandFailed, "ended with 127"),
        (Completed(("fstyp",), 1, "", ""), CommandFailed, r"it said: \(nothing\)"),
        (Completed(("fstyp",), 0, "ufs\n"), ForeignObject, "/d holds ufs"),
        (Completed(("fstyp",), 0, "zfs\n  name: 'rpool'\n"), ForeignObject, "holds another pool"),
        (Completed(("fstyp",), 0, "zfs\n"), Unparsable, "no pool name"),
    ],
)
def test_a_disk_that_cannot_be_told_is_never_blank(
    done: Completed, error: type[Exception], says: str
) -> None:
    """A failing tool, another filesystem or another's pool is an error: the disk is not formatted."""
    with pytest.raises(error, match=says):
        parse_label(done, "/d")


def test_disks() -> None:
    """Each line of eight columns is a disk, sorted by slot."""
    text = "NVME\tc2t1d0\t1b96\tM\tS2\t20\t---S\t0,17\nNVME\tc1t0d0\t1b96\tM\tS1\t10\t---S\t0,0\n"
    first, second = parse_disks(text)
    assert first == Disk(DiskIdentity("1b96", "M", "S1"), "/dev/dsk/c1t0d0", 10, 0, "U.2")
    assert second.path == "/dev/dsk/c2t1d0s5"
    assert (second.variant, first.pool_class, second.pool_class) == ("M.2", "external", "internal")


@pytest.mark.parametrize(
    "line",
    [
        "NVME c1t0d0",
        "N\tc1t0d0\tv\tm\ts\tbig\t---S\t0,0",
        "N\t/dev/dsk/c1t0d0\tv\tm\ts\t1\t---S\t0,0",
        "N\tc1t0d0\tv\tm\ts\t1\t---S\tU.3",
    ],
)
def test_disks_that_cannot_be(line: str) -> None:
    """A disk line with a wrong column is an error that shows the line."""
    with pytest.raises(Unparsable, match="diskinfo printed"):
        parse_disks(line)


def test_zones() -> None:
    """Zones are read with escaped colons in their fields; the global zone is left out."""
    text = "0:global:running:/:u:ipkg:shared\n-:oxz_a:shutting_down:/z\\:1:u:omicron1:excl\n"
    assert zoneadm.parse_zones(text) == (ListedZone("oxz_a", "shutting_down", "/z:1", "omicron1"),)
    with pytest.raises(Unparsable, match="a known state"):
        zoneadm.parse_zones("-:oxz_a:asleep:/z:u:omicron1:excl\n")


def test_attributes_of_a_zone() -> None:
    """Attributes are read by name, quoted or not; a zone without any has none."""
    text = 'attr:\n\tname: sledsaga-saga\n\ttype: string\n\tvalue: "s 1"\nattr:\n\tname: b\n\tvalue: c:d\n'
    assert zonecfg.parse_attributes(text) == {"sledsaga-saga": "s 1", "b": "c:d"}
    others = "zonepath: /z\ndataset:\n\tname: p/d\nrctl:\n\tname: r\n\tvalue: 1\n"
    assert zonecfg.parse_attributes(others + text) == {"sledsaga-saga": "s 1", "b": "c:d"}
    assert zonecfg.parse_attributes("No attr resources.\n") == {}
    with pytest.raises(Unparsable, match="a value without a name"):
        zonecfg.parse_attributes("attr:\n\tvalue: x\n")


def test_links() -> None:
    """Link lists, VNICs, MTUs and addresses are read as dladm and ipadm print them for programs."""
    assert network.parse_links("a0\nb0\n") == {"a0", "b0"}
    assert network.parse_vnics("v0:a0\n") == {"v0": Vnic("v0", "a0")}
    assert network.parse_mtu("9000\n") == 9000
    assert network.parse_address("fd00\\:\\:1/64\n") == "fd00::1/64"
    assert network.parse_address("fe80\\:\\:1%underlay0/10\n") == "fe80::1/10"
    for parse, text in (
        (network.parse_vnics, "v0"),
        (network.parse_mtu, "big"),
        (network.parse_address, "?"),
    ):
        with pytest.raises(Unparsable, match="printed"):
            parse(text)


def test_service_states() -> None:
    """A service on its way has its state without the star; an unknown state is an error."""
    assert services.parse_state("offline*\n") == "offline"
    with pytest.raises(Unparsable, match="expected one of online"):
        services.parse_state("fine\n")
