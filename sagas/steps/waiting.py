"""Waiting for the sled's time: no zone but those that time itself needs may start before it is in step."""

from __future__ import annotations

from sagas.steps.patience import patient
from sledsaga.core.model import Model
from sledsaga.errors import HostError, Transient
from sledsaga.hosts.names import ZoneName
from sledsaga.hosts.sled import Sled


class Time(Model):
    """Why the others may start: the NTP zone whose clock is in step, or None when all of them ran already."""

    ntp: ZoneName | None


@patient
def time_sync(sled: Sled, ntp: list[ZoneName], others: list[ZoneName]) -> Time:
    """Wait until the sled's time is in step; zones that all run already need not wait.

    Raises Transient while it is not in step, HostError when no NTP zone is there to bring it so.
    """
    running = {zone.name for zone in sled.zones.list() if zone.state == "running"}
    if running.issuperset(others):
        return Time(ntp=None)
    if not ntp:
        raise HostError(
            f"{len(others)} zones may start only when the time is in step, and the config has no NTP zone"
        )
    for zone in ntp:
        if sled.services.is_time_in_step(zone):
            return Time(ntp=zone)
    raise Transient(f"the sled's time is not in step yet (asked {', '.join(ntp)})")
