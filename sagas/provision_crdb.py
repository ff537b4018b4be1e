"""`provision-crdb`: a CockroachDB node in a zone of its own.

Leaves behind: the pool imported (made, when `disk` names a blank one), the node's dataset
`crypt/cockroachdb` with its id, the zone `oxz_cockroachdb_<zone_id>` with its root on the same pool, its
link and its profile, running and ready, and a record of it on both internal disks. The
cluster is not initialised: that is done once for a cluster, not for a node. A dataset with another id is
another node's data: it is refused, never used.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sagas.steps.nodes import IMAGE, IMAGE_IS, NodeParams, node_locks, node_steps
from sagas.steps.zone_kinds import ZoneType
from sledsaga.core.define import operation

PORT = 32221
"""The port that omicron gives its CockroachDB nodes."""


class Params(NodeParams):
    """Where the node lives and how it is reached."""

    type: ClassVar[ZoneType] = "cockroach_db"

    port: int = Field(default=PORT, gt=0, lt=65536, description="TCP port that it listens on")
    image: str = Field(
        default="cockroachdb", pattern=IMAGE, description=f"{IMAGE_IS}, such as postgresql in its place"
    )


OPERATION = operation(
    "provision-crdb",
    version=1,
    params=Params,
    steps=lambda params: tuple(node_steps(params)),
    locks=node_locks,
    summary="a CockroachDB node in a zone of its own, running and recorded",
)
