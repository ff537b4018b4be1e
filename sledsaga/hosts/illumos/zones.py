"""Zones of illumos: the rules of `hosts.zone`, by zonecfg and zoneadm."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sledsaga.errors import Transient
from sledsaga.hosts.answer import attempt, failed, lookup, require
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.illumos import zoneadm, zonecfg
from sledsaga.hosts.illumos.profile import SITE, render_profile
from sledsaga.hosts.zone import (
    ListedZone,
    Profile,
    Zone,
    ZoneRoots,
    ZoneSpec,
    ZoneState,
    as_configured,
    own,
    refuse_rebuild,
    refuse_untagged,
)

NO_SUCH_ZONE = ("No such zone configured",)
"""There is no such zone, as zoneadm and zonecfg say it (libzonecfg: zonecfg_strerror)."""
_HALT, _UNINSTALL, _DELETE = zoneadm.halt_zone, zoneadm.uninstall_zone, zonecfg.delete_zone
REMOVAL: Mapping[ZoneState, tuple[Callable[[str], HostCommand], ...] | None] = {
    "configured": (_DELETE,),
    "incomplete": (_UNINSTALL, _DELETE),
    "installed": (_UNINSTALL, _DELETE),
    "mounted": (_UNINSTALL, _DELETE),
    "ready": (_HALT, _UNINSTALL, _DELETE),
    "running": (_HALT, _UNINSTALL, _DELETE),
    "shutting_down": None,
    "down": None,
}
"""What takes a zone away from each state; None means: wait, it is on its way to another."""


@dataclass(frozen=True, slots=True)
class IllumosZones:
    """The zones of one sled, as one saga sees them."""

    host: Host
    saga: str
    roots: ZoneRoots

    def fingerprint(self, spec: ZoneSpec) -> str:
        """Return the sha256, in hex, of all that makes this zone what it is."""
        return zonecfg.fingerprint(spec)

    def list(self) -> tuple[ListedZone, ...]:
        """Return every zone but the global one, in whatever state. Raises Transient when one is untold.

        `zoneadm list` ends well even when it had to leave out a zone, one that came or went meanwhile say.
        """
        done = self.host.run(zoneadm.list_zones())
        if done.code != 0:
            raise failed(done)
        if done.stderr.strip():
            said = done.stderr.strip().splitlines()[0]
            raise Transient(
                f"zoneadm could not tell of every zone ({said}); see to that zone, then try again"
            )
        return zoneadm.parse_zones(done.stdout)

    def observe(self, name: str) -> Zone | None:
        """Return a zone with its marks, or None when none of that name is configured."""
        found = next((zone for zone in self.list() if zone.name == name), None)
        return None if found is None else self._with_marks(found)

    def recall(self, name: str) -> Zone | None:
        """Return the same: what zone is installed is kept where no reboot takes it."""
        return self.observe(name)

    def observe_all(self) -> tuple[Zone, ...]:
        """Return every zone with its marks."""
        return tuple(self._with_marks(zone) for zone in self.list())

    def configure(self, spec: ZoneSpec) -> bool:
        """Make a zone of exactly this configuration be there; False when it was. Raises ForeignObject."""
        seen = self.observe(spec.name)
        if seen is not None:
            if seen.fingerprint == zonecfg.fingerprint(spec):
                return False
            refuse_rebuild(seen)
            self._take_away(seen)
        require(self.host, zonecfg.configure_zone(spec, saga=self.saga))
        return True

    def install(self, spec: ZoneSpec) -> bool:
        """Install a zone that `configure` made; False when it was. A half-made root is made anew."""
        seen = self._configured(spec)
        if seen.state not in ("configured", "incomplete"):
            return False
        self.roots.mount_at(spec.path)
        if seen.state == "incomplete":
            require(self.host, zoneadm.uninstall_zone(spec.name))
        require(self.host, zoneadm.install_zone(spec))
        return True

    def write_profile(self, zonepath: str, profile: Profile) -> str:
        """Write the profile of a zone that is installed and not yet booted; return its path."""
        self.roots.mount_at(zonepath)
        path, data = posixpath.join(zonepath, SITE), render_profile(profile)
        if self.host.read_file(path) != data:
            self.host.make_dir(posixpath.dirname(path))
            self.host.write_file(path, data)
        return path

    def remove_profile(self, zonepath: str) -> None:
        """Remove the profile of a zone that does not run; nothing there is fine."""
        self.roots.mount_at(zonepath)
        self.host.remove_file(posixpath.join(zonepath, SITE))

    def boot(self, spec: ZoneSpec) -> bool:
        """Boot a zone that `install` made; False when it ran. Raises Transient while it shuts down."""
        seen = self._configured(spec)
        if seen.state == "running":
            return False
        if seen.state not in ("installed", "ready"):
            raise Transient(f"zone {spec.name} is {seen.state}, expected installed; it cannot boot yet")
        self.roots.mount_at(spec.path)
        require(self.host, zoneadm.boot_zone(spec.name))
        return True

    def reboot(self, name: str) -> None:
        """Boot a zone that was installed and halted, as it is. Raises CommandFailed."""
        seen = self.observe(name)
        if seen is not None:
            self.roots.mount_at(seen.path)
        require(self.host, zoneadm.boot_zone(name))

    def ensure(self, spec: ZoneSpec) -> bool:
        """Configure, install and boot, whichever is needed; False when it ran as it should."""
        acts = (self.configure(spec), self.install(spec), self.boot(spec))
        return any(acts)

    def halt(self, name: str) -> bool:
        """Halt a zone that any saga made; False when it was not up, or is gone. Raises ForeignObject."""
        seen = self.observe(name)
        if seen is None or seen.state not in ("ready", "running"):
            return False
        refuse_untagged(seen)
        return attempt(self.host, zoneadm.halt_zone(name), NO_SUCH_ZONE)

    def uninstall(self, name: str) -> bool:
        """Halt and uninstall a zone of this saga, keeping its configuration; False when nothing was there."""
        seen = self._mine(name)
        if seen is None or seen.state == "configured":
            return False
        self._take_away(seen, but=_DELETE)
        return True

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

    def _with_marks(self, found: ListedZone) -> Zone:
        text = lookup(self.host, zonecfg.show_attributes(found.name), NO_SUCH_ZONE)
        marks = zonecfg.parse_attributes(text or "")
        return Zone(
            found.name,
            found.state,
            found.path,
            saga=marks.get(zonecfg.TAG_ATTRIBUTE),
            fingerprint=marks.get(zonecfg.FINGERPRINT_ATTRIBUTE),
        )

    def _configured(self, spec: ZoneSpec) -> Zone:
        return as_configured(self.observe(spec.name), spec.name, zonecfg.fingerprint(spec))

    def _mine(self, name: str) -> Zone | None:
        return own(self.observe(name), self.saga)

    def _take_away(self, seen: Zone, *, but: Callable[[str], HostCommand] | None = None) -> None:
        acts = REMOVAL[seen.state]
        if acts is None:
            raise Transient(f"zone {seen.name} is {seen.state}; it can be taken away when that is over")
        if _UNINSTALL in acts:
            self.roots.mount_at(seen.path)
        for act in acts:
            if act is not but:
                attempt(self.host, act(seen.name), NO_SUCH_ZONE)
