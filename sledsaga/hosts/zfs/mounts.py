"""What keeps a dataset from being mounted, unmounted or destroyed right now, and what helps.

Rules
- Busy is often over in a moment (FUSE lets go of files, and of the mount, only after an unmount): the same
  command is tried again a few times. What stays busy has a holder, who is named; nothing is ever unmounted by
  force.
- When the process that serves a FUSE mount dies, the mount stays and still says that it is mounted. Only a
  look into it tells (attributes come from a cache). It is let go of, with all that was mounted below it, and
  what was mounted there is mounted again: an unmounted folder looks as if nothing had ever been in it.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from sledsaga.errors import HostError, Transient
from sledsaga.hosts.answer import Pause, attempt, failed, require, says
from sledsaga.hosts.host import Completed, Host, HostCommand
from sledsaga.hosts.zfs import commands, parse
from sledsaga.hosts.zfs.abilities import Abilities

BUSY = ("dataset is busy", "pool is busy", "Device busy", "target is busy", "' is busy")
DEAD = "Transport endpoint is not connected"
GONE = ("not mounted", "no mount point specified", ": not found")
"""What `umount -l` says when there is no mount any more."""
ALREADY_MOUNTED = ("filesystem already mounted",)


@dataclass(frozen=True, slots=True)
class Mounts:
    """The mounts of one sled's datasets."""

    host: Host
    pause: Pause
    zfs: Abilities

    def all(self) -> dict[str, str]:
        """Return {mountpoint: the dataset mounted there}."""
        return parse.parse_mounts(require(self.host, commands.list_mounts()))

    def places(self) -> tuple[parse.Place, ...]:
        """Return where each dataset belongs, and whether it is mounted there."""
        return parse.parse_places(require(self.host, commands.list_mounts()))

    def is_dead(self, path: str) -> bool:
        """Say whether what served a mount has gone. Raises HostError when it cannot be told."""
        if not self.zfs.is_linux:
            return False
        try:
            self.host.list_dir(path)
        except HostError as error:
            if DEAD in str(error):
                return True
            raise
        return False

    def heal(self, path: str) -> None:
        """Let go of the dead mounts on the way to a path, itself included, and mount anew what went along.

        What was mounted at the path and below it is left to whoever needs it.
        """
        if not self.zfs.is_linux:
            return
        there = sorted(self.all().items())
        way = (point for point, _ in there if _is_at_or_below(path, point))
        dead = next((point for point in way if self.is_dead(point)), None)
        if dead is None:
            return
        attempt(self.host, commands.forget_mount(dead), GONE)
        for point, name in there:
            if _is_at_or_below(point, dead) and not _is_at_or_below(point, path):
                self.mount(name)

    def mount(self, name: str, *, load_key: bool = False) -> None:
        """Mount a dataset; mounted already is fine. Raises CommandFailed, also when its place stays busy."""
        self.patiently(commands.mount_dataset(name, load_key=load_key), ALREADY_MOUNTED)

    def patiently(self, command: HostCommand, fine: tuple[str, ...], *, place: str = "") -> Completed:
        """Run a command that may find its object busy; `fine` texts count as done.

        Raises CommandFailed; Transient with the holders of `place` when it stays busy and they can be told.
        """
        done = self.host.run(command)
        for pause_s in self.zfs.busy_pauses_s:
            if not says(done, BUSY):
                break
            self.pause(pause_s)
            done = self.host.run(command)
        if done.code == 0 or says(done, fine):
            return done
        holders = self._holders(place) if says(done, BUSY) and place else ()
        if holders:
            raise Transient(f"{place} is in use by {', '.join(holders)}; end that, nothing is forced")
        raise failed(done)

    def _holders(self, place: str) -> tuple[str, ...]:
        """Name the processes that have something below a path open, or stand in it."""
        if not self.zfs.is_linux:
            return ()
        pids = parse.parse_holders(self.host.run(commands.find_holders(place)).stdout)
        named = ((pid, self.host.read_file(f"/proc/{pid}/comm")) for pid in pids)
        return tuple(f"{(name or b'?').decode(errors='replace').strip()} (pid {pid})" for pid, name in named)


def _is_at_or_below(path: str, point: str) -> bool:
    return posixpath.commonpath((path, point)) == point
