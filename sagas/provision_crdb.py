"""`provision-crdb`: a CockroachDB node in a zone of its own.

Leaves behind: the pool imported (made, when `disk` names a blank one), the node's dataset
`crypt/cockroachdb` with its id, the zone `oxz_cockroachdb_<zone_id>` with its root on the same pool, its
link and its profile, running and ready, and a record of it on both internal disks. The
cluster is not initialised: that is done once for a cluster, not for a node. A dataset with another id is
another node's data: it is refused, never used.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from uuid import UUID, uuid5

from pydantic import Field, field_validator

from sagas.steps import datasets, ledger
from sagas.steps.datasets import DatasetMade, DatasetWanted
from sagas.steps.images import ImageWanted
from sagas.steps.ledger import LedgerSeen
from sagas.steps.patience import TRIES, patient
from sagas.steps.pools import PoolWanted
from sagas.steps.tables import (
    CHANGE_S,
    dataset_step,
    image_step,
    link_step,
    look,
    pool_steps,
    stub_step,
    zone_steps,
    zones_before_step,
)
from sagas.steps.zone_kinds import ZoneWanted
from sledsaga.core.define import (
    Lock,
    Model,
    Step,
    exclusive,
    operation,
    step,
    value,
)
from sledsaga.errors import ForeignObject
from sledsaga.hosts.names import DatasetKind, DatasetName, DiskIdentity, PoolName, ZoneName
from sledsaga.hosts.sled import Sled

PORT = 32221
"""The port that omicron gives its CockroachDB nodes."""
KIND = DatasetKind("cockroachdb")


class Params(Model):
    """Where the node lives and how it is reached."""

    pool: PoolName = Field(description="external pool, oxp_ and a version 4 UUID")
    zone_id: UUID = Field(description="id of the zone; its name follows from it")
    address: str = Field(description="IP address that the node listens on")
    port: int = Field(default=PORT, gt=0, lt=65536, description="TCP port that it listens on")
    dataset_id: UUID | None = Field(default=None, description="follows from zone_id unless given")
    quota: int | None = Field(default=None, gt=0, description="of the dataset, in bytes; none is no limit")
    image: str = Field(
        default=KIND,
        pattern="^[a-z][a-z0-9_-]{0,62}$",
        description="the installed image that the node is made from, such as postgresql in its place",
    )
    image_sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="an artifact; without it the installed image is taken",
    )
    disk: DiskIdentity | None = Field(
        default=None, description="may be formatted for the pool when it is blank"
    )

    @field_validator("address")
    @classmethod
    def _an_address(cls, text: str) -> str:
        return str(ipaddress.ip_address(text))

    @property
    def dataset(self) -> DatasetWanted:
        """The node's dataset; its id is never the zone's, so that one cannot be taken for the other."""
        own = self.dataset_id or uuid5(self.zone_id, KIND)
        return DatasetWanted(name=DatasetName.of(self.pool, KIND), id=own, quota=self.quota)

    @property
    def zone(self) -> ZoneWanted:
        """The node's zone."""
        return ZoneWanted(
            id=self.zone_id,
            type="cockroach_db",
            pool=self.pool,
            address=self.address,
            port=self.port,
            image=ImageWanted(name=self.image, sha256=self.image_sha256),
            dataset=self.dataset.name,
        )

    @property
    def roots(self) -> DatasetWanted:
        """The dataset that holds the roots of zones."""
        return DatasetWanted(name=DatasetName.of(self.pool, DatasetKind("zone")))

    @property
    def record(self) -> str:
        """The name of the ledger that records the node."""
        return f"{self.zone.name}.json"


def delegated(sled: Sled, dataset: DatasetMade) -> DatasetName:
    """Check that the dataset can be given to its zone: not mounted out here, its key loaded."""
    return _delegable(sled, dataset.name)


@patient
def _delegable(sled: Sled, name: DatasetName) -> DatasetName:
    seen = sled.datasets.observe(name)
    if seen is None or seen.is_mounted or not seen.is_zoned or not seen.is_open:
        raise ForeignObject(
            f"{name} cannot be given to a zone: it is {seen}; expected it zoned, its key loaded"
        )
    return name


@patient
def record(sled: Sled, params: Params, record_before: LedgerSeen, ready: ZoneName) -> ledger.LedgerWritten:
    """Record the node on both internal disks, now that it runs."""
    assert ready == params.zone.name, "a node is recorded when it runs"
    document = _document(params, record_before)
    return ledger.write(sled=sled, name=params.record, document=document, before=record_before)


def undo_record(sled: Sled, params: Params, record_before: LedgerSeen) -> None:
    """Give each copy of the record what it held before."""
    document = _document(params, record_before)
    ledger.undo_write(sled=sled, name=params.record, document=document, before=record_before)


def _document(params: Params, before: LedgerSeen) -> dict[str, ledger.Json]:
    """Say what the node is; another node than the recorded one gets the next generation."""
    node = params.model_dump(mode="json") | {"dataset": params.dataset.model_dump(mode="json")}
    is_same = before.document == {"generation": before.generation, "node": node}
    return {"generation": before.generation if is_same else before.generation + 1, "node": node}


def _steps(params: Params) -> Iterator[Step]:
    zone, root = params.zone, DatasetWanted(name=params.zone.root)
    names: list[str] = [params.dataset.name, params.roots.name, root.name]
    yield image_step(zone.image, "image")
    yield from pool_steps(PoolWanted(name=params.pool, disk=params.disk), names, after=["image"])
    yield look(ledger.look, "record_before", {"name": value(params.record)}, after=["image"])
    yield zones_before_step(zone, "image", after=["pool"])
    yield dataset_step(params.dataset, "dataset", after=["crypt"])
    yield look(delegated, "delegated", {})
    yield dataset_step(params.roots, "roots", after=["crypt"], do=datasets.ensure_there)
    yield dataset_step(root, "root", after=["roots"], do=datasets.ensure_there)
    yield stub_step(after=["image"])
    yield link_step(zone.link, "link")
    yield from zone_steps(zone, "image", after=["delegated", "root", "link"])
    yield step(record, undo=undo_record, retry=TRIES, timeout_s=CHANGE_S, undo_timeout_s=CHANGE_S)


def _locks(params: Params) -> list[Lock]:
    """Have the pool alone: its encryption root and the root of its zones may be made, and be undone."""
    locks = [
        exclusive(f"pool:{params.pool}"),
        exclusive(f"zone:{params.zone.name}"),
        exclusive(f"dataset:{params.dataset.name}"),
    ]
    return locks if params.disk is None else [*locks, exclusive(f"disk:{params.disk.serial}")]


OPERATION = operation(
    "provision-crdb",
    version=1,
    params=Params,
    steps=lambda params: tuple(_steps(params)),
    locks=_locks,
    summary="a CockroachDB node in a zone of its own, running and recorded",
)
