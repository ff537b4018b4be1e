"""Control groups as a machine has them, and the group of one zone in each hierarchy.

- Which kind a machine has is read off its mounts, never guessed: version 1 has a hierarchy for each
  controller, version 2 one for all, and a hybrid has both.
- A zone is in `/<group>/<zone>` of every hierarchy that its runtime uses. Whatever process is in there is
  of that zone, also one that the runtime has lost sight of.
- Kernel files are read as files; groups are removed by `rmdir`, as their file system knows no fsync.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sledsaga.errors import HostError, Unparsable
from sledsaga.hosts.answer import Pause, attempt, changes, require
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.linux import end

MOUNTS: Final = "/proc/thread-self/mountinfo"
"""What this very thread has mounted: a thread may have mounts of its own."""
GONE: Final = ("No such file or directory",)
BUSY: Final = ("Device or resource busy", "Directory not empty")
TRIES: Final = 100
PAUSE_S: Final = 0.02
_BEFORE_DASH, _AFTER_DASH = 6, 3
"""How many values a line of mountinfo has at least, on each side of its dash."""


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The hierarchies of a machine: where they are mounted, and which controllers they have.

    `hidden` is the version 2 mount of a hybrid machine, which crun must not see.
    """

    mounts: tuple[str, ...] = ()
    controllers: frozenset[str] = frozenset()
    hidden: str = ""

    def folders(self, group: str) -> tuple[str, ...]:
        """Return where a group is, or would be, in each hierarchy."""
        return tuple(f"{mount}/{group}" for mount in self.mounts)


def parse_mounts(text: str) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[str]]:
    """Read mountinfo: the version 1 mounts, the version 2 mounts, and the version 1 controllers.

    Raises Unparsable.
    """
    first: list[str] = []
    second: list[str] = []
    controllers: set[str] = set()
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if not dash or len(fields) < _BEFORE_DASH or len(kind) < _AFTER_DASH:
            raise Unparsable(
                f"mountinfo has the line {line[:80]!r}; expected a mount and, after ` - `, its kind"
            )
        if kind[0] == "cgroup":
            first.append(fields[4])
            controllers |= set(kind[2].split(","))
        elif kind[0] == "cgroup2":
            second.append(fields[4])
    return tuple(first), tuple(second), frozenset(controllers)


def observe(host: Host) -> Cgroups:
    """Say which control groups the machine has. Raises Unparsable."""
    first, second, controllers = parse_mounts((host.read_file(MOUNTS) or b"").decode())
    for mount in second:
        controllers |= set((host.read_file(f"{mount}/cgroup.controllers") or b"").decode().split())
    return Cgroups(first + second, controllers, hidden=second[0] if first and second else "")


def kill_processes(pids: tuple[int, ...]) -> HostCommand:
    """End processes at once."""
    return changes(sys.executable, "-I", "-S", str(Path(end.__file__)), *map(str, pids))


def remove_groups(folders: tuple[str, ...]) -> HostCommand:
    """Remove groups that nothing is in, each before the one above it."""
    return changes("rmdir", "--", *folders)


def parse_pids(text: str) -> tuple[int, ...]:
    """Read a `cgroup.procs`; a process of another pid namespace is shown as 0 and is not ours to end."""
    return tuple(int(line) for line in text.split() if line.isdigit() and int(line) > 0)


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of zones on one machine, in which processes are found and ended."""

    host: Host
    cgroups: Cgroups
    pause: Pause

    def pids(self, group: str) -> tuple[int, ...]:
        """Return every process that is in a group, in whichever hierarchy."""
        files = (f"{folder}/cgroup.procs" for folder in self.cgroups.folders(group))
        texts = ((self.host.read_file(file) or b"").decode() for file in files)
        return tuple(sorted({pid for text in texts for pid in parse_pids(text)}))

    def end(self, group: str) -> bool:
        """Kill all that is in a group, and remove it; False when nothing was there.

        Raises HostError when something in it cannot be ended.
        """
        was_there = False
        for _ in range(TRIES):
            folders = self._there(group)
            if not folders:
                return was_there
            was_there = True
            pids = self.pids(group)
            if pids:
                require(self.host, kill_processes(pids))
            elif attempt(self.host, remove_groups(folders), (*GONE, *BUSY)):
                return True
            self.pause(PAUSE_S)
        raise HostError(
            f"the control group {group} is still there, with {len(self.pids(group))} processes, after all in "
            "it were killed; see what its processes wait for (`ps -o pid,stat,wchan`)"
        )

    def remove_empty(self, group: str) -> None:
        """Remove a group that nothing is in any more; one that is used stays."""
        folders = self._there(group)
        if folders:
            attempt(self.host, remove_groups(folders), (*GONE, *BUSY))

    def _there(self, group: str) -> tuple[str, ...]:
        return tuple(one for one in self.cgroups.folders(group) if self.host.stat(one) is not None)
