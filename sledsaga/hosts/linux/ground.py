"""What a zone stands on while it is up: its network, its data and its files, given before it is made.

- An address is one zone's: when another zone that is up has it, or the machine itself, a zone is not made, as
  both would answer in turn (duplicate addresses are not looked for: that would take seconds for each zone).
- `prepare` of the image runs in containers that are the zone but for their command; it is skipped when the
  data are ready. A killed one is cleared away and begun anew by the next boot.
- What was given is taken back when nothing of the zone runs.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, Protocol

from sledsaga.errors import ForeignObject, HostError, InvalidParams
from sledsaga.hosts.answer import Pause, changes, require
from sledsaga.hosts.host import Host
from sledsaga.hosts.linux import bundle, ip
from sledsaga.hosts.linux.containers import Containers
from sledsaga.hosts.linux.image import ZoneImage, filled, image_words
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.netns import Netns
from sledsaga.hosts.linux.profiles import parse_profile
from sledsaga.hosts.linux.records import Records, ZoneDocument
from sledsaga.hosts.linux.roots import CONFIG, PROFILE, Roots
from sledsaga.hosts.zfs.mounts import DEAD, Mounts
from sledsaga.hosts.zone import STORE, Profile, ZoneRoots, ZoneSpec

LIVING: Final = ("creating", "created", "running", "paused")


class ZoneDatasets(ZoneRoots, Protocol):
    """What zones of Linux ask of the driver of datasets."""

    @property
    def pause(self) -> Pause:
        """Wait, or raise when the step was cancelled."""
        ...

    @property
    def mounts(self) -> Mounts:
        """What is mounted, and what lets go of a mount whose server has gone."""
        ...

    def mount_for_zone(self, name: str) -> str:
        """Have a dataset mounted for a zone, and return where."""
        ...

    def unmount(self, name: str) -> bool:
        """Unmount a dataset; False when it was not mounted, or is gone."""
        ...

    def unmount_from_zone(self, name: str) -> None:
        """Unmount a dataset that its zone no longer uses; not mounted is fine."""
        ...


@dataclass(frozen=True, slots=True)
class ZoneGround:
    """Gives zones of one machine what they stand on, for one saga."""

    host: Host
    saga: str
    datasets: ZoneDatasets
    machine: Machine

    def make(self, document: ZoneDocument) -> None:
        """Give the zone its network, its data and its files, and make the container that starts it."""
        spec = document.spec
        profile = self._profile(spec)
        image = filled(self._roots.image(spec.path), image_words(spec.name, profile))
        ground = self._give(document, profile)
        if ground.data is not None:
            require(self.host, changes("chown", f"{image.uid}:{image.gid}", ground.data))
        self._roots.write_files(spec.path, image)
        self._prepare(spec, image, ground)
        self._write_bundle(spec, bundle.bundle(spec, image, ground))
        log = self._roots.trim_log(spec.path)
        self._containers.create(spec.name, folder=spec.path, log=log)

    def _give(self, document: ZoneDocument, profile: Profile | None) -> bundle.Ground:
        spec = document.spec
        if profile is not None:
            self._refuse_taken(spec.name, profile.network.address)
            self._netns.ensure(spec.name, spec.links, profile.network)
        groups = self._containers.runtime.cgroups
        return bundle.Ground(
            saga=document.saga or "",
            fingerprint=document.fingerprint,
            shared=self._roots.shared(),
            data=next(map(self.datasets.mount_for_zone, spec.datasets), None),
            netns=None if profile is None else ip.namespace_path(spec.name),
            group=self._containers.group(spec.name) if groups.mounts else None,
            controllers=groups.controllers,
        )

    def _prepare(self, spec: ZoneSpec, image: ZoneImage, ground: bundle.Ground) -> None:
        """Run what makes the zone's data ready, each part as the zone itself would be but for its command."""
        if image.prepare is None:
            return
        if ground.data is None:
            raise InvalidParams(f"image {image.name} keeps data, and zone {spec.name} has no dataset for it")
        if self.host.stat(ground.data + image.prepare.unless.removeprefix(STORE)) is not None:
            return
        log = self._roots.trim_log(spec.path)
        for argv in image.prepare.run:
            self._write_bundle(spec, bundle.bundle(spec, image, ground, argv))
            self._containers.prepare(spec.name, folder=spec.path, log=log)

    def _profile(self, spec: ZoneSpec) -> Profile | None:
        """Return what a zone was told; what it was configured with when its root is on a dead mount."""
        try:
            data = self.host.read_file(f"{spec.path}/{PROFILE}")
        except HostError as error:
            if DEAD not in str(error):
                raise
            data = None
        return spec.profile if data is None else parse_profile(data)

    def _write_bundle(self, spec: ZoneSpec, data: bytes) -> None:
        self.host.write_file(f"{spec.path}/{CONFIG}", data)

    def mount_root(self, zonepath: str) -> tuple[str, ...]:
        """Have a zone's root mounted, when a reboot unmounted it or what served its mount has gone.

        Returns the name of its dataset when it was mounted now.
        """
        self.datasets.mounts.heal(f"{zonepath}/{bundle.ROOT}")
        return self.datasets.mount_at(zonepath)

    def give_back(self, spec: ZoneSpec) -> None:
        """Take network and data back from a zone of which nothing runs; what was not given is fine."""
        self._netns.remove(spec.name, spec.links)
        for dataset in spec.datasets:
            self.datasets.unmount_from_zone(dataset)

    @property
    def _roots(self) -> Roots:
        return Roots(self.host)

    @property
    def _containers(self) -> Containers:
        return Containers(self.host, self.machine, self.datasets.pause)

    @property
    def _netns(self) -> Netns:
        return Netns(self.host, self.saga, self.machine)

    def _refuse_taken(self, zone: str, address: str) -> None:
        """Raise ForeignObject when another zone that is up, or the machine, has the address."""
        wanted = ipaddress.ip_address(address)
        for interface in ip.parse_interfaces(require(self.host, ip.show())).values():
            if any(each.ip == wanted for each in interface.addresses):
                raise ForeignObject(
                    f"{address} is the machine's own, on {interface.name}; give {zone} another"
                )
        records = Records(self.host, self.machine)
        for other in (name for name in records.names() if name != zone):
            document = records.read(other)
            profile = None if document is None else self._profile(document.spec)
            if profile is not None and ipaddress.ip_address(profile.network.address) == wanted:
                self._refuse_living(other, address)

    def _refuse_living(self, other: str, address: str) -> None:
        seen = self._containers.observe(other)
        if seen is not None and seen.status in LIVING:
            raise ForeignObject(
                f"{address} is the address of zone {other}, which is {seen.status}; retire it"
            )
