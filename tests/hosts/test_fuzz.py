"""Whatever a command prints or a file holds is a value or an error of ours; garbage is never "not there"."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sledsaga.errors import InvalidName, SledsagaError, Unparsable
from sledsaga.hosts import keys, ledgers
from sledsaga.hosts.host import Completed
from sledsaga.hosts.illumos import network, services, zoneadm, zonecfg
from sledsaga.hosts.illumos.disks import parse_disks, parse_label
from sledsaga.hosts.names import (
    COMPRESSIONS,
    ZONED_KINDS,
    Compression,
    DatasetKind,
    DatasetName,
    DiskIdentity,
    LinkName,
    PoolName,
    ZoneName,
    zfs_name,
)
from sledsaga.hosts.zfs.parse import parse_below, parse_mounts, parse_properties, read_observation
from sledsaga.hosts.zpool.parse import parse_pool, parse_pools, parse_settings

ID = "10fec275-f937-40f7-9c25-616079ef3816"
FEW = settings(max_examples=60, deadline=None)
WORDS = [
    *("oxp_" + ID, "oxi_" + ID, "rpool", "global", "oxz_ntp_" + ID, "net0", "underlay0"),
    *(
        "yes",
        "no",
        "-",
        "none",
        "on",
        "off",
        "local",
        "default",
        "available",
        "unavailable",
        "1234",
        "0",
        "-1",
    ),
    *("name", "used", "mounted", "compression", "quota", "keystatus", "oxide:uuid", "sledsaga:saga", "zoned"),
    *("ONLINE", "FAULTED", "U.2", "M.2", "running", "configured", "online*", "maintenance", "omicron1"),
    *("fd00::1/64", "fe80\\:\\:1%net0/10", "10.0.0.1/24", "attr:", "name:", "value:", '"x"', "type: string"),
    *("zfs", "name: 'oxp_" + ID + "'", "dataset does not exist", "cannot open 'x': ", "9" * 5000, "1_0", "٣"),
]
SEPARATORS = ["\t", "\t", "\t", "\n", "\n", " ", ":", "\\:", "", "\x0b", "\u2028", "\x00", "\r\n"]
TEXTS = st.text(max_size=40) | st.lists(st.sampled_from(WORDS) | st.text(max_size=4), max_size=24).flatmap(
    lambda words: st.lists(st.sampled_from(SEPARATORS), min_size=len(words), max_size=len(words)).map(
        lambda parts: "".join(a + b for a, b in zip(words, parts, strict=True))
    )
)

PROPERTIES = "".join(
    f"{'oxp_' + ID}/crypt\t{key}\t{value}\t{source}\n"
    for key, value, source in (
        ("oxide:uuid", ID, "local"),
        ("oxide:epoch", "3", "local"),
        ("sledsaga:saga", "s1", "local"),
        ("type", "filesystem", "-"),
        ("mounted", "yes", "-"),
        ("zoned", "off", "default"),
        ("available", "1234", "-"),
        ("used", "99", "-"),
        ("referenced", "9", "-"),
        ("quota", "0", "default"),
        ("compression", "gzip-9", "local"),
        ("keystatus", "available", "-"),
    )
)


@dataclass(frozen=True)
class Reader:
    """A parser, what a machine prints for it, and the lines that it may leave out."""

    read: Callable[[str], Any]
    sample: str
    may_skip: Callable[[str], bool] = lambda _line: False


def skips_foreign_pools(line: str) -> bool:
    columns = line.split()
    return (
        len(columns) == 5 and columns[4].isupper() and isinstance(value_of(PoolName, columns[0]), InvalidName)
    )


def skips_disks_of_no_slot_or_name(line: str) -> bool:
    columns = line.split("\t")
    return len(columns) == 8 and (
        columns[7].partition(",")[2].startswith("-")
        or isinstance(value_of(lambda names: DiskIdentity(*names), columns[2:5]), InvalidName)
    )


LISTS = {
    "zfs get": Reader(parse_properties, PROPERTIES),
    "zfs list mounts": Reader(
        parse_mounts, f"a\t/a\tyes\noxp_{ID}\t/b c\tyes\n", lambda line: line.endswith(("\tno", "\t-"))
    ),
    "zfs list below": Reader(lambda text: parse_below(text, "a"), "a\na/b\na@s\n", lambda line: line == "a"),
    "zpool list": Reader(parse_pools, f"oxp_{ID} 10 4 6 ONLINE\n", skips_foreign_pools),
    "zpool get": Reader(parse_settings, "ashift\t12\nsize\t1\n"),
    "diskinfo": Reader(
        parse_disks, "NVME\tc1tA0d0\tOXIDE\tM1\tS1\t1000\t---S\t0,3\n", skips_disks_of_no_slot_or_name
    ),
    "zoneadm list": Reader(
        zoneadm.parse_zones,
        f"3:oxz_ntp_{ID}:running:/pool/x\\:y:u:omicron1:excl\n",
        lambda line: line.split(":")[1:2] == ["global"],
    ),
    "show-vnic": Reader(network.parse_vnics, "net0:ixgbe0\nvopte1:underlay0\n"),
    "show-link": Reader(network.parse_links, "net0\nstub1\n"),
    "info attr": Reader(
        zonecfg.parse_attributes,
        'attr:\n\tname: sledsaga-saga\n\ttype: string\n\tvalue: "s 1"\n',
        lambda line: ":" in line or zonecfg.NO_ATTRIBUTE.fullmatch(line.strip()) is not None,
    ),
}
ONE = {
    "mtu": (network.parse_mtu, "9000\n"),
    "address": (network.parse_address, "fd00\\:\\:1/64\n"),
    "state": (services.parse_state, "online*\n"),
    "pool": (parse_pool, f"oxp_{ID} 10 4 6 ONLINE"),
}


def mutations(sample: str) -> st.SearchStrategy[str]:
    """Change a sample here and there: cut, doubled, replaced, or with something between."""
    places = st.integers(0, len(sample))
    return st.builds(
        lambda a, b, new: sample[: min(a, b)] + new + sample[max(a, b) :],
        places,
        places,
        st.sampled_from(["", "\t", "\n", " ", "\x00", "é", *WORDS]) | st.text(max_size=3),
    ) | st.integers(0, len(sample)).map(lambda cut: sample[:cut] + sample)


def value_of(read: Callable[[Any], Any], text: Any) -> Any:
    """Return the value, or the error of ours; anything else is raised."""
    try:
        return read(text)
    except SledsagaError as error:
        return error


@pytest.mark.parametrize("reader", LISTS.values(), ids=LISTS)
@FEW
@given(data=st.data())
def test_lists_are_never_empty_for_something(reader: Reader, data: st.DataObject) -> None:
    """Any text is a value or an error, and what is not blank is not read as nothing at all."""
    text = data.draw(TEXTS | mutations(reader.sample))
    seen = value_of(reader.read, text)
    lines = [line for line in text.splitlines() if line.strip() and not reader.may_skip(line)]
    assert isinstance(seen, SledsagaError) or len(seen) > 0 or not lines


@pytest.mark.parametrize("reader", LISTS.values(), ids=LISTS)
def test_what_machines_print_is_read(reader: Reader) -> None:
    """The samples that are spoilt above are read without an error; nothing printed is nothing there."""
    assert len(reader.read(reader.sample)) > 0
    assert len(reader.read("")) == 0


@pytest.mark.parametrize("digits", ["9" * 5000, "1_0", "٣", "-1", ""])
def test_a_number_is_ascii_digits_and_not_endless(digits: str) -> None:
    """What Python would take for a number, or choke on, is no MTU."""
    with pytest.raises(Unparsable, match="expected an mtu in bytes"):
        network.parse_mtu(digits)


@pytest.mark.parametrize("word", ["maybe", "YES", ""])
def test_a_word_that_zfs_does_not_have_is_no_answer(word: str) -> None:
    """Whether a dataset is mounted is yes, no or -; by any other word it is not known."""
    with pytest.raises(Unparsable, match="mounted is"):
        parse_properties(PROPERTIES.replace("mounted\tyes", f"mounted\t{word}"))
    with pytest.raises(Unparsable, match="mounted is"):
        parse_mounts(f"a\t/a\t{word}\n")


@pytest.mark.parametrize(("read", "sample"), ONE.values(), ids=ONE)
@FEW
@given(data=st.data())
def test_single_answers_are_values_or_errors(
    read: Callable[[str], Any], sample: str, data: st.DataObject
) -> None:
    """Any text is one value, never None, or an error."""
    assert read(sample) is not None
    assert value_of(read, data.draw(TEXTS | mutations(sample))) is not None


CODES = st.sampled_from([0, 0, 1, 1, 2, 255, -9])
COMPLAINTS = st.just("") | TEXTS | st.just(f"cannot open 'oxp_{ID}/x': dataset does not exist\n")


@settings(max_examples=150, deadline=None)
@given(CODES, TEXTS | mutations(PROPERTIES) | st.just(""), COMPLAINTS)
def test_a_dataset_is_absent_only_when_zfs_says_so(code: int, stdout: str, stderr: str) -> None:
    """A failure without the very words that something is not there is an error, whatever was printed."""
    seen = value_of(read_observation, Completed(("zfs",), code, stdout, stderr))
    if code != 0 and "dataset does not exist" not in stderr:
        assert isinstance(seen, SledsagaError)


@settings(max_examples=150, deadline=None)
@given(
    CODES, TEXTS | mutations(f"zfs\nname: 'oxp_{ID}'\n"), COMPLAINTS | st.just("unknown_fstyp (no matches)")
)
def test_a_disk_is_blank_only_when_fstyp_says_so(code: int, stdout: str, stderr: str) -> None:
    """A label is a pool's name, an error, or None; None only by the very words for a blank disk."""
    seen = value_of(lambda done: parse_label(done, "/dev/x"), Completed(("fstyp",), code, stdout, stderr))
    assert (seen is None) == (code != 0 and "unknown_fstyp (no matches)" in stderr)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "generation": JSON,
        "rack_id": JSON,
        "secrets": JSON | st.dictionaries(st.text(max_size=2), JSON),
    },
)
BYTES = (
    st.binary(max_size=30)
    | JSON.map(lambda one: json.dumps(one).encode())
    | DOCUMENTS.map(lambda one: json.dumps(one).encode())
)
DEEP = b"[" * 20_000
HUGE = b'{"generation": ' + b"9" * 5000 + b"}"


