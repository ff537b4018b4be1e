"""SMF services, in the global zone or in another. Every call may be repeated.

Rules
- A service in `maintenance` does not come up by waiting, so waiting for it ends at once with an error.
- Waiting is done by the `pause` given, which ends when the step is cancelled; nothing sleeps here. For how
  long is told by the clock `monotonic`, whatever the questions take.
- Services carry no tag. Undo is: write the value from before, and disable what was not enabled.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from sledsaga.errors import CommandFailed, InvalidName, Transient, Unparsable
from sledsaga.hosts import chrony
from sledsaga.hosts.answer import Monotonic, Pause, attempt, changes, looks, looks_within, lookup, require
from sledsaga.hosts.host import Host, HostCommand

SINGLE_USER = "svc:/milestone/single-user:default"
"""Online when a zone has booted as far as its services need."""
STATES = ("online", "offline", "disabled", "maintenance", "degraded", "uninitialized", "legacy_run")
NO_SERVICE = (
    "doesn't match any instances",
    "invalid zone '",
    "Could not bind to repository server for zone",
)
"""There is no such service now (libscf: scf_get_msg; svcs(1)).

The second: the zone does not run. The third: it runs, and its services are not up yet, as right after a boot.
"""
NO_GROUP = ("No such property group",)
"""The group of a property is missing (svccfg(8))."""
NO_PROPERTY = ("Couldn't find property", "No such property")
"""The service has no such property, or not its group: svcprop(1), then svccfg(8)."""
_FMRI = re.compile(r"(svc:/)?[A-Za-z0-9][A-Za-z0-9_.,/-]*(:[A-Za-z0-9_.-]+)?")
_WORD = re.compile(r"[A-Za-z0-9_./:@%+,*=\[\]-]+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PROPERTY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


def show_state(fmri: str, *, zone: str | None = None) -> HostCommand:
    """Show the state of one service."""
    return looks("svcs", *_zone(zone), "-H", "-o", "state", _fmri(fmri))


def enable_service(fmri: str, *, zone: str | None = None) -> HostCommand:
    """Enable a service and return at once; `wait_online` tells when it is up."""
    return changes("svcadm", *_zone(zone), "enable", _fmri(fmri))


def disable_service(fmri: str, *, zone: str | None = None, until_reboot: bool = False) -> HostCommand:
    """Disable a service and return when it has stopped."""
    return changes("svcadm", *_zone(zone), "disable", "-s", *(("-t",) if until_reboot else ()), _fmri(fmri))


def refresh_service(fmri: str, *, zone: str | None = None) -> HostCommand:
    """Make the running service see its changed properties."""
    return changes("svcadm", *_zone(zone), "refresh", _fmri(fmri))


def show_property(fmri: str, name: str, *, zone: str | None = None) -> HostCommand:
    """Show one property of a service."""
    return looks("svcprop", *_zone(zone), "-p", _property(name), _fmri(fmri))


def set_service_property(
    fmri: str, name: str, value: str, *, kind: str = "astring", zone: str | None = None
) -> HostCommand:
    """Set one property of a service; it holds after a refresh."""
    return changes(
        "svccfg", *_zone(zone), "-s", _fmri(fmri), "setprop", _property(name), "=", f"{kind}:", _word(value)
    )


def add_property_group(fmri: str, group: str, *, zone: str | None = None) -> HostCommand:
    """Add an empty group, which a property needs before it can be set."""
    return changes("svccfg", *_zone(zone), "-s", _fmri(fmri), "addpg", group, "application")


def delete_service_property(fmri: str, name: str, *, zone: str | None = None) -> HostCommand:
    """Delete one property of a service."""
    return changes("svccfg", *_zone(zone), "-s", _fmri(fmri), "delprop", _property(name))


def parse_state(text: str) -> str:
    """Read one state; a service on its way (`offline*`) has its state without the star. Raises Unparsable."""
    state = text.strip().removesuffix("*")
    if state not in STATES:
        raise Unparsable(f"svcs printed {text!r}; expected one of {', '.join(STATES)}")
    return state


def parse_property(text: str) -> str:
    """Read the one value that `svcprop -p` printed: it escapes what a shell reads, and shows an empty one."""
    shown = text.removesuffix("\n")
    return "" if shown == '""' else _ESCAPED.sub(r"\1", shown)


def _word(value: str) -> str:
    """Quote a value that svccfg would read as several, or as a list."""
    if _WORD.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _zone(zone: str | None) -> tuple[str, ...]:
    return () if zone is None else ("-z", zone)


def _fmri(text: str) -> str:
    if not _FMRI.fullmatch(text):
        raise InvalidName(f"{text!r} is not a service: expected svc:/<path>:<instance>")
    return text


def _property(text: str) -> str:
    if not _PROPERTY.fullmatch(text):
        raise InvalidName(f"{text!r} is not a property of a service: expected <group>/<name>")
    return text


@dataclass(frozen=True, slots=True)
class SmfServices:
    """The services of one sled and of its zones."""

    host: Host
    pause: Pause
    monotonic: Monotonic = time.monotonic

    def state(self, fmri: str, *, zone: str | None = None) -> str | None:
        """Return the state of a service, or None when there is none (or its zone does not run)."""
        text = lookup(self.host, show_state(fmri, zone=zone), NO_SERVICE)
        return parse_state(text) if text and text.strip() else None

    def enable(self, fmri: str, *, zone: str | None = None) -> bool:
        """Enable a service; False when it was online."""
        if self.state(fmri, zone=zone) == "online":
            return False
        require(self.host, enable_service(fmri, zone=zone))
        return True

    def disable(self, fmri: str, *, zone: str | None = None, until_reboot: bool = False) -> bool:
        """Disable a service; False when it was disabled, or is not there."""
        if self.state(fmri, zone=zone) in (None, "disabled"):
            return False
        require(self.host, disable_service(fmri, zone=zone, until_reboot=until_reboot))
        return True

    def property(self, fmri: str, name: str, *, zone: str | None = None) -> str | None:
        """Return a property's value, or None when it is not set."""
        text = lookup(self.host, show_property(fmri, name, zone=zone), NO_PROPERTY)
        return None if text is None else parse_property(text)

    def set_property(self, fmri: str, name: str, value: str, *, zone: str | None = None) -> str | None:
        """Set and refresh a text property unless it is so already; return the value from before."""
        before = self.property(fmri, name, zone=zone)
        if before != value:
            command = set_service_property(fmri, name, value, zone=zone)
            if not attempt(self.host, command, NO_GROUP):
                require(self.host, add_property_group(fmri, name.partition("/")[0], zone=zone))
                require(self.host, command)
            require(self.host, refresh_service(fmri, zone=zone))
        return before

    def restore_property(self, fmri: str, name: str, before: str | None, *, zone: str | None = None) -> None:
        """Undo `set_property`."""
        if before is not None:
            self.set_property(fmri, name, before, zone=zone)
        elif self.property(fmri, name, zone=zone) is not None:
            attempt(self.host, delete_service_property(fmri, name, zone=zone), NO_PROPERTY)
            require(self.host, refresh_service(fmri, zone=zone))

    def wait_ready(self, zone: str, *, timeout_s: float) -> None:
        """Wait until a zone is up to the single-user milestone. Raises Transient, CommandFailed."""
        self.wait_online(SINGLE_USER, zone=zone, timeout_s=timeout_s)

    def is_time_in_step(self, zone: str) -> bool:
        """Say whether the clock that an NTP zone keeps follows its source. Raises Unparsable."""
        done = self.host.run(chrony.show_tracking(looks("zlogin", zone)))
        return done.code == 0 and chrony.is_in_step(done.stdout)

    def wait_online(
        self,
        fmri: str = SINGLE_USER,
        *,
        zone: str | None = None,
        timeout_s: float = 60.0,
        every_s: float = 0.5,
    ) -> None:
        """Wait until a service is online. Raises Transient (not in time), CommandFailed (maintenance)."""
        state = None
        for _ in looks_within(timeout_s, every_s, pause=self.pause, monotonic=self.monotonic):
            state = self.state(fmri, zone=zone)
            if state == "online":
                return
            if state == "maintenance":
                raise CommandFailed(f"{fmri} in {zone or 'the global zone'} is in maintenance; see svcs -xv")
        raise Transient(
            f"{fmri} in {zone or 'the global zone'} is {state} after {timeout_s} s, expected online"
        )
