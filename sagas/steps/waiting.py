"""Waiting for the sled's time: no zone but those that time itself needs may start before it is in step."""

from __future__ import annotations

from sagas.steps.patience import patient
from sledsaga.core.define import Model
from sledsaga.errors import HostError, Transient, Unparsable
from sledsaga.hosts.answer import looks
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.names import ZoneName
from sledsaga.hosts.sled import Sled

IN_STEP = ("Normal", "Insert second", "Delete second")
"""Leap states of a clock that follows its source; the other one is `Not synchronised`."""
LEAP_COLUMN = 13
COLUMNS = 14


class Time(Model):
    """Why the others may start: the NTP zone whose clock is in step, or None when all of them ran already."""

    ntp: ZoneName | None


def show_tracking(zone: ZoneName) -> HostCommand:
    """Ask the time daemon of a zone how it follows its source, as comma-separated values."""
    return looks("zlogin", zone, "chronyc", "-c", "tracking")


def is_in_step(text: str) -> bool:
    """Read what `chronyc -c tracking` printed. Raises Unparsable."""
    columns = text.strip().split(",")
    if len(columns) != COLUMNS:
        raise Unparsable(
            f"chronyc tracking printed {text!r}; expected {COLUMNS} values by comma, the leap state last"
        )
    return columns[LEAP_COLUMN] in IN_STEP


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
        done = sled.host.run(show_tracking(zone))
        if done.code == 0 and is_in_step(done.stdout):
            return Time(ntp=zone)
    raise Transient(f"the sled's time is not in step yet (asked {', '.join(ntp)})")
