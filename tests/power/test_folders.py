"""The way to a new log is on the disk before the log is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

OPEN = """
import os, sys
from pathlib import Path
from sledsaga.store.sql import SqlStore
def tell(event, about):
    if event == "open" and about[2] & os.O_DIRECTORY:
        print(about[0])
sys.addaudithook(tell)
SqlStore(Path(sys.argv[1])).close()
"""


def test_each_folder_that_is_made_is_synced_into_the_one_above(tmp_path: Path) -> None:
    """Making a log in folders that are not there opens each folder above, to sync what was made in it."""
    run = [sys.executable, "-c", OPEN, str(tmp_path / "a" / "b" / "log.db")]
    for opened in ([tmp_path, tmp_path / "a"], []):
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [str(folder) for folder in opened]
