"""What a zone is, on every kind of sled, and what a driver of zones can do.

Rules
- A zone is known by the fingerprint in its configuration, never by its name alone: a running zone with
  another fingerprint is foreign and is not touched.
- What another saga left half-made (tagged, not running) is taken away and built anew; its root is disposable.
- Undo (`remove`) takes away only what carries this saga's tag; `retire` is for going forward and takes any
  zone that some saga made. A zone without a tag is never touched.
- Every call may be repeated.
- What changes the root of a zone has its dataset mounted first: after a reboot its folder is there, but
  empty, and what is done to that says nothing of the root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from sledsaga.errors import ForeignObject
from sledsaga.hosts.names import LinkName, ZoneName

ZoneState = Literal[
    "configured", "incomplete", "installed", "ready", "mounted", "running", "shutting_down", "down"
]
STATES: Mapping[str, ZoneState] = {
    "configured": "configured",
    "incomplete": "incomplete",
    "installed": "installed",
    "ready": "ready",
    "mounted": "mounted",
    "running": "running",
    "shutting_down": "shutting_down",
    "down": "down",
}
UP: frozenset[ZoneState] = frozenset({"ready", "running", "shutting_down", "down"})
"""States in which something of the zone runs, or did a moment ago."""
PRIVILEGES = ("default", "dtrace_proc", "dtrace_user")
STORE = "/data"
"""Where a delegated dataset is mounted inside its zone."""
Properties = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ServiceProfile:
    """One service of a zone: whether its default instance starts, and the properties of one group."""

    name: str
    properties: Properties = ()
    is_enabled: bool = True
    group: str = "config"


@dataclass(frozen=True, slots=True)
class ZoneNetwork:
    """How a zone is reached: its link, its gateway and its own address, without a length."""

    link: str
    gateway: str
    address: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What a zone does at its first boot: its network, and its own services with their properties."""

    network: ZoneNetwork
    services: tuple[ServiceProfile, ...]


@dataclass(frozen=True, slots=True)
class ZoneFilesystem:
    """A folder of the global zone seen inside: `special` outside is `dir` inside."""

    dir: str
    special: str
    type: str = "lofs"
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SecurityFlags:
    """Process security flags of a zone, each as zonecfg takes it, such as `aslr` or `none`."""

    default: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    upper: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ZoneSpec:
    """What a zone should be. `image` is what it is installed from, `image_hash` its sha256 in hex.

    `brand`, `privileges`, `devices` and `security_flags` are of illumos; a Linux sled has no use for them.
    `is_autoboot` has the zone boot with its machine, if its links are there by then; a Linux sled refuses it.
    """

    name: ZoneName
    path: str
    image: str
    image_hash: str = ""
    brand: str = "omicron1"
    is_autoboot: bool = False
    privileges: tuple[str, ...] = PRIVILEGES
    datasets: tuple[str, ...] = ()
    filesystems: tuple[ZoneFilesystem, ...] = ()
    devices: tuple[str, ...] = ()
    links: tuple[LinkName, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    security_flags: SecurityFlags | None = None
    profile: Profile | None = None


@dataclass(frozen=True, slots=True)
class ListedZone:
    """A zone as a list of all of them shows it; `path` is its zonepath."""

    name: str
    state: ZoneState
    path: str
    brand: str


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone as it is; `saga` and `fingerprint` are None when no saga made it."""

    name: str
    state: ZoneState
    path: str
    saga: str | None
    fingerprint: str | None


def refuse_untagged(seen: Zone) -> None:
    """Let a zone pass that some saga made. Raises ForeignObject for any other."""
    if seen.saga is None:
        raise ForeignObject(f"zone {seen.name} ({seen.state}) was made by no saga; it was left as it is")


def refuse_rebuild(seen: Zone) -> None:
    """Let a zone pass that may be taken away and built anew. Raises ForeignObject for one that is up."""
    refuse_untagged(seen)
    if seen.state in UP:
        raise ForeignObject(
            f"zone {seen.name} is {seen.state} with another configuration; retire it before building it anew"
        )


def own(seen: Zone | None, saga: str) -> Zone | None:
    """Return a zone when it is this saga's, None when there is none. Raises ForeignObject for another's."""
    if seen is not None and seen.saga != saga:
        raise ForeignObject(f"zone {seen.name} carries the tag {seen.saga}, not {saga}; it was kept")
    return seen


def as_configured(seen: Zone | None, name: str, fingerprint: str) -> Zone:
    """Return a zone that has this fingerprint. Raises ForeignObject when it has another, or is not there."""
    if seen is None or seen.fingerprint != fingerprint:
        have = "not there" if seen is None else "another configuration"
        raise ForeignObject(f"zone {name} is {have}, expected the one that this saga configures")
    return seen


class ZoneRoots(Protocol):
    """What zones ask of the driver of datasets, on every kind of sled."""

    def mount_at(self, place: str) -> tuple[str, ...]:
        """Have the dataset of a zonepath mounted when a reboot has unmounted it; none there is fine.

        Returns the name of one that was mounted now.
        """
        ...


class Zones(Protocol):
    """The zones of one sled, as one saga sees them."""

    def fingerprint(self, spec: ZoneSpec) -> str:
        """Return the sha256, in hex, of all that makes this zone what it is."""
        ...

    def list(self) -> tuple[ListedZone, ...]:
        """Return every zone, in whatever state."""
        ...

    def observe(self, name: str) -> Zone | None:
        """Return a zone with its marks, or None when none of that name is configured."""
        ...

    def recall(self, name: str) -> Zone | None:
        """Return the same, also of a zone whose root a reboot has unmounted: it is mounted for the look."""
        ...

    def observe_all(self) -> tuple[Zone, ...]:
        """Return every zone with its marks."""
        ...

    def configure(self, spec: ZoneSpec) -> bool:
        """Make a zone of exactly this configuration be there; False when it was. Raises ForeignObject."""
        ...

    def install(self, spec: ZoneSpec) -> bool:
        """Install a zone that `configure` made; False when it was. A half-made root is made anew."""
        ...

    def write_profile(self, zonepath: str, profile: Profile) -> str:
        """Write the profile of a zone that is installed and not yet booted; return its path."""
        ...

    def remove_profile(self, zonepath: str) -> None:
        """Remove the profile of a zone that does not run; nothing there is fine."""
        ...

    def boot(self, spec: ZoneSpec) -> bool:
        """Boot a zone that `install` made; False when it ran. Raises Transient while it shuts down."""
        ...

    def reboot(self, name: str) -> None:
        """Boot a zone that was installed and halted, as it is. Raises CommandFailed."""
        ...

    def ensure(self, spec: ZoneSpec) -> bool:
        """Configure, install and boot, whichever is needed; False when it ran as it should."""
        ...

    def halt(self, name: str) -> bool:
        """Halt a zone that any saga made; False when it was not up, or is gone. Raises ForeignObject."""
        ...

    def uninstall(self, name: str) -> bool:
        """Halt and uninstall a zone of this saga, keeping its configuration; False when nothing was there."""
        ...

    def remove(self, name: str) -> bool:
        """Undo: take away a zone of this saga, whatever its state; False when gone. Raises ForeignObject."""
        ...

    def retire(self, name: str) -> bool:
        """Take away a zone that any saga made; False when it is gone. Raises ForeignObject for others."""
        ...
