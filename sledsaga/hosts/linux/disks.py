"""The disks of a Linux machine: those that its document names, and what is on each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sledsaga.errors import CommandFailed, ForeignObject, Unparsable
from sledsaga.hosts.answer import looks, require
from sledsaga.hosts.disks import Disk
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.linux import labels
from sledsaga.hosts.linux.labels import ACTIVE, Label
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.names import DiskIdentity, PoolName


def measure_device(path: str) -> HostCommand:
    """Ask for the size of a block device in bytes."""
    return looks("blockdev", "--getsize64", path)


def name_machine() -> HostCommand:
    """Ask for the machine's name, which ZFS writes into the labels of pools that are in use."""
    return looks("uname", "-n")


@dataclass(frozen=True, slots=True)
class FileDisks:
    """The disks of one Linux machine: files or block devices. One whose path is absent is not plugged in."""

    host: Host
    machine: Machine

    def list(self) -> tuple[Disk, ...]:
        """Return every disk that is plugged in, by slot. Raises CommandFailed, Unparsable."""
        measured = (self._measured(disk) for disk in self.machine.disks)
        return tuple(sorted((disk for disk in measured if disk is not None), key=lambda disk: disk.slot))

    def find(self, identity: DiskIdentity) -> Disk | None:
        """Return the disk of that identity, or None when it is not plugged in."""
        named = (disk for disk in self.machine.disks if disk.identity == identity)
        return next((self._measured(disk) for disk in named), None)

    def identify(self, path: str) -> PoolName | None:
        """Say which pool is on a disk; None only when it is blank.

        Raises CommandFailed (it cannot be told), ForeignObject (something else is on it), Unparsable.
        """
        if self.host.stat(path) is None:
            raise CommandFailed(f"{path} is not there, so what is on it cannot be told; plug the disk in")
        found = labels.parse_labels(self.host.run(labels.read_label(path)))
        signature = labels.parse_signature(self.host.run(labels.read_signature(path)))
        label = labels.judge(path, found, signature)
        if label is None:
            return None
        if label.state == ACTIVE:
            self._refuse_used_elsewhere(path, label)
        return PoolName(label.name)

    def _measured(self, disk: Disk) -> Disk | None:
        found = self.host.stat(disk.path)
        if found is None or found.kind == "dir":
            return None
        if found.kind == "file":
            return replace(disk, size=found.size)
        text = require(self.host, measure_device(disk.path)).strip()
        if not text.isdigit():
            raise Unparsable(f"blockdev printed {text!r} for {disk.path}; expected its size in bytes")
        return replace(disk, size=int(text))

    def _refuse_used_elsewhere(self, path: str, label: Label) -> None:
        """Raise ForeignObject for a pool that is in use, and not by this machine."""
        here = require(self.host, name_machine()).strip()
        if label.machine in ("", here):
            return
        if label.pool not in labels.parse_ids(require(self.host, labels.list_ids())):
            raise ForeignObject(
                f"{path} holds {label.name}, which {label.machine} has in use (this is {here}): "
                f"`zpool export` it there, or, when it is not, import it here by hand with `zpool import -f`"
            )
