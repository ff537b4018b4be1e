"""`zfs`: one interpreter a subcommand."""

from __future__ import annotations

from sledsaga.hosts.sim.argv import Call, Command, Refusal, Reply, wrong
from sledsaga.hosts.sim.disks import is_reachable
from sledsaga.hosts.sim.zfs_change import zfs_destroy, zfs_inherit, zfs_set
from sledsaga.hosts.sim.zfs_create import zfs_create, zfs_snapshot
from sledsaga.hosts.sim.zfs_keys import zfs_change_key, zfs_load_key, zfs_unload_key
from sledsaga.hosts.sim.zfs_mount import zfs_mount, zfs_unmount
from sledsaga.hosts.sim.zfs_rename import zfs_rename
from sledsaga.hosts.sim.zfs_show import zfs_get, zfs_list

SUBCOMMANDS: dict[str, Command] = {
    "create": zfs_create,
    "destroy": zfs_destroy,
    "snapshot": zfs_snapshot,
    "snap": zfs_snapshot,
    "rename": zfs_rename,
    "list": zfs_list,
    "get": zfs_get,
    "set": zfs_set,
    "inherit": zfs_inherit,
    "mount": zfs_mount,
    "unmount": zfs_unmount,
    "umount": zfs_unmount,
    "load-key": zfs_load_key,
    "unload-key": zfs_unload_key,
    "change-key": zfs_change_key,
}


WRITING = frozenset(
    {"create", "destroy", "snapshot", "snap", "rename", "set", "inherit", "mount", "change-key"}
)
"""Subcommands that cannot end well on a disk that does not answer."""


def zfs(call: Call, args: list[str]) -> Reply:
    """Run one zfs subcommand."""
    usage = "zfs command args ..., where 'command' is one of: " + " ".join(SUBCOMMANDS)
    if not args:
        wrong("missing command", usage)
    if args[0] not in SUBCOMMANDS:
        wrong(f"unrecognized command '{args[0]}'", usage)
    if args[0] in WRITING and args[1:] and not is_reachable(call.tx, args[-1]):
        raise Refusal(f"cannot {args[0]} '{args[-1]}': I/O error")
    return SUBCOMMANDS[args[0]](call, args[1:])
