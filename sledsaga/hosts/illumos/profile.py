"""SMF profiles: the `site.xml` that a zone reads at its first boot, written between install and boot.

A profile says, for each service of the zone, whether it starts and with which properties. It is built
as a tree and written by xml.etree, so no value can break out of its attribute. The same facts always
give the same bytes: whether a profile is as it should be is told by comparing bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from xml.etree import ElementTree as ET

from sledsaga.errors import InvalidName
from sledsaga.hosts.zone import Profile, ServiceProfile, ZoneNetwork

SITE = "root/var/svc/profile/site.xml"
"""Where a zone looks for its profile, below its zonepath."""
HEADER = (
    '<?xml version="1.0"?>\n<!DOCTYPE service_bundle SYSTEM "/usr/share/lib/xml/dtd/service_bundle.dtd.1">\n'
)
SSH, DNS_CLIENT, NETWORK_SETUP = "network/ssh", "network/dns/client", "oxide/zone-network-setup"


def render(services: Sequence[ServiceProfile], *, name: str = "omicron") -> bytes:
    """Write a profile as XML. Raises InvalidName for text that XML cannot hold."""
    bundle = ET.Element("service_bundle", {"type": "profile", "name": name})
    for service in services:
        _add(bundle, service)
    ET.indent(bundle)
    return (HEADER + ET.tostring(bundle, encoding="unicode") + "\n").encode()


@lru_cache(maxsize=256)  # each step of a zone needs it, to know the zone by
def render_profile(profile: Profile) -> bytes:
    """Write the profile of a zone of ours: its network, name resolution, no ssh, and its own services."""
    return render(
        (
            _network(profile.network),
            ServiceProfile(DNS_CLIENT),
            ServiceProfile(SSH, is_enabled=False),
            *profile.services,
        )
    )


def _network(network: ZoneNetwork) -> ServiceProfile:
    own = (("datalink", network.link), ("gateway", network.gateway), ("static_addr", network.address))
    return ServiceProfile(NETWORK_SETUP, own)


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
