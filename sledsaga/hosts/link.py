"""What a link is, on every kind of sled, and what a driver of links and addresses can do.

Rules
- The kernel keeps no tag on a link, so each saga that is about to make one writes a record of its own first,
  on a volatile filesystem: after a reboot both are gone. Undo deletes only what this saga has a record of.
- Two sagas may be about to make the same link at one moment. Each takes back its own record only, and the
  link goes with the last record: so neither can lose the other's, nor delete what the other made.
- A link or address that was there without such a record is used when it is as wanted, and refused otherwise.
- Every call may be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sledsaga.hosts.names import LinkName


@dataclass(frozen=True, slots=True)
class VnicSpec:
    """What a VNIC should be: over which link, with which MTU in bytes, MAC and VLAN id."""

    name: LinkName
    over: LinkName
    mtu: int
    mac: str | None = None
    vlan: int | None = None


@dataclass(frozen=True, slots=True)
class Vnic:
    """A VNIC as it is."""

    name: str
    over: str


class Links(Protocol):
    """The links and addresses of one sled's global zone, as one saga sees them."""

    def etherstubs(self) -> frozenset[str]:
        """Return the names of all etherstubs: switches that lead nowhere outside."""
        ...

    def vnics(self) -> dict[str, Vnic]:
        """Return all VNICs by name."""
        ...

    def address(self, name: str) -> str | None:
        """Return the address of an address object as `address/length`, or None when there is none."""
        ...

    def owner(self, name: str) -> str | None:
        """Return the saga that made a link or address object (this one, if in doubt), or None."""
        ...

    def ensure_etherstub(self, name: LinkName) -> bool:
        """Make an etherstub be there; True when this saga made it."""
        ...

    def ensure_vnic(self, spec: VnicSpec) -> bool:
        """Make a VNIC be there, over the right link; True when this saga made it. Raises ForeignObject."""
        ...

    def ensure_address(self, name: str, address: str | None) -> bool:
        """Make an address object be there; None asks for a link-local one. True when this saga made it.

        Another address under that name is replaced when it is this saga's. Raises ForeignObject.
        """
        ...

    def delete_etherstub(self, name: LinkName) -> bool:
        """Delete an etherstub of this saga; False when it is gone. Raises ForeignObject, Transient."""
        ...

    def delete_vnic(self, name: LinkName) -> bool:
        """Delete a VNIC of this saga; False when it is gone. Raises ForeignObject, Transient."""
        ...

    def delete_address(self, name: str) -> bool:
        """Delete an address object of this saga; False when it is gone. Raises ForeignObject."""
        ...
