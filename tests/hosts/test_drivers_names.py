"""Names are checked once and then trusted: in argv, in paths and in JSON."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from sledsaga.errors import InvalidName
from sledsaga.hosts.names import (
    PLAIN_KINDS,
    ZONED_KINDS,
    Compression,
    DatasetKind,
    DatasetName,
    DiskIdentity,
    LinkName,
    PoolName,
    ZoneName,
    next_link_name,
    zfs_name,
)

ID = "10fec275-f937-40f7-9c25-616079ef3816"
POOL = f"oxp_{ID}"

pools = st.builds(PoolName.of, st.sampled_from(("external", "internal")), st.uuids(version=4))
words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,20}", fullmatch=True)
fixed = st.sampled_from(sorted(ZONED_KINDS | PLAIN_KINDS | {"zone", "debug", "local_storage"}))
kinds = st.builds(DatasetKind, st.one_of(fixed, words.map("zone/{}".format)))


class Named(BaseModel):
    pool: PoolName
    dataset: DatasetName
    kind: DatasetKind
    zone: ZoneName
    link: LinkName
    compression: Compression
    disk: DiskIdentity
    sizes: dict[PoolName, int]


NAMED = {
    "pool": POOL,
    "dataset": f"{POOL}/crypt/zone/x",
    "kind": "crucible",
    "zone": f"oxz_cockroachdb_{ID}",
    "link": "oxControlService0",
    "compression": "gzip-9",
    "disk": {"vendor": "1b96", "model": "WUS4C6432DSP3X3", "serial": "A084A5E3"},
    "sizes": {POOL: 1},
}


@given(pools, kinds)
def test_dataset_names_round_trip(pool: PoolName, kind: DatasetKind) -> None:
    """A dataset's full name, read back, gives the pool and the kind that it was made of."""
    name = DatasetName.of(pool, kind)
    again = DatasetName(str(name))
    assert (again, again.pool, again.kind) == (name, pool, kind)
    assert name.startswith(f"{pool}/crypt/") == kind.is_encrypted


@given(pools, kinds)
def test_crypt_must_fit_the_kind(pool: PoolName, kind: DatasetKind) -> None:
    """An unencrypted kind below `crypt`, or an encrypted one beside it, is no dataset name."""
    wrong = f"{pool}/{kind}" if kind.is_encrypted else f"{pool}/crypt/{kind}"
    with pytest.raises(InvalidName, match="is not a dataset name"):
        DatasetName(wrong)


@given(pools)
def test_pool_names_round_trip(pool: PoolName) -> None:
    """A pool's name gives back its class and id."""
    assert PoolName.of(pool.pool_class, pool.id) == pool


@pytest.mark.parametrize(
    "text",
    [
        f"oxx_{ID}",
        ID,
        f"oxp_{ID.upper()}",
        f"oxp_{ID[:-1]}",
        f"oxp_{ID}\n",
        f"oxp_{ID[:14]}1{ID[15:]}",
        "rpool",
        "",
    ],
)
def test_other_pool_names_are_refused(text: str) -> None:
    """A wrong prefix, upper case, a short uuid or one of another version is no pool name."""
    with pytest.raises(InvalidName, match="is not a pool name: expected oxp_ or oxi_"):
        PoolName(text)


@pytest.mark.parametrize(
    ("kind", "mountpoint"),
    [
        ("cockroachdb", "/data"),
        ("crucible", "/data"),
        ("debug", f"/pool/ext/{ID}/crypt/debug"),
        ("zone/oxz_ntp_x", f"/pool/ext/{ID}/crypt/zone/oxz_ntp_x"),
        ("local_storage_unencrypted", f"/pool/ext/{ID}/local_storage_unencrypted"),
    ],
)
def test_kinds_say_where_a_dataset_is_mounted(kind: str, mountpoint: str) -> None:
    """Delegated kinds are at /data of their zone, others below the pool's folder."""
    assert DatasetName.of(PoolName(POOL), DatasetKind(kind)).mountpoint == mountpoint


