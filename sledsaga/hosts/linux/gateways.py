"""Gateways: the global zone's own address on a bridge, which all zones of one prefix share.

- Each zone has a record of its own that it uses the gateway's address; the address goes with the last record.
- An address that was there before any record (`found`) is nobody's of ours, and stays.
- When two zones come and go at one moment, whoever looks last puts it right.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from sledsaga.hosts.answer import attempt
from sledsaga.hosts.host import Host
from sledsaga.hosts.linux import ip
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.owners import Owners

MADE, FOUND = "made", "found"
HAS_ALREADY = ("File exists", "already assigned")
HAS_NOT = ("Cannot assign requested address", "ddress not found", "Cannot find device")


@dataclass(frozen=True, slots=True)
class Gateways:
    """The gateways of one sled, as one zone uses them."""

    host: Host
    zone: str
    machine: Machine

    def hold(self, bridge: ip.Interface, address: ip.Address) -> None:
        """Have the address on the bridge for as long as this zone is there."""
        name = f"{bridge.name}/{address}"
        is_there = address in bridge.addresses
        is_made = not is_there or MADE in (self._records.text(name, who) for who in self._records.of(name))
        if self._records.text(name, self.zone) != (MADE if is_made else FOUND):
            self._records.record(name, MADE if is_made else FOUND)
        if not is_there:
            self._add(name)

    def release(self) -> None:
        """Take back what this zone uses; an address that nobody else uses goes, if we made it."""
        for name in self._records.mine():
            is_made = self._records.text(name, self.zone) == MADE
            was_only_mine = self._records.is_only_mine(name)
            if is_made and was_only_mine:
                self._delete(name)
            self._records.forget(name)
            is_used = bool(self._records.of(name))
            if is_made and is_used and was_only_mine:
                self._add(name)
            if is_made and not is_used and not was_only_mine:
                self._delete(name)

    @property
    def _records(self) -> Owners:
        return Owners(self.host, self.zone, f"{self.machine.run}/gateways")

    def _add(self, name: str) -> None:
        bridge, _, address = name.partition("/")
        attempt(self.host, ip.add_address(ipaddress.ip_interface(address), bridge), HAS_ALREADY)

    def _delete(self, name: str) -> None:
        bridge, _, address = name.partition("/")
        attempt(self.host, ip.delete_address(ipaddress.ip_interface(address), bridge), HAS_NOT)
