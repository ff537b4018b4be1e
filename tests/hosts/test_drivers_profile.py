"""A zone's profile says which services start and with what, and no value can break out of its place."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from sledsaga.errors import InvalidName
from sledsaga.hosts.illumos.profile import render, render_profile
from sledsaga.hosts.zone import Profile, ServiceProfile, ZoneNetwork

NETWORK = ZoneNetwork("oxControlService0", "fd00::1", "fd00::2")


def services(profile: bytes) -> dict[str, tuple[str | None, dict[str, str]]]:
    """Read a profile back: each service with whether it starts, and its properties."""
    return {
        str(service.get("name")): (
            instance.get("enabled"),
            {str(row.get("name")): str(row.get("value")) for row in instance.iter("propval")},
        )
        for service in ET.fromstring(profile).iter("service")  # noqa: S314 - written a moment ago
        for instance in service.iter("instance")
    }


def test_profile_of_a_zone() -> None:
    """A zone has its network, name resolution, no ssh, and its own services with what they are told."""
    own = ServiceProfile("oxide/cockroachdb", (("listen_addr", "fd00::2"), ("store", "/data")))
    later = ServiceProfile("oxide/clickhouse_server", is_enabled=False)
    assert services(render_profile(Profile(NETWORK, (own, later)))) == {
        "oxide/zone-network-setup": (
            "true",
            {"datalink": "oxControlService0", "gateway": "fd00::1", "static_addr": "fd00::2"},
        ),
        "network/dns/client": ("true", {}),
        "network/ssh": ("false", {}),
        "oxide/cockroachdb": ("true", {"listen_addr": "fd00::2", "store": "/data"}),
        "oxide/clickhouse_server": ("false", {}),
    }


def test_a_profile_is_a_service_bundle() -> None:
    """The file begins as SMF expects it, and holds the same bytes each time."""
    profile = render([ServiceProfile("a/b")])
    assert profile == (
        b'<?xml version="1.0"?>\n'
        b'<!DOCTYPE service_bundle SYSTEM "/usr/share/lib/xml/dtd/service_bundle.dtd.1">\n'
        b'<service_bundle type="profile" name="omicron">\n'
        b'  <service version="1" type="service" name="a/b">\n'
        b'    <instance enabled="true" name="default" />\n'
        b"  </service>\n"
        b"</service_bundle>\n"
    )


def test_values_stay_in_their_place() -> None:
    """Quotes and brackets in a value are escaped; control characters are refused."""
    value = "\"/><x a='&amp;"
    assert services(render([ServiceProfile("a", (("key", value),))])) == {"a": ("true", {"key": value})}
    with pytest.raises(InvalidName, match="expected printable text"):
        render([ServiceProfile("a", (("key", "a\x00b"),))])
