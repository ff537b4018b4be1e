"""Which ZFS this machine has, and what it can do: asked by commands that change nothing.

- The tools print what they know when they are called without arguments (usage on stderr, exit code 2): the
  options of each subcommand, and every property with its values. So one probe serves OpenZFS and zfs-fuse,
  and what a version can do is never guessed from its number.
- That `zpool list` answers is asked first: without a daemon (zfs-fuse) or a kernel module (OpenZFS) every
  command fails with the same words.
- zfs-fuse must not mount twice at a time: it writes what it has mounted to a pipe in two pieces, so those of
  two mounts mix, it waits for more for ever, and all that touches a new mount hangs. Its changes take turns.
- Never on Linux: a user property in `zfs change-key`, and `zoned=on` that a zone of ours could use. Not
  asked: `zfs list -p`, which zfs-fuse lacks; the drivers read by `zfs get -Hp`, which all have.
"""

from __future__ import annotations

import re

from sledsaga.errors import HostError
from sledsaga.hosts.answer import looks
from sledsaga.hosts.host import Host
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.names import COMPRESSIONS
from sledsaga.hosts.zfs.abilities import Abilities

NOT_THERE = 127
INSTALL = "install zfsutils-linux with its kernel module (OpenZFS), or zfs-fuse and start its daemon"
START = "start the zfs-fuse daemon (as root: `zfs-fuse`), or load the module of OpenZFS (`modprobe zfs`)"
DENIED = "Permission denied"
FUSE = "zfs-fuse"
FUSE_FOLDER = "/run/zfs"
"""Where zfs-fuse has its socket, which is compiled in: there as long as a daemon is."""
PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""After an unmount zfs-fuse is busy for up to 69 ms; what is busy for two seconds has a holder."""
_VERSION = re.compile(r"zfs-(\d\S*)")
_POOL_VERSION = re.compile(r"running ZFS pool version (\d+)")
_COMPRESSION = re.compile(r"^\s*compression\s+\S+\s+\S+\s+(.*)$", re.MULTILINE)
_LEVELS = re.compile(r"(\w+)-\[(\d+)-(\d+)\]")


def find_abilities(host: Host, machine: Machine) -> Abilities:
    """Ask the ZFS of this machine what it can do. Raises HostError when none answers."""
    if silence := find_silence(host):
        raise HostError(": ".join(silence))
    texts = {argv: _told(host, *argv) for argv in (("zfs",), ("zfs", "get"), ("zpool",), ("zpool", "get"))}
    properties = texts["zfs", "get"]
    name = parse_name(_told(host, "zfs", "--version"), _told(host, "zpool", "upgrade", "-v"))
    return Abilities(
        name=name,
        has_encryption=has_property(properties, "keystatus"),
        is_plain_allowed=machine.is_plain_allowed,
        sets_epoch_with_key=False,
        has_features="feature@" in texts["zpool", "get"],
        has_exact_sizes=has_option(texts["zpool",], "list", "p") and has_option(texts["zpool",], "get", "p"),
        has_bare_import=has_option(texts["zpool",], "import", "N"),
        sets_many=takes_several(texts["zfs",]),
        compressions=parse_compressions(properties),
        delegation="bind",
        set_immutable=("chattr", "+i"),
        clear_immutable=("chattr", "-i"),
        is_linux=True,
        turns_by=FUSE_FOLDER if name.startswith(FUSE) else "",
        busy_pauses_s=PAUSES_S,
    )


def find_silence(host: Host) -> tuple[str, str] | None:
    """Say why no ZFS answers here, and what to do about that; None when one does."""
    answer = host.run(looks("zpool", "list", "-H", "-o", "name"))
    if answer.code == NOT_THERE:
        return "this machine has no ZFS (no zpool command)", INSTALL
    if answer.code == 0:
        return None
    said = next(iter((answer.stderr or answer.stdout).strip().splitlines()), "(nothing)")
    if DENIED in said:
        return f"ZFS does not answer this user; it said: {said}", "root rights are needed"
    return f"ZFS does not answer; it said: {said}", START


def parse_name(version: str, pools: str) -> str:
    """Name a ZFS from what `zfs --version` and `zpool upgrade -v` print."""
    if found := _VERSION.match(version.strip()):
        return f"OpenZFS {found[1]}"
    if found := _POOL_VERSION.search(pools):
        return f"{FUSE} (pool version {found[1]})"
    return "an unknown ZFS"


def has_property(usage: str, name: str) -> bool:
    """Say whether the usage of `zfs get` or `zpool get` lists a property."""
    return re.search(rf"^\s*{re.escape(name)}\s", usage, re.MULTILINE) is not None


def has_option(usage: str, verb: str, letter: str) -> bool:
    """Say whether a usage shows a subcommand with an option, in whatever line and group."""
    blocks = re.findall(rf"^\t{verb}\b.*(?:\n\t\s+.*)*", usage, re.MULTILINE)
    return any(re.search(rf"\[-\w*{letter}\w*[\] ]", block) for block in blocks)


def takes_several(usage: str) -> bool:
    """Say whether `zfs set` takes several properties in one command."""
    return re.search(r"^\tset <property=value> \.\.\.", usage, re.MULTILINE) is not None


def parse_compressions(usage: str) -> tuple[str, ...]:
    """Read which of our compressions `zfs get` knows: `on | off | lzjb | gzip | gzip-[1-9] | ...`."""
    found = _COMPRESSION.search(usage)
    words = {word.strip() for word in found[1].split("|")} if found else set()
    for word in tuple(words):
        if levels := _LEVELS.fullmatch(word):
            words |= {f"{levels[1]}-{level}" for level in range(int(levels[2]), int(levels[3]) + 1)}
    return tuple(name for name in COMPRESSIONS if name in words)


def _told(host: Host, *argv: str) -> str:
    """Return what a command printed, whatever its exit code."""
    done = host.run(looks(*argv))
    return done.stdout + done.stderr
