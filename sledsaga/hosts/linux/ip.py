"""Command lines of iproute2, and what `ip -j` prints as values.

Rules
- An interface's name has at most 15 bytes on Linux, a link's 31: a link that is too long goes by a digest of
  its name, and the whole name is the interface's alias (the kernel takes none in the creating command).
- A VNIC is a veth pair. Its inner end has the link's name, takes addresses, and goes into
  a zone; its outer end is named by a digest, is a port of the bridge, and always stays outside.
- MAC addresses follow from names, so what a neighbour remembers of a link stays true when it is made anew.
- `-n <zone>` means: in the network namespace of that zone.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sledsaga.errors import InvalidName, Unparsable
from sledsaga.hosts.answer import changes, looks
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.link import VnicSpec
from sledsaga.hosts.names import LinkName

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface
NETNS = "/run/netns"
"""Where iproute2 keeps named namespaces."""
MAX_NAME = 15
"""Bytes of an interface's name (IFNAMSIZ less its NUL)."""
HERE = "/proc/self/fd/3"
"""The first file that a command opens: flock opens the namespace it is in, and hands it on to `ip`."""
LENGTH = {4: 24, 6: 64}
"""Bits of the prefix that a sled's zones share, by IP version (each sled has a /64 of its own)."""
_DIGITS = MAX_NAME - 2
_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_OBJECT = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,29}[0-9])/([A-Za-z][A-Za-z0-9]{0,31})")


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface as it is.

    `kind` is empty for a real card; `master` names the bridge it is a port of. `peer` is the other end of a
    pair: its name when it is in the same namespace, its index when it is in another one.
    """

    index: int
    name: str
    mtu: int
    kind: str = ""
    is_up: bool = False
    master: str | None = None
    alias: str | None = None
    peer: str | int | None = None
    addresses: tuple[Address, ...] = ()

    @property
    def link(self) -> str:
        """The link's name, which an interface with a digest for a name has as its alias."""
        return self.alias if self.alias and self.name in _names(self.alias) else self.name


Interfaces = Mapping[str, Interface]


@dataclass(frozen=True, slots=True)
class Route:
    """A route by default: over which gateway and interface; None for one that has none."""

    gateway: str | None
    dev: str | None


def interface_name(link: LinkName) -> str:
    """Return the name of a link's interface: its own when it is short enough, else a steady digest."""
    return str(link) if len(link) <= MAX_NAME else f"ox{_digest(link)[:_DIGITS]}"


def outer_name(link: LinkName) -> str:
    """Return the name of the outer end of a VNIC's pair."""
    return f"ov{_digest(link)[:_DIGITS]}"


def object_link(name: str) -> LinkName:
    """Return the link of an address object such as `underlay0/sled6`. Raises InvalidName."""
    found = _OBJECT.fullmatch(name)
    if not found:
        raise InvalidName(f"{name!r} is not an address object: expected <link>/<letters and digits>")
    return LinkName(found[1])


def with_length(address: str) -> Address:
    """Return an address of a zone with the length of the prefix that it is in."""
    return ipaddress.ip_interface(f"{address}/{LENGTH[ipaddress.ip_address(address).version]}")


def show(zone: str | None = None) -> HostCommand:
    """Show every interface with its addresses, here or in a zone."""
    return looks(*_ip(zone), "-j", "-d", "addr", "show")


def create_bridge(link: LinkName) -> HostCommand:
    """Create a bridge that is up, floods multicast (no querier is needed), and keeps its MAC address."""
    own = ("name", interface_name(link), "address", mac(link, "bridge"))
    return changes("ip", "link", "add", *own, "up", "type", "bridge", "mcast_snooping", "0")


