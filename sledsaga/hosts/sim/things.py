"""What a sled is made of: one frozen value a kind, kept as one JSON document each.

A field's type is what JSON can hold, so a document and a value are the same thing in two notations.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, TypeVar

Props = dict[str, str]


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk in a slot, keyed by serial. `label` and `guid` name the pool whose label it carries."""

    serial: str
    vendor: str
    model: str
    size: int
    slot: int
    variant: str
    label: str = ""
    guid: str = ""
    condition: str = "ok"
    """`ok`, `failing` (I/O errors) or `pulled`."""

    @property
    def device(self) -> str:
        """The bare device name, as under /dev/dsk."""
        return f"c1t{self.serial}d0"

    @property
    def path(self) -> str:
        """The path a pool is made on: the whole of a U.2, the ZFS slice of an M.2."""
        return f"/dev/dsk/{self.device}" + ("" if self.variant == "U.2" else "s5")


@dataclass(frozen=True, slots=True)
class Pool:
    """An imported pool, keyed by name."""

    guid: str
    disk: str
    size: int
    props: Props = field(default_factory=dict)
    is_shut: bool = False
    """Whether its disk did not answer when the sled booted."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A pool that is on its disk but not imported, keyed by guid."""

    name: str
    pool: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A filesystem, volume or snapshot of an imported pool, keyed by name. `props` are the local ones."""

    guid: str
    type: str
    props: Props = field(default_factory=dict)
    digest: str = ""
    """Of the key, on an encryption root only; the sim keeps no key."""
    loaded: bool = False
    born: int = 0
    used: int = 0
    """Bytes that a snapshot refers to."""
    files: dict[str, int] = field(default_factory=dict)
    """What a snapshot refers to: the bytes of each file, by what tells it from one written later."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted filesystem, keyed by mountpoint."""

    dataset: str
    guid: str


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone, keyed by name. `resources` are its zonecfg resources in order, each with a `kind`."""

    uuid: str
    state: str
    props: Props
    resources: list[dict[str, str]]
    root_dataset: str = ""
    """The dataset that the install made for the zonepath; the uninstall destroys it."""
    booted_at: float = 0.0
    number: int = 0
    """The id that a living zone has; each boot gives another."""

    @property
    def path(self) -> str:
        """The zonepath on the sled."""
        return self.props.get("zonepath", "")


@dataclass(frozen=True, slots=True)
class Service:
    """An SMF instance, keyed by `zone fmri` (the global zone is `global`)."""

    state: str
    groups: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    running: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """What the last refresh put into the running snapshot."""
    temporary: bool = False
    usual: str = ""
    """The state that the next boot gives, when the present one is temporary."""


@dataclass(frozen=True, slots=True)
class Link:
    """A datalink, keyed by name: `phys`, `etherstub` or `vnic`."""

    kind: str
    over: str = ""
    mac: str = ""
    vlan: str = "0"
    temporary: bool = False
    props: Props = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interface:
    """An IP interface, keyed by link."""

    temporary: bool
    props: Props = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address object, keyed by `link/name`."""

    kind: str
    address: str
    temporary: bool


@dataclass(frozen=True, slots=True)
class Route:
    """A route, keyed by `family destination gateway link`."""

    made: bool = True


Thing = Disk | Pool | Exported | Dataset | Mount | Zone | Service | Link | Interface | Address | Route
T = TypeVar("T", bound=Thing)

KINDS: dict[type[Any], str] = {
    Disk: "disk",
    Pool: "pool",
    Exported: "exported",
    Dataset: "dataset",
    Mount: "mount",
    Zone: "zone",
    Service: "service",
    Link: "link",
    Interface: "interface",
    Address: "address",
    Route: "route",
}
FIELDS = {kind: tuple(each.name for each in dataclasses.fields(kind)) for kind in KINDS}


def dump(thing: Thing) -> str:
    """Write a thing as JSON."""
    document = {name: getattr(thing, name) for name in FIELDS[type(thing)]}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def load(kind: type[T], text: str) -> T:
    """Read a thing from its JSON."""
    return kind(**json.loads(text))
