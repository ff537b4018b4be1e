"""The platform that a Linux machine is, by its document and by what its ZFS can do."""

from __future__ import annotations

from sledsaga.hosts.answer import Pause
from sledsaga.hosts.host import Host
from sledsaga.hosts.linux.abilities import find_abilities
from sledsaga.hosts.linux.disks import FileDisks
from sledsaga.hosts.linux.links import IpLinks
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.services import ZoneServices
from sledsaga.hosts.linux.zones import OciZones
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.platform import Platform
from sledsaga.hosts.turns import Turns
from sledsaga.hosts.zfs.datasets import Datasets


def open_linux(machine: Machine) -> tuple[LocalHost, Platform]:
    """Return this machine as a host, and its drivers. Raises HostError when it has no ZFS that answers."""
    platform = linux(LocalHost(), machine)
    if not platform.abilities.turns_by:
        return LocalHost(), platform
    return LocalHost(turns=dict.fromkeys(("zfs", "zpool"), Turns(platform.abilities.turns_by))), platform


def linux(host: Host, machine: Machine) -> Platform:
    """Return the drivers of a Linux machine. Raises HostError when it has no ZFS that answers."""

    def zones(host: Host, saga: str, datasets: Datasets) -> OciZones:
        return OciZones(host, saga, datasets, machine)

    def links(host: Host, saga: str, pause: Pause) -> IpLinks:
        return IpLinks(host, saga, pause, machine)

    return Platform(
        "linux",
        ".json",
        find_abilities(host, machine),
        disks=lambda host: FileDisks(host, machine),
        zones=zones,
        links=links,
        services=lambda host, pause, monotonic: ZoneServices(host, pause, machine, monotonic),
    )
