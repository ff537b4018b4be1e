"""Networks of zones by a real iproute2: reached at once, healed in every half state, gone without a trace."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sledsaga.errors import (
    ForeignObject,
    HostError,
    HostUnreachable,
    InvalidParams,
    Transient,
)
from sledsaga.hosts.link import VnicSpec
from sledsaga.hosts.linux import ip
from sledsaga.hosts.linux.links import IpLinks
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.netns import Netns
from sledsaga.hosts.readonly import ReadOnlyHost
from sledsaga.hosts.zone import ZoneNetwork
from tests.real.conftest import run
from tests.real.linkrig import (
    GZ,
    HOST,
    IDLER,
    NEXT,
    OBJECT,
    OTHER,
    RUN,
    SERVER,
    SPEC,
    STUB,
    V4,
    V6,
    VNIC,
    ZONE,
    Dying,
    Late,
    at_once,
    becomes,
    deaths,
    ensure,
    everything,
    have,
    have_vnic,
    inside,
    leave_nothing,
    no_pause,
    remove,
    seen,
    undo,
)

pytestmark = pytest.mark.usefixtures("clean")
clean = pytest.fixture(leave_nothing)
vnic = pytest.fixture(have_vnic)


def connect(network: ZoneNetwork) -> str:
    """Connect from the global zone to a server in the zone; returns the address that we come from."""
    family = socket.AF_INET6 if ":" in network.address else socket.AF_INET
    argv = ("/usr/bin/python3", "-c", SERVER, network.address, str(int(family)))
    with inside(ZONE, *argv), socket.socket(family) as client:
        client.settimeout(5)
        client.connect((network.address, 4000))
        return str(client.getsockname()[0])


@pytest.mark.parametrize("network", [V6, V4])
def test_a_zone_is_reached(vnic: IpLinks, network: ZoneNetwork) -> None:
    """At once after ensure a server in the zone's namespace answers the global zone, also when made anew."""
    for _ in range(2):
        ensure(network=network)
        assert connect(network) == network.gateway
        remove()


@pytest.mark.parametrize("network", [V6, V4])
def test_a_gateway_that_a_vnic_of_the_sled_has(vnic: IpLinks, network: ZoneNetwork) -> None:
    """The sled may have the gateway's address on its own VNIC besides: zones are reached all the same."""
    assert vnic.ensure_vnic(VnicSpec(GZ, STUB, 9000))
    assert vnic.ensure_address(OBJECT, str(ip.with_length(network.gateway)))
    ensure(network=network)
    assert connect(network) == network.gateway
    assert vnic.delete_address(OBJECT)
    assert connect(network) == network.gateway
    remove()
    assert vnic.delete_vnic(GZ)


@pytest.mark.parametrize("network", [V6, V4])
def test_a_network_twice_is_once(vnic: IpLinks, network: ZoneNetwork) -> None:
    """A network that is as wanted is not changed again; when it is gone, the VNIC is where it was."""
    before = everything()
    ensure(network=network)
    made = everything()
    assert made["zones"][ZONE]["net0"][-1] == (str(ip.with_length(network.address)),)
    assert made["zones"][ZONE]["lo"][2]
    assert made["outside"][STUB][-1] == (str(ip.with_length(network.gateway)),)
    ensure(network=network, host=ReadOnlyHost(HOST))
    assert vnic.ensure_vnic(SPEC)
    assert everything() == made
    remove()
    remove()
    assert everything() == before


def test_a_crash_between_any_two_changes_of_a_network(vnic: IpLinks) -> None:
    """Wherever a network dies, it can be taken away at once, or made again; the same of its removal."""
    before = everything()
    ensure()
    wanted = everything()
    remove()
    for made in deaths(lambda host: ensure(host=host)):
        ensure()
        assert everything() == wanted, f"after {made} changes"
        remove()
        with pytest.raises(HostUnreachable):
            ensure(host=Dying(made))
        remove()
        assert everything() == before, f"after {made} changes"
    for made in deaths(lambda host: remove(host=host)):
        remove()
        assert everything() == before, f"after {made} changes"
        ensure()
        with pytest.raises(HostUnreachable):
            remove(host=Dying(made))
        ensure()
        assert everything() == wanted, f"after {made} changes"
    assert everything() == before


def test_a_network_that_is_awry_is_put_right(vnic: IpLinks) -> None:
    """Whatever was lost or changed in a zone's namespace is as it should be after the next ensure."""
    ensure()
    before = everything()
    for line in (
        f"ip -n {ZONE} link set dev lo down",
        f"ip -n {ZONE} link set dev net0 down",
        f"ip -n {ZONE} addr add 10.9.0.1/24 dev net0",
        f"ip -n {ZONE} addr delete {V6.address}/64 dev net0",
        f"ip addr delete {V6.gateway}/64 dev {STUB}",
    ):
        run(*line.split())
        assert everything() != before
        ensure()
        assert everything() == before, line
    run("ip", "-n", ZONE, "-6", "route", "replace", "default", "via", f"{V6.gateway}9", "dev", "net0")
    ensure()
    routes = ip.parse_routes(HOST.run(ip.show_routes(ZONE, 6)).stdout)
    assert routes == (ip.Route(V6.gateway, "net0"),)
    remove()


def test_a_gateway_goes_with_its_last_zone(vnic: IpLinks) -> None:
    """Zones of one prefix share the gateway's address; the last to go takes it away."""
    assert vnic.ensure_vnic(VnicSpec(OTHER, STUB, 9000))
    ensure()
    ensure(NEXT, ZoneNetwork(OTHER, V6.gateway, "fd00:1122:3344:101::6"), OTHER)
    remove()
    assert seen()[STUB][-1] == (f"{V6.gateway}/64",)
    remove(NEXT, OTHER)
    assert seen()[STUB][-1] == ()
    assert vnic.delete_vnic(OTHER)


