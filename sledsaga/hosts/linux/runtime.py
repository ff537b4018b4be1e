"""Command lines of an OCI runtime (crun; runc takes the same), and what it says of a container.

- What a zone is made from and begun with is a bundle: a folder with `config.json`. Between `create` and
  `start` the zone's first process waits and runs nothing of its image.
- `create` and `run` go through `launch`, for the log and for hybrid control groups; the others need neither.
- All that a runtime knows is below `--root`, in a folder for each container: no folder, no container.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sledsaga.errors import Unparsable
from sledsaga.hosts.answer import changes, looks
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.linux import launch
from sledsaga.hosts.linux.cgroups import Cgroups
from sledsaga.hosts.linux.machine import Machine

Status = Literal["creating", "created", "running", "stopped", "paused", "broken"]
"""What a container is, in the words of the OCI; `broken` is one whose making was cut short."""
_STATUSES: Final[dict[str, Status]] = {
    "creating": "creating",
    "created": "created",
    "running": "running",
    "stopped": "stopped",
    "paused": "paused",
}
UNFINISHED: Final = ("No such file or directory", "does not exist")
"""What a runtime says of a container whose folder is there without its state: it was killed inside create."""
ENDED: Final = (
    "No such process",
    "container not running",
    "process already finished",
    "is not running",
    *UNFINISHED,
)
"""What a runtime says when there is nobody left to be sent a signal."""
NO_KEYRING: Final = "--no-new-keyring"
"""A session keyring for each container would count against its user's few."""
PROBE_S: Final = 5.0
"""How long one question to a zone may take, inside or outside."""
PROGRAM: Final = str(Path(launch.__file__))


@dataclass(frozen=True, slots=True)
class Container:
    """A container as its runtime sees it; `fingerprint` is the one in its annotations."""

    status: Status
    pid: int = 0
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Runtime:
    """Builds the command lines for one machine."""

    machine: Machine
    cgroups: Cgroups

    @property
    def root(self) -> str:
        """The folder in which the runtime keeps what it knows of each container; a reboot empties it."""
        return f"{self.machine.run}/zones"

    def create(self, name: str, *, bundle: str, log: str) -> HostCommand:
        """Make a container from a bundle and have its first process wait."""
        return changes(*self._launched(log), "create", NO_KEYRING, "--bundle", bundle, name)

    def run(self, name: str, *, bundle: str, log: str) -> HostCommand:
        """Run a container to its end, and return the exit code of its command."""
        return changes(*self._launched(log), "run", NO_KEYRING, "--bundle", bundle, name)

    def start(self, name: str) -> HostCommand:
        """Let a container that was created go."""
        return changes(*self._plain(), "start", name)

    def state(self, name: str) -> HostCommand:
        """Show one container."""
        return looks(*self._plain(), "state", name)

    def kill(self, name: str, signal: str) -> HostCommand:
        """Send a signal to the first process of a container."""
        return changes(*self._plain(), "kill", name, signal)

    def delete(self, name: str) -> HostCommand:
        """Forget a container, and end what is left of it."""
        return changes(*self._plain(), "delete", "--force", name)

    def inside(self, name: str, *argv: str, uid: int, gid: int) -> HostCommand:
        """Run something inside a container that runs, as its service's user. It is only to look."""
        asked = (*self._plain(), "exec", "--user", f"{uid}:{gid}", name, *argv)
        return HostCommand(asked, mutates=False, timeout_s=PROBE_S)

    def _plain(self) -> tuple[str, ...]:
        manager = ("--cgroup-manager=disabled",) if not self._has_groups else ()
        return (self.machine.runtime, "--root", self.root, *manager)

    def _launched(self, log: str) -> tuple[str, ...]:
        hidden = self.cgroups.hidden if self.machine.runtime == "crun" else ""
        launcher = (sys.executable, "-I", "-S", PROGRAM, log, hidden)
        return (*launcher, *self._plain(), "--log", launch.HEARD)

    @property
    def _has_groups(self) -> bool:
        """Only crun can do without: runc finds its own way, or says what is missing."""
        return bool(self.cgroups.mounts) or self.machine.runtime != "crun"


def parse_state(text: str, *, fingerprint_key: str) -> Container:
    """Read what `state` printed. Raises Unparsable."""
    try:
        document: dict[str, Any] = json.loads(text)
        marks: dict[str, str] = document.get("annotations") or {}
        return Container(
            _STATUSES[document["status"]], int(document.get("pid", 0)), marks.get(fingerprint_key)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unparsable(
            f"the runtime printed {text[:80]!r} as a state; expected JSON with one of the statuses "
            f"{', '.join(_STATUSES)} ({type(error).__name__} {error})"
        ) from error
