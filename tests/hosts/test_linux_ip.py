"""Each command line of iproute2 that is built, word for word, and what a real `ip -j` printed, as values."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sledsaga.errors import InvalidName, Unparsable
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.link import VnicSpec
from sledsaga.hosts.linux import ip
from sledsaga.hosts.names import LinkName

STUB, GZ = LinkName("underlay_stub0"), LinkName("underlay0")
VNIC = LinkName("oxControl0123456789abcdefn0")
ZONE = "oxz_cockroachdb_10fec275-f937-40f7-9c25-616079ef3816"
V4, V6 = ipaddress.ip_interface("10.7.0.5/24"), ipaddress.ip_interface("fd00::5/64")

LOOKS = [
    (ip.show(), "ip -j -d addr show"),
    (ip.show(ZONE), f"ip -n {ZONE} -j -d addr show"),
    (ip.show_routes(ZONE, 6), f"ip -n {ZONE} -j -6 route show default"),
    (ip.list_processes(ZONE), f"ip netns pids {ZONE}"),
    (ip.namespace_type(ZONE), f"stat -f -c %T /run/netns/{ZONE}"),
]
CHANGES = [
    (
        ip.create_bridge(STUB),
        "ip link add name underlay_stub0 address 02:61:48:47:bd:c6 up type bridge mcast_snooping 0",
    ),
    (
        ip.create_pair(VnicSpec(VNIC, STUB, 9000)),
        (
            "ip link add name ov90cae03632a33 address 02:7d:b1:dd:73:9e mtu 9000 master underlay_stub0"
            " type veth peer name ox90cae03632a33 address 02:6f:ea:47:1b:ee mtu 9000"
        ),
    ),
    (
        ip.create_pair(VnicSpec(GZ, STUB, 1500, mac="02:08:20:00:00:01")),
        (
            "ip link add name ov13492ec7daf1c address 02:08:dc:67:c8:e1 mtu 1500 master underlay_stub0"
            " type veth peer name underlay0 address 02:08:20:00:00:01 mtu 1500"
        ),
    ),
    (ip.settle("ov90cae03632a33", VNIC), f"ip link set dev ov90cae03632a33 alias {VNIC} up"),
    (ip.set_mtu(GZ, 1500), "ip link set dev underlay0 mtu 1500"),
    (ip.set_master("ov13492ec7daf1c", STUB), "ip link set dev ov13492ec7daf1c master underlay_stub0"),
    (ip.set_up("lo", ZONE), f"ip -n {ZONE} link set dev lo up"),
    (ip.set_up(STUB), "ip link set dev underlay_stub0 up"),
    (ip.delete_link(STUB), "ip link delete dev underlay_stub0"),
    (ip.add_address(V6, GZ), "ip addr add fd00::5/64 dev underlay0 nodad"),
    (ip.add_address(V4, "net0", ZONE), f"ip -n {ZONE} addr add 10.7.0.5/24 dev net0"),
    (ip.delete_address(V6, "net0", ZONE), f"ip -n {ZONE} addr delete fd00::5/64 dev net0"),
    (ip.generate_link_local(GZ), "ip link set dev underlay0 addrgenmode eui64 up"),
    (ip.add_namespace(ZONE), f"ip netns add {ZONE}"),
    (ip.delete_namespace(ZONE), f"ip netns delete {ZONE}"),
    (ip.move_in(GZ, ZONE, "net0"), f"ip link set dev underlay0 netns {ZONE} name net0 up"),
    (
        ip.move_out("net0", ZONE, GZ),
        (
            f"flock --shared --no-fork /proc/self/ns/net ip -n {ZONE} link set dev net0"
            " netns /proc/self/fd/3 name underlay0 up"
        ),
    ),
    (ip.set_route(ZONE, "fd00::1", "net0"), f"ip -n {ZONE} -6 route replace default via fd00::1 dev net0"),
    (ip.set_route(ZONE, "10.7.0.1", "net0"), f"ip -n {ZONE} -4 route replace default via 10.7.0.1 dev net0"),
]

PRINTED = """[
{"ifindex":1,"ifname":"lo","flags":["LOOPBACK"],"mtu":65536,"qdisc":"noop","operstate":"DOWN","group":"default",
 "txqlen":1000,"link_type":"loopback","address":"00:00:00:00:00:00","broadcast":"00:00:00:00:00:00",
 "promiscuity":0,"allmulti":0,"min_mtu":0,"max_mtu":0,"addr_info":[]},
{"ifindex":2,"ifname":"underlay_stub0","flags":["NO-CARRIER","BROADCAST","MULTICAST","UP"],"mtu":1500,
 "qdisc":"noqueue","operstate":"DOWN","link_type":"ether","address":"02:11:22:33:44:55",
 "linkinfo":{"info_kind":"bridge","info_data":{"forward_delay":1500,"bridge_id":"8000.2:11:22:33:44:55"}},
 "addr_info":[{"family":"inet","local":"10.0.0.1","prefixlen":24,"scope":"global","label":"underlay_stub0",
 "valid_life_time":4294967295,"preferred_life_time":4294967295},{"family":"inet6","local":"fd00::1",
 "prefixlen":64,"scope":"global","nodad":true,"valid_life_time":4294967295}]},
{"ifindex":4,"link":"underlay0","ifname":"ov13492ec7daf1c","flags":["BROADCAST","MULTICAST","M-DOWN"],
 "mtu":9000,"qdisc":"noop","master":"underlay_stub0","operstate":"DOWN","link_type":"ether",
 "linkinfo":{"info_kind":"veth","info_slave_kind":"bridge","info_slave_data":{"state":"disabled"}},
 "ifalias":"underlay0","altnames":["oxControl0123456789abcdefn0"],"addr_info":[]},
{},
{"ifindex":5,"link":null,"ifname":"sit0","flags":["NOARP"],"mtu":1480,"link_type":"sit","address":"0.0.0.0",
 "linkinfo":{"info_kind":"sit","info_data":{"proto":"any"}},"addr_info":[]},
{"ifindex":3,"link_index":4,"ifname":"net0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":9000,
 "link_netnsid":0,"linkinfo":{"info_kind":"veth"},"ifalias":"underlay0","addr_info":[{"family":"inet6",
 "local":"fe80::ff:fe00:1","prefixlen":64,"scope":"link","tentative":true,"valid_life_time":4294967295}]}
]"""
READ = [
    ip.Interface(1, "lo", 65536),
    ip.Interface(
        *(2, "underlay_stub0", 1500, "bridge"),
        is_up=True,
        addresses=(ipaddress.ip_interface("10.0.0.1/24"), ipaddress.ip_interface("fd00::1/64")),
    ),
    ip.Interface(
        *(4, "ov13492ec7daf1c", 9000, "veth"), master="underlay_stub0", alias="underlay0", peer="underlay0"
    ),
    ip.Interface(5, "sit0", 1480, "sit"),
    ip.Interface(
        *(3, "net0", 9000, "veth"),
        is_up=True,
        alias="underlay0",
        peer=4,
        addresses=(ipaddress.ip_interface("fe80::ff:fe00:1/64"),),
    ),
]
ENTRY = {"ifindex": 1, "ifname": "lo", "flags": [], "mtu": 1, "addr_info": []}
ADDRESS = {"local": "fd00::1", "prefixlen": 64}
GARBAGE = [
    "",
    "Device does not exist",
    "{}",
    "[1]",
    "[" * 100_000,
    *(json.dumps([{key: value for key, value in ENTRY.items() if key != left_out}]) for left_out in ENTRY),
    *(
        json.dumps([ENTRY | awry])
        for awry in (
            {"ifindex": "1"},
            {"mtu": True},
            {"ifname": ""},
            {"ifname": 5},
            {"flags": None},
            {"linkinfo": "veth"},
            {"master": 3},
            {"link_index": "4"},
            {"addr_info": [ADDRESS | {"local": "fd00::g"}]},
            {"addr_info": [ADDRESS | {"prefixlen": 129}]},
            {"addr_info": [{"prefixlen": 64}]},
        )
    ),
]


@pytest.mark.parametrize(("command", "line"), LOOKS)
def test_commands_that_look(command: HostCommand, line: str) -> None:
    """A command that only looks says so."""
    assert command == HostCommand(tuple(line.split()), mutates=False)


@pytest.mark.parametrize(("command", "line"), CHANGES)
def test_commands_that_change(command: HostCommand, line: str) -> None:
    """A command that changes the sled says so."""
    assert command == HostCommand(tuple(line.split()), mutates=True)


def test_interfaces_are_read() -> None:
    """Bridges, ends of pairs in one namespace or two, and addresses are read; what is not known is let be."""
    assert list(ip.parse_interfaces(PRINTED).values()) == READ


def test_routes_and_processes_are_read() -> None:
    """Routes by default and ids of processes are read; none is none."""
    printed = '[{"dst":"default","gateway":"fd00::1","dev":"net0","metric":1024,"flags":[],"pref":"medium"}]'
    assert ip.parse_routes(printed) == (ip.Route("fd00::1", "net0"),)
    assert ip.parse_routes("[]") == ()
    assert ip.parse_processes("12\n4711\n") == (12, 4711)
    assert ip.parse_processes("") == ()


@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_is_unparsable(text: str) -> None:
    """What is no list of interfaces is told as such, never as a list that is empty."""
    with pytest.raises(Unparsable, match="printed"):
        ip.parse_interfaces(text)


@settings(max_examples=50)
@given(st.text() | st.recursive(st.text() | st.integers(), st.lists).map(json.dumps))
def test_any_text_is_read_or_unparsable(text: str) -> None:
    """No text makes a reader fail with a foreign error."""
    for read in (ip.parse_interfaces, ip.parse_routes, ip.parse_processes):
        assert _is_read_or_told(read, text)


def _is_read_or_told(read: Any, text: str) -> bool:
    try:
        read(text)
    except Unparsable:
        return True
    return True


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,29}[0-9]", fullmatch=True))
def test_interfaces_have_short_steady_names(text: str) -> None:
    """Any link's interfaces have names that Linux takes; by the alias they tell whose they are."""
    link = LinkName(text)
    names = {ip.interface_name(link), ip.outer_name(link)}
    assert len(names) == 2
    for name in names:
        assert len(name.encode()) <= ip.MAX_NAME
        assert ip.Interface(1, name, 1500, alias=link).link == link
        assert ip.Interface(1, name, 1500, alias=f"{link}x").link == name
    assert ip.interface_name(link) == link or len(link) > ip.MAX_NAME


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "-n", "a/b", "a b", "x" * 64])
def test_names_that_are_no_zones(name: str) -> None:
    """What could leave the folder of namespaces, or be an option, is no zone's name."""
    with pytest.raises(InvalidName, match="names no zone"):
        ip.namespace_path(name)


@pytest.mark.parametrize("name", ["underlay0", "underlay/x", "underlay0/", "underlay0/a/b", "underlay0/a@b"])
def test_names_that_are_no_address_objects(name: str) -> None:
    """An address object is a link's name and one more word."""
    with pytest.raises(InvalidName, match="is not an address object"):
        ip.object_link(name)
