"""What the guest is made of: Debian packages, kernel modules, what is left out; and where it is kept.

- The guest is Debian 12 with OpenZFS, kept outside of the repository, for it is big and holds a GPL kernel
  together with a CDDL module. Its folder is named after the kernel, the ZFS and this recipe.
- A change of a table here makes another guest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

SUITE: Final = "bookworm"
MIRROR: Final = "http://deb.debian.org/debian"
SECURITY: Final = "http://deb.debian.org/debian-security"
PYTHON: Final = (3, 11)
"""The Python of that suite: the compiled parts of the host's packages must be for it."""

HOST_TOOLS: Final[Mapping[str, str]] = {
    "qemu-system-x86_64": "qemu-system-x86",
    "debootstrap": "debootstrap",
    "cpio": "cpio",
    "mke2fs": "e2fsprogs",
}
"""Which tool of this machine comes with which Debian package."""

KERNEL: Final = ("linux-image-cloud-amd64", "linux-headers-cloud-amd64", "kmod", "busybox-static")
SYSTEM: Final = ("python3", "crun", "runc", "iproute2", "procps", "curl", "postgresql-15")
ZFS: Final = ("zfs-dkms", "zfsutils-linux")
"""Last, as it takes longest: its module is compiled here."""

EARLY_MODULES: Final = ("virtio_pci", "virtio_blk", "ext4", "overlay")
"""What the initramfs loads, to find the root."""
LATE_MODULES: Final = (
    *("virtio_console", "virtio_net", "zfs", "loop"),
    *("veth", "bridge", "dummy", "macvlan", "ipvlan", "8021q", "tun"),
)
"""What is loaded when it is needed, with all that these need."""

LEFT_OUT: Final = (
    *("boot", "initrd.img*", "vmlinuz*", "var/cache", "var/lib/apt", "var/lib/dkms", "var/log", "usr/src"),
    *("usr/include", "usr/lib/gcc", "usr/libexec/gcc", "usr/share/doc", "usr/share/info", "usr/share/man"),
    *("usr/share/locale", "usr/bin/x86_64-linux-gnu-*", "usr/lib/postgresql/15/lib/llvmjit*"),
    *("usr/lib/*/*.a", "usr/lib/*/libLLVM*", "usr/lib/llvm*", "usr/lib/*/libasan*", "usr/lib/*/libtsan*"),
    *("usr/lib/postgresql/15/lib/bitcode", "var/lib/postgresql", "etc/postgresql"),
)
"""What no test needs, as patterns below the root: compilers, manuals, the just-in-time compiler."""

INIT: Final = """\
#!/bin/busybox sh
# Finds the disks by their serials, and goes over to the real root: read-only, with changes kept in memory.
/bin/busybox mkdir -p /proc /sys /dev /lower /upper /new
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
exec >/dev/console 2>&1 </dev/null
for module in $(/bin/busybox cat /modules/order); do /bin/busybox insmod /modules/$module; done
disk() {
    for serial in /sys/block/vd*/serial; do
        test "$(/bin/busybox cat $serial)" = "$1" && /bin/busybox basename ${serial%/serial}
    done
}
/bin/busybox mount -t ext4 -o ro,noatime /dev/$(disk root) /lower
/bin/busybox mount -t tmpfs -o size=50% tmpfs /upper
/bin/busybox mkdir /upper/changed /upper/work
/bin/busybox mount -t overlay -o lowerdir=/lower,upperdir=/upper/changed,workdir=/upper/work overlay /new
/bin/busybox mount -t ext4 -o ro,noatime /dev/$(disk project) /new/project
for folder in proc sys dev; do /bin/busybox mount --move /$folder /new/$folder; done
exec /bin/busybox switch_root /new /bin/sh /project/tests/vm/start.sh
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one guest is: versions, the recipe it was made by, how long that took, its sizes in bytes."""

    kernel: str
    zfs: str
    recipe: str
    build_s: float
    root_bytes: int

    @property
    def key(self) -> str:
        """The name of its folder's end."""
        return f"{self.kernel}-zfs-{self.zfs}-{self.recipe}"


@dataclass(frozen=True, slots=True)
class Built:
    """A guest that is ready to boot: its kernel, its initramfs and its root, and what it is."""

    folder: Path
    facts: Facts

    @property
    def kernel(self) -> Path:
        """The kernel."""
        return self.folder / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        """What the kernel starts."""
        return self.folder / "initramfs.cpio"

    @property
    def root(self) -> Path:
        """The root's file system, read-only."""
        return self.folder / "root.img"

    def write(self) -> None:
        """Write the facts down: from now on the guest can be found."""
        (self.folder / "guest.json").write_text(json.dumps(asdict(self.facts), indent=2) + "\n")


def recipe_digest() -> str:
    """Return eight characters that are others when any table here is another."""
    tables = (SUITE, KERNEL, SYSTEM, ZFS, EARLY_MODULES, LATE_MODULES, LEFT_OUT, INIT)
    return hashlib.sha256(repr(tables).encode()).hexdigest()[:8]


def cache() -> Path:
    """Return the folder that keeps guests: below $XDG_CACHE_HOME, or ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "sledsaga"


def missing_packages() -> list[str]:
    """Return the Debian packages that this machine lacks to build and boot a guest."""
    return sorted({package for tool, package in HOST_TOOLS.items() if shutil.which(tool) is None})


def find_guest() -> Built | None:
    """Return the newest guest of this very recipe, or None when it is still to be built."""
    found = [
        Built(path.parent, Facts(**json.loads(path.read_text())))
        for path in cache().glob(f"guest-*-{recipe_digest()}/guest.json")
    ]
    return max(found, key=lambda each: each.folder.stat().st_mtime, default=None)
