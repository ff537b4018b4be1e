"""A zone's profile says which services start and with what, and no value can break out of its place."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest

from sledsaga.errors import InvalidName
from sledsaga.hosts.illumos.profile import (
    SITE,
    ServiceProfile,
    ZoneNetwork,
    clickhouse_profile,
    crdb_profile,
    crucible_profile,
    render,
    write_profile,
)
from sledsaga.hosts.local import LocalHost

ID = UUID("10fec275-f937-40f7-9c25-616079ef3816")
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


def test_profile_of_a_database() -> None:
    """CockroachDB starts with its address and store, its admin server beside it, ssh does not."""
    assert services(crdb_profile(NETWORK, zone_id=ID, port=32221)) == {
        "oxide/zone-network-setup": (
            "true",
            {"datalink": "oxControlService0", "gateway": "fd00::1", "static_addr": "fd00::2"},
        ),
        "network/dns/client": ("true", {}),
        "network/ssh": ("false", {}),
        "oxide/cockroachdb": ("true", {"listen_addr": "fd00::2", "listen_port": "32221", "store": "/data"}),
        "oxide/cockroach-admin": (
            "true",
            {"zone_id": str(ID), "cockroach_address": "[fd00::2]:32221", "http_address": "127.0.0.1:8080"},
        ),
    }


@pytest.mark.parametrize(
    ("variant", "enabled"),
    [("clickhouse", "true"), ("clickhouse_keeper", "false"), ("clickhouse_server", "false")],
)
def test_profile_of_clickhouse(variant: str, enabled: str) -> None:
    """A single Clickhouse starts at once; keeper and server wait for their configuration."""
    profile = clickhouse_profile(NETWORK, variant=variant, port=8123)  # type: ignore[arg-type]  # a table
    assert services(profile)[f"oxide/{variant}"][0] == enabled


def test_profile_of_crucible() -> None:
    """The agent is told the full name of its dataset, its address and its id."""
    profile = crucible_profile(NETWORK, dataset="oxp_x/crucible", agent_id=ID, port=32345)
    assert services(profile)["oxide/crucible/agent"][1] == {
        "dataset": "oxp_x/crucible",
        "listen_addr": "fd00::2",
        "listen_port": "32345",
        "uuid": str(ID),
        "store": "/data",
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


def test_a_profile_is_written_once(tmp_path: Path) -> None:
    """The same bytes are not written again; other bytes are."""
    host, zone = LocalHost(), str(tmp_path)
    assert [write_profile(host, zone, data) for data in (b"a", b"a", b"b")] == [True, False, True]
    assert (tmp_path / SITE).read_bytes() == b"b"
