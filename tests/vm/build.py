"""Builds the guest: Debian 12 with OpenZFS, compiled for its kernel. `python -m tests.vm.build`, as root.

- Nothing is installed on this machine; packages that it lacks are named, and nothing is done.
- Everything is made in a folder beside the guests and renamed at the end: there is never half a guest.
- No package starts a service, and each command runs in namespaces of its own: nothing stays mounted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.vm import recipe
from tests.vm.pack import keep_modules, leave_out, pack_initramfs, pack_root
from tests.vm.recipe import Built, Facts

QUIET: Final = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
ALONE: Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")
"""A command in here has its own mounts and processes; they end with it."""
INSTALL: Final = ("apt-get", "install", "-qy", "--no-install-recommends")


def build(mirror: str = recipe.MIRROR) -> Built:
    """Build the guest, which takes about nine minutes, and return it. Raises CalledProcessError."""
    began = time.monotonic()
    recipe.cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=recipe.cache()) as folder:
        work = Path(folder)
        root = work / "root"
        _debootstrap(root, work / "log", mirror)
        _install(root, work / "log", mirror)
        site = work / "guest"
        site.mkdir()
        facts = _pack(root, site, began)
        return _keep(site, facts)


def _debootstrap(root: Path, log: Path, mirror: str) -> None:
    _say("the smallest Debian")
    options = ("--variant=minbase", "--components=main,contrib", "--include=ca-certificates")
    _run(("debootstrap", *options, recipe.SUITE, str(root), mirror), log)


def _install(root: Path, log: Path, mirror: str) -> None:
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    lines = (
        f"deb {mirror} {recipe.SUITE} main contrib",
        f"deb {mirror} {recipe.SUITE}-updates main contrib",
        f"deb {recipe.SECURITY} {recipe.SUITE}-security main contrib",
    )
    (root / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")
    inside = (*ALONE, f"--mount-proc={root}/proc", "chroot", str(root))
    _run((*inside, "apt-get", "update", "-q"), log)
    for what, packages in (
        ("a kernel", recipe.KERNEL),
        ("Python, crun and PostgreSQL", recipe.SYSTEM),
        ("OpenZFS, which is compiled (the longest part)", recipe.ZFS),
    ):
        _say(what)
        _run((*inside, *INSTALL, *packages), log)


def _pack(root: Path, site: Path, began: float) -> Facts:
    _say("the images")
    kernel = max((root / "boot").glob("vmlinuz-*"))
    release = kernel.name.removeprefix("vmlinuz-")
    shutil.copy(kernel, site / "vmlinuz")
    zfs = _version(root, "zfs-dkms")
    pack_initramfs(root, release, site / "initramfs.cpio")
    keep_modules(root, release, (*recipe.EARLY_MODULES, *recipe.LATE_MODULES))
    leave_out(root, recipe.LEFT_OUT)
    pack_root(root, site / "root.img")
    size = (site / "root.img").stat().st_blocks * 512
    return Facts(release, zfs, recipe.recipe_digest(), round(time.monotonic() - began, 1), size)


def _keep(site: Path, facts: Facts) -> Built:
    final = recipe.cache() / f"guest-{facts.key}"
    shutil.rmtree(final, ignore_errors=True)
    Built(site, facts).write()
    site.rename(final)
    return Built(final, facts)


def _version(root: Path, package: str) -> str:
    argv = (
        "dpkg-query",
        f"--admindir={root}/var/lib/dpkg",
        "-W",
        "-f",
        "${source:Upstream-Version}",
        package,
    )
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def _run(argv: Sequence[str], log: Path) -> None:
    with log.open("ab") as stream:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env={**os.environ, **QUIET},
            check=False,
        )
    if done.returncode != 0:
        last = log.read_text(errors="replace")[-4000:]
        sys.exit(f"{last}\n`{' '.join(argv)}` ended with {done.returncode}; the lines above are its last")


def _say(what: str) -> None:
    print(f"building the guest: {what}", file=sys.stderr, flush=True)  # noqa: T201 - it takes minutes


def main() -> None:
    """Build the guest unless it is there."""
    parser = argparse.ArgumentParser(description="build the guest for `make test-vm`")
    parser.add_argument("--mirror", default=recipe.MIRROR, help="where Debian's packages are (%(default)s)")
    parser.add_argument("--again", action="store_true", help="also when there is one")
    options = parser.parse_args()
    if missing := recipe.missing_packages():
        sys.exit(f"the guest needs: apt-get install --no-install-recommends {' '.join(missing)}")
    if os.geteuid() != 0:
        sys.exit("the guest is built as root: debootstrap and chroot need it")
    found = None if options.again else recipe.find_guest()
    built = found or build(options.mirror)
    print(built.folder)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
