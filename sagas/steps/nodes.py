"""A node: one service with data of its own, in a zone of its own. Operations that provision one share this.

Its params say where it lives and how it is reached; what it is, is said by the class that an operation makes
of them. Its dataset's id follows from its zone's, and its record is a ledger of the zone's name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import ClassVar
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
from sagas.steps.zone_kinds import ZoneType, ZoneWanted, durable_kind
from sledsaga.core.define import Lock, Step, exclusive, shared, step, value
from sledsaga.core.model import Model
from sledsaga.errors import ForeignObject
from sledsaga.hosts.names import DatasetKind, DatasetName, DiskIdentity, PoolName
from sledsaga.hosts.sled import Sled

IMAGE = "^[a-z][a-z0-9_-]{0,62}$"
IMAGE_IS = "the installed image that the node is made from"


class NodeParams(Model):
    """Where a node lives and how it is reached.

    An operation's own class says of which `type` the zone is, and gives `port` and `image` their defaults.
    """

    type: ClassVar[ZoneType]

    pool: PoolName = Field(description="external pool, oxp_ and a version 4 UUID")
    zone_id: UUID = Field(description="id of the zone; its name follows from it")
    address: str = Field(description="IP address that the node listens on")
    port: int = Field(gt=0, lt=65536, description="TCP port that it listens on")
    dataset_id: UUID | None = Field(default=None, description="follows from zone_id unless given")
    quota: int | None = Field(default=None, gt=0, description="of the dataset, in bytes; none is no limit")
    image: str = Field(pattern=IMAGE, description=IMAGE_IS)
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
    def kind(self) -> DatasetKind:
        """The kind of the node's dataset."""
        kind = durable_kind(self.type)
        assert kind is not None, "a node keeps data"
        return kind

    @property
    def dataset(self) -> DatasetWanted:
        """The node's dataset; its id is never the zone's, so that one cannot be taken for the other."""
        own = self.dataset_id or uuid5(self.zone_id, self.kind)
        return DatasetWanted(name=DatasetName.of(self.pool, self.kind), id=own, quota=self.quota)

    @property
    def zone(self) -> ZoneWanted:
        """The node's zone."""
        return ZoneWanted(
            id=self.zone_id,
            type=self.type,
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
def record(
    sled: Sled, name: str, node: dict[str, ledger.Json], record_before: LedgerSeen
) -> ledger.LedgerWritten:
    """Record the node on both internal disks, now that it runs."""
    document = _document(node, record_before)
    return ledger.write(sled=sled, name=name, document=document, before=record_before)


def undo_record(sled: Sled, name: str, node: dict[str, ledger.Json], record_before: LedgerSeen) -> None:
    """Give each copy of the record what it held before."""
    document = _document(node, record_before)
    ledger.undo_write(sled=sled, name=name, document=document, before=record_before)


def _document(node: dict[str, ledger.Json], before: LedgerSeen) -> dict[str, ledger.Json]:
    """Say what the node is; another node than the recorded one gets the next generation."""
    is_same = before.document == {"generation": before.generation, "node": node}
    return {"generation": before.generation if is_same else before.generation + 1, "node": node}


def node_steps(params: NodeParams) -> Iterator[Step]:
    """Make the rows of a node: its pool, dataset, link and zone, and the record of it."""
    zone, root = params.zone, DatasetWanted(name=params.zone.root)
    names: list[str] = [params.dataset.name, params.roots.name, root.name]
    yield image_step(zone.image, "image")
    yield from pool_steps(PoolWanted(name=params.pool, disk=params.disk), names, after=["image"])
    yield look(ledger.look, "record_before", {"name": value(params.record)}, after=["image"])
    yield dataset_step(params.dataset, "dataset", after=["crypt"])
    yield look(delegated, "delegated", {})
    yield dataset_step(params.roots, "roots", after=["crypt"], do=datasets.ensure_there)
    yield dataset_step(root, "root", after=["roots"], do=datasets.ensure_there)
    yield zones_before_step(zone, "image", after=["root"])
    yield stub_step(after=["image"])
    yield link_step(zone.link, "link")
    yield from zone_steps(zone, "image", after=["delegated", "root", "link"])
    yield step(
        record,
        undo=undo_record,
        inputs={"name": value(params.record), "node": value(_node(params))},
        after="ready",
        retry=TRIES,
        timeout_s=CHANGE_S,
        undo_timeout_s=CHANGE_S,
    )


def _node(params: NodeParams) -> dict[str, ledger.Json]:
    return params.model_dump(mode="json") | {"dataset": params.dataset.model_dump(mode="json")}


def node_locks(params: NodeParams) -> list[Lock]:
    """Have the pool alone: its encryption root and the root of its zones may be made, and be undone.

    No config is applied meanwhile: it takes zones away that only the sled's ledger names.
    """
    locks = [
        shared("sled:config"),
        exclusive(f"pool:{params.pool}"),
        exclusive(f"zone:{params.zone.name}"),
        exclusive(f"dataset:{params.dataset.name}"),
    ]
    return locks if params.disk is None else [*locks, exclusive(f"disk:{params.disk.serial}")]
