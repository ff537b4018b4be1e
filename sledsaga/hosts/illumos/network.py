"""Command lines of `dladm` and `ipadm`, and what they print as values.

Links and addresses are temporary (`-t`): they are gone after a reboot, as the records of their owners are.
"""

from __future__ import annotations

import ipaddress
import re

from sledsaga.errors import InvalidName, Unparsable
from sledsaga.hosts.answer import changes, looks
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.link import Vnic, VnicSpec
from sledsaga.hosts.names import LinkName

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
_OBJECT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,29}[0-9]/[A-Za-z][A-Za-z0-9]{0,31}")
_MTU = re.compile(r"[0-9]{1,9}")
_COLON = re.compile(r"(?<!\\):")


def list_etherstubs() -> HostCommand:
    """List every etherstub; asking for one that is missing is an error, a list is not."""
    return looks("dladm", "show-etherstub", "-p", "-o", "LINK")


def list_vnics() -> HostCommand:
    """List every VNIC with the link below it."""
    return looks("dladm", "show-vnic", "-p", "-o", "LINK,OVER")


def get_mtu(name: LinkName) -> HostCommand:
    """Read the MTU of a link."""
    return looks("dladm", "show-linkprop", "-c", "-o", "value", "-p", "mtu", name)


def create_etherstub(name: LinkName) -> HostCommand:
    """Create an etherstub, until the next reboot."""
    return changes("dladm", "create-etherstub", "-t", name)


def delete_etherstub(name: LinkName) -> HostCommand:
    """Delete an etherstub."""
    return changes("dladm", "delete-etherstub", name)


def create_vnic(spec: VnicSpec) -> HostCommand:
    """Create a VNIC, until the next reboot."""
    mac = () if spec.mac is None else ("-m", spec.mac)
    vlan = () if spec.vlan is None else ("-v", str(spec.vlan))
    return changes(
        *("dladm", "create-vnic", "-t", "-l", spec.over), *mac, *vlan, "-p", f"mtu={spec.mtu}", spec.name
    )


def set_mtu(name: LinkName, mtu: int) -> HostCommand:
    """Set the MTU; the one given to create-vnic does not always hold (illumos 15695)."""
    return changes("dladm", "set-linkprop", "-t", "-p", f"mtu={mtu}", name)


def delete_vnic(name: LinkName) -> HostCommand:
    """Delete a VNIC."""
    return changes("dladm", "delete-vnic", name)


def show_interface(link: LinkName) -> HostCommand:
    """Show the IP interface of a link."""
    return looks("ipadm", "show-if", "-p", "-o", "IFNAME", link)


def list_addresses() -> HostCommand:
    """List the names of all address objects."""
    return looks("ipadm", "show-addr", "-p", "-o", "ADDROBJ")


def create_interface(link: LinkName) -> HostCommand:
    """Create an IP interface on a link, until the next reboot."""
    return changes("ipadm", "create-if", "-t", link)


def delete_interface(link: LinkName) -> HostCommand:
    """Delete an IP interface."""
    return changes("ipadm", "delete-if", link)


def show_address(name: str) -> HostCommand:
    """Show the address of an address object."""
    return looks("ipadm", "show-addr", "-p", "-o", "ADDR", address_object(name))


def create_address(name: str, address: Interface | None) -> HostCommand:
    """Create a static address, or a link-local one when no address is given, until the next reboot."""
    kind = ("addrconf",) if address is None else ("static", "-a", str(address))
    return changes("ipadm", "create-addr", "-t", "-T", *kind, address_object(name))


def delete_address(name: str) -> HostCommand:
    """Delete an address object."""
    return changes("ipadm", "delete-addr", address_object(name))


def address_object(name: str) -> str:
    """Return the text when it can name an address object, such as `underlay0/sled6`. Raises InvalidName."""
    if not _OBJECT.fullmatch(name):
        raise InvalidName(f"{name!r} is not an address object: expected <link>/<letters and digits>")
    return name


def parse_links(text: str) -> frozenset[str]:
    """Read a list of link names, one a line."""
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


def parse_vnics(text: str) -> dict[str, Vnic]:
    """Read `show-vnic -p -o LINK,OVER`. Raises Unparsable."""
    found = {}
    for line in filter(None, text.splitlines()):
        fields = _COLON.split(line)
        if len(fields) != len(("LINK", "OVER")):
            raise Unparsable(f"dladm show-vnic printed {line!r}; expected LINK:OVER")
        found[fields[0]] = Vnic(*fields)
    return found


def parse_mtu(text: str) -> int:
    """Read one MTU in bytes. Raises Unparsable."""
    if not _MTU.fullmatch(text.strip()):
        raise Unparsable(f"dladm show-linkprop printed {text[:80]!r}; expected an mtu in bytes")
    return int(text)


def parse_address(text: str) -> str:
    """Read `show-addr -p -o ADDR`, with its escaped colons, as `address/length` (a zone index is dropped)."""
    shown = text.strip().replace("\\:", ":")
    address, _, length = shown.partition("/")
    try:
        return str(ipaddress.ip_interface(f"{address.partition('%')[0]}/{length or '128'}"))
    except ValueError as error:
        raise Unparsable(f"ipadm show-addr printed {text!r}; expected an address and a length") from error
