"""Names that are durable on disks: pools, datasets, zones, links, disks, compression.

Rules
- A name is a `str` that has been checked: it goes into argv, paths and JSON as it is, and it cannot
  exist in a wrong form. `InvalidName` says what came and what the grammar is; as a field of a pydantic
  model the same text becomes an ordinary validation error.
- Nothing is repaired: no lower-casing, no stripping. What is on disk is compared byte for byte.
- pydantic is imported only when a model asks for a schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self
from uuid import UUID

from sledsaga.errors import InvalidName

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

_HEX = "[0-9a-f]"
_UUID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_UUID4 = f"{_HEX}{{8}}-{_HEX}{{4}}-4{_HEX}{{3}}-[89ab]{_HEX}{{3}}-{_HEX}{{12}}"
_POOL = re.compile(f"(oxp|oxi)_({_UUID4})")
_ZONE = re.compile(f"oxz_([a-z0-9]+(?:_[a-z0-9]+)*)_({_UUID})")
_LINK = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,29}[0-9]")
_ZFS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*(/[A-Za-z0-9][A-Za-z0-9_.:-]*)*")
_DISK_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")

MAX_ZFS_NAME = 255
"""Bytes that ZFS allows in a full dataset name."""
MAX_ZONE_NAME = 63
"""Bytes that illumos allows in a zone name (ZONENAME_MAX less its NUL)."""

PoolClass = Literal["external", "internal"]
_CLASS_OF_PREFIX: Mapping[str, PoolClass] = {"oxp": "external", "oxi": "internal"}
_ROOT_OF_PREFIX = {"oxp": "/pool/ext", "oxi": "/pool/int"}

ZONED_KINDS = frozenset(
    {
        "cockroachdb",
        "crucible",
        "clickhouse",
        "clickhouse_keeper",
        "clickhouse_server",
        "external_dns",
        "internal_dns",
    }
)
"""Kinds whose data belongs to a zone: delegated to it, mounted at /data inside, never outside."""
PLAIN_KINDS = frozenset({"crucible", "local_storage_unencrypted"})
"""Kinds that live beside `crypt`, not below it (crucible encrypts by itself)."""
_FIXED_KINDS = ZONED_KINDS | PLAIN_KINDS | {"zone", "debug", "local_storage"}
_TRANSIENT = "zone/"

COMPRESSIONS = ("off", "on", "gzip", *(f"gzip-{n}" for n in range(1, 10)), "lz4", "lzjb", "zle")
"""Every compression text that a dataset of ours may have, as `zfs` prints it."""


def _refuse(what: str, text: object, expected: str) -> NoReturn:
    msg = f"{text!r} is not {what}: expected {expected}"
    raise InvalidName(msg)


def _as_value_error(make: Callable[[Any], Any]) -> Callable[[object], object]:
    def validate(value: object) -> object:
        try:
            return make(value)
        except InvalidName as error:
            raise ValueError(str(error)) from error

    return validate


def _text_schema(make: Callable[[str], str], _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
    """Let pydantic models have fields of this type (each name class takes this as its method)."""
    from pydantic_core import core_schema

    return core_schema.no_info_after_validator_function(
        _as_value_error(make),
        core_schema.str_schema(),
        serialization=core_schema.to_string_ser_schema(),
    )


class PoolName(str):
    """`oxp_<uuid>` (external, a U.2) or `oxi_<uuid>` (internal, an M.2); the uuid is a lowercase v4."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the text. Raises InvalidName."""
        if not _POOL.fullmatch(text):
            _refuse("a pool name", text, "oxp_ or oxi_ and a lowercase version 4 uuid")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, pool_class: PoolClass, pool_id: UUID) -> Self:
        """Name the pool of that class and id."""
        return cls(f"{'oxp' if pool_class == 'external' else 'oxi'}_{pool_id}")

    @classmethod
    def at(cls, path: str) -> Self | None:
        """Name the pool below whose mountpoint a path is, or None."""
        roots = _ROOT_OF_PREFIX.items()
        names = (path.replace(f"{root}/", f"{prefix}_", 1).partition("/")[0] for prefix, root in roots)
        return next((cls(name) for name in names if _POOL.fullmatch(name)), None)

    @property
    def pool_class(self) -> PoolClass:
        """`external` for a U.2, `internal` for an M.2."""
        return _CLASS_OF_PREFIX[self[:3]]

    @property
    def id(self) -> UUID:
        """The pool's uuid."""
        return UUID(self[4:])

    @property
    def mountpoint(self) -> str:
        """The folder below which the pool's datasets are mounted."""
        return f"{_ROOT_OF_PREFIX[self[:3]]}/{self[4:]}"

    __get_pydantic_core_schema__ = classmethod(_text_schema)


