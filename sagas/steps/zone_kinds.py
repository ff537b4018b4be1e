"""What a zone of ours is: its name, root, links and profile, all from its type, id and addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Literal, get_args
from uuid import UUID

from sagas.steps.images import Image, ImageWanted
from sagas.steps.links import UNDERLAY, zone_link
from sledsaga.core.model import Model
from sledsaga.hosts.names import DatasetKind, DatasetName, LinkName, PoolName, ZoneName
from sledsaga.hosts.zone import STORE, Profile, Properties, ServiceProfile, ZoneNetwork, ZoneSpec

ZoneType = Literal[
    "boundary_ntp",
    "clickhouse",
    "clickhouse_keeper",
    "clickhouse_server",
    "cockroach_db",
    "crucible",
    "crucible_pantry",
    "external_dns",
    "internal_dns",
    "internal_ntp",
    "nexus",
    "oximeter",
]
ZONE_TYPES: tuple[str, ...] = get_args(ZoneType)
PREFIX: Mapping[str, str] = {"boundary_ntp": "ntp", "internal_ntp": "ntp", "cockroach_db": "cockroachdb"}
"""What a zone is called after, where that is not its type; its image and its dataset are called so too."""
DURABLE = frozenset(
    {
        "clickhouse",
        "clickhouse_keeper",
        "clickhouse_server",
        "cockroach_db",
        "crucible",
        "external_dns",
        "internal_dns",
    }
)
"""Types that keep data in a dataset of their own."""
NTP = frozenset({"boundary_ntp", "internal_ntp"})
BEFORE_TIME = NTP | {"internal_dns"}
"""Types that may start before the sled's time is in step: what time needs, and nothing else."""
ADMIN_HTTP = "127.0.0.1:8080"
"""Where CockroachDB's own HTTP server listens: only inside its zone."""
GATEWAY_HOST = 1
"""The sled itself is the first address of its own /64."""


class ZoneWanted(Model):
    """A zone that should run. `address` has no length; `dataset` is delegated to the zone.

    `gz_address` and `gz_index` are of internal DNS only: an address of the global zone beside it.
    """

    id: UUID
    type: ZoneType
    pool: PoolName
    address: str
    port: int
    image: ImageWanted
    dataset: DatasetName | None = None
    gz_address: str | None = None
    gz_index: int | None = None

    @property
    def name(self) -> ZoneName:
        """The zone's name."""
        return ZoneName.of(prefix_of(self.type), self.id)

    @property
    def root(self) -> DatasetName:
        """The dataset of the zone's root."""
        return DatasetName.of(self.pool, DatasetKind(f"zone/{self.name}"))

    @property
    def link(self) -> LinkName:
        """The zone's VNIC."""
        return zone_link(self.id)

    @property
    def gz_object(self) -> str:
        """The name of the address of the global zone beside it."""
        return f"{UNDERLAY}/internaldns{self.gz_index or 0}"


def prefix_of(zone_type: str) -> str:
    """Return what a zone of this type is called after."""
    return PREFIX.get(zone_type, zone_type)


def durable_kind(zone_type: str) -> DatasetKind | None:
    """Return the kind of the dataset that a zone of this type keeps its data in, if it has one."""
    return DatasetKind(prefix_of(zone_type)) if zone_type in DURABLE else None


def spec_of(zone: ZoneWanted, image: Image) -> ZoneSpec:
    """Return the zone's configuration."""
    return ZoneSpec(
        name=zone.name,
        path=zone.root.mountpoint,
        image=image.path,
        image_hash=image.sha256,
        datasets=() if zone.dataset is None else (zone.dataset,),
        links=(zone.link,),
        profile=profile_of(zone),
    )


def profile_of(zone: ZoneWanted) -> Profile:
    """Return what the zone does at its first boot."""
    network = ZoneNetwork(zone.link, _gateway(zone.address), zone.address)
    return Profile(network, tuple(_services(zone)))


def _services(zone: ZoneWanted) -> Iterator[ServiceProfile]:
    listen = (("listen_addr", zone.address), ("listen_port", str(zone.port)))
    store = ("store", STORE)
    match zone.type:
        case "cockroach_db":
            yield ServiceProfile("oxide/cockroachdb", (*listen, store))
            yield ServiceProfile("oxide/cockroach-admin", _admin(zone))
        case "crucible":
            own = (("dataset", zone.dataset or ""), *listen, ("uuid", str(zone.id)), store)
            yield ServiceProfile("oxide/crucible/agent", own)
        case "clickhouse" | "clickhouse_keeper" | "clickhouse_server":
            is_enabled = zone.type == "clickhouse"  # the others start when they have got their configuration
            yield ServiceProfile(f"oxide/{zone.type}", (*listen, store), is_enabled=is_enabled)
        case _:
            yield ServiceProfile(f"oxide/{prefix_of(zone.type)}", listen)


def _admin(zone: ZoneWanted) -> Properties:
    """Return the properties of the server that administers a CockroachDB node from inside its zone."""
    host = f"[{zone.address}]" if ":" in zone.address else zone.address
    return (
        ("zone_id", str(zone.id)),
        ("cockroach_address", f"{host}:{zone.port}"),
        ("http_address", ADMIN_HTTP),
    )


def _gateway(address: str) -> str:
    network = ipaddress.ip_network(f"{address}/{64 if ':' in address else 24}", strict=False)
    return str(network[GATEWAY_HOST])