@settings(max_examples=150, deadline=None)
@given(BYTES)
@example(DEEP)
@example(HUGE)
@example(b'{"generation": ' + DEEP)
def test_a_copy_of_a_ledger_is_good_or_unparsable(data: bytes) -> None:
    """Any bytes are a copy with its generation, or Unparsable; and a good copy is a document."""
    seen = value_of(ledgers.parse_copy, data)
    assert isinstance(seen, Unparsable) or (seen >= 0 and isinstance(json.loads(data), dict))


@settings(max_examples=150, deadline=None)
@given(
    BYTES
    | st.dictionaries(st.integers(-1, 3), st.binary(min_size=31, max_size=32)).map(
        lambda by: json.dumps(
            {"rack_id": "r", "secrets": {str(n): key.hex() for n, key in by.items()}}
        ).encode()
    )
)
@example(DEEP)
@example(b'{"rack_id": "\\ud800", "secrets": {"0": "' + b"00" * 32 + b'"}}')
def test_secrets_are_usable_or_unparsable(data: bytes) -> None:
    """Any bytes are secrets that give a key for every disk, or Unparsable, which does not show them."""
    seen = value_of(keys.parse_secrets, data)
    if isinstance(seen, SledsagaError):
        assert isinstance(seen, Unparsable)
        return
    disk = DiskIdentity("V", "M", "S")
    key = keys.disk_key(seen.by_epoch[seen.latest], rack_id=seen.rack_id, disk=disk)
    assert len(key) == keys.KEY_BYTES
    assert key.hex() not in repr(seen)


