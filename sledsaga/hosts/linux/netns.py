"""A zone's network: a namespace of its own, with the zone's links, its address, and a way out.

Rules
- A record of the namespace is written before it is made. One that has no record is foreign: it is neither
  entered nor deleted. Whose zone it is was judged by the driver of zones; any saga may go on with it.
- Links come in as net0, net1 and so on. Deleting a namespace destroys what is in it, so links are moved out
  first; while processes are in it, nothing is touched.
- A file that is no namespace (its mount is gone) is of no use to anybody: an empty one is made anew.
- The gateway's address is on the bridge of the zone's link, as long as any zone uses it (`gateways`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sledsaga.errors import ForeignObject, HostError, InvalidParams, Transient
from sledsaga.hosts.answer import attempt, lookup, require
from sledsaga.hosts.host import Host
from sledsaga.hosts.linux import ip
from sledsaga.hosts.linux.gateways import HAS_ALREADY, HAS_NOT, Gateways
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.names import LinkName
from sledsaga.hosts.owners import Owners
from sledsaga.hosts.zone import ZoneNetwork

IS_NAMESPACE = "nsfs"
NO_FILE = ("No such file or directory",)


@dataclass(frozen=True, slots=True)
class Netns:
    """The network namespaces of one sled's zones, as one saga sees them."""

    host: Host
    saga: str
    machine: Machine

    def ensure(self, zone: str, links: tuple[LinkName, ...], network: ZoneNetwork) -> None:
        """Have the zone's namespace be there, with its links, its address and its route out.

        Raises InvalidParams, ForeignObject, HostError when a link is not there, Transient.
        """
        if network.link not in links:
            raise InvalidParams(f"{zone} has its address on {network.link!r}, which is none of its links")
        self._ensure_namespace(zone)
        for number, link in enumerate(links):
            self._ensure_link(zone, link, f"net{number}")
        inside = self._look(zone)
        if not inside["lo"].is_up:
            require(self.host, ip.set_up("lo", zone))
        self._ensure_address(zone, inside[f"net{links.index(LinkName(network.link))}"], network)
        self._ensure_gateway(zone, LinkName(network.link), network)

    def remove(self, zone: str, links: tuple[LinkName, ...]) -> None:
        """Take the zone's namespace away, its links back out of it; nothing there is fine.

        Raises ForeignObject for one that no saga made, Transient while processes are in it.
        """
        kind = self._kind(zone)
        if kind == IS_NAMESPACE:
            self._refuse_foreign(zone)
            self._refuse_busy(zone)
            for link in links:
                self._take_out(zone, link)
            attempt(self.host, ip.delete_namespace(zone), NO_FILE)
        elif kind is not None:
            self._remove_stale(zone)
        self._gateways(zone).release()
        for who in self._records.of(zone):
            self._records.forget(zone, who)

    @property
    def _records(self) -> Owners:
        return Owners(self.host, self.saga, f"{self.machine.run}/netns")

    def _gateways(self, zone: str) -> Gateways:
        return Gateways(self.host, zone, self.machine)

    def _kind(self, zone: str) -> str | None:
        """Return the type of filesystem of the namespace's file, or None when there is none."""
        text = lookup(self.host, ip.namespace_type(zone), NO_FILE)
        return None if text is None else text.strip()

    def _look(self, zone: str | None = None) -> ip.Interfaces:
        return ip.parse_interfaces(require(self.host, ip.show(zone)))

    def _ensure_namespace(self, zone: str) -> None:
        kind = self._kind(zone)
        if kind == IS_NAMESPACE:
            self._refuse_foreign(zone)
            return
        if kind is not None:
            self._remove_stale(zone)
        self._records.record(zone)
        attempt(self.host, ip.add_namespace(zone), HAS_ALREADY)

    def _remove_stale(self, zone: str) -> None:
        path = ip.namespace_path(zone)
        stat = self.host.stat(path)
        if stat is not None and (stat.kind != "file" or stat.size > 0):
            raise ForeignObject(f"{path} is no namespace, and not an empty file: look at it; it was kept")
        self.host.remove_file(path)

    def _refuse_foreign(self, zone: str) -> None:
        if not self._records.of(zone):
            raise ForeignObject(f"the namespace {ip.namespace_path(zone)} was made by no saga; it was kept")

    def _refuse_busy(self, zone: str) -> None:
        text = lookup(self.host, ip.list_processes(zone), NO_FILE)
        if pids := ip.parse_processes(text or ""):
            raise Transient(
                f"the namespace of {zone} still has processes ({', '.join(map(str, pids[:5]))}):"
                " try again when they have ended"
            )

    def _ensure_link(self, zone: str, link: LinkName, name: str) -> None:
        outside = self._look()
        outer = _outer(outside, link)
        inside = self._look(zone)
        inner = _inner(inside, outer)
        if inner is None:
            if name in inside:
                raise ForeignObject(f"{name} of {zone} is not {link}, as it should be; it was kept")
            require(self.host, ip.move_in(_waiting(outside, outer, link), zone, name))
        elif inner.name != name:
            raise ForeignObject(f"{link} is {inner.name} in {zone}, expected {name}; it was left as it is")
        elif not inner.is_up:
            require(self.host, ip.set_up(name, zone))

    def _take_out(self, zone: str, link: LinkName) -> None:
        outer = self._look().get(ip.outer_name(link))
        inner = None if outer is None else _inner(self._look(zone), outer)
        if inner is not None:
            require(self.host, ip.move_out(inner.name, zone, ip.interface_name(link)))

    def _ensure_address(self, zone: str, inner: ip.Interface, network: ZoneNetwork) -> None:
        wanted = ip.with_length(network.address)
        for each in inner.addresses:
            if each != wanted and not each.is_link_local:
                attempt(self.host, ip.delete_address(each, inner.name, zone), HAS_NOT)
        if wanted not in inner.addresses:
            attempt(self.host, ip.add_address(wanted, inner.name, zone), HAS_ALREADY)
        routes = ip.parse_routes(require(self.host, ip.show_routes(zone, wanted.version)))
        if routes != (ip.Route(network.gateway, inner.name),):
            require(self.host, ip.set_route(zone, network.gateway, inner.name))

    def _ensure_gateway(self, zone: str, link: LinkName, network: ZoneNetwork) -> None:
        outside = self._look()
        outer = _outer(outside, link)
        if outer.master is None or outer.master not in outside:
            raise HostError(f"{link} is in no bridge: have its VNIC made first, then try again")
        self._gateways(zone).hold(outer.master, ip.with_length(network.gateway))


def _outer(outside: ip.Interfaces, link: LinkName) -> ip.Interface:
    outer = outside.get(ip.outer_name(link))
    if outer is None:
        raise HostError(f"{link} is not there (no {ip.outer_name(link)}): have its VNIC made first")
    return outer


def _inner(inside: ip.Interfaces, outer: ip.Interface) -> ip.Interface | None:
    """Return the other end of a pair, when it is in this namespace: each end names the other's index."""
    return next((one for one in inside.values() if one.peer == outer.index and outer.peer == one.index), None)


def _waiting(outside: ip.Interfaces, outer: ip.Interface, link: LinkName) -> str:
    """Return the name of the inner end that waits outside. Raises Transient when it is somewhere else."""
    if not isinstance(outer.peer, str) or outer.peer not in outside:
        raise Transient(f"{link} is in another namespace: try again when the zone that has it is gone")
    return outer.peer
