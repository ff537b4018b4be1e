"""The guest is what the other tests take it for."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_the_guest_has_openzfs_of_its_kernel() -> None:
    """Tools and kernel module are OpenZFS 2.1 or newer, and of one version."""
    said = subprocess.run(("zpool", "version"), capture_output=True, text=True, check=True).stdout.split()
    tools, module = (each.partition("zfs-")[2].removeprefix("kmod-") for each in said)
    assert tools == module
    assert tuple(int(part) for part in tools.split("-")[0].split(".")[:2]) >= (2, 1)


def test_all_controllers_are_those_of_the_second_cgroups() -> None:
    """Memory and pids are limited by the unified hierarchy, which no other one takes them from."""
    controllers = Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()
    assert {"cpu", "memory", "pids"} <= set(controllers)
