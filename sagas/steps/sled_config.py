"""The document that says all that a sled should have: read two formats, refuse every other.

- The current format has `generation`, and maps by id of `disks`, `datasets` and `zones`.
- The older one has `generation` and a list of `zones`. It names no disks: the pools that its zones name
  must be on disks of the sled already. A zone without data has its root on the first of these pools.
- Fields that are not known are kept, for the document goes to the ledger as it came; they have no effect.
- What contradicts itself is refused before anything is done: an id twice, a dataset on a pool that no disk
  carries, a zone without the datasets that it needs.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sagas.steps.datasets import DatasetWanted
from sagas.steps.images import ImageWanted
from sagas.steps.pools import PoolWanted
from sagas.steps.zone_kinds import ZONE_TYPES, ZoneType, ZoneWanted, durable_kind, prefix_of
from sledsaga.errors import InvalidName, InvalidParams
from sledsaga.hosts.names import Compression, DatasetKind, DatasetName, DiskIdentity, PoolName

Document = Mapping[str, Any]
CURRENT = frozenset({"generation", "disks", "datasets", "zones"})
OLDER = frozenset({"generation", "zones"})
VERSION_KEYS = frozenset({"version", "schema_version", "v"})
"""A document that states a version is of a format that is not known here: neither of the two does."""
DEBUG_QUOTA = 100 * 1024**3
"""Bytes for logs and dumps on each disk, as omicron gives."""
DEFAULTS: tuple[tuple[str, int | None, str | None], ...] = (
    ("zone", None, None),
    ("debug", DEBUG_QUOTA, "gzip-9"),
)
"""What every data pool has, named in the document or not: kind, quota in bytes, compression."""
PORT, PORT_MAX = re.compile(r"[1-9][0-9]{0,4}"), 65_535
ADDRESS_FIELDS = ("address", "internal_address", "http_address")


@dataclass(frozen=True, slots=True)
class SledConfig:
    """A document, read: pools with their disks, datasets (parents first) and zones, in a steady order."""

    generation: int
    pools: tuple[PoolWanted, ...]
    datasets: tuple[DatasetWanted, ...]
    zones: tuple[ZoneWanted, ...]


class _Part(BaseModel):
    """A part of a document: what is not known is left aside here, and kept in the document."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Disk(_Part):
    identity: DiskIdentity
    id: UUID
    pool_id: UUID


class _DatasetPlace(_Part):
    pool_name: PoolName
    kind: DatasetKind


class _Dataset(_Part):
    id: UUID
    name: _DatasetPlace
    compression: Compression | None = None
    quota: int | None = Field(default=None, ge=0)
    reservation: int | None = Field(default=None, ge=0)


class _Pool(_Part):
    pool_name: PoolName


class _ZoneType(_Part):
    type: ZoneType
    dataset: _Pool | None = None
    address: str | None = None
    internal_address: str | None = None
    http_address: str | None = None
    gz_address: str | None = None
    gz_address_index: int | None = None


class _ImageSource(_Part):
    type: Literal["artifact", "install_dataset"]
    hash: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class _Zone(_Part):
    id: UUID
    zone_type: _ZoneType
    filesystem_pool: PoolName | None = None
    image_source: _ImageSource = _ImageSource(type="install_dataset")


class _Current(_Part):
    generation: int = Field(ge=0, strict=True)
    disks: dict[UUID, _Disk]
    datasets: dict[UUID, _Dataset]
    zones: dict[UUID, _Zone]


class _Older(_Part):
    generation: int = Field(ge=0, strict=True)
    zones: list[_Zone]


def read_config(document: Document) -> SledConfig:
    """Read a document of either format. Raises InvalidParams with one line."""
    model = format_of(document)
    try:
        if model is _Current:
            return _current(_Current.model_validate(document))
        return _older(_Older.model_validate(document))
    except ValidationError as error:
        raise InvalidParams(_first(error)) from error
    except InvalidName as error:
        raise InvalidParams(f"the sled config cannot be: {error}") from error


