"""Zones that have to go, and zones that have to be built anew.

Rules
- All of them are halted first, and nothing new starts until all are: a service never runs twice.
- Zones that are no longer wanted stay halted, whole, until everything else is done and recorded. Only then
  are they taken away, so whatever fails earlier just boots them again.
- The data of a zone stays. Its root and its links go, but not an address that a zone which stays has, too.
- A zone goes only when the ledger's document named it: what others have put on the sled is left alone.
"""

from __future__ import annotations

from dataclasses import replace

from sagas.steps.images import Image
from sagas.steps.patience import patient
from sagas.steps.zone_kinds import ZoneWanted, spec_of
from sagas.steps.zone_records import ZoneRecord, ZonesSeen, rebuild
from sledsaga.core.model import Model
from sledsaga.errors import ForeignObject, Transient
from sledsaga.hosts.names import ZoneName
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zone import UP


class Gone(Model):
    """The zones that a step has halted or taken away, or found so."""

    zones: list[ZoneName]


@patient
def shut_down(sled: Sled, zones: list[ZoneWanted], images: list[Image], before: ZonesSeen) -> Gone:
    """Halt all zones that go or are built anew. Raises Transient while one is on its way, ForeignObject."""
    going = _going(sled, zones, images, before)
    for record in going:
        sled.zones.halt(record.name)
    states = {zone.name: zone.state for zone in sled.zones.list()}
    for record in going:
        if states.get(record.name) in UP:
            raise Transient(
                f"zone {record.name} is {states[record.name]}; it has to be down before others start"
            )
    return Gone(zones=[record.name for record in going])


def undo_shut_down(sled: Sled, zones: list[ZoneWanted], images: list[Image], before: ZonesSeen) -> None:
    """Boot those again that ran."""
    for record in _going(sled, zones, images, before):
        seen = sled.zones.observe(record.name)
        if record.state != "running" or (seen is not None and seen.state == "running"):
            continue
        if seen is None or seen.fingerprint != record.fingerprint:
            raise ForeignObject(
                f"zone {record.name} ran before, but is not there as it was; look at it, then boot it"
            )
        sled.zones.reboot(record.name)


@patient
def retire(sled: Sled, zones: list[ZoneWanted], before: ZonesSeen, keep: list[str]) -> Gone:
    """Take away the zones that are not wanted, with root and links; data and datasets in `keep` stay.

    An address of the global zone is known by its number: a zone that comes in another's place may have it.
    """
    leaving = before.without(zones)
    used = {zone.gz_object for zone in zones if zone.gz_address is not None}
    for record in leaving:
        sled.zones.retire(record.name)
        if record.zone is not None:
            _retire_parts(sled, record, record.zone, [*keep, *used])
    return Gone(zones=[record.name for record in leaving])


def undo_retire(sled: Sled, zones: list[ZoneWanted], before: ZonesSeen) -> None:
    """Build the zones anew that were taken away; the undo of `shut_down` boots them."""
    for record in before.without(zones):
        rebuild(sled, record)


def _going(sled: Sled, zones: list[ZoneWanted], images: list[Image], before: ZonesSeen) -> list[ZoneRecord]:
    found = before.without(zones)
    for zone, image in zip(zones, images, strict=True):
        record = before.zones.get(zone.name)
        if record is not None and record.fingerprint != sled.zones.fingerprint(spec_of(zone, image)):
            found.append(record)
    return found


def _retire_parts(sled: Sled, record: ZoneRecord, zone: ZoneWanted, keep: list[str]) -> None:
    if record.root is not None and record.root.saga is not None and zone.root not in keep:
        record.datasets(sled).destroy(zone.root, mountpoint=zone.root.mountpoint)
    if record.address_owner is not None and zone.gz_object not in keep:
        replace(sled, saga=record.address_owner).links.delete_address(zone.gz_object)
    if record.link_owner is not None:
        record.links(sled).delete_vnic(zone.link)
