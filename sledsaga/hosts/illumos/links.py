"""Links of illumos: the rules of `hosts.link`, by dladm and ipadm.

- A busy link is tried a few times, then Transient: zones let go of their links late.
- After a create that failed the driver looks: what was made all the same is this saga's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sledsaga.errors import ForeignObject, Transient
from sledsaga.hosts.answer import Pause, attempt, failed, lookup, require, says
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.illumos import network
from sledsaga.hosts.link import Vnic, VnicSpec
from sledsaga.hosts.names import LinkName
from sledsaga.hosts.owners import Owners

Name = TypeVar("Name", bound=str)
OWNERS = "/var/run/sledsaga/owners"
BUSY = ("link busy",)
"""Something holds the link: a zone, or an IP interface (libdladm: dladm_status2str)."""
BUSY_TRIES = 3
BUSY_PAUSE_S = 1.0
EXISTS = ("object already exists", "Interface already exists")
"""Somebody else made it first (libdladm: dladm_status2str; libipadm: ipadm_status2str)."""
NO_LINK = ("object not found", "invalid link name")
"""There is no such link (libdladm: dladm_status2str; dladm(8), which names what it could not find)."""
NO_ADDRESS = ("Object not found", "Address object not found")
"""There is no such address object: libipadm: ipadm_status2str since illumos 16677, ipadm(8) itself before."""
NO_INTERFACE = ("Interface does not exist", "Object not found")
"""There is no such IP interface (libipadm: ipadm_status2str)."""


@dataclass(frozen=True, slots=True)
class DladmLinks:
    """The links and addresses of one sled's global zone, as one saga sees them."""

    host: Host
    saga: str
    pause: Pause

    def etherstubs(self) -> frozenset[str]:
        """Return the names of all etherstubs."""
        return network.parse_links(require(self.host, network.list_etherstubs()))

    def vnics(self) -> dict[str, Vnic]:
        """Return all VNICs by name."""
        return network.parse_vnics(require(self.host, network.list_vnics()))

    def address(self, name: str) -> str | None:
        """Return the address of an address object as `address/length`, or None when there is none."""
        text = lookup(self.host, network.show_address(name), NO_ADDRESS)
        return network.parse_address(text) if text and text.strip() else None

    def owner(self, name: str) -> str | None:
        """Return the saga that made a link or address object (this one, if in doubt), or None."""
        return self._owners.owner(name)

    def ensure_etherstub(self, name: LinkName) -> bool:
        """Make an etherstub be there; True when this saga made it."""
        if name not in self.etherstubs():
            self._make(name, network.create_etherstub(name), lambda: name in self.etherstubs())
        return self.owner(name) == self.saga

    def ensure_vnic(self, spec: VnicSpec) -> bool:
        """Make a VNIC be there, over the right link; True when this saga made it. Raises ForeignObject."""
        seen = self.vnics().get(spec.name)
        if seen is None:
            self._make(spec.name, network.create_vnic(spec), lambda: spec.name in self.vnics())
        elif seen.over != spec.over:
            raise ForeignObject(
                f"{spec.name} is over {seen.over}, expected {spec.over}; it was left as it is"
            )
        if network.parse_mtu(require(self.host, network.get_mtu(spec.name))) != spec.mtu:
            require(self.host, network.set_mtu(spec.name, spec.mtu))
        return self.owner(spec.name) == self.saga

    def ensure_address(self, name: str, address: str | None) -> bool:
        """Make an address object be there; None asks for a link-local one. True when this saga made it.

        Another address under that name is replaced when it is this saga's. Raises ForeignObject.
        """
        wanted = None if address is None else ipaddress.ip_interface(address)
        seen = self.address(name)
        if seen is not None and wanted is not None and seen != str(wanted):
            self._owners.refuse_foreign(name, f"has {seen}, expected {wanted}")
            require(self.host, network.delete_address(name))
            seen = None
        if seen is None:
            self._ensure_interface(LinkName(name.partition("/")[0]))
            self._make(name, network.create_address(name, wanted), lambda: name in self._addresses())
        return self.owner(name) == self.saga

    def delete_etherstub(self, name: LinkName) -> bool:
        """Delete an etherstub of this saga; False when it is gone. Raises ForeignObject, Transient."""
        return self._delete(name, network.delete_etherstub, is_there=name in self.etherstubs())

    def delete_vnic(self, name: LinkName) -> bool:
        """Delete a VNIC of this saga; False when it is gone. Raises ForeignObject, Transient."""
        return self._delete(name, network.delete_vnic, is_there=name in self.vnics())

    def delete_address(self, name: str) -> bool:
        """Delete an address object of this saga; False when it is gone. Raises ForeignObject.

        An interface that this saga made goes with its last address.
        """
        was_there = self._delete(name, network.delete_address, is_there=self.address(name) is not None)
        link = LinkName(name.partition("/")[0])
        is_last = not any(other.startswith(f"{link}/") for other in self._addresses())
        if is_last and self.owner(_interface(link)) == self.saga:
            if self._owners.is_only_mine(_interface(link)):
                attempt(self.host, network.delete_interface(link), NO_INTERFACE)
            self._owners.forget(_interface(link))
        return was_there

    @property
    def _owners(self) -> Owners:
        return Owners(self.host, self.saga, OWNERS)

    def _addresses(self) -> frozenset[str]:
        return network.parse_links(require(self.host, network.list_addresses()))

    def _ensure_interface(self, link: LinkName) -> None:
        def is_there() -> bool:
            return lookup(self.host, network.show_interface(link), NO_INTERFACE) is not None

        if not is_there():
            self._make(_interface(link), network.create_interface(link), is_there)

    def _make(self, name: str, command: HostCommand, is_there: Callable[[], bool]) -> None:
        """Create what is recorded as this saga's first. A command that failed and yet made it has made it."""
        self._owners.record(name)
        done = self.host.run(command)
        if done.code != 0 and (says(done, EXISTS) or not is_there()):
            self._owners.forget(name)
            raise failed(done)

    def _delete(self, name: Name, command: Callable[[Name], HostCommand], *, is_there: bool) -> bool:
        if is_there:
            self._owners.refuse_foreign(name, "is there")
            self._owners.give_up(name, lambda: self._run_patiently(command(name)))
        if self.owner(name) == self.saga:
            self._owners.forget(name)
        return is_there

    def _run_patiently(self, command: HostCommand) -> None:
        for turn in range(BUSY_TRIES):
            done = self.host.run(command)
            if done.code == 0 or says(done, NO_LINK):
                return
            if not says(done, BUSY):
                raise failed(done)
            if turn < BUSY_TRIES - 1:
                self.pause(BUSY_PAUSE_S)
        raise Transient(
            f"{command.argv[-1]} is busy: tried {BUSY_TRIES} times; try again when its zone is gone"
        )


def _interface(link: LinkName) -> str:
    return f"{link}/interface"