def format_of(document: Document) -> type[BaseModel]:
    """Say of which format a document is, by its shape. Raises InvalidParams for any other."""
    keys = frozenset(document)
    if not keys & VERSION_KEYS:
        if keys >= CURRENT and all(
            isinstance(document[key], Mapping) for key in ("disks", "datasets", "zones")
        ):
            return _Current
        if keys >= OLDER and not keys & {"disks", "datasets"} and isinstance(document["zones"], list):
            return _Older
    raise InvalidParams(
        f"unknown sled config format: top-level keys {_keys(document)}; expected {_listed(CURRENT)} "
        f"(disks, datasets and zones by id), or the older {_listed(OLDER)} (a list of zones), and no version"
    )


def _current(document: _Current) -> SledConfig:
    for what, parts in (("disk", document.disks), ("dataset", document.datasets), ("zone", document.zones)):
        _check_ids(what, parts)
    pools = _pools(document.disks.values())
    names = {pool.name for pool in pools}
    listed = [_dataset(one) for one in document.datasets.values()]
    _check_datasets(listed, names)
    datasets = [*listed, *_missing_defaults(names, listed)]
    zones = [_zone(zone, _root_pool(zone, None)) for zone in document.zones.values()]
    _check_zones(zones, {one.name for one in datasets})
    return _config(document.generation, pools, datasets, zones)


def _older(document: _Older) -> SledConfig:
    _refuse_twice("zone", [zone.id for zone in document.zones])
    named = [zone.zone_type.dataset.pool_name for zone in document.zones if zone.zone_type.dataset]
    names = sorted({*named, *(zone.filesystem_pool for zone in document.zones if zone.filesystem_pool)})
    if document.zones and not names:
        raise InvalidParams(
            "the sled config names no pool for any zone; expected at least one zone with a dataset"
        )
    zones = [_zone(zone, _root_pool(zone, names[0])) for zone in document.zones]
    durable = [DatasetWanted(name=zone.dataset) for zone in zones if zone.dataset is not None]
    _refuse_twice("dataset", [one.name for one in durable])
    listed = [*durable, *(DatasetWanted(name=zone.root) for zone in zones)]
    datasets = [*listed, *_missing_defaults(names, listed)]
    return _config(document.generation, [PoolWanted(name=name) for name in names], datasets, zones)


def _config(
    generation: int,
    pools: Iterable[PoolWanted],
    datasets: Iterable[DatasetWanted],
    zones: Iterable[ZoneWanted],
) -> SledConfig:
    return SledConfig(
        generation,
        tuple(sorted(pools, key=lambda pool: pool.name)),
        tuple(sorted(datasets, key=lambda one: one.name)),
        tuple(sorted(zones, key=lambda zone: zone.name)),
    )


def _pools(disks: Iterable[_Disk]) -> list[PoolWanted]:
    pools = [PoolWanted(name=PoolName.of("external", one.pool_id), disk=one.identity) for one in disks]
    _refuse_twice("pool", [pool.name for pool in pools])
    _refuse_twice("disk", [str(pool.disk) for pool in pools])
    return pools


def _dataset(one: _Dataset) -> DatasetWanted:
    return DatasetWanted(
        name=DatasetName.of(one.name.pool_name, one.name.kind),
        id=one.id,
        quota=one.quota or None,
        reservation=one.reservation or None,
        compression=one.compression,
    )


def _missing_defaults(pools: Iterable[PoolName], listed: Iterable[DatasetWanted]) -> Iterator[DatasetWanted]:
    there = {one.name for one in listed}
    for pool in pools:
        for kind, quota, compression in DEFAULTS:
            name = DatasetName.of(pool, DatasetKind(kind))
            if name not in there:
                packing = None if compression is None else Compression(compression)
                yield DatasetWanted(name=name, quota=quota, compression=packing)


def _root_pool(zone: _Zone, otherwise: PoolName | None) -> PoolName:
    own = zone.zone_type.dataset
    pool = zone.filesystem_pool or (None if own is None else own.pool_name) or otherwise
    if pool is None:
        raise InvalidParams(f"zone {zone.id} has no filesystem_pool; expected the pool of its root")
    return pool


