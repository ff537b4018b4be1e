"""Links of the underlay: the etherstub that all zones share, a VNIC for each zone, global addresses.

A link's name follows from the zone's id, never from a counter: a second run and a restarted program find
the same one. The drivers record who made a link; undo deletes only what that record calls this saga's.
"""

from __future__ import annotations

import hashlib
from uuid import UUID

from sagas.steps.patience import patient
from sledsaga.core.define import Absent, Conflicting, Present, Probe
from sledsaga.core.model import Model
from sledsaga.errors import CommandFailed
from sledsaga.hosts.link import VnicSpec
from sledsaga.hosts.names import LinkName
from sledsaga.hosts.sled import Sled

STUB = LinkName("underlay_stub0")
UNDERLAY = LinkName("underlay0")
MTU = 9000
"""Bytes a packet of the underlay may have (jumbo frames)."""


class Link(Model):
    """A link that is there; `is_ours` says that this saga made it."""

    name: LinkName
    is_ours: bool


def zone_link(zone_id: UUID) -> LinkName:
    """Name the VNIC of a zone, by a digest of its id: a link's name has at most 31 bytes."""
    return LinkName(f"oxControl{hashlib.sha256(zone_id.bytes).hexdigest()[:16]}n0")


@patient
def stub(sled: Sled) -> Link:
    """Have the underlay's etherstub. Another saga may make it at the same moment; then it is theirs."""
    try:
        is_ours = sled.links.ensure_etherstub(STUB)
    except CommandFailed:
        if STUB not in sled.links.etherstubs():
            raise
        is_ours = False
    return Link(name=STUB, is_ours=is_ours)


def undo_stub(sled: Sled) -> None:
    """Delete the etherstub when this saga made it; one that others have come to use stays."""
    used = any(vnic.over == STUB for vnic in sled.links.vnics().values())
    if sled.links.owner(STUB) == sled.saga and not used:
        sled.links.delete_etherstub(STUB)


@patient
def vnic(sled: Sled, name: LinkName) -> Link:
    """Have a VNIC over the underlay's etherstub. Raises ForeignObject when it is over another link.

    The etherstub may have gone since its own step: another saga that had made it was undone.
    """
    if STUB not in sled.links.etherstubs():
        stub(sled=sled)
    return Link(name=name, is_ours=sled.links.ensure_vnic(VnicSpec(name, STUB, MTU)))


def undo_vnic(sled: Sled, name: LinkName) -> None:
    """Delete the VNIC when this saga made it."""
    if sled.links.owner(name) == sled.saga:
        sled.links.delete_vnic(name)


def probe_vnic(sled: Sled, name: LinkName) -> Probe:
    """Say whether the VNIC is there, over the right link."""
    seen = sled.links.vnics().get(name)
    if seen is None:
        return Absent()
    if seen.over != STUB:
        return Conflicting(f"{name} is over {seen.over}, expected {STUB}")
    is_ours = sled.links.owner(name) == sled.saga
    return Present(Link(name=name, is_ours=is_ours), ours=False)


@patient
def address(sled: Sled, name: str, cidr: str) -> str:
    """Have an address of the global zone; returns the name of its object."""
    sled.links.ensure_address(name, cidr)
    return name


def undo_address(sled: Sled, name: str) -> None:
    """Delete the address when this saga made it, and the interface that it made for it."""
    if sled.links.owner(name) == sled.saga or sled.links.address(name) is None:
        sled.links.delete_address(name)
