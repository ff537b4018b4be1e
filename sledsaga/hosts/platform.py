"""Where kinds of sleds differ: one driver for each kind of thing, chosen together.

A platform is a value: `ILLUMOS` in `hosts.illumos.platform`, and one for each Linux machine, made by
`hosts.linux.platform`. Whoever opens a sled picks one; steps never ask which it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sledsaga.hosts.answer import Monotonic, Pause
from sledsaga.hosts.disks import Disks
from sledsaga.hosts.host import Host
from sledsaga.hosts.link import Links
from sledsaga.hosts.service import Services
from sledsaga.hosts.zfs.abilities import Abilities
from sledsaga.hosts.zfs.datasets import Datasets
from sledsaga.hosts.zone import Zones


@dataclass(frozen=True, slots=True)
class Platform:
    """The drivers of one kind of sled, each made for one host (and one saga's tag).

    `image_suffix` ends the names of the files that zones are installed from.
    """

    name: str
    image_suffix: str
    abilities: Abilities
    disks: Callable[[Host], Disks]
    zones: Callable[[Host, str, Datasets], Zones]
    links: Callable[[Host, str, Pause], Links]
    services: Callable[[Host, Pause, Monotonic], Services]
