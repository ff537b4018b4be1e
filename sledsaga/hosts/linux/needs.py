"""Whether a Linux machine has what its drivers need; what is missing is named with its Debian package.

Only looks: each row runs a command that tells a version, or looks at a path.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from sledsaga.hosts.answer import looks
from sledsaga.hosts.finding import Finding
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.keys import SECRET_FILE
from sledsaga.hosts.linux.abilities import find_abilities, find_silence
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.zfs.mounts import Mounts

NOT_THERE: Final = 127
TOOLS: Final[tuple[tuple[HostCommand, str, str], ...]] = (
    (looks("ip", "-V"), "iproute2", "links, addresses and the networks of zones"),
    (looks("blkid", "-V"), "util-linux", "telling a blank disk from a used one"),
    (looks("zdb", "-h"), "zfs-fuse", "reading the label of a pool"),
    (looks("chattr", "-V"), "e2fsprogs", "keeping files out from under mountpoints"),
)
"""How each tool is asked whether it is there, the package that brings it, and what needs it."""
REMOUNT: Final = (
    "`umount -l` each, the deepest first; then `zfs mount -a`. Operations mount what they need themselves"
)
"""What to do about dead mounts."""
UNIFIED: Final = "/sys/fs/cgroup/unified"
PURE: Final = "/sys/fs/cgroup/cgroup.controllers"


def find_needs(host: Host, machine: Machine) -> tuple[Finding, ...]:
    """Look at everything that an operation may need."""
    return tuple(_all(host, machine))


def _all(host: Host, machine: Machine) -> Iterator[Finding]:
    yield _rights(host)
    yield from _zfs(host, machine)
    runtime = looks(machine.runtime, "--version")
    for command, package, why in ((runtime, machine.runtime, "zones"), *TOOLS):
        yield _tool(host, command, package, why)
    yield _cgroups(host)
    yield from _disks(host, machine)
    yield _secrets(host)


def _rights(host: Host) -> Finding:
    uid = host.run(looks("id", "-u")).stdout.strip()
    if uid == "0":
        return Finding("rights", "ok", "root")
    return Finding(
        "rights", "missing", f"user {uid or 'unknown'}", "pools, mounts and zones need root rights"
    )


def _zfs(host: Host, machine: Machine) -> Iterator[Finding]:
    if silence := find_silence(host):
        yield Finding("zfs", "missing", *silence)
        return
    zfs = find_abilities(host, machine)
    can = {
        "feature flags": zfs.has_features,
        "exact sizes (list -p)": zfs.has_exact_sizes,
        "import -N": zfs.has_bare_import,
    }
    lacking = ", ".join(what for what, has in can.items() if not has)
    yield Finding("zfs", "note" if lacking else "ok", zfs.name + (f"; it lacks {lacking}" if lacking else ""))
    yield Finding("compressions", "ok", ", ".join(zfs.compressions))
    if zfs.has_encryption:
        yield Finding("encryption", "ok", "this ZFS encrypts")
    elif machine.is_plain_allowed:
        yield Finding("encryption", "note", "this ZFS cannot encrypt, and data may lie there as it is")
    else:
        todo = 'use OpenZFS (zfsutils-linux), or say `"plain": true` in the sled\'s document'
        yield Finding("encryption", "missing", "this ZFS cannot encrypt", todo)
    yield from _dead_mounts(Mounts(host, time.sleep, zfs))


def _dead_mounts(mounts: Mounts) -> Iterator[Finding]:
    """Tell of mounts whose daemon has died: ZFS calls them mounted, and nothing can be read there."""
    dead = [point for point in mounts.all() if mounts.is_dead(point)]
    if dead:
        found = f"{len(dead)} of a ZFS daemon that has died, such as {dead[0]}"
        yield Finding("mounts", "missing", found, REMOUNT)


def _tool(host: Host, command: HostCommand, package: str, why: str) -> Finding:
    done = host.run(command)
    if done.code == NOT_THERE:
        return Finding(command.argv[0], "missing", "not installed", f"install {package}: {why}")
    said = (done.stdout or done.stderr).strip().partition("\n")[0]
    return Finding(command.argv[0], "ok", said[:60])


def _cgroups(host: Host) -> Finding:
    if host.stat(PURE) is not None:
        return Finding("cgroups", "ok", "version 2: zones get limits")
    if host.stat(UNIFIED) is not None:
        return Finding("cgroups", "note", "versions 1 and 2 side by side: zones are run without the second")
    return Finding("cgroups", "note", "version 1, or none: zones get the limits that it knows")


def _disks(host: Host, machine: Machine) -> Iterator[Finding]:
    if not machine.disks:
        yield Finding(
            "disks", "note", "none in the sled's document", "name them there, or `sledsaga sled init`"
        )
    for disk in machine.disks:
        is_there = host.stat(disk.path) is not None
        name = f"disk {disk.identity.serial}"
        yield Finding(name, "ok" if is_there else "missing", disk.path if is_there else f"no {disk.path}")


def _secrets(host: Host) -> Finding:
    if host.stat(SECRET_FILE) is None:
        return Finding("secrets", "note", f"no {SECRET_FILE}", "disks cannot be encrypted until it is there")
    return Finding("secrets", "ok", SECRET_FILE)
