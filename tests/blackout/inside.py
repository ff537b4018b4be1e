"""The first process of a machine whose power will be cut: it sets the machine up, then lives.

Rules
- The root is the host's, read-only; what is written there goes to memory, so each boot is the first one.
- All that should outlive a cut is on the one disk: the log, the pool's vdevs, the cache of zfs-fuse.
- The cut is its end. When none comes (who was to cut it has been killed), it ends by itself: an end of the
  first process is a panic.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Final

from tests.blackout.life import DISK, live
from tests.blackout.orders import Orders, tell

FINIT_MODULE: Final = 313
BIND: Final = 0x1000
MODULES: Final = ("fuse/fuse.ko", "overlayfs/overlay.ko")
IN_MEMORY: Final = (
    ("proc", "proc"),
    ("devtmpfs", "dev"),
    ("sysfs", "sys"),
    ("tmpfs", "run"),
)
OF_ZFS: Final = ("/var/lib/zfs", "/run/zfs", "/run/lock/zfs")
READY_S: Final = 20.0
ALONE_S: Final = 300.0
"""More than twice as long as anybody listens to one life."""


def main(orders: str) -> None:
    """Be the first process."""
    threading.Timer(ALONE_S, os._exit, (1,)).start()
    try:
        enter()
        start_zfs()
        live(Orders(**json.loads(orders)))
    except BaseException as error:  # noqa: BLE001 - the host must hear why, whatever it is
        tell("broken", error=f"{type(error).__name__}: {error}")
    while True:
        time.sleep(3600)


def enter() -> None:
    """Go into a root of our own, over the host's, with the disk in it."""
    call("mount", b"tmpfs", b"/tmp", b"tmpfs", 0, None)
    for module in MODULES:
        load(Path(f"/usr/lib/uml/modules/{os.uname().release}/kernel/fs/{module}"))
    for folder in ("upper", "work", "root"):
        Path("/tmp", folder).mkdir()  # noqa: S108 - in this machine's own memory
    layers = b"lowerdir=/,upperdir=/tmp/upper,workdir=/tmp/work"
    call("mount", b"overlay", b"/tmp/root", b"overlay", 0, layers)
    os.chroot("/tmp/root")  # noqa: S108 - the same
    os.chdir("/")
    for kind, folder in IN_MEMORY:
        call("mount", kind.encode(), f"/{folder}".encode(), kind.encode(), 0, None)
    os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/root", LC_ALL="C")
    DISK.mkdir()
    call("mount", b"/dev/ubdb", bytes(DISK), b"ext4", 0, None)


def load(module: Path) -> None:
    """Load a module of the kernel."""
    with module.open("rb") as file:
        call("syscall", FINIT_MODULE, file.fileno(), b"", 0)


def start_zfs() -> None:
    """Start the daemon: it imports what its cache on the disk names; then mount all, as a boot does."""
    for folder in (str(DISK / "cache"), *OF_ZFS):
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - a list of texts
    call("mount", bytes(DISK / "cache"), OF_ZFS[0].encode(), None, BIND, None)
    null = subprocess.DEVNULL
    argv = ("zfs-fuse", "--no-daemon", "--no-kstat-mount")
    daemon = subprocess.Popen(argv, stdin=null, stdout=null, stderr=null)
    ends_at = time.monotonic() + READY_S
    while subprocess.run(("zpool", "list"), capture_output=True, check=False).returncode:
        if daemon.poll() is not None or time.monotonic() > ends_at:
            raise TimeoutError(f"zfs-fuse did not answer within {READY_S:g} s ({daemon.returncode})")
        time.sleep(0.02)
    subprocess.run(("zfs", "mount", "-a"), check=True)


def call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name} {arguments}: {os.strerror(number)}")
