"""What a dataset should be, what it is, and the properties that differ.

Rules
- Unset, `none` and 0 are the same quota (and reservation), so none of them is ever "changed" into another.
- Only what differs is set: `zfs set quota=...` fails on a full dataset even when the value stays.
- An id is set where none is; an id that differs is never changed, it is another dataset.
- What this ZFS cannot do is refused before any command. Two things have a substitute, and the dataset says
  so itself in a user property: `sledsaga:zoned=on` is mounted outside for its zone, where nothing can be
  delegated; `sledsaga:plain=yes` lies unencrypted, where nothing can be encrypted and the machine allows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Self
from uuid import UUID

from sledsaga.errors import HostError, InvalidName
from sledsaga.hosts.names import Compression, DatasetName, PoolName
from sledsaga.hosts.zfs.abilities import Abilities, Delegation

CanMount = Literal["on", "off", "noauto"]
Settings = tuple[tuple[str, str], ...]
"""Property names and values, in the order they are given to `zfs`."""

ID, EPOCH, AGENT = "oxide:uuid", "oxide:epoch", "oxide:agent"
PLAIN, ZONED = ("sledsaga:plain", "yes"), ("sledsaga:zoned", "on")
"""What a dataset says of itself where its ZFS has neither encryption nor delegation."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """How an encryption root is made: the key file's path on the sled, and the epoch of its key."""

    key_path: str
    epoch: int


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """What a filesystem should be. `quota` and `reservation` in bytes; None means none.

    `compression` None leaves it as it is. `encryption` is given for an encryption root only. `is_plain` and
    `delegation` are what `fitted` found that this ZFS can do; whoever describes a dataset leaves them alone.
    """

    name: str
    mountpoint: str
    id: UUID | None = None
    is_zoned: bool = False
    canmount: CanMount = "on"
    quota: int | None = None
    reservation: int | None = None
    compression: Compression | None = None
    encryption: Encryption | None = None
    is_plain: bool = False
    delegation: Delegation = "zoned"

    @classmethod
    def of(
        cls,
        name: DatasetName,
        dataset_id: UUID | None,
        *,
        quota: int | None = None,
        reservation: int | None = None,
        compression: Compression | None = None,
    ) -> Self:
        """Describe a dataset whose place and delegation follow from its kind."""
        return cls(
            name,
            name.mountpoint,
            dataset_id,
            is_zoned=name.kind.is_zoned,
            quota=quota,
            reservation=reservation,
            compression=compression,
        )

    @property
    def is_encrypted(self) -> bool:
        """Whether it is an encryption root, or lives below a pool's `crypt`."""
        return self.encryption is not None or self.name.partition("/")[2].startswith("crypt/")

    @property
    def is_mounted_here(self) -> bool:
        """Whether it should be mounted in the global zone."""
        return self.canmount == "on" and not self.is_zoned


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a dataset is. Sizes in bytes; `referenced` is what it holds itself, without its children.

    `id`, `saga`, `epoch` and `agent` are its own: a value inherited from its parent is None here.
    `is_key_loaded` is None when it is not encrypted; `is_plain`: it, or a dataset above it, says that it lies
    unencrypted. `is_bound`: it is mounted for its zone only, which `is_mounted` does not count. `is_dead`: it
    was mounted, but what served the mount has gone; it counts as not mounted.
    """

    name: str
    available: int
    used: int
    referenced: int
    compression: str
    is_mounted: bool
    id: UUID | None = None
    saga: str | None = None
    epoch: int | None = None
    agent: str | None = None
    quota: int | None = None
    reservation: int | None = None
    type: str = "filesystem"
    mountpoint: str = "none"
    canmount: str = "on"
    is_zoned: bool = False
    is_key_loaded: bool | None = None
    is_plain: bool = False
    is_bound: bool = False
    is_dead: bool = False

    @property
    def is_for_here(self) -> bool:
        """Whether it is mounted by itself when its pool is imported: at a place, and for no zone."""
        has_place = self.type == "filesystem" and self.mountpoint.startswith("/")
        return has_place and self.canmount == "on" and not self.is_zoned

    @property
    def is_open(self) -> bool:
        """Whether what it holds can be read: its key is loaded, or it says that it has none."""
        return bool(self.is_key_loaded) or (self.is_key_loaded is None and self.is_plain)

    @property
    def is_encrypted(self) -> bool:
        """Whether it is encrypted, its key loaded or not."""
        return self.is_key_loaded is not None


def fitted(spec: DatasetSpec, zfs: Abilities) -> DatasetSpec:
    """Return the dataset as this ZFS can make it. Raises HostError when it cannot, nor has a substitute."""
    if spec.compression is not None and spec.compression not in zfs.compressions:
        raise HostError(
            f"{zfs.name} cannot compress {spec.name} by {spec.compression}; it knows "
            f"{', '.join(zfs.compressions)}: ask for one of these, or use OpenZFS"
        )
    if spec.is_encrypted and not zfs.has_encryption:
        if not zfs.is_plain_allowed:
            raise HostError(
                f"{spec.name} must be encrypted, and {zfs.name} has no encryption: use OpenZFS, or say "
                '"plain": true in the sled\'s document when its data may lie there unencrypted'
            )
        spec = replace(spec, is_plain=True)
    place = zone_place(spec.name) if spec.is_zoned else None
    if zfs.delegation == "zoned" or place is None:
        return spec
    return replace(spec, mountpoint=place, canmount="noauto", delegation="bind")


def zone_place(name: str) -> str | None:
    """Return where a zone's dataset is mounted for it, when it cannot be delegated; None for any other."""
    try:
        dataset = DatasetName(name)
    except InvalidName:
        return None
    return f"{PoolName(dataset.pool).mountpoint}/{name.partition('/')[2]}" if dataset.kind.is_zoned else None