class ZoneName(str):
    """`oxz_<prefix>_<uuid>`, such as `oxz_cockroachdb_<uuid>`; both NTP types use the prefix `ntp`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the text. Raises InvalidName."""
        if not _ZONE.fullmatch(text) or len(text) > MAX_ZONE_NAME:
            _refuse("a zone name", text, f"oxz_<prefix>_<lowercase uuid>, at most {MAX_ZONE_NAME} bytes")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, prefix: str, zone_id: UUID) -> Self:
        """Name the zone of that prefix and id."""
        return cls(f"oxz_{prefix}_{zone_id}")

    @property
    def prefix(self) -> str:
        """What the zone is for, such as `cockroachdb`."""
        return self[4:-37]

    @property
    def id(self) -> UUID:
        """The zone's uuid."""
        return UUID(self[-36:])

    __get_pydantic_core_schema__ = classmethod(_text_schema)


class DatasetKind(str):
    """What a dataset is for: a fixed word, or `zone/<zone>` for the root of one transient zone."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the text. Raises InvalidName."""
        is_transient = text.startswith(_TRANSIENT) and bool(_ZFS.fullmatch(text)) and text.count("/") == 1
        if text not in _FIXED_KINDS and not is_transient:
            _refuse("a dataset kind", text, f"one of {', '.join(sorted(_FIXED_KINDS))}, or zone/<zone name>")
        return super().__new__(cls, text)

    @property
    def is_encrypted(self) -> bool:
        """Whether it lives below the pool's `crypt`."""
        return str(self) not in PLAIN_KINDS

    @property
    def is_zoned(self) -> bool:
        """Whether it is delegated to a zone, and so never mounted outside it."""
        return str(self) in ZONED_KINDS

    @property
    def transient_zone(self) -> str | None:
        """The zone whose root this is, or None when it is no zone's root."""
        return self.removeprefix(_TRANSIENT) if self.startswith(_TRANSIENT) else None

    __get_pydantic_core_schema__ = classmethod(_text_schema)


class DatasetName(str):
    """The full name `<pool>/crypt/<kind>`, or `<pool>/<kind>` for the kinds that encrypt by themselves."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the text: `crypt/` must be there exactly when the kind is encrypted. Raises InvalidName."""
        pool, _, rest = text.partition("/")
        kind = DatasetKind(rest.removeprefix("crypt/"))
        if rest.startswith("crypt/") != kind.is_encrypted:
            _refuse("a dataset name", text, f"{pool}/{'crypt/' if kind.is_encrypted else ''}{kind}")
        PoolName(pool)
        return super().__new__(cls, text)

    @classmethod
    def of(cls, pool: PoolName, kind: DatasetKind) -> Self:
        """Name the dataset of that kind on that pool."""
        return cls(f"{pool}/{'crypt/' if kind.is_encrypted else ''}{kind}")

    @property
    def pool(self) -> PoolName:
        """The pool it is on."""
        return PoolName(self.partition("/")[0])

    @property
    def kind(self) -> DatasetKind:
        """What it is for."""
        return DatasetKind(self.partition("/")[2].removeprefix("crypt/"))

    @property
    def mountpoint(self) -> str:
        """`/data` (inside its zone) for delegated kinds, else its folder below the pool's."""
        if self.kind.is_zoned:
            return "/data"
        return f"{self.pool.mountpoint}/{self.partition('/')[2]}"

    __get_pydantic_core_schema__ = classmethod(_text_schema)


