"""A command that does not die, as one that waits for a broken disk: it is never said to have ended."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sledsaga.errors import HostUnreachable
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.local import LocalHost
from tests.tiers import skip_tier

FREEZER = Path("/sys/fs/cgroup/freezer")
FREEZE_ME = """
import os, sys
with open(sys.argv[1] + "/tasks", "w") as tasks: tasks.write(str(os.getpid()))
with open(sys.argv[1] + "/freezer.state", "w") as state: state.write("FROZEN")
"""


@pytest.fixture
def freezer() -> Iterator[Path]:
    """Give a group whose processes can be frozen; they are let go at the end."""
    if os.geteuid() != 0 or not FREEZER.is_dir():
        skip_tier("native", "needs root rights and the freezer of cgroups of version 1")
    group = FREEZER / f"sledsaga-test-{os.getpid()}"
    group.mkdir()
    yield group
    (group / "freezer.state").write_text("THAWED")
    ends_at = time.monotonic() + 10.0
    while group.exists() and time.monotonic() < ends_at:
        with contextlib.suppress(OSError):
            group.rmdir()


@pytest.mark.filterwarnings(
    "ignore:subprocess .* is still running:ResourceWarning"
)  # it is, that is the point
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_command_that_does_not_die_is_told(freezer: Path) -> None:
    """When its time is over and it cannot be killed, the host says that it may go on."""
    command = HostCommand((sys.executable, "-c", FREEZE_ME, str(freezer)), mutates=True, timeout_s=0.5)
    with pytest.raises(HostUnreachable, match="does not end even when it is killed"):
        LocalHost().run(command)
    assert (freezer / "tasks").read_text().strip()
