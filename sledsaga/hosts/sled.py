"""A sled as the steps of one saga see it: one host, one tag, and a driver for each kind of thing.

A `Sled` is a value: drivers are made when asked for and keep nothing, so what they say is what is so now.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sledsaga.hosts.answer import Monotonic, Pause
from sledsaga.hosts.disks import Disks
from sledsaga.hosts.host import Host
from sledsaga.hosts.illumos.platform import ILLUMOS
from sledsaga.hosts.keys import Keys, PoolKeys, SecretFile, SecretSource
from sledsaga.hosts.ledgers import Ledgers, Place
from sledsaga.hosts.link import Links
from sledsaga.hosts.places import Places
from sledsaga.hosts.platform import Platform
from sledsaga.hosts.service import Services
from sledsaga.hosts.zfs.datasets import Datasets
from sledsaga.hosts.zone import Zones
from sledsaga.hosts.zpool.pools import Pools

CONFIG = "config"
"""The dataset of each internal pool that keeps the ledgers."""


@dataclass(frozen=True, slots=True)
class Sled:
    """The machine that steps change. `saga` tags what is made; `pause` waits and ends on cancel.

    `monotonic` is the clock by which waiting is measured.
    `platform` is the kind of machine: illumos, which a simulated sled speaks too, unless told otherwise.
    """

    host: Host
    saga: str
    pause: Pause = time.sleep
    secrets: SecretSource | None = None
    platform: Platform = ILLUMOS
    monotonic: Monotonic = time.monotonic

    @property
    def disks(self) -> Disks:
        """The disks."""
        return self.platform.disks(self.host)

    @property
    def pools(self) -> Pools:
        """The pools."""
        return Pools(self.host, self.saga, self.disks, self.datasets)

    @property
    def datasets(self) -> Datasets:
        """The datasets."""
        keys = PoolKeys(self.keys, self.disks).of
        return Datasets(self.host, self.saga, self.pause, self.platform.abilities, keys)

    @property
    def zones(self) -> Zones:
        """The zones."""
        return self.platform.zones(self.host, self.saga, self.datasets)

    @property
    def links(self) -> Links:
        """The links and addresses of the global zone."""
        return self.platform.links(self.host, self.saga, self.pause)

    @property
    def services(self) -> Services:
        """The services, of the global zone and of others."""
        return self.platform.services(self.host, self.pause, self.monotonic)

    @property
    def keys(self) -> Keys:
        """The keys of encrypted disks; their secrets are in a file of the sled unless wired otherwise."""
        return Keys(self.host, self.secrets or SecretFile(self.host))

    @property
    def ledgers(self) -> Ledgers:
        """The ledgers on the internal disks."""
        return Ledgers(self.host, self.ledger_places)

    def ledger_places(self) -> tuple[Place, ...]:
        """Return the ledger folder of each internal pool, with the reason when it cannot be used."""
        return self.internal_places(CONFIG)

    def internal_places(self, dataset: str) -> tuple[Place, ...]:
        """Return a dataset's folder of each internal pool, mounted, or with the reason when it is not."""
        return Places(self.pools, dataset).all()