def test_zones_that_come_and_go_at_one_moment(vnic: IpLinks) -> None:
    """Two zones of one prefix that are made, and go, at one moment have their gateway, and leave none."""
    assert vnic.ensure_vnic(VnicSpec(OTHER, STUB, 9000))
    second = ZoneNetwork(OTHER, V6.gateway, "fd00:1122:3344:101::6")
    for _ in range(3):
        at_once(ensure, lambda: ensure(NEXT, second, OTHER))
        assert seen()[STUB][-1] == (f"{V6.gateway}/64",)
        at_once(remove, lambda: remove(NEXT, OTHER))
        assert seen()[STUB][-1] == ()
    assert vnic.delete_vnic(OTHER)


def test_a_gateway_that_goes_while_a_zone_comes(vnic: IpLinks) -> None:
    """A zone that has seen the address, and whose record comes when that has gone, makes it, and takes it."""
    assert vnic.ensure_vnic(VnicSpec(OTHER, STUB, 9000))
    second = ZoneNetwork(OTHER, V6.gateway, "fd00:1122:3344:101::6")
    ensure()
    ensure(NEXT, second, OTHER, host=Late("/gateways/", remove))
    assert seen()[STUB][-1] == (f"{V6.gateway}/64",)
    remove(NEXT, OTHER)
    assert seen()[STUB][-1] == ()
    assert vnic.delete_vnic(OTHER)


def test_a_gateway_that_was_there_stays(vnic: IpLinks) -> None:
    """An address of the bridge that somebody else gave it is used as the gateway, and kept."""
    run("ip", "addr", "add", f"{V6.gateway}/64", "dev", STUB, "nodad")
    ensure()
    remove()
    assert seen()[STUB][-1] == (f"{V6.gateway}/64",)
    run("ip", "addr", "delete", f"{V6.gateway}/64", "dev", STUB)


def test_a_namespace_file_without_a_namespace(vnic: IpLinks) -> None:
    """A file whose mount went with its holder is made anew, or removed; one that holds data is kept."""
    path = Path(ip.namespace_path(ZONE))
    for act in (ensure, remove):
        run("unshare", "--mount", "ip", "netns", "add", ZONE)
        assert run("stat", "-f", "-c", "%T", str(path)) != "nsfs\n"
        act()
        assert path.exists() == (act is ensure)
        remove()
    path.write_text("data")
    with pytest.raises(ForeignObject, match="is no namespace, and not an empty file"):
        ensure()
    assert path.read_text() == "data"
    path.unlink()


def test_a_namespace_that_lost_its_name(vnic: IpLinks) -> None:
    """While processes keep a namespace without a name alive, its link is awaited; then it is made anew."""
    ensure()
    with inside(ZONE, "/usr/bin/python3", "-c", IDLER):
        run("umount", ip.namespace_path(ZONE))
        with pytest.raises(Transient, match=f"{VNIC} is in another namespace"):
            ensure()
        with pytest.raises(Transient, match="is busy"):
            vnic.delete_vnic(VNIC)
    assert becomes(lambda: ip.outer_name(VNIC) not in seen())
    with pytest.raises(HostError, match="have its VNIC made first"):
        ensure()
    assert vnic.ensure_vnic(SPEC)
    ensure()
    remove()


def test_a_namespace_with_processes_stays(vnic: IpLinks) -> None:
    """While a process is in it, a namespace is not touched."""
    ensure()
    before = everything()
    with inside(ZONE, "/usr/bin/python3", "-c", IDLER) as process:
        with pytest.raises(Transient, match=rf"still has processes \({process.pid}\)"):
            remove()
        assert everything() == before
    remove()


def test_records_are_where_the_document_says(tmp_path: Path) -> None:
    """Who made links, namespaces and gateways is written below the document's `run`, and nowhere else."""
    machine = Machine(run=str(tmp_path))
    made, networks = IpLinks(HOST, "s1", no_pause, machine), Netns(HOST, "s1", machine)
    have(made)
    networks.ensure(ZONE, (VNIC,), V6)
    assert {path.parent.name for path in tmp_path.rglob("*") if path.is_file()} == {
        *("gateways", "netns", "owners")
    }
    assert [path for path in RUN.rglob("*") if path.is_file()] == []
    networks.remove(ZONE, (VNIC,))
    undo(made)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_foreign_namespace_is_kept(vnic: IpLinks) -> None:
    """A namespace that no saga made is neither entered nor deleted."""
    run("ip", "netns", "add", ZONE)
    before = everything()
    for act in (ensure, remove):
        with pytest.raises(ForeignObject, match="was made by no saga; it was kept"):
            act()
    assert everything() == before
    run("ip", "netns", "delete", ZONE)


def test_an_interface_in_the_way_inside(vnic: IpLinks) -> None:
    """What is called net0 in a zone and is not its link stays; a link under another name is told."""
    assert vnic.ensure_vnic(VnicSpec(OTHER, STUB, 9000))
    ensure()
    with pytest.raises(ForeignObject, match=f"net0 of {ZONE} is not {OTHER}, as it should be"):
        ensure(network=ZoneNetwork(OTHER, V6.gateway, V6.address), link=OTHER)
    for line in ("down", "name x0", "up"):
        run("ip", "-n", ZONE, "link", "set", "dev", "x0" if line == "up" else "net0", *line.split())
    with pytest.raises(ForeignObject, match=f"{VNIC} is x0 in {ZONE}, expected net0"):
        ensure()
    with pytest.raises(InvalidParams, match="which is none of its links"):
        ensure(link=OTHER)
    remove()
    assert vnic.delete_vnic(OTHER)
