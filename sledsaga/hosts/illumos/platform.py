"""The platform that illumos is, and that a simulated sled speaks, too."""

from __future__ import annotations

from sledsaga.hosts.answer import Pause
from sledsaga.hosts.host import Host
from sledsaga.hosts.illumos.disks import DiskInfo
from sledsaga.hosts.illumos.links import DladmLinks
from sledsaga.hosts.illumos.services import SmfServices
from sledsaga.hosts.illumos.zones import IllumosZones
from sledsaga.hosts.platform import Platform
from sledsaga.hosts.zfs.abilities import ILLUMOS_ZFS
from sledsaga.hosts.zfs.datasets import Datasets


def _zones(host: Host, saga: str, datasets: Datasets) -> IllumosZones:
    return IllumosZones(host, saga, datasets)


def _links(host: Host, saga: str, pause: Pause) -> DladmLinks:
    return DladmLinks(host, saga, pause)


ILLUMOS = Platform("illumos", ".tar.gz", ILLUMOS_ZFS, DiskInfo, _zones, _links, SmfServices)
