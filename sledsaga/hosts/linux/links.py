"""Links of Linux: the rules of `hosts.link`, by iproute2.

- An etherstub is a bridge, a VNIC a veth pair whose outer end is in the bridge (`ip` names them).
- The kernel has no names for addresses: what an address object is called, and what its address is, stands in
  the record of its owner. The object is there when that address is on the link. A link-local object
  names the address that the kernel gives to every link that is up; that one stays until its link goes.
- Linux deletes a bridge that has ports, and a pair of which one end is in a zone. A driver must not: such a
  link is busy, as it is on illumos. A busy link is looked at a few times, then Transient.
- No VLAN ids: a pair carries no tags, and a VNIC that asks for one is refused before anything is made.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from sledsaga.errors import ForeignObject, InvalidParams, Transient
from sledsaga.hosts.answer import Pause, attempt, failed, require, says
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.link import Vnic, VnicSpec
from sledsaga.hosts.linux import ip
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.names import LinkName
from sledsaga.hosts.owners import Owners

BRIDGE, PAIR = "bridge", "veth"
LINK_LOCAL = "link-local"
"""What the record of a link-local address object says."""
BUSY = ("Device or resource busy",)
BUSY_TRIES = 3
BUSY_PAUSE_S = 1.0
EXISTS = ("File exists", "already assigned")
GONE = ("Cannot find device", "Cannot assign requested address", "ddress not found")


@dataclass(frozen=True, slots=True)
class IpLinks:
    """The links and addresses of one sled's global zone, as one saga sees them."""

    host: Host
    saga: str
    pause: Pause
    machine: Machine

    def etherstubs(self) -> frozenset[str]:
        """Return the names of all bridges."""
        return frozenset(one.link for one in self._look().values() if one.kind == BRIDGE)

    def vnics(self) -> dict[str, Vnic]:
        """Return all VNICs by name; a pair that is not yet in a bridge under its name is none yet."""
        seen = self._look()
        outers = (one for one in seen.values() if one.kind == PAIR and one.link != one.name)
        return {
            one.link: Vnic(one.link, seen[one.master].link)
            for one in outers
            if one.master in seen and one.name == ip.outer_name(LinkName(one.link))
        }

    def address(self, name: str) -> str | None:
        """Return the address of an address object as `address/length`, or None when there is none."""
        found = self._standing(name)
        return None if found is None else str(found[1])

    def owner(self, name: str) -> str | None:
        """Return the saga that made a link or address object (this one, if in doubt), or None."""
        return self._owners.owner(name)

    def ensure_etherstub(self, name: LinkName) -> bool:
        """Make a bridge be there; True when this saga made it. Raises ForeignObject."""
        own = ip.interface_name(name)
        seen = self._look().get(own) or self._make(name, ip.create_bridge(name), own)
        if seen.kind != BRIDGE:
            raise ForeignObject(f"{own} is {seen.kind or 'a card'}, expected a bridge; it was left as it is")
        self._settle(seen, name)
        return self.owner(name) == self.saga

    def ensure_vnic(self, spec: VnicSpec) -> bool:
        """Make a pair be there, in the right bridge; True when this saga made it.

        Raises ForeignObject, InvalidParams for a VLAN id.
        """
        if spec.vlan is not None:
            raise InvalidParams(
                f"{spec.name} asks for VLAN {spec.vlan}; expected none, as no VNIC of a Linux sled has one:"
                " leave it out, and put the VNIC over an etherstub of its own"
            )
        inner, outer = ip.interface_name(spec.name), ip.outer_name(spec.name)
        seen = self._look()
        if outer not in seen:
            if inner in seen:
                raise ForeignObject(f"{inner} is there, and is no VNIC ({outer} is not); it was kept")
            self._make(spec.name, ip.create_pair(spec), outer)
            seen = self._look()
        self._refuse_unlike(spec, seen)
        self._heal(spec, seen)
        return self.owner(spec.name) == self.saga

    def ensure_address(self, name: str, address: str | None) -> bool:
        """Make an address object be there; None asks for a link-local one. True when this saga made it.

        Another address under that name is replaced when it is this saga's. Raises ForeignObject, and
        Transient while another saga is about to give it another address.
        """
        wanted = None if address is None else ipaddress.ip_interface(address)
        found = self._standing(name)
        if found is not None and wanted not in (None, found[1]):
            self._refuse_anothers(name, found[0], f"has {found[1]}, expected {wanted}")
            attempt(self.host, ip.delete_address(found[1], _interface(name)), GONE)
            found = None
        if found is None:
            self._give(name, wanted)
        return self.owner(name) == self.saga

    def delete_etherstub(self, name: LinkName) -> bool:
        """Delete a bridge of this saga; False when it is gone. Raises ForeignObject, Transient.

        One that has ports, or an address, is busy.
        """
        own = ip.interface_name(name)

        def is_busy(seen: ip.Interfaces) -> bool:
            return any(one.master == own for one in seen.values()) or _has_address(seen[own])

        return self._delete(name, own, is_busy)

    def delete_vnic(self, name: LinkName) -> bool:
        """Delete a pair of this saga; False when it is gone. Raises ForeignObject, Transient.

        One that a zone has, or that has an address, is busy.
        """
        own = ip.outer_name(name)

        def is_busy(seen: ip.Interfaces) -> bool:
            inner = seen.get(str(seen[own].peer))
            return inner is None or _has_address(inner)

        return self._delete(name, own, is_busy)

    def delete_address(self, name: str) -> bool:
        """Delete an address object of this saga; False when it is gone. Raises ForeignObject."""
        found = self._standing(name)
        if found is not None:
            self._owners.refuse_foreign(name, "is there")
            is_given = self._owners.text(name, found[0]) != LINK_LOCAL
            if is_given and self._owners.is_only_mine(name):
                attempt(self.host, ip.delete_address(found[1], _interface(name)), GONE)
        self._forget(name)
        return found is not None

    @property
    def _owners(self) -> Owners:
        return owners(self.host, self.saga, self.machine)

    def _look(self) -> dict[str, ip.Interface]:
        return ip.parse_interfaces(require(self.host, ip.show()))

    def _make(self, name: str, command: HostCommand, own: str) -> ip.Interface:
        """Create and return an interface; one that another saga made at this moment is theirs.

        A command that failed and yet made it leaves it this saga's.
        """
        self._owners.record(name)
        done = self.host.run(command)
        seen = self._look().get(own)
        if says(done, EXISTS) or (done.code != 0 and seen is None):
            self._forget(name)
        if seen is None:
            raise failed(done)
        return seen

    def _settle(self, seen: ip.Interface, link: LinkName) -> None:
        """Have an interface up, and have the link's name as its alias when its own is another."""
        if not seen.is_up or link not in (seen.name, seen.alias):
            if self.owner(link) is None:
                raise ForeignObject(f"{seen.name} is down, and was made by no saga; it was left as it is")
            up = ip.set_up(seen.name) if link == seen.name else ip.settle(seen.name, link)
            require(self.host, up)

    def _refuse_unlike(self, spec: VnicSpec, seen: ip.Interfaces) -> None:
        outer, bridge = seen.get(ip.outer_name(spec.name)), ip.interface_name(spec.over)
        if outer is None:
            raise Transient(f"{spec.name} was made and is gone again: try again")
        if outer.kind != PAIR or (outer.peer in seen and outer.peer != ip.interface_name(spec.name)):
            raise ForeignObject(f"{outer.name} is no end of a pair with {spec.name}; it was left as it is")
        if outer.master not in (None, bridge):
            over = seen[outer.master].link if outer.master in seen else outer.master
            raise ForeignObject(f"{spec.name} is over {over}, expected {spec.over}; it was left as it is")

    def _heal(self, spec: VnicSpec, seen: ip.Interfaces) -> None:
        """Do what is left to do of a pair; an inner end that a zone has is the zone's matter.

        Raises ForeignObject for one that no saga made: it is used only when it is as wanted.
        """
        outer = seen[ip.outer_name(spec.name)]
        ends = [outer, *(one for one in seen.values() if one.name == outer.peer)]
        is_awry = outer.master is None or any(end.mtu != spec.mtu for end in ends)
        if is_awry and self.owner(spec.name) is None:
            raise ForeignObject(
                f"{outer.name} is in no bridge, or has an MTU other than {spec.mtu}, "
                "and was made by no saga; it was left as it is"
            )
        if outer.master is None:
            require(self.host, ip.set_master(outer.name, ip.interface_name(spec.over)))
        for end in ends:
            if end.mtu != spec.mtu:
                require(self.host, ip.set_mtu(end.name, spec.mtu))
            self._settle(end, spec.name)

    def _standing(self, name: str) -> tuple[str, ip.Address] | None:
        """Return whose record of an address object is true now, this saga's first, and its address."""
        link, owners = ip.object_link(name), self._owners.of(name)
        seen = self._look().get(ip.interface_name(link)) if owners else None
        for who in sorted(owners, key=lambda who: who != self.saga):
            text = self._owners.text(name, who)
            for each in seen.addresses if seen else ():
                if text == (LINK_LOCAL if each.is_link_local else str(each)):
                    return who, each
        return None

    def _refuse_anothers(self, name: str, who: str, why: str) -> None:
        if who != self.saga:
            raise ForeignObject(f"{name} {why}, and was made by {who}, not {self.saga}; it was kept")

    def _give(self, name: str, wanted: ip.Address | None) -> None:
        text = LINK_LOCAL if wanted is None else str(wanted)
        self._owners.record(name, text)
        others = {self._owners.text(name, who) for who in self._owners.of(name)} - {text, None}
        if others:
            self._forget(name)
            raise Transient(f"another saga is about to give {name} {min(map(str, others))}: try again later")
        own = _interface(name)
        if wanted is not None:
            done = self.host.run(ip.add_address(wanted, own))
        elif not self._standing(name):
            done = self.host.run(ip.generate_link_local(own))
        else:
            return
        if says(done, EXISTS):
            self._forget(name)
        elif done.code != 0 and not self._standing(name):
            self._forget(name)
            raise failed(done)

    def _delete(self, name: LinkName, own: str, is_busy: Callable[[ip.Interfaces], bool]) -> bool:
        is_there = own in self._look()
        if is_there:
            self._owners.refuse_foreign(name, "is there")
            self._owners.give_up(name, lambda: self._delete_patiently(name, own, is_busy))
        self._forget(name)
        return is_there

    def _delete_patiently(self, name: str, own: str, is_busy: Callable[[ip.Interfaces], bool]) -> None:
        for turn in range(BUSY_TRIES):
            seen = self._look()
            if own not in seen:
                return
            if not is_busy(seen):
                done = self.host.run(ip.delete_link(own))
                if done.code == 0 or says(done, GONE):
                    return
                if not says(done, BUSY):
                    raise failed(done)
            if turn < BUSY_TRIES - 1:
                self.pause(BUSY_PAUSE_S)
        raise Transient(f"{name} is busy: tried {BUSY_TRIES} times; try again when its zone is gone")

    def _forget(self, name: str) -> None:
        if self.saga in self._owners.of(name):
            self._owners.forget(name)


def owners(host: Host, saga: str, machine: Machine) -> Owners:
    """Return the records of who made links and addresses, as one saga sees them."""
    return Owners(host, saga, f"{machine.run}/owners")


def _interface(name: str) -> str:
    return ip.interface_name(ip.object_link(name))


def _has_address(interface: ip.Interface) -> bool:
    """Whether somebody gave it an address; link-local ones come by themselves."""
    return any(not each.is_link_local for each in interface.addresses)