def create_pair(spec: VnicSpec) -> HostCommand:
    """Create a VNIC's pair with its outer end in the bridge; neither end can be made up by this command."""
    mtu = ("mtu", str(spec.mtu))
    outer = ("name", outer_name(spec.name), "address", mac(spec.name, "outer"), *mtu)
    inner = ("name", interface_name(spec.name), "address", spec.mac or mac(spec.name, "inner"), *mtu)
    over = ("master", interface_name(spec.over))
    return changes("ip", "link", "add", *outer, *over, "type", "veth", "peer", *inner)


def settle(name: str, link: LinkName) -> HostCommand:
    """Bring an interface up, with the name of its link as its alias."""
    return changes("ip", "link", "set", "dev", name, "alias", link, "up")


def set_mtu(name: str, mtu: int) -> HostCommand:
    """Set the MTU of an interface, in bytes."""
    return changes("ip", "link", "set", "dev", name, "mtu", str(mtu))


def set_master(name: str, bridge: str) -> HostCommand:
    """Make an interface a port of a bridge."""
    return changes("ip", "link", "set", "dev", name, "master", bridge)


def set_up(name: str, zone: str | None = None) -> HostCommand:
    """Bring an interface up."""
    return changes(*_ip(zone), "link", "set", "dev", name, "up")


def delete_link(name: str) -> HostCommand:
    """Delete an interface; the other end of a pair goes with it."""
    return changes("ip", "link", "delete", "dev", name)


def add_address(address: Address, name: str, zone: str | None = None) -> HostCommand:
    """Give an interface an address; an IPv6 one can be used at once (no detection of duplicates)."""
    nodad = ("nodad",) if address.version == 6 else ()  # noqa: PLR2004 - the version's name is a number
    return changes(*_ip(zone), "addr", "add", str(address), "dev", name, *nodad)


def delete_address(address: Address, name: str, zone: str | None = None) -> HostCommand:
    """Take an address from an interface."""
    return changes(*_ip(zone), "addr", "delete", str(address), "dev", name)


def generate_link_local(name: str) -> HostCommand:
    """Have the kernel give an interface its link-local address."""
    return changes("ip", "link", "set", "dev", name, "addrgenmode", "eui64", "up")


def namespace_path(zone: str) -> str:
    """Return the file of a zone's namespace. Raises InvalidName."""
    return f"{NETNS}/{_zone(zone)}"


def namespace_type(zone: str) -> HostCommand:
    """Print the type of the filesystem that a zone's namespace file is on: `nsfs` when it is a namespace."""
    return looks("stat", "-f", "-c", "%T", namespace_path(zone))


def add_namespace(zone: str) -> HostCommand:
    """Create a zone's namespace."""
    return changes("ip", "netns", "add", _zone(zone))


def delete_namespace(zone: str) -> HostCommand:
    """Delete a zone's namespace; interfaces in it are destroyed."""
    return changes("ip", "netns", "delete", _zone(zone))


def list_processes(zone: str) -> HostCommand:
    """List the ids of the processes that are in a zone's namespace."""
    return looks("ip", "netns", "pids", _zone(zone))


def move_in(name: str, zone: str, new_name: str) -> HostCommand:
    """Move an interface into a zone's namespace under a new name, and bring it up there."""
    return changes("ip", "link", "set", "dev", name, "netns", _zone(zone), "name", new_name, "up")


def move_out(name: str, zone: str, new_name: str) -> HostCommand:
    """Move an interface out of a zone's namespace, into that of whoever runs this, and bring it up there.

    `ip -n` has left that namespace when it reads its arguments, so flock opens it before and hands it on.
    """
    moved = (*_ip(zone), "link", "set", "dev", name, "netns", HERE, "name", new_name, "up")
    return changes("flock", "--shared", "--no-fork", "/proc/self/ns/net", *moved)


def show_routes(zone: str, version: int) -> HostCommand:
    """Show a zone's routes by default, of IP version 4 or 6."""
    return looks(*_ip(zone), "-j", f"-{version}", "route", "show", "default")


