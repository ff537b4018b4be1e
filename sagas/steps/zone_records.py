"""What zones were before the saga: enough to build one anew, with its own tag, when its removal is undone.

A zone's root is disposable: it is installed from an image, and what must last is in a delegated dataset. So
a zone can be taken away and come back, provided that what it was made of is known: the ledger's document
says so, and the fingerprint in the zone's configuration proves it.

A zone is looked at when the datasets that are wanted are mounted: after a reboot a zone of Linux whose root
is not mounted looks as if it had never been installed, and an undo would leave it so.
"""

from __future__ import annotations

from dataclasses import replace

from sagas.steps.datasets import DatasetSeen, seen_of
from sagas.steps.images import Image, locate
from sagas.steps.links import MTU, STUB
from sagas.steps.patience import patient
from sagas.steps.zone_kinds import ZoneWanted, profile_of, spec_of
from sledsaga.core.model import Model
from sledsaga.errors import ForeignObject, NotFound
from sledsaga.hosts.link import Links, VnicSpec
from sledsaga.hosts.names import ZoneName
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zfs.datasets import Datasets
from sledsaga.hosts.zfs.spec import DatasetSpec
from sledsaga.hosts.zone import Zone, Zones, ZoneSpec

UNBUILT = ("configured", "incomplete")
"""States in which a zone has no root that could be used."""


class ZoneRecord(Model):
    """A zone as it was. `zone` and `image` are known only when they prove to be what it was made of."""

    name: ZoneName
    state: str
    saga: str | None
    fingerprint: str | None
    zone: ZoneWanted | None = None
    image: Image | None = None
    root: DatasetSeen | None = None
    link_owner: str | None = None
    address_owner: str | None = None

    def zones(self, sled: Sled) -> Zones:
        """Return the zones as the saga that made this one sees them."""
        return replace(sled, saga=self.saga or sled.saga).zones

    def datasets(self, sled: Sled) -> Datasets:
        """Return the datasets as the saga that made this zone's root sees them."""
        made_by = None if self.root is None else self.root.saga
        return replace(sled, saga=made_by or sled.saga).datasets

    def links(self, sled: Sled) -> Links:
        """Return the links as the saga that made this zone's link sees them."""
        return replace(sled, saga=self.link_owner or sled.saga).links

    def spec(self) -> ZoneSpec | None:
        """Return the configuration of the zone, or None when it is not known."""
        return None if self.zone is None or self.image is None else spec_of(self.zone, self.image)


class ZonesSeen(Model):
    """Those of some zones that were there, by name."""

    zones: dict[str, ZoneRecord]

    def without(self, wanted: list[ZoneWanted]) -> list[ZoneRecord]:
        """Return the zones that are no longer wanted."""
        names = {zone.name for zone in wanted}
        return [record for name, record in sorted(self.zones.items()) if name not in names]


@patient
def look(sled: Sled, zones: list[ZoneWanted], previous: list[ZoneWanted]) -> ZonesSeen:
    """Look at the zones that are wanted, and at those that were, before anything is done to them."""
    made_of = {zone.name: zone for zone in previous}
    names = {*made_of, *(zone.name for zone in zones)}
    there = [zone.name for zone in sled.zones.list() if zone.name in names]
    records = [_record(sled, ZoneName(name), made_of.get(ZoneName(name))) for name in sorted(there)]
    return ZonesSeen(zones={record.name: record for record in records if record is not None})


@patient
def look_at_one(sled: Sled, zone: ZoneWanted, image: Image) -> ZonesSeen:
    """Look at one zone before anything is done to it.

    Raises ForeignObject for one that is built in another way: it could not be built anew by an undo.
    """
    seen = look(sled=sled, zones=[zone], previous=[])
    record = seen.zones.get(zone.name)
    wanted = sled.zones.fingerprint(spec_of(zone, image))
    if record is not None and record.fingerprint != wanted:
        refuse_built(record)
    return seen


def refuse_built(other: Zone | ZoneRecord) -> None:
    """Raise ForeignObject for a zone of another configuration that is built: no undo could build it anew."""
    if other.state not in UNBUILT:
        raise ForeignObject(
            f"zone {other.name} is {other.state} with another configuration, made by "
            f"{other.saga or 'no saga'}; take it away first, or apply a config that names it"
        )


def rebuild(sled: Sled, record: ZoneRecord) -> None:
    """Build a zone as it was, up to installed; each part that is there already is left alone.

    The profile comes last, so a zone that is installed may lack it: an undo was cut short there.
    Raises ForeignObject when the zone is gone and it is not known what it was made of.
    """
    seen = sled.zones.observe(record.name)
    if seen is not None and seen.fingerprint == record.fingerprint and _is_built(seen.state, record.state):
        if seen.state == "installed" and record.state not in UNBUILT and record.zone is not None:
            record.zones(sled).write_profile(seen.path, profile_of(record.zone))
        return
    spec = record.spec()
    if spec is None or record.zone is None:
        if record.state in UNBUILT:
            return  # a half-made zone of another saga: there was nothing to be kept
        raise ForeignObject(
            f"{record.name} was {record.state} and cannot be built anew: what it was made of is not known"
        )
    _rebuild_parts(sled, record, record.zone)
    zones = record.zones(sled)
    zones.configure(spec)
    if record.state not in UNBUILT:
        zones.install(spec)
        zones.write_profile(spec.path, profile_of(record.zone))


def _is_built(state: str, wanted: str) -> bool:
    return wanted in UNBUILT or state not in UNBUILT


def _rebuild_parts(sled: Sled, record: ZoneRecord, zone: ZoneWanted) -> None:
    """Have the zone's root dataset and its links there again, as theirs whose they were."""
    root = record.root
    if root is not None and root.saga is not None:
        spec = DatasetSpec.of(zone.root, root.id, quota=root.quota, reservation=root.reservation)
        record.datasets(sled).ensure(spec)
        record.datasets(sled).restore(zone.root, root.settings)
    if record.link_owner is not None:
        record.links(sled).ensure_vnic(VnicSpec(zone.link, STUB, MTU))
    if record.address_owner is not None and zone.gz_address is not None:
        owner = replace(sled, saga=record.address_owner)
        owner.links.ensure_address(zone.gz_object, gz_cidr(zone.gz_address))


def gz_cidr(address: str) -> str:
    """Return an address of the global zone with its length: the /64 of its zone's subnet."""
    return f"{address}/64"


def _record(sled: Sled, name: ZoneName, zone: ZoneWanted | None) -> ZoneRecord | None:
    seen = sled.zones.recall(name)
    if seen is None:
        return None
    record = ZoneRecord(name=name, state=seen.state, saga=seen.saga, fingerprint=seen.fingerprint)
    image = None if zone is None else _image(sled, zone)
    if zone is None or image is None or sled.zones.fingerprint(spec_of(zone, image)) != seen.fingerprint:
        return record
    root = sled.datasets.recall(zone.root)
    return record.model_copy(
        update={
            "zone": zone,
            "image": image,
            "root": None if root is None else seen_of(root),
            "link_owner": sled.links.owner(zone.link),
            "address_owner": None if zone.gz_address is None else sled.links.owner(zone.gz_object),
        }
    )


def _image(sled: Sled, zone: ZoneWanted) -> Image | None:
    try:
        return locate(sled=sled, wanted=zone.image)
    except NotFound:
        return None
