"""What a zone of ours is: its name, root, links and profile, all from its type, id and addresses."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from typing import Literal, get_args
from uuid import UUID

from sagas.steps.images import Image, ImageWanted
from sagas.steps.links import UNDERLAY, zone_link
from sledsaga.core.define import Model
from sledsaga.hosts.illumos import profile
from sledsaga.hosts.illumos.profile import ServiceProfile, ZoneNetwork
from sledsaga.hosts.illumos.zonecfg import ZoneSpec
from sledsaga.hosts.names import DatasetKind, DatasetName, LinkName, PoolName, ZoneName

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
PROFILE_MARK = "sledsaga-profile"
"""Attribute with the digest of the profile: so a zone with another address is another configuration."""
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
        attributes=((PROFILE_MARK, hashlib.sha256(profile_of(zone)).hexdigest()),),
    )


def profile_of(zone: ZoneWanted) -> bytes:
    """Return the zone's SMF profile."""
    network = ZoneNetwork(zone.link, _gateway(zone.address), zone.address)
    match zone.type:
        case "cockroach_db":
            return profile.crdb_profile(network, zone_id=zone.id, port=zone.port)
        case "crucible":
            return profile.crucible_profile(
                network, dataset=zone.dataset or "", agent_id=zone.id, port=zone.port
            )
        case "clickhouse" | "clickhouse_keeper" | "clickhouse_server":
            return profile.clickhouse_profile(network, variant=zone.type, port=zone.port)
    own = (("listen_addr", zone.address), ("listen_port", str(zone.port)))
    return profile.generic_profile(network, (ServiceProfile(f"oxide/{prefix_of(zone.type)}", own),))


def _gateway(address: str) -> str:
    network = ipaddress.ip_network(f"{address}/{64 if ':' in address else 24}", strict=False)
    return str(network[GATEWAY_HOST])
