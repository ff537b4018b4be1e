"""A room: a real machine of one's own inside this one, to try operations on real ZFS and real zones.

Rules
- A room has its own mounts, its own network and its own zfs-fuse daemon, whose pools nobody else sees. It is
  for the thread that opens it, and for all threads and processes that come of that thread.
- Nothing is left when it is closed: its processes are killed, and what they mounted goes with them.
- Root rights are needed, Linux, and the Debian packages `zfs-fuse` and `iproute2`; `missing()` says which.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sledsaga.errors import HostError

NEW_MOUNTS: Final = 0x00020000
NEW_NETWORK: Final = 0x40000000
RECURSIVE: Final = 0x4000
PRIVATE: Final = 1 << 18
DAEMON: Final = ("setpriv", "--pdeathsig", "KILL", "zfs-fuse", "--no-daemon", "--no-kstat-mount")
OWN: Final = (
    *("/run/zfs", "/run/lock/zfs", "/var/lib/zfs", "/run/netns", "/run/sledsaga", "/run/oxide"),
    *("/var/lib/sledsaga", "/opt/oxide", "/etc/sledsaga", "/pool"),
)
"""Folders that a room has for itself: where zfs-fuse, iproute2 and the drivers keep what is theirs."""
MADE: Final = ".made-for-a-room"
"""Marks a folder that was made for rooms to mount theirs on."""
OF_ALL: Final = frozenset({"cgroup", "cgroup2", "devpts", "mqueue", "nsfs", "proc", "sysfs"})
"""Kinds of file systems that are one for many rooms: standing on one tells nobody's room."""
READY_S: Final = 10.0
TOOLS: Final = {"zfs-fuse": "zfs-fuse", "zpool": "zfs-fuse", "ip": "iproute2"}
"""Which tool comes with which Debian package."""


@dataclass(frozen=True, slots=True)
class Room:
    """An open room. `folder` keeps what is not in memory: disks that are files, and the like.

    `daemons` are all the ZFS daemons that it has had; the last one lives.
    """

    folder: Path
    daemons: list[subprocess.Popen[bytes]]

    @property
    def daemon(self) -> subprocess.Popen[bytes]:
        """The ZFS daemon that lives."""
        return self.daemons[-1]

    def restart_zfs(self) -> Room:
        """Kill the ZFS daemon as a crash would, and start another; its pools come back from its cache."""
        _end(self.daemon)
        self.daemons.append(_start_zfs())
        return self


def missing() -> str:
    """Say why there can be no room here, or nothing when there can."""
    if os.uname().sysname != "Linux":
        return f"a room needs Linux, this is {os.uname().sysname}"
    if os.geteuid() != 0:
        return "a room needs root rights"
    if not Path("/dev/fuse").exists():
        return "the kernel has no FUSE (/dev/fuse)"
    absent = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    return f"install {' '.join(absent)}" if absent else ""


@contextlib.contextmanager
def open_room(folder: Path) -> Iterator[Room]:
    """Put this thread into a room, and take it out again. Raises HostError when there can be none."""
    if why := missing():
        raise HostError(f"no real machine to try on: {why}")
    outside = _devices("thread-self")
    with _places(), _own_namespaces(), contextlib.ExitStack() as made:
        for path in OWN:
            made.enter_context(_own_folder(Path(path)))
        _run("ip", "link", "set", "lo", "up")
        room = Room(folder, [_start_zfs()])
        try:
            yield room
        finally:
            _end_all(outside)
            _end(room.daemon)


@contextlib.contextmanager
def _own_namespaces() -> Iterator[None]:
    with contextlib.ExitStack() as kept:
        homes = [kept.enter_context(Path("/proc/thread-self/ns", kind).open("rb")) for kind in ("mnt", "net")]
        here = Path.cwd()
        _call("unshare", NEW_MOUNTS | NEW_NETWORK)
        try:
            _call("mount", b"none", b"/", None, RECURSIVE | PRIVATE, None)
            yield
        finally:
            for home in homes:
                _call("setns", home.fileno(), 0)
            os.chdir(here)


@contextlib.contextmanager
def _places() -> Iterator[None]:
    """Have the folders that rooms mount theirs on; the last room on the machine takes away what was made.

    Removing a folder undoes every mount on it, in all namespaces: so no room may while there is another.
    """
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(root, fcntl.LOCK_SH)
        for path in map(Path, OWN):
            for folder in reversed([one for one in (path, *path.parents) if not one.exists()]):
                with contextlib.suppress(FileExistsError):
                    folder.mkdir()
                    (folder / MADE).touch()
        yield
    finally:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_places()
        os.close(root)


def _remove_places() -> None:
    for path in map(Path, OWN):
        for folder in (path, *path.parents):
            with contextlib.suppress(OSError):
                (folder / MADE).unlink()
                folder.rmdir()


@contextlib.contextmanager
def _own_folder(path: Path) -> Iterator[None]:
    """Have an empty folder in memory at a path."""
    _call("mount", b"tmpfs", bytes(path), b"tmpfs", 0, b"mode=0755")
    try:
        yield
    finally:
        _call("umount2", bytes(path), 2)


def _start_zfs() -> subprocess.Popen[bytes]:
    null = subprocess.DEVNULL
    daemon = subprocess.Popen(DAEMON, stdin=null, stdout=null, stderr=null, start_new_session=True)  # noqa: S603 - a literal
    ends_at = time.monotonic() + READY_S
    while subprocess.run(("zpool", "list"), capture_output=True, check=False).returncode:  # noqa: S607 - found through PATH, like all tools
        if daemon.poll() is not None or time.monotonic() > ends_at:
            _end(daemon)
            raise HostError(f"zfs-fuse did not answer within {READY_S:g} s (exit code {daemon.returncode})")
        time.sleep(0.02)
    return daemon


def _end(daemon: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait()


def _end_all(outside: frozenset[str]) -> None:
    """Kill every process of the room but this one, and every one that stands on a file system of it."""
    own = _devices("thread-self") - outside
    for pid in (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        if int(pid) != os.getpid() and _devices(pid) & own:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def _devices(pid: str) -> frozenset[str]:
    """Return the devices mounted for a process that can be one room's; none when it has gone."""
    with contextlib.suppress(OSError):
        mounts = Path("/proc", pid, "mountinfo").read_text().splitlines()
        kinds = ((line.split()[2], line.rpartition(" - ")[2].split()[0]) for line in mounts)
        return frozenset(device for device, kind in kinds if kind not in OF_ALL)
    return frozenset()


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)  # noqa: S603 - literals


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise HostError(f"{name} was refused: {os.strerror(number)}")
