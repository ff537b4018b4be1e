"""Rooms side by side: what one has for itself, another cannot take away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sledsaga.check.room import missing
from tests.tiers import skip_tier

STAY = """
import os, sys
from pathlib import Path
from sledsaga.check.room import OWN, open_room
with open_room(Path(sys.argv[1])):
    Path("/run/sledsaga/mine").touch()
    print("open", flush=True)
    sys.stdin.readline()
    print(Path("/run/sledsaga/mine").exists() and all(map(os.path.ismount, OWN)))
"""


def open_elsewhere(folder: Path, code: str = STAY) -> subprocess.Popen[str]:
    """Open a room in a process of its own."""
    argv = (sys.executable, "-c", code, str(folder))
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


NETWORK = """
import subprocess, sys
from pathlib import Path
from sledsaga.check.room import open_room
with open_room(Path(sys.argv[1])):
    subprocess.run(("ip", "netns", "add", "here"), check=True)
    print("open", flush=True)
    sys.stdin.readline()
"""


def test_the_first_room_may_close_first(tmp_path: Path) -> None:
    """A room that was opened while there was another keeps its folders when that one is closed."""
    if why := missing():
        skip_tier("native", why)
    first, second = open_elsewhere(tmp_path), open_elsewhere(tmp_path)
    assert [one.communicate("\n")[0] for one in (first, second)] == ["True\n", "True\n"]


def test_a_room_that_closes_kills_nobody_in_another(tmp_path: Path) -> None:
    """Two rooms with networks share the kernel's file system of namespaces, and are two all the same."""
    if why := missing():
        skip_tier("native", why)
    first, second = open_elsewhere(tmp_path, NETWORK), open_elsewhere(tmp_path, NETWORK)
    first.communicate("\n")
    assert (first.returncode, second.poll()) == (0, None)
    second.communicate("\n")
    assert second.returncode == 0
