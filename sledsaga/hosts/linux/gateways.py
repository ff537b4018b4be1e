"""Gateways: the global zone's own address on a bridge, which all zones of one prefix share.

- Each zone has a record of its own that it uses the gateway's address; the address goes with the last record.
- An address that was there before any record (`found`) is nobody's of ours, and stays.
- When two zones come and go at one moment, whoever looks last puts it right: who comes looks before and
  after its record is there, who goes when its own is gone.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from sledsaga.hosts.answer import attempt, require
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

    def hold(self, bridge: str, address: ip.Address) -> None:
        """Have the address on the bridge for as long as this zone is there.

        One that goes between a look and the record was made by whoever took it away.
        """
        name = f"{bridge}/{address}"
        was_made = self._is_made(name)
        is_there = self._is_there(bridge, address)
        self._record(name, is_made=was_made or not is_there or self._is_made(name))
        if not (is_there and self._is_there(bridge, address)):
            self._record(name, is_made=True)
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

    def _is_made(self, name: str) -> bool:
        """Whether some zone has a record that we made the address."""
        return MADE in (self._records.text(name, who) for who in self._records.of(name))

    def _is_there(self, bridge: str, address: ip.Address) -> bool:
        seen = ip.parse_interfaces(require(self.host, ip.show())).get(bridge)
        return seen is not None and address in seen.addresses

    def _record(self, name: str, *, is_made: bool) -> None:
        text = MADE if is_made else FOUND
        if self._records.text(name, self.zone) != text:
            self._records.record(name, text)

    def _add(self, name: str) -> None:
        bridge, _, address = name.partition("/")
        attempt(self.host, ip.add_address(ipaddress.ip_interface(address), bridge), HAS_ALREADY)

    def _delete(self, name: str) -> None:
        bridge, _, address = name.partition("/")
        attempt(self.host, ip.delete_address(ipaddress.ip_interface(address), bridge), HAS_NOT)
