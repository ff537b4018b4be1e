"""What each type of zone runs, and what its services are told."""

from __future__ import annotations

from uuid import UUID

import pytest

from sagas.steps.images import ImageWanted
from sagas.steps.zone_kinds import ZoneType, ZoneWanted, profile_of
from sledsaga.hosts.names import DatasetName, PoolName
from sledsaga.hosts.zone import ServiceProfile

ID = UUID("10fec275-f937-40f7-9c25-616079ef3816")
POOL = PoolName.of("external", ID)
LISTEN = (("listen_addr", "fd00::2"), ("listen_port", "32221"))


def services(kind: ZoneType, dataset: str | None = None) -> tuple[ServiceProfile, ...]:
    zone = ZoneWanted(
        id=ID,
        type=kind,
        pool=POOL,
        address="fd00::2",
        port=32221,
        image=ImageWanted(name=kind),
        dataset=None if dataset is None else DatasetName(f"{POOL}/{dataset}"),
    )
    profile = profile_of(zone)
    assert (profile.network.gateway, profile.network.address) == ("fd00::1", "fd00::2")
    return profile.services


def test_a_database_has_its_administrator_beside_it() -> None:
    """CockroachDB is told its address and store, its admin server where the database is."""
    database, admin = services("cockroach_db", "crypt/cockroachdb")
    assert database == ServiceProfile("oxide/cockroachdb", (*LISTEN, ("store", "/data")))
    told = (
        ("zone_id", str(ID)),
        ("cockroach_address", "[fd00::2]:32221"),
        ("http_address", "127.0.0.1:8080"),
    )
    assert admin == ServiceProfile("oxide/cockroach-admin", told)


@pytest.mark.parametrize(
    ("kind", "starts"), [("clickhouse", True), ("clickhouse_keeper", False), ("clickhouse_server", False)]
)
def test_clickhouse_of_several_waits(kind: ZoneType, starts: bool) -> None:  # noqa: FBT001 - a table
    """A single Clickhouse starts at once; keeper and server wait for their configuration."""
    assert services(kind, f"crypt/{kind}")[0].is_enabled is starts


def test_crucible_is_told_its_dataset() -> None:
    """The agent is told the full name of its dataset, below which it makes regions, and its id."""
    own = (("dataset", f"{POOL}/crucible"), *LISTEN, ("uuid", str(ID)), ("store", "/data"))
    assert services("crucible", "crucible") == (ServiceProfile("oxide/crucible/agent", own),)


def test_others_are_told_where_to_listen() -> None:
    """A zone without data is told its address alone; NTP zones of both types run one service."""
    assert services("internal_ntp") == (ServiceProfile("oxide/ntp", LISTEN),)
