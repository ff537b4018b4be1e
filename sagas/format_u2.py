"""`format-u2`: make a data disk ready for zones.

Leaves behind: the pool `oxp_<pool_id>` on the disk, imported; in it `crypt` (the encryption root, made with
the disk's key), `crypt/zone` (for the roots of zones, marked as in use) and `crypt/debug` (logs and dumps).
A disk that carries this pool already is adopted: imported, its key loaded, mounted, what is missing made. A
disk that carries anything else, or that cannot be read, is refused. Undone, the disk is as blank as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from uuid import UUID

from pydantic import Field

from sagas.steps.datasets import DatasetMade, DatasetWanted
from sagas.steps.patience import TRIES, patient
from sagas.steps.pools import PoolMade, PoolWanted
from sagas.steps.tables import CHANGE_S, dataset_step, pool_steps
from sledsaga.core.define import Lock, Step, exclusive, no_undo, operation, outputs_of, step
from sledsaga.core.model import Model
from sledsaga.hosts.names import Compression, DatasetKind, DatasetName, DiskIdentity, PoolName
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zfs.spec import AGENT

DEBUG_QUOTA = 100 * 1024**3
"""Bytes for logs and dumps, as omicron gives."""
MARK_CHARS = 20
"""Length of the mark on `crypt/zone`, as the sled agent has it."""


class Params(Model):
    """Which disk, and the ids of what is made on it."""

    disk: DiskIdentity = Field(description="the disk; blank, or carrying this pool already")
    pool_id: UUID = Field(description="id of the pool, a version 4 UUID; its name is oxp_ and the id")
    zone_id: UUID | None = Field(default=None, description="id of the dataset crypt/zone")
    debug_id: UUID | None = Field(default=None, description="id of the dataset crypt/debug")

    @property
    def pool(self) -> PoolName:
        """The pool's name."""
        return PoolName.of("external", self.pool_id)


@patient
def mark(sled: Sled, zone: DatasetMade) -> str:
    """Mark `crypt/zone` as in use by this sled, unless it is; returns the mark."""
    seen = sled.datasets.observe(zone.name)
    if seen is not None and seen.agent is not None:
        return seen.agent
    sled.datasets.set_property(zone.name, AGENT, mark_of(sled.saga))
    return mark_of(sled.saga)


def undo_mark(sled: Sled, zone: DatasetMade) -> None:
    """Take the mark away when it is this saga's."""
    seen = sled.datasets.recall(zone.name)
    if seen is not None and seen.agent == mark_of(sled.saga):
        sled.datasets.restore(zone.name, {AGENT: None})


def formatted(pool: PoolMade, made: list[DatasetMade]) -> list[str]:
    """Tell the names of all that there is now, the pool first."""
    return [pool.name, *(one.name for one in made)]


def mark_of(saga: str) -> str:
    """Return a saga's mark: the same each time, so that a second run knows its own."""
    return hashlib.sha256(saga.encode()).hexdigest()[:MARK_CHARS]


def _steps(params: Params) -> Iterator[Step]:
    zone = DatasetWanted(name=DatasetName.of(params.pool, DatasetKind("zone")), id=params.zone_id)
    debug = DatasetWanted(
        name=DatasetName.of(params.pool, DatasetKind("debug")),
        id=params.debug_id,
        quota=DEBUG_QUOTA,
        compression=Compression("gzip-9"),
    )
    yield from pool_steps(PoolWanted(name=params.pool, disk=params.disk), [zone.name, debug.name])
    yield dataset_step(zone, "zone", after=["crypt"])
    yield dataset_step(debug, "debug", after=["crypt"])
    yield step(mark, undo=undo_mark, retry=TRIES, timeout_s=CHANGE_S, undo_timeout_s=CHANGE_S)
    both = {"made": outputs_of(["zone", "debug"])}
    yield step(formatted, undo=no_undo("it only tells what there is"), after="mark", inputs=both)


def _locks(params: Params) -> list[Lock]:
    return [exclusive(f"disk:{params.disk.serial}"), exclusive(f"pool:{params.pool}")]


OPERATION = operation(
    "format-u2",
    version=1,
    params=Params,
    steps=lambda params: tuple(_steps(params)),
    locks=_locks,
    summary="make a data disk ready for zones: pool, encryption, datasets",
)
