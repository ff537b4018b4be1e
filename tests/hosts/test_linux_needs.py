"""What `sledsaga doctor` looks at on a Linux machine, of one that answers by a table."""

from __future__ import annotations

from sledsaga.errors import HostError
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.needs import TOOLS, find_needs
from sledsaga.hosts.zfs.commands import list_mounts
from sledsaga.hosts.zfs.mounts import DEAD
from tests.hosts.told import Told

FUSE = {
    ("id", "-u"): (0, "0\n"),
    ("crun", "--version"): (0, "crun version 1.8.1\n"),
    **{command.argv: (0, "1.0\n") for command, _, _ in TOOLS},
    ("zpool", "list", "-H", "-o", "name"): (0, "p\n"),
    ("zpool", "upgrade", "-v"): (0, "This system is currently running ZFS pool version 23.\n"),
    **dict.fromkeys((("zfs",), ("zfs", "get"), ("zpool",), ("zpool", "get")), (2, "usage")),
    ("zfs", "--version"): (2, "usage"),
    list_mounts().argv: (0, "p\t/p\tyes\np/a\t/p/a\tyes\np/b\t/p/b\tno\n"),
}


class Fused(Told):
    """A machine whose mounts a ZFS daemon serves, or served."""

    dead: tuple[str, ...] = ()

    def list_dir(self, path: str, *, timeout_s: float | None = None) -> tuple[str, ...]:
        """Look into a mount."""
        assert timeout_s is None
        if path in self.dead:
            raise HostError(f"cannot list {path}: {DEAD}")
        return ()


def test_mounts_of_a_daemon_that_died_are_told() -> None:
    """What ZFS calls mounted and nobody serves is missing, with the way out; else no line stands."""
    machine = Fused(FUSE)
    assert "mounts" not in {one.what for one in find_needs(machine, Machine())}
    machine.dead = ("/p", "/p/a", "/p/b")
    (told,) = [one for one in find_needs(machine, Machine()) if one.what == "mounts"]
    assert (told.verdict, told.found) == ("missing", "2 of a ZFS daemon that has died, such as /p")
    assert told.todo.startswith("`umount -l` each")