def _zone(zone: _Zone, pool: PoolName) -> ZoneWanted:
    kind, own = durable_kind(zone.zone_type.type), zone.zone_type.dataset
    if (kind is None) != (own is None):
        needs = "none" if kind is None else f"one, of kind {kind}"
        raise InvalidParams(
            f"zone {zone.id} ({zone.zone_type.type}) {'has' if own else 'has no'} dataset; needs {needs}"
        )
    address, port = _address(zone)
    image = zone.image_source
    if (image.type == "artifact") != (image.hash is not None):
        raise InvalidParams(
            f"zone {zone.id}: image source {image.type} with hash {image.hash}; only artifacts have one"
        )
    return ZoneWanted(
        id=zone.id,
        type=zone.zone_type.type,
        pool=pool,
        address=address,
        port=port,
        image=ImageWanted(name=prefix_of(zone.zone_type.type), sha256=image.hash),
        dataset=None if kind is None or own is None else DatasetName.of(own.pool_name, kind),
        gz_address=zone.zone_type.gz_address,
        gz_index=zone.zone_type.gz_address_index,
    )


def _address(zone: _Zone) -> tuple[str, int]:
    """Return the zone's own address and port: `[fd00::5]:123` or `10.0.0.5:123`."""
    text = next((each for field in ADDRESS_FIELDS if (each := getattr(zone.zone_type, field))), "")
    host, _, port = text.rpartition(":")
    try:
        if not PORT.fullmatch(port) or int(port) > PORT_MAX:
            raise ValueError(port)  # noqa: TRY301 - told below, with what a wrong address is told
        return str(ipaddress.ip_address(host.strip("[]"))), int(port)
    except ValueError as error:
        raise InvalidParams(
            f"zone {zone.id}: {text!r} is no address with a port, such as [fd00::5]:123"
        ) from error


def _check_ids(what: str, parts: Mapping[UUID, _Disk | _Dataset | _Zone]) -> None:
    for key, part in parts.items():
        if part.id != key:
            raise InvalidParams(f"{what} {part.id} stands under the key {key}; expected its own id")


def _check_datasets(listed: Sequence[DatasetWanted], pools: set[PoolName]) -> None:
    _refuse_twice("dataset", [one.name for one in listed])
    names = {one.name for one in listed}
    for one in listed:
        if one.name.pool not in pools:
            raise InvalidParams(f"dataset {one.name} is on a pool that no disk of the config carries")
        root = DatasetName.of(one.name.pool, DatasetKind("zone"))
        if one.name.kind.transient_zone is not None and root not in names:
            raise InvalidParams(
                f"dataset {one.name} is the root of a zone, but {root}, which holds it, is not in the config"
            )


def _check_zones(zones: Sequence[ZoneWanted], datasets: set[DatasetName]) -> None:
    for zone in zones:
        for needed in (zone.root, zone.dataset):
            if needed is not None and needed not in datasets:
                raise InvalidParams(f"zone {zone.name} needs dataset {needed}, which is not in the config")


def _refuse_twice(what: str, names: Sequence[object]) -> None:
    seen: set[object] = set()
    for name in names:
        if name in seen:
            raise InvalidParams(f"{what} {name} is in the sled config twice; expected once")
        seen.add(name)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(_printable, first["loc"]))
    if first["loc"][-1:] == ("type",) and first["type"] == "literal_error":
        return (
            f"sled config: {where}: {first['input']!r} is not known; expected one of {', '.join(ZONE_TYPES)}"
            if ("zone_type" in first["loc"])
            else f"sled config: {where}: {first['input']!r} is not known; {first['msg']}"
        )
    came = "" if first["type"] == "missing" else f" (got {first['input']!r:.80})"
    return f"sled config: {where}: {first['msg']}{came}"


def _keys(document: Document) -> str:
    shown = [
        f"{_printable(key)} ({type(value).__name__})"
        for key, value in sorted(document.items(), key=lambda one: str(one[0]))
    ]
    return ", ".join(shown[:12]) or "none"


def _printable(key: object) -> str:
    """Return a key as it is, or quoted where it would break the line, or a terminal."""
    text = str(key)
    return text[:80] if text.isprintable() else repr(text[:80])


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys))
