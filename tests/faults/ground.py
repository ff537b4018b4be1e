"""Where trials take place: a sled to copy, a log beside it, and what is left of both afterwards."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagas.format_u2 import mark_of
from sledsaga.check.kills import OpenEngine, Trial
from sledsaga.engine.engine import Engine
from sledsaga.hosts.keys import KEY_DIR
from sledsaga.hosts.sim import SimSled
from sledsaga.store.open import open_store
from sledsaga.store.store import SagaRow
from sledsaga.wiring import open_engine

SAGA, MARK = "the saga", "its mark"


@contextmanager
def opened(db: str, sled: str) -> Iterator[Engine]:
    """Open an engine on a log and a sled, in a child process."""
    with open_engine(db=db, sled=sled) as engine:
        yield engine


@dataclass(frozen=True)
class Ground:
    """Trials of one operation, each on a fresh copy of the same sled."""

    home: Path
    blank: Path
    operation: str
    params: dict[str, Any]
    open_engine: OpenEngine = opened

    def trial(self) -> Trial:
        """Return a trial on a fresh copy of the sled and a fresh log."""
        folder = Path(tempfile.mkdtemp(dir=self.home))
        shutil.copytree(self.blank, folder / "sled")
        return Trial(
            self.open_engine, f"sqlite:///{folder}/log.db", f"sim:{folder}/sled", self.operation, self.params
        )

    def clear(self, trial: Trial) -> None:
        """Remove what a trial left."""
        shutil.rmtree(Path(trial.sled.removeprefix("sim:")).parent)

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
        """Return the saga's state, and all of the sled as one text; its id and mark have one name."""
        row = self.row(trial)
        sled = SimSled.open(trial.sled.removeprefix("sim:"))
        try:
            seen = json.dumps(sled.describe(), sort_keys=True, indent=1)
        finally:
            sled.close()
        return row.state, seen.replace(row.id, SAGA).replace(mark_of(row.id), MARK)

    def before(self) -> str:
        """Return all of the sled, as `end` tells it, before anything was done to it."""
        sled = SimSled.open(self.blank)
        try:
            return json.dumps(sled.describe(), sort_keys=True, indent=1)
        finally:
            sled.close()

    def keys_left(self, trial: Trial) -> list[str]:
        """Return the key files on the trial's sled, half-written ones too."""
        folder = Path(trial.sled.removeprefix("sim:")) / "root" / KEY_DIR.lstrip("/")
        return [file.name for file in folder.iterdir()] if folder.is_dir() else []

    def changes(self, trial: Trial) -> int:
        """Return how many commands changed the trial's sled, or tried to."""
        sled = SimSled.open(trial.sled.removeprefix("sim:"))
        try:
            return sled.changes()
        finally:
            sled.close()


def mended(
    sled: dict[str, Any], wanted: dict[str, Any], before: dict[str, Any], params: dict[str, Any]
) -> dict[str, Any]:
    """Return the sled with what may lack in it: a copy of a ledger, or datasets that are best-effort."""
    if sled["ledgers"] and all(copy in wanted["ledgers"] for copy in sled["ledgers"]):
        sled = sled | {"ledgers": wanted["ledgers"]}
    if params.get("policy") == "best-effort":
        allowed = [*wanted["datasets"], *before["datasets"]]
        if all(dataset in allowed for dataset in sled["datasets"]):
            sled = sled | {"datasets": wanted["datasets"]}
    return sled