class LinkName(str):
    """A datalink: letters, digits and `_`, begins with a letter, ends in a digit, at most 31 bytes."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the text. Raises InvalidName."""
        if not _LINK.fullmatch(text):
            _refuse(
                "a link name", text, "a letter, then letters, digits or _, a digit last, at most 31 bytes"
            )
        return super().__new__(cls, text)

    __get_pydantic_core_schema__ = classmethod(_text_schema)


class Compression(str):
    """A compression as `zfs` prints it; documents may also say it as `{"type": "gzip_n", "level": 9}`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the text. Raises InvalidName."""
        if text not in COMPRESSIONS:
            _refuse("a compression", text, f"one of {', '.join(COMPRESSIONS)}")
        return super().__new__(cls, text)

    @classmethod
    def parse(cls, value: str | Mapping[str, object]) -> Self:
        """Read either form. Raises InvalidName."""
        if isinstance(value, str):
            return cls(value)
        kind, level = value.get("type"), value.get("level")
        if set(value) == {"type", "level"} and kind == "gzip_n" and type(level) is int:
            return cls(f"gzip-{level}")
        if set(value) == {"type"} and isinstance(kind, str) and "-" not in kind:
            return cls(kind)
        _refuse("a compression", value, '{"type": "gzip_n", "level": 1 to 9} or {"type": <name>}')

    def as_document(self) -> dict[str, str | int]:
        """Return the form that a sled config document has."""
        name, dash, level = self.partition("-")
        return {"type": "gzip_n", "level": int(level)} if dash else {"type": name}

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic models have fields of this type, given in either form, stored as text."""
        from pydantic_core import core_schema as schema

        either = schema.union_schema(
            [schema.str_schema(), schema.dict_schema(schema.str_schema(), schema.any_schema())]
        )
        return schema.no_info_after_validator_function(
            _as_value_error(cls.parse), either, serialization=schema.to_string_ser_schema()
        )


@dataclass(frozen=True, slots=True, order=True)
class DiskIdentity:
    """What tells one physical disk from all others; each part can stand in a file name."""

    vendor: str
    model: str
    serial: str

    def __post_init__(self) -> None:
        """Check the parts. Raises InvalidName."""
        for part in (self.vendor, self.model, self.serial):
            if not _DISK_TEXT.fullmatch(part):
                _refuse("part of a disk identity", part, "letters, digits and _ . + -, at most 64 bytes")

    def __str__(self) -> str:
        """Return `<vendor>-<serial>-<model>`, as key files are named."""
        return f"{self.vendor}-{self.serial}-{self.model}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic models have fields of this type."""
        from pydantic_core import core_schema

        def validate(value: object, inner: Callable[[Any], Any]) -> object:
            return _as_value_error(inner)(value)

        return core_schema.no_info_wrap_validator_function(validate, handler(source))


def zfs_name(text: str) -> str:
    """Return the text when it can be a dataset's full name, of ours or not. Raises InvalidName."""
    if not _ZFS.fullmatch(text) or len(text) > MAX_ZFS_NAME:
        _refuse(
            "a zfs name",
            text,
            f"parts of letters, digits and _ . : - parted by /, at most {MAX_ZFS_NAME} bytes",
        )
    return text


def next_link_name(prefix: str, taken: frozenset[str]) -> LinkName:
    """Return `<prefix>0`, or the first number after it that is not taken."""
    number = 0
    while f"{prefix}{number}" in taken:
        number += 1
    return LinkName(f"{prefix}{number}")
