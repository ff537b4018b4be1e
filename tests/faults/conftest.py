"""Trials on real processes: a sled to copy, a log beside it, and what the sled is when all went well."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sledsaga.check.kills import Trial, drive, preload
from sledsaga.engine.engine import Engine
from sledsaga.hosts.sim import SimSled
from sledsaga.hosts.sim.document import disks_of, make_sled
from sledsaga.store.open import open_store
from sledsaga.store.store import SagaRow
from sledsaga.wiring import open_engine

DOCUMENT = Path(__file__).parents[3] / "shared" / "data" / "omicron-sled-config-v14.json"
SAGA = "the saga"


@contextmanager
def opened(db: str, sled: str) -> Iterator[Engine]:
    """Open an engine on a log and a sled, in a child process."""
    with open_engine(db=db, sled=sled) as engine:
        yield engine


@dataclass(frozen=True)
class Ground:
    """Where trials take place: each on a fresh copy of the same sled."""

    home: Path
    blank: Path
    operation: str
    params: dict[str, Any]

    def trial(self) -> Trial:
        """Return a trial on a fresh copy of the sled and a fresh log."""
        folder = Path(tempfile.mkdtemp(dir=self.home))
        shutil.copytree(self.blank, folder / "sled")
        return Trial(opened, f"sqlite:///{folder}/log.db", f"sim:{folder}/sled", self.operation, self.params)

    def row(self, trial: Trial) -> SagaRow:
        """Return the columns of the trial's saga."""
        store = open_store(trial.db, create=False, read_only=True)
        try:
            row = store.by_key(trial.key)
            assert row is not None, "the saga was never recorded"
            return row
        finally:
            store.close()

    def end(self, trial: Trial) -> tuple[str, str]:
        """Return the saga's state, and all of the sled as one text in which its own id has one name."""
        row = self.row(trial)
        sled = SimSled.open(trial.sled.removeprefix("sim:"))
        try:
            seen = json.dumps(sled.describe(), sort_keys=True, indent=1)
        finally:
            sled.close()
        return row.state, seen.replace(row.id, SAGA)

    def changes(self, trial: Trial) -> int:
        """Return how many commands changed the trial's sled, or tried to."""
        sled = SimSled.open(trial.sled.removeprefix("sim:"))
        try:
            return sled.changes()
        finally:
            sled.close()


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Return the ground on which the production document is applied to a sled with its disks, all blank."""
    if not DOCUMENT.exists():
        pytest.skip(f"{DOCUMENT.name} is not at hand")
    home = tmp_path_factory.mktemp("production")
    params = json.loads(DOCUMENT.read_text())
    make_sled(home / "blank", disks_of(params), params).close()
    preload(["sledsaga.wiring", "sledsaga.store.sql", "sledsaga.hosts.sim.host", "sagas"])
    return Ground(home, home / "blank", "apply-sled-config", params)


@pytest.fixture(scope="session")
def good_end(production: Ground) -> tuple[str, int]:
    """Return what the sled is when nobody is killed, and how many commands that took."""
    trial = production.trial()
    assert not drive(trial)
    state, seen = production.end(trial)
    assert state == "succeeded"
    return seen, production.changes(trial)
