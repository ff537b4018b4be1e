"""A room with real ZFS for each module, and in it somebody else's pool, which must not change."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sledsaga.check.room import Room, missing, open_room
from tests.tiers import skip_tier

CANARY = "canary"
"""A pool that belongs to nobody here: no test may change it."""


def run(*argv: str, code: int = 0) -> str:
    """Run a command for real; it must end with this code. Returns what it printed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, (argv, done.returncode, done.stdout, done.stderr)
    return done.stdout


def let_go(verb: str, pool: str) -> None:
    """Destroy or export a pool; it is busy for a moment after its use, as zfs-fuse closes files late."""
    argv, ends_at = ("zpool", verb, "-f", pool), time.monotonic() + 20.0
    while (done := subprocess.run(argv, capture_output=True, text=True, check=False)).returncode:
        assert "busy" in done.stderr, done.stderr
        assert time.monotonic() < ends_at, done.stderr
        time.sleep(0.05)


def file_disk(path: Path, mib: int = 128) -> str:
    """Make a sparse file that can be a disk; returns its path."""
    with path.open("wb") as stream:
        stream.truncate(mib * 2**20)
    return str(path)


@dataclass(frozen=True)
class Canary:
    """Somebody else's pool, with data, and what it was when it was made."""

    folder: Path

    def seen(self) -> dict[str, Any]:
        """Return all that can be seen of it."""
        names = run("zfs", "list", "-H", "-r", "-o", "name", "-t", "all", CANARY).split()
        history = run("zpool", "history", CANARY).splitlines()
        file = self.folder / "kept" / "file"
        return {"names": names, "history": history, "data": file.read_text(), "mode": file.stat().st_mode}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """Put this module's tests into a room with real ZFS, and check that the canary pool is as it was."""
    if why := missing():
        skip_tier("native", why)
    folder = tmp_path_factory.mktemp("room")
    with open_room(folder) as opened:
        run("zpool", "create", "-m", str(folder / "canary"), CANARY, file_disk(folder / "canary.img", 64))
        run("zfs", "create", f"{CANARY}/kept")
        (folder / "canary" / "kept" / "file").write_text("not yours")
        run("zfs", "snapshot", f"{CANARY}/kept@before")
        canary = Canary(folder / "canary")
        before = json.dumps(canary.seen())
        yield opened
        assert json.dumps(canary.seen()) == before, "somebody else's pool was touched"
