"""Trials on real processes: small scenarios, and the production document on its sled."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from sledsaga.check.kills.ground import Ground, Grounds
from sledsaga.check.kills.processes import preload
from sledsaga.check.subject import Subject
from sledsaga.hosts.sim.document import disks_of, make_sled
from tests.faults.scenarios import operation_of, subject_of

DOCUMENT = Path(__file__).parents[3] / "shared" / "data" / "omicron-sled-config-v14.json"


@pytest.fixture(scope="session", autouse=True)
def _loaded() -> None:
    """Have children find loaded what they need."""
    preload(["sagas"])


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """Keep small sleds where a sync costs nothing: processes are killed here, machines are not."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder below it has a name of its own
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def subjects(home: Path) -> Callable[[str], Subject]:
    """Return a scenario by its name."""
    return lambda name: subject_of(home, name)


@pytest.fixture
def ground_of(home: Path) -> Callable[[str], AbstractContextManager[Ground]]:
    """Give the ground of a scenario, by its name."""

    @contextmanager
    def made(name: str) -> Iterator[Ground]:
        with Grounds(subject_of(home, name)) as grounds:
            yield grounds.one

    return made


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Return the production document, to be applied to a sled with its disks, all blank."""
    if not DOCUMENT.exists():
        pytest.skip(f"{DOCUMENT.name} is not at hand")
    sled = tmp_path_factory.mktemp("production") / "blank"
    params = json.loads(DOCUMENT.read_text())
    make_sled(sled, disks_of(params), params).close()
    return Subject(operation_of("apply-sled-config"), params, sled)