def test_pool_folders() -> None:
    """External pools are below /pool/ext, internal ones below /pool/int."""
    assert PoolName(f"oxp_{ID}").mountpoint == f"/pool/ext/{ID}"
    assert PoolName(f"oxi_{ID}").mountpoint == f"/pool/int/{ID}"


def test_zone_names() -> None:
    """A zone's name holds what it is for and its id, and is told from other names."""
    zone = ZoneName(f"oxz_clickhouse_keeper_{ID}")
    assert (zone.prefix, zone.id) == ("clickhouse_keeper", UUID(ID))
    assert ZoneName.of("ntp", UUID(ID)) == f"oxz_ntp_{ID}"
    for text in ("oxz_switch", f"oxz_{ID}", f"oxz_A_{ID}", f"oxz_a__b_{ID}", f"oxz_{'a' * 30}_{ID}"):
        with pytest.raises(InvalidName, match="is not a zone name"):
            ZoneName(text)


@pytest.mark.parametrize("text", ["", "net", "0net0", "a-b0", "a" * 31 + "0", "-p0", "a b0"])
def test_other_link_names_are_refused(text: str) -> None:
    """A link begins with a letter, ends in a digit and has at most 31 bytes."""
    with pytest.raises(InvalidName, match="is not a link name"):
        LinkName(text)


def test_link_numbers_fill_the_first_gap() -> None:
    """The next link of a prefix has the first number that is not taken."""
    assert next_link_name("oxFoo", frozenset()) == "oxFoo0"
    assert next_link_name("oxFoo", frozenset({"oxFoo0", "oxFoo1", "oxFoo3"})) == "oxFoo2"


@pytest.mark.parametrize("text", ["-r", "a//b", "/a", "a/", "a@b", "a b", "a" * 256, "a/../b"])
def test_no_zfs_name_can_be_an_option_or_a_snapshot(text: str) -> None:
    """What would be read as an option, a path or a snapshot is refused before it reaches argv."""
    with pytest.raises(InvalidName):
        zfs_name(text)


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("off", {"type": "off"}),
        ("gzip", {"type": "gzip"}),
        ("gzip-9", {"type": "gzip_n", "level": 9}),
        ("lz4", {"type": "lz4"}),
    ],
)
def test_compression_has_two_forms(text: str, document: dict[str, object]) -> None:
    """The text of zfs and the form of a sled config document say the same."""
    assert Compression.parse(text) == Compression.parse(document) == text
    assert Compression(text).as_document() == document


@pytest.mark.parametrize(
    "value",
    [
        "gzip-0",
        "gzip-10",
        "zstd",
        {},
        {"type": "gzip-9"},
        {"type": "gzip_n"},
        {"type": "gzip_n", "level": True},
    ],
)
def test_other_compressions_are_refused(value: str | dict[str, object]) -> None:
    """An unknown compression, or half of the document's form, is refused."""
    with pytest.raises(InvalidName, match="is not a compression"):
        Compression.parse(value)


def test_names_are_fields_of_models() -> None:
    """A model's JSON gives back the same names, with their types, as fields and as keys."""
    model = Named.model_validate(NAMED)
    again = Named.model_validate_json(model.model_dump_json())
    assert again == model
    assert type(again.pool) is PoolName
    assert type(next(iter(again.sizes))) is PoolName
    assert again.model_dump(mode="json") == NAMED


@pytest.mark.parametrize("field", sorted(NAMED.keys() - {"sizes"}))
def test_a_wrong_name_is_a_validation_error(field: str) -> None:
    """A wrong name in a model is an ordinary validation error of that field."""
    wrong = {"vendor": "a/b", "model": "m", "serial": "s"} if field == "disk" else "not/a name"
    with pytest.raises(ValidationError) as caught:
        Named.model_validate({**NAMED, field: wrong})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]
