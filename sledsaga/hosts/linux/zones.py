"""Zones of Linux: the rules of `hosts.zone`, by an OCI runtime.

- *configured* is a durable document (`records`), *incomplete* and *installed* a root below the zonepath
  (`roots`), *ready* and *running* a container (`containers`). After a reboot the containers are gone and a
  zone is *installed* again.
- A zone whose service has ended is *installed*, with remains that the next boot clears away.
- A zone that runs on a mount whose server has gone is *down*; it is booted anew, its mounts too.
- Nothing boots a zone with its machine, as its links and keys are gone then: who asks for that is refused.
- A container without a document was made by no saga; it is shown and left as it is.
- A dataset that a zone has may be unmounted out here while the zone still uses it, as its own mounts keep it.
  So a zone is stopped before anything of it is taken away, and what it had is given back only then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sledsaga.errors import ForeignObject, HostError, InvalidParams, Transient
from sledsaga.hosts.host import Host
from sledsaga.hosts.linux import records
from sledsaga.hosts.linux.containers import Containers
from sledsaga.hosts.linux.ground import ZoneDatasets, ZoneGround
from sledsaga.hosts.linux.image import Stop, image_words
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.profiles import render_profile
from sledsaga.hosts.linux.records import Records, ZoneDocument
from sledsaga.hosts.linux.roots import PROFILE, Roots
from sledsaga.hosts.linux.runtime import Container, Status
from sledsaga.hosts.zone import (
    STORE,
    UP,
    ListedZone,
    Profile,
    Zone,
    ZoneSpec,
    ZoneState,
    as_configured,
    own,
    refuse_rebuild,
    refuse_untagged,
)

BRAND: Final = "oci"
UP_AS: Final[Mapping[Status, ZoneState]] = {
    "created": "ready",
    "running": "running",
    "paused": "shutting_down",
}
"""What a zone is by its container; in any other status it does not run, and is what its root is."""
ROOTLESS: Final = ("configured", "incomplete")
"""What a zone seems to be while the dataset of its root is not mounted; it may be more."""


@dataclass(frozen=True, slots=True)
class OciZones:
    """The zones of one machine, as one saga sees them."""

    host: Host
    saga: str
    datasets: ZoneDatasets
    machine: Machine

    def fingerprint(self, spec: ZoneSpec) -> str:
        """Return the sha256, in hex, of all that makes this zone what it is."""
        return records.fingerprint(spec)

    def list(self) -> tuple[ListedZone, ...]:
        """Return every zone, in whatever state."""
        return tuple(ListedZone(zone.name, zone.state, zone.path, BRAND) for zone in self.observe_all())

    def observe(self, name: str) -> Zone | None:
        """Return a zone with its marks, or None when there is none. Raises CommandFailed, Unparsable."""
        document = self._records.read(name)
        container = self._containers.observe(name)
        if document is None:
            return None if container is None else _unknown(name, container)
        path = document.spec.path
        state = self._state_of(container)
        running = container.fingerprint if container and state else None
        return Zone(
            name,
            state or self._roots.state(path, document.fingerprint),
            path,
            saga=document.saga,
            fingerprint=running or document.fingerprint,
        )

    def recall(self, name: str) -> Zone | None:
        """Return a zone as it is when its root is mounted; one that was not is unmounted again."""
        seen = self.observe(name)
        if seen is None or seen.state not in ROOTLESS:
            return seen
        mounted = self._ground.mount_root(seen.path)
        try:
            return self.observe(name)
        finally:
            for dataset in mounted:
                self.datasets.unmount(dataset)

    def observe_all(self) -> tuple[Zone, ...]:
        """Return every zone with its marks."""
        names = sorted({*self._records.names(), *self._containers.names()})
        return tuple(zone for zone in map(self.observe, names) if zone is not None)

    def configure(self, spec: ZoneSpec) -> bool:
        """Make a zone of exactly this configuration be there; False when it was.

        Raises ForeignObject; InvalidParams for what no zone of Linux can be.
        """
        _refuse_impossible(spec)
        seen = self.observe(spec.name)
        if seen is not None:
            if seen.fingerprint == records.fingerprint(spec):
                return False
            refuse_rebuild(seen)
            self._take_away(seen)
        self._records.write(ZoneDocument(self.saga, records.fingerprint(spec), spec))
        return True

    def install(self, spec: ZoneSpec) -> bool:
        """Install a zone that `configure` made; False when it was. A half-made root is made anew."""
        state: ZoneState = self._configured(spec).state
        if state in ROOTLESS:
            self._ground.mount_root(spec.path)
            state = self._roots.state(spec.path, records.fingerprint(spec))
        if state == "incomplete":
            self._roots.uninstall(spec.path)
        elif state != "configured":
            return False
        self._roots.install(spec, records.fingerprint(spec))
        return True

    def write_profile(self, zonepath: str, profile: Profile) -> str:
        """Write the profile of a zone that is installed and not yet booted; return its path."""
        self._ground.mount_root(zonepath)
        path, data = f"{zonepath}/{PROFILE}", render_profile(profile)
        if self.host.read_file(path) != data:
            self.host.write_file(path, data)
        return path

    def remove_profile(self, zonepath: str) -> None:
        """Remove the profile of a zone that does not run; nothing there is fine."""
        self._ground.mount_root(zonepath)
        self.host.remove_file(f"{zonepath}/{PROFILE}")

    def boot(self, spec: ZoneSpec) -> bool:
        """Boot a zone that `install` made; False when it ran. Raises Transient while it is paused."""
        seen = self._configured(spec)
        if seen.state == "running":
            return False
        if seen.state == "down":
            self._halt(seen)
        if seen.state in ("down", *ROOTLESS):
            self._ground.mount_root(spec.path)
            seen = self._configured(spec)
        if seen.state not in ("installed", "ready"):
            raise Transient(f"zone {spec.name} is {seen.state}, expected installed; it cannot boot yet")
        self._boot(spec.name, is_created=seen.state == "ready")
        return True

    def reboot(self, name: str) -> None:
        """Boot a zone that was installed and halted, as it is. Raises HostError."""
        seen = self.observe(name)
        if seen is not None and seen.state in ROOTLESS:
            self._ground.mount_root(seen.path)
            seen = self.observe(name)
        if seen is None or seen.state not in ("installed", "ready"):
            state = "not there" if seen is None else seen.state
            raise HostError(f"zone {name} is {state}, expected installed; it cannot boot")
        self._boot(name, is_created=seen.state == "ready")

    def ensure(self, spec: ZoneSpec) -> bool:
        """Configure, install and boot, whichever is needed; False when it ran as it should."""
        acts = (self.configure(spec), self.install(spec), self.boot(spec))
        return any(acts)

    def halt(self, name: str) -> bool:
        """Halt a zone that any saga made; False when it was not up, or is gone. Raises ForeignObject.

        What is left of one that is not up is cleared away.
        """
        seen = self.observe(name)
        if seen is None or (seen.saga is None and seen.state not in UP):
            return False
        refuse_untagged(seen)
        self._halt(seen)
        return seen.state in UP

    def uninstall(self, name: str) -> bool:
        """Halt and uninstall a zone of this saga, keeping its configuration; False when nothing was there."""
        seen = self._mine(name)
        if seen is None:
            return False
        self._uproot(seen)
        return seen.state != "configured"

    def remove(self, name: str) -> bool:
        """Undo: take away a zone of this saga, whatever its state; False when gone. Raises ForeignObject."""
        seen = self._mine(name)
        if seen is not None:
            self._take_away(seen)
        return seen is not None

    def retire(self, name: str) -> bool:
        """Take away a zone that any saga made; False when it is gone. Raises ForeignObject for others."""
        seen = self.observe(name)
        if seen is not None:
            refuse_untagged(seen)
            self._take_away(seen)
        return seen is not None

    @property
    def _records(self) -> Records:
        return Records(self.host, self.machine)

    @property
    def _roots(self) -> Roots:
        return Roots(self.host)

    @property
    def _containers(self) -> Containers:
        return Containers(self.host, self.machine, self.datasets.pause)

    @property
    def _ground(self) -> ZoneGround:
        return ZoneGround(self.host, self.saga, self.datasets, self.machine)

    def _state_of(self, container: Container | None) -> ZoneState | None:
        """Say what a zone is by its container; None when it has none that lives."""
        state = None if container is None else UP_AS.get(container.status)
        is_stranded = container is not None and state is not None and self._containers.is_stranded(container)
        return "down" if is_stranded else state

    def _document(self, name: str) -> ZoneDocument:
        found = self._records.read(name)
        if found is None:
            raise ForeignObject(f"zone {name} is not there, expected one that a saga configured")
        return found

    def _configured(self, spec: ZoneSpec) -> Zone:
        return as_configured(self.observe(spec.name), spec.name, records.fingerprint(spec))

    def _mine(self, name: str) -> Zone | None:
        return own(self.observe(name), self.saga)

    def _boot(self, name: str, *, is_created: bool) -> None:
        if not is_created:
            self._containers.clear_all_of(name)
            self._ground.make(self._document(name))
        self._containers.start(name)

    def _halt(self, seen: Zone) -> None:
        """Stop what runs, end what does not listen (not started, or stranded), give network and data back."""
        if seen.state == "shutting_down":
            raise Transient(f"zone {seen.name} is paused; resume it, then it can be halted")
        if seen.state == "running":
            self._containers.stop(seen.name, self._stop_of(seen))
        self._containers.clear_all_of(seen.name)
        self._ground.give_back(self._document(seen.name).spec)

    def _uproot(self, seen: Zone) -> None:
        self._halt(seen)
        self._ground.mount_root(seen.path)
        self._roots.uninstall(seen.path)

    def _stop_of(self, seen: Zone) -> Stop:
        """How the zone is told to end: as its image says, or in the ordinary way when that cannot be read."""
        try:
            return self._roots.image(seen.path).stop
        except HostError:
            return Stop()

    def _take_away(self, seen: Zone) -> None:
        self._uproot(seen)
        if self._records.names() == (seen.name,):
            self._containers.clear_group()
        self._records.remove(seen.name)


def _refuse_impossible(spec: ZoneSpec) -> None:
    """Let a zone pass that a Linux sled can have. Raises InvalidParams."""
    if len(spec.datasets) > 1:
        raise InvalidParams(
            f"zone {spec.name} has {len(spec.datasets)} datasets; expected one at most, at {STORE}: leave the"
            " others out"
        )
    if spec.is_autoboot:
        raise InvalidParams(
            f"zone {spec.name} asks for autoboot; a Linux sled boots no zone with the machine: leave it out,"
            " and apply again after a reboot"
        )
    image_words(spec.name, spec.profile)


def _unknown(name: str, container: Container) -> Zone:
    """Show a container that no document tells of; it is nobody's to touch."""
    return Zone(name, UP_AS.get(container.status, "down"), "", saga=None, fingerprint=None)