def encryption_root(name: str) -> str:
    """Name the dataset whose key opens another: one in each pool, above all that are encrypted."""
    return "/".join(name.split("/")[:2])


def wanted_settings(spec: DatasetSpec) -> Settings:
    """Return every adjustable property of the spec, for a dataset that is not yet there."""
    rows = (
        ("quota", _size(spec.quota)),
        ("reservation", _size(spec.reservation)),
        ("compression", spec.compression),
        (ID, None if spec.id is None else str(spec.id)),
    )
    return tuple((name, str(value)) for name, value in rows if value not in (None, "none"))


def differing_settings(spec: DatasetSpec, seen: Dataset) -> Settings:
    """Return the adjustable properties that must be set to make `seen` what the spec says."""
    rows = (
        ("quota", _size(spec.quota), _size(seen.quota)),
        ("reservation", _size(spec.reservation), _size(seen.reservation)),
        ("compression", printed(spec.compression or seen.compression), printed(seen.compression)),
        (ID, str(spec.id or seen.id), str(seen.id)),
    )
    return tuple((name, str(want)) for name, want, have in rows if want != have)


def one_by_one(settings: Settings, seen: Dataset) -> Settings:
    """Order settings so that each can be set alone: ZFS takes no quota below the reservation, at no moment.

    So a quota is raised before the reservation is, and lowered after it.
    """
    quota = dict(settings).get("quota", "none")
    is_lowered = quota != "none" and (seen.quota is None or int(quota) < seen.quota)
    return tuple(sorted(settings, key=lambda row: (row[0] == "quota") is is_lowered))


def printed(compression: str) -> str:
    """Return a compression as `zfs` prints it: `gzip` and `gzip-6` are one value, which it calls `gzip`."""
    return "gzip" if compression == "gzip-6" else compression


def present_settings(seen: Dataset, names: Iterable[str]) -> dict[str, str | None]:
    """Return the present values of adjustable properties, to be restored later; None is "not set"."""
    rows = {
        "quota": _size(seen.quota),
        "reservation": _size(seen.reservation),
        "compression": seen.compression,
        ID: None if seen.id is None else str(seen.id),
        EPOCH: None if seen.epoch is None else str(seen.epoch),
        AGENT: seen.agent,
    }
    return {name: rows[name] for name in names}


def _size(count: int | None) -> str:
    return str(count) if count else "none"