def set_route(zone: str, gateway: str, name: str) -> HostCommand:
    """Have a zone reach everything over a gateway."""
    version = ipaddress.ip_address(gateway).version
    return changes(*_ip(zone), f"-{version}", "route", "replace", "default", "via", gateway, "dev", name)


def parse_interfaces(text: str) -> dict[str, Interface]:
    """Read `ip -j -d addr show`. Raises Unparsable."""
    found = (_interface(entry) for entry in _entries(text, "addr show"))
    return {interface.name: interface for interface in found}


def parse_routes(text: str) -> tuple[Route, ...]:
    """Read `ip -j route show default`. Raises Unparsable."""
    entries = _entries(text, "route show")
    return tuple(Route(_text(entry, "gateway"), _text(entry, "dev")) for entry in entries)


def parse_processes(text: str) -> tuple[int, ...]:
    """Read `ip netns pids`. Raises Unparsable."""
    if not all(line.isascii() and line.isdigit() for line in text.split()):
        raise Unparsable(f"ip netns pids printed {text[:80]!r}; expected process ids, one a line")
    return tuple(int(line) for line in text.split())


def mac(link: str, part: str) -> str:
    """Return a steady MAC address for a part of a link; the first byte says locally given, one station."""
    digits = hashlib.sha256(f"{part} {link}".encode()).hexdigest()
    return ":".join(("02", *(digits[at : at + 2] for at in range(0, 10, 2))))


def _interface(entry: Mapping[str, Any]) -> Interface:
    try:
        linkinfo = entry.get("linkinfo") or {}
        return Interface(
            index=_number(entry, "ifindex"),
            name=_required(entry, "ifname"),
            mtu=_number(entry, "mtu"),
            kind=_text(linkinfo, "info_kind") or "",
            is_up="UP" in entry["flags"],
            master=_text(entry, "master"),
            alias=_text(entry, "ifalias"),
            peer=_text(entry, "link") or (_number(entry, "link_index") if "link_index" in entry else None),
            addresses=tuple(_addresses(entry)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unparsable(
            f"ip addr show printed {str(entry)[:80]}; expected an interface ({type(error).__name__} {error})"
        ) from error


def _addresses(entry: Mapping[str, Any]) -> Iterator[Address]:
    for one in entry["addr_info"]:
        yield ipaddress.ip_interface(f"{_required(one, 'local')}/{_number(one, 'prefixlen')}")


def _entries(text: str, what: str) -> list[Mapping[str, Any]]:
    """Read a list of objects; an empty one (`ip` prints such for what a filter left out) is no entry."""
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unparsable(f"ip {what} printed {text[:80]!r}; expected JSON") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Unparsable(f"ip {what} printed {text[:80]!r}; expected a list of objects")
    return [entry for entry in entries if entry]


def _required(entry: Mapping[str, Any], key: str) -> str:
    found = _text(entry, key)
    if not found:
        raise ValueError(f"no {key}")
    return found


def _text(entry: Mapping[str, Any], key: str) -> str | None:
    found = entry.get(key)
    if found is not None and not isinstance(found, str):
        raise Unparsable(f"ip printed {key} {found!r}; expected a text")
    return found


def _number(entry: Mapping[str, Any], key: str) -> int:
    found = entry[key]
    if not isinstance(found, int) or isinstance(found, bool):
        raise TypeError(f"{key} is {found!r}, no number")
    return found


def _names(alias: str) -> tuple[str, ...]:
    try:
        link = LinkName(alias)
    except InvalidName:
        return ()
    return interface_name(link), outer_name(link)


def _digest(link: str) -> str:
    return hashlib.sha256(link.encode()).hexdigest()


def _ip(zone: str | None) -> tuple[str, ...]:
    return ("ip",) if zone is None else ("ip", "-n", _zone(zone))


def _zone(name: str) -> str:
    if not _ZONE.fullmatch(name):
        raise InvalidName(f"{name!r} names no zone: expected letters, digits, _ and -, at most 63 bytes")
    return name
