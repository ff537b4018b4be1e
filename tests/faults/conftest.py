"""Trials on real processes: the production document on its sled, and what that is when all went well."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sledsaga.check.kills import drive, preload
from sledsaga.hosts.sim.document import disks_of, make_sled
from tests.faults.ground import Ground
from tests.faults.scenarios import ground_of
from tests.faults.variants import MODULES

DOCUMENT = Path(__file__).parents[3] / "shared" / "data" / "omicron-sled-config-v14.json"


@pytest.fixture(scope="session", autouse=True)
def _loaded() -> None:
    """Have children find loaded what they need."""
    preload(MODULES)


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """Keep small trials where a sync costs nothing: processes are killed here, machines are not."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder below it has a name of its own
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def grounds(home: Path) -> Callable[[str], Ground]:
    """Return the ground of a scenario, by its name."""
    return functools.partial(ground_of, home)


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Return the ground on which the production document is applied to a sled with its disks, all blank."""
    if not DOCUMENT.exists():
        pytest.skip(f"{DOCUMENT.name} is not at hand")
    home = tmp_path_factory.mktemp("production")
    params = json.loads(DOCUMENT.read_text())
    make_sled(home / "blank", disks_of(params), params).close()
    return Ground(home, home / "blank", "apply-sled-config", params)


@pytest.fixture(scope="session")
def good_end(production: Ground) -> tuple[str, int]:
    """Return what the sled is when nobody is killed, and how many commands that took."""
    trial = production.trial()
    assert not drive(trial)
    state, seen = production.end(trial)
    assert state == "succeeded"
    return seen, production.changes(trial)
