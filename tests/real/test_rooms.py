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


def open_elsewhere(folder: Path) -> subprocess.Popen[str]:
    """Open a room in a process of its own."""
    argv = (sys.executable, "-c", STAY, str(folder))
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_the_first_room_may_close_first(tmp_path: Path) -> None:
    """A room that was opened while there was another keeps its folders when that one is closed."""
    if why := missing():
        skip_tier("native", why)
    first, second = open_elsewhere(tmp_path), open_elsewhere(tmp_path)
    assert [one.communicate("\n")[0] for one in (first, second)] == ["True\n", "True\n"]
