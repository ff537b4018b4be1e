"""A sled for operations that ask for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sledsaga.hosts.sim import SimSled


@pytest.fixture(scope="session")
def bare_sled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sled with nothing but its two internal disks."""
    path = tmp_path_factory.mktemp("sleds") / "bare"
    SimSled.init_from_disks(path, []).close()
    return path
