"""Zones: configure, install, profile, boot, wait; each on its own, so that a crash between is seen.

A zone that runs with the wanted configuration is left alone by each step. Undo takes away what this saga
made; a zone that it replaced is built anew from what was recorded of it (see `removal`).
"""

from __future__ import annotations

from collections.abc import Callable

from sagas.steps import images, links
from sagas.steps.images import Image
from sagas.steps.patience import patient
from sagas.steps.zone_kinds import ZoneWanted, profile_of, spec_of
from sagas.steps.zone_records import ZonesSeen, rebuild, refuse_built
from sledsaga.core.define import Absent, Conflicting, Present, Probe
from sledsaga.core.model import Model
from sledsaga.errors import ForeignObject
from sledsaga.hosts.names import ZoneName
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zone import Zone, refuse_untagged

READY_S = 60.0
"""Seconds for one wait for a zone's services; a zone needs a few."""


class Configured(Model):
    """A zone that is configured as it should be."""

    name: ZoneName
    fingerprint: str


class Profile(Model):
    """A profile that is in its place, below this zonepath."""

    zonepath: str


class Running(Model):
    """A zone that runs."""

    name: ZoneName


@patient
def configure(sled: Sled, zone: ZoneWanted, image: Image) -> Configured:
    """Have the zone configured. Raises ForeignObject for a zone that runs with another configuration."""
    spec = spec_of(zone, image)
    sled.zones.configure(spec)
    return Configured(name=zone.name, fingerprint=sled.zones.fingerprint(spec))


def undo_configure(sled: Sled, zone: ZoneWanted, before: ZonesSeen) -> None:
    """Take the zone away when this saga made it, and build the one that it replaced anew."""
    if is_ours(sled, zone.name):
        sled.zones.remove(zone.name)
    record = before.zones.get(zone.name)
    if record is not None:
        rebuild(sled, record)


def probe_configure(sled: Sled, zone: ZoneWanted, image: Image) -> Probe:
    """Say whether the zone is configured as it should be; one that is built in another way is refused."""
    return _configured(sled, zone, image, refuse_built)


def probe_reconfigure(sled: Sled, zone: ZoneWanted, image: Image) -> Probe:
    """Say the same where the saga itself halts a zone that is built in another way, and builds it anew."""
    return _configured(sled, zone, image, refuse_untagged)


def _configured(sled: Sled, zone: ZoneWanted, image: Image, refuse: Callable[[Zone], None]) -> Probe:
    seen = sled.zones.observe(zone.name)
    fingerprint = sled.zones.fingerprint(spec_of(zone, image))
    if seen is None:
        return Absent()
    if seen.fingerprint == fingerprint:
        return Present(Configured(name=zone.name, fingerprint=fingerprint), ours=seen.saga == sled.saga)
    try:
        refuse(seen)
        refuse_untagged(seen)
    except ForeignObject as error:
        return Conflicting(str(error))
    return Absent()


@patient
def install(sled: Sled, zone: ZoneWanted, image: Image, configured: Configured) -> str:
    """Have the zone installed; what an earlier install left half-made is made anew. Returns the zonepath."""
    assert configured.name == zone.name, "a zone's steps are of one zone"
    spec = spec_of(zone, image)
    images.have_at_hand(sled, image)
    sled.zones.install(spec)
    return spec.path


def undo_install(sled: Sled, zone: ZoneWanted, before: ZonesSeen) -> None:
    """Uninstall the zone when this saga made it, or when it was configured but not installed before."""
    record = before.zones.get(zone.name)
    if is_ours(sled, zone.name):
        sled.zones.uninstall(zone.name)
    elif record is not None and record.state == "configured":
        record.zones(sled).uninstall(zone.name)


@patient
def profile(sled: Sled, zone: ZoneWanted, zonepath: str) -> Profile:
    """Write the zone's profile, unless it runs already: a profile is read at the first boot only."""
    seen = sled.zones.observe(zone.name)
    if seen is None or seen.state not in ("running", "ready"):
        sled.zones.write_profile(zonepath, profile_of(zone))
    return Profile(zonepath=zonepath)


def undo_profile(sled: Sled, zone: ZoneWanted) -> None:
    """Remove the profile when the zone is this saga's and does not run."""
    seen = sled.zones.observe(zone.name)
    if seen is not None and seen.saga == sled.saga and seen.state == "installed":
        sled.zones.remove_profile(seen.path)


@patient
def boot(sled: Sled, zone: ZoneWanted, image: Image, profile: Profile) -> Running:
    """Have the zone booted; it never boots without its profile. Raises Transient while it shuts down."""
    spec = spec_of(zone, image)
    assert profile.zonepath == spec.path, "a zone boots after its profile was written"
    if zone.link not in sled.links.vnics():
        links.vnic(sled=sled, name=zone.link)  # the sled was rebooted since: its links are gone
    sled.zones.boot(spec)
    return Running(name=zone.name)


def undo_boot(sled: Sled, zone: ZoneWanted, before: ZonesSeen) -> None:
    """Halt the zone, unless it is one that ran before."""
    record = before.zones.get(zone.name)
    if is_ours(sled, zone.name) or (record is not None and record.state != "running"):
        sled.zones.halt(zone.name)


def probe_boot(sled: Sled, zone: ZoneWanted) -> Probe:
    """Say whether the zone runs."""
    seen = sled.zones.observe(zone.name)
    if seen is None or seen.state != "running":
        return Absent()
    return Present(Running(name=zone.name), ours=seen.saga == sled.saga)


@patient
def ready(sled: Sled, running: Running) -> ZoneName:
    """Wait until it does what it is for. Raises Transient after a minute, CommandFailed (maintenance)."""
    sled.services.wait_ready(running.name, timeout_s=READY_S)
    return running.name


def is_ours(sled: Sled, name: str) -> bool:
    """Say whether a zone is there and carries this saga's tag."""
    seen = sled.zones.observe(name)
    return seen is not None and seen.saga == sled.saga
