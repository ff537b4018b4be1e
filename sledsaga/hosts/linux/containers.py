"""Containers of zones: made, started, stopped and cleared away, from whatever state they were left in.

What may be left when a runtime, this program or the machine dies, and how it is told and healed:

    left                                    told by                              healed by
    nothing                                 no folder below the runtime's root   create
    created, not started                    its status                           start
    a runtime killed inside create          the folder is there, no status       end its group, delete, create
    a process that the runtime lost         it is in the zone's group            end its group
    its first process is dead               its status                           delete, create
    its ZFS died under it                   a look into its root and its data    stop, delete, create
    groups that nothing is in               their folders                        rmdir
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sledsaga.errors import CommandFailed, CommandTimedOut, HostError, Transient
from sledsaga.hosts.answer import Pause, attempt, failed, require, says
from sledsaga.hosts.host import Host
from sledsaga.hosts.linux import cgroups
from sledsaga.hosts.linux.bundle import CONFIG_MARK
from sledsaga.hosts.linux.cgroups import Groups
from sledsaga.hosts.linux.image import Stop
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.runtime import ENDED, UNFINISHED, Container, Runtime, parse_state
from sledsaga.hosts.zfs.mounts import DEAD
from sledsaga.hosts.zone import STORE

LOOK_S: Final = 0.05
"""Between two looks at a container that was told to end; it takes about 25 ms."""
KILL_S: Final = 5.0
"""How long a killed container may take to be gone."""
PREPARE: Final = ".prepare"
"""What the name of the container ends with that prepares a zone's data."""


@dataclass(frozen=True, slots=True)
class Containers:
    """The containers of one machine."""

    host: Host
    machine: Machine
    pause: Pause

    @property
    def runtime(self) -> Runtime:
        """The command lines of this machine's runtime."""
        return Runtime(self.machine, cgroups.observe(self.host))

    def group(self, name: str) -> str:
        """Return the control group of a container."""
        return f"{self.machine.cgroup}/{name}"

    def names(self) -> tuple[str, ...]:
        """Return the names of all containers, whoever made them."""
        there = self.host.list_dir(self.runtime.root)
        return tuple(name for name in there if not name.endswith(PREPARE) and name[0] != ".")

    def observe(self, name: str) -> Container | None:
        """Return a container, or None when there is none. Raises CommandFailed, Unparsable."""
        runtime = self.runtime
        if name not in self.host.list_dir(runtime.root):
            return None
        done = self.host.run(runtime.state(name))
        if done.code == 0:
            return parse_state(done.stdout, fingerprint_key=CONFIG_MARK)
        if not says(done, UNFINISHED):
            raise failed(done)
        return Container("broken") if name in self.host.list_dir(runtime.root) else None

    def is_stranded(self, container: Container) -> bool:
        """Say whether what served a zone's root or its data has gone, while its processes are still there.

        Raises HostError when it cannot be told.
        """
        try:
            for place in ("", STORE):
                self.host.list_dir(f"/proc/{container.pid}/root{place}")
        except HostError as error:
            if DEAD in str(error):
                return True
            raise
        return False

    def create(self, name: str, *, folder: str, log: str) -> None:
        """Make a container from the bundle in a folder; it waits to be started."""
        self.host.make_dir(self.runtime.root, mode=0o700)
        require(self.host, self.runtime.create(name, bundle=folder, log=log))

    def prepare(self, name: str, *, folder: str, log: str) -> None:
        """Run the bundle in a folder to its end. Raises CommandFailed."""
        self.host.make_dir(self.runtime.root, mode=0o700)
        self.clear(name + PREPARE)
        require(self.host, self.runtime.run(name + PREPARE, bundle=folder, log=log))

    def start(self, name: str) -> None:
        """Let a container go that was created."""
        require(self.host, self.runtime.start(name))

    def stop(self, name: str, stop: Stop) -> None:
        """Tell a container to end, end it when it does not, and clear it away. Raises Transient."""
        if not self._signal(name, stop.signal, stop.wait_s) and not self._signal(name, "KILL", KILL_S):
            raise Transient(f"zone {name} did not end within {KILL_S:g} s of being killed")
        self.clear(name)

    def clear(self, name: str) -> bool:
        """Take away what is left of a container, dead or half made, or of one to be ended at once.

        False when there was nothing.
        """
        runtime = self.runtime
        had_processes = Groups(self.host, runtime.cgroups, self.pause).end(self.group(name))
        if name not in self.host.list_dir(runtime.root):
            return had_processes
        attempt(self.host, runtime.delete(name), UNFINISHED)
        return True

    def clear_all_of(self, name: str) -> bool:
        """Clear a zone's container, and the one that prepared its data."""
        cleared = (self.clear(name), self.clear(name + PREPARE))
        return any(cleared)

    def clear_group(self) -> None:
        """Remove the group that zones are in, when none is left."""
        Groups(self.host, self.runtime.cgroups, self.pause).remove_empty(self.machine.cgroup)

    def ask_inside(self, name: str, argv: tuple[str, ...], *, uid: int, gid: int) -> str | None:
        """Run a probe inside a zone; return what it printed, or None when it did not end with 0 in time."""
        try:
            done = self.host.run(self.runtime.inside(name, *argv, uid=uid, gid=gid))
        except CommandTimedOut:
            return None
        return done.stdout if done.code == 0 else None

    def _signal(self, name: str, signal: str, wait_s: float) -> bool:
        """Send a signal and wait for the end; False when it did not come in time."""
        if not attempt(self.host, self.runtime.kill(name, signal), ENDED):
            return True
        for _ in range(max(1, round(wait_s / LOOK_S))):
            seen = self.observe(name)
            if seen is None or seen.status in ("stopped", "broken"):
                return True
            self.pause(LOOK_S)
        return False


def died(name: str, status: str, log: str) -> CommandFailed:
    """Build the error for a zone whose service has ended."""
    return CommandFailed(f"zone {name} is {status}, its service has ended; the last lines of its log: {log}")
