"""Command lines of `zoneadm`, and its list as values."""

from __future__ import annotations

import re

from sledsaga.errors import Unparsable
from sledsaga.hosts.answer import changes, looks
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.zone import STATES, ListedZone, ZoneSpec

OVERLAY = "/opt/oxide/overlay.tar.gz"
"""The archive that every zone gets on top of its own image."""
_FIELDS = ("id", "name", "state", "path", "uuid", "brand", "iptype")
_COLON = re.compile(r"(?<!\\):")


def list_zones() -> HostCommand:
    """List every zone that is configured, in whatever state."""
    return looks("zoneadm", "list", "-cip")


def install_zone(spec: ZoneSpec) -> HostCommand:
    """Install a configured zone from its image; this makes the dataset of its root, too."""
    return changes("zoneadm", "-z", spec.name, "install", spec.image, OVERLAY)


def boot_zone(name: str) -> HostCommand:
    """Boot an installed zone."""
    return changes("zoneadm", "-z", name, "boot")


def halt_zone(name: str) -> HostCommand:
    """Halt a zone at once."""
    return changes("zoneadm", "-z", name, "halt")


def uninstall_zone(name: str) -> HostCommand:
    """Remove the root of a zone that is not running; its configuration stays."""
    return changes("zoneadm", "-z", name, "uninstall", "-F")


def parse_zones(text: str) -> tuple[ListedZone, ...]:
    """Read `zoneadm list -cip`, without the global zone. Raises Unparsable."""
    zones = (_zone(line) for line in text.splitlines() if line)
    return tuple(zone for zone in zones if zone.name != "global")


def _zone(line: str) -> ListedZone:
    fields = [field.replace("\\:", ":") for field in _COLON.split(line)]
    if len(fields) < len(_FIELDS) or fields[2] not in STATES:
        raise Unparsable(f"zoneadm list printed {line!r}; expected {':'.join(_FIELDS)} and a known state")
    return ListedZone(name=fields[1], state=STATES[fields[2]], path=fields[3], brand=fields[5])
