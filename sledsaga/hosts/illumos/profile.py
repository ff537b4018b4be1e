"""SMF profiles: the `site.xml` that a zone reads at its first boot, written between install and boot.

A profile says, for each service of the zone, whether it starts and with which properties. It is built
as a tree and written by xml.etree, so no value can break out of its attribute. The same facts always
give the same bytes: whether a profile is as it should be is told by comparing bytes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID
from xml.etree import ElementTree as ET

from sledsaga.errors import InvalidName
from sledsaga.hosts.host import Host

SITE = "root/var/svc/profile/site.xml"
"""Where a zone looks for its profile, below its zonepath."""
HEADER = (
    '<?xml version="1.0"?>\n<!DOCTYPE service_bundle SYSTEM "/usr/share/lib/xml/dtd/service_bundle.dtd.1">\n'
)
STORE = "/data"
"""Where a delegated dataset is mounted inside its zone."""
ADMIN_HTTP = "127.0.0.1:8080"
"""Where CockroachDB's own HTTP server listens: only inside its zone."""
SSH, DNS_CLIENT, NETWORK_SETUP = "network/ssh", "network/dns/client", "oxide/zone-network-setup"
Properties = tuple[tuple[str, str], ...]
ClickhouseVariant = Literal["clickhouse", "clickhouse_keeper", "clickhouse_server"]


@dataclass(frozen=True, slots=True)
class ServiceProfile:
    """One service: whether its default instance starts, and the properties of one group."""

    name: str
    properties: Properties = ()
    is_enabled: bool = True
    group: str = "config"


@dataclass(frozen=True, slots=True)
class ZoneNetwork:
    """How a zone is reached: its link, its gateway and its own address, without a length."""

    link: str
    gateway: str
    address: str


def render(services: Sequence[ServiceProfile], *, name: str = "omicron") -> bytes:
    """Write a profile as XML. Raises InvalidName for text that XML cannot hold."""
    bundle = ET.Element("service_bundle", {"type": "profile", "name": name})
    for service in services:
        _add(bundle, service)
    ET.indent(bundle)
    return (HEADER + ET.tostring(bundle, encoding="unicode") + "\n").encode()


def generic_profile(network: ZoneNetwork, services: Sequence[ServiceProfile]) -> bytes:
    """Profile of a zone of ours: its network, name resolution, no ssh, and its own services."""
    return render(
        (_network(network), ServiceProfile(DNS_CLIENT), ServiceProfile(SSH, is_enabled=False), *services)
    )


def crdb_profile(network: ZoneNetwork, *, zone_id: UUID, port: int) -> bytes:
    """Profile of a CockroachDB zone: the database on /data, and the server that administers it."""
    address = _socket(network.address, port)
    database = (("listen_addr", network.address), ("listen_port", str(port)), ("store", STORE))
    admin = (("zone_id", str(zone_id)), ("cockroach_address", address), ("http_address", ADMIN_HTTP))
    return generic_profile(
        network,
        (ServiceProfile("oxide/cockroachdb", database), ServiceProfile("oxide/cockroach-admin", admin)),
    )


def clickhouse_profile(network: ZoneNetwork, *, variant: ClickhouseVariant, port: int) -> bytes:
    """Profile of a Clickhouse zone; keeper and server start only when they have got their configuration."""
    own = (("listen_addr", network.address), ("listen_port", str(port)), ("store", STORE))
    is_enabled = variant == "clickhouse"
    return generic_profile(network, (ServiceProfile(f"oxide/{variant}", own, is_enabled=is_enabled),))


def crucible_profile(network: ZoneNetwork, *, dataset: str, agent_id: UUID, port: int) -> bytes:
    """Profile of a Crucible agent's zone; `dataset` is the full name, which it makes regions below."""
    own = (
        *(("dataset", dataset), ("listen_addr", network.address), ("listen_port", str(port))),
        *(("uuid", str(agent_id)), ("store", STORE)),
    )
    return generic_profile(network, (ServiceProfile("oxide/crucible/agent", own),))


def write_profile(host: Host, zonepath: str, profile: bytes) -> bool:
    """Write a zone's profile; False when the same bytes were there. The zone is installed, not yet booted."""
    path = posixpath.join(zonepath, SITE)
    if host.read_file(path) == profile:
        return False
    host.make_dir(posixpath.dirname(path))
    host.write_file(path, profile)
    return True


def _network(network: ZoneNetwork) -> ServiceProfile:
    own = (("datalink", network.link), ("gateway", network.gateway), ("static_addr", network.address))
    return ServiceProfile(NETWORK_SETUP, own)


def _socket(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _add(bundle: ET.Element, service: ServiceProfile) -> None:
    outer = ET.SubElement(bundle, "service", {"version": "1", "type": "service", "name": service.name})
    enabled = "true" if service.is_enabled else "false"
    instance = ET.SubElement(outer, "instance", {"enabled": enabled, "name": "default"})
    if not service.properties:
        return
    group = ET.SubElement(instance, "property_group", {"type": "application", "name": service.group})
    for key, value in service.properties:
        if not value.isprintable():
            raise InvalidName(f"property {key} of {service.name} is {value!r}; expected printable text")
        ET.SubElement(group, "propval", {"type": "astring", "name": key, "value": value})
