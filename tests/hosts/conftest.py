"""A simulated sled for each test, and a short way to run commands on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sledsaga.hosts.host import Completed, HostCommand
from sledsaga.hosts.sim import DiskSpec, SimSled

Run = Callable[..., Completed]
LOOKS = ("list", "get", "show", "status", "svcs", "svcprop", "fstyp", "diskinfo", "info", "export")
BLANK = [DiskSpec("1b96", "WUS4", serial) for serial in ("A0", "A1")]


@pytest.fixture
def sled(tmp_path: Path) -> Iterator[SimSled]:
    made = SimSled.create(tmp_path / "sled", BLANK)
    yield made
    made.close()


@pytest.fixture
def run(sled: SimSled) -> Run:
    """Run a command line given as one string, split at blanks, or as words; all may change the sled."""

    def once(line: str, *words: str, stdin: bytes | None = None, mutates: bool = True) -> Completed:
        return sled.host.run(HostCommand((*line.split(), *words), mutates, stdin))

    return once


@pytest.fixture
def pool(run: Run) -> Run:
    """Do the same on a sled with an encryption-ready pool `p` on its first disk."""
    assert run("zpool create -o feature@encryption=enabled p /dev/dsk/c1tA0d0").code == 0
    return run