NAMES: dict[str, Callable[[str], str]] = {
    "pool": PoolName,
    "zone": ZoneName,
    "kind": DatasetKind,
    "dataset": DatasetName,
    "link": LinkName,
    "compression": Compression,
    "zfs": zfs_name,
    "address object": network.address_object,
    "identity": lambda text: DiskIdentity(text, "M", "S").vendor,
}


@pytest.mark.parametrize("make", NAMES.values(), ids=NAMES)
@FEW
@given(text=TEXTS | st.sampled_from(WORDS).flatmap(mutations))
def test_a_name_is_what_it_was_given_or_refused(make: Callable[[str], str], text: str) -> None:
    """A name is its text, fit for an argv, a path and JSON; anything else is InvalidName."""
    seen = value_of(make, text)
    if isinstance(seen, SledsagaError):
        assert isinstance(seen, InvalidName)
    else:
        assert seen == text
        assert text.isascii()
        assert text.isprintable()
        assert not text.startswith("-")
        assert " " not in text


UUIDS = st.uuids(version=4)
POOLS = st.builds(PoolName.of, st.sampled_from(["external", "internal"]), UUIDS)
KINDS = st.sampled_from([*sorted(ZONED_KINDS), "debug", "local_storage", "zone/oxz_a"]).map(DatasetKind)


@FEW
@given(POOLS, KINDS, UUIDS, st.sampled_from(sorted(ZONED_KINDS)))
def test_names_are_read_back(pool: PoolName, kind: DatasetKind, id_: UUID, prefix: str) -> None:
    """What a name was made of is what it says."""
    name = DatasetName.of(pool, kind)
    assert (DatasetName(name).pool, DatasetName(name).kind) == (pool, kind)
    assert PoolName.of(pool.pool_class, pool.id) == pool
    zone = ZoneName.of(prefix, id_)
    assert (ZoneName(zone).prefix, ZoneName(zone).id) == (prefix, id_)


@pytest.mark.parametrize("text", COMPRESSIONS)
def test_compressions_are_read_back(text: str) -> None:
    """A compression is the same from its document."""
    assert Compression.parse(Compression(text).as_document()) == text
