"""`provision-clickhouse`: a single ClickHouse server in a zone of its own.

Leaves behind what `provision-crdb` does: the pool imported (made, when `disk` names a blank one), the
dataset `crypt/clickhouse` with its id, the zone `oxz_clickhouse_<zone_id>` with its root on the same pool,
its link and its profile, running and ready, and a record of it on both internal disks. A dataset with another
id is another server's data: it is refused, never used. Keepers and replicated servers, which start only when
somebody has given them their configuration, are for `apply-sled-config`.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sagas.steps.nodes import IMAGE, IMAGE_IS, NodeParams, node_locks, node_steps
from sagas.steps.zone_kinds import ZoneType
from sledsaga.core.define import operation

PORT = 8123
"""The port on which ClickHouse answers HTTP."""


class Params(NodeParams):
    """Where the server lives and how it is reached."""

    type: ClassVar[ZoneType] = "clickhouse"

    port: int = Field(default=PORT, gt=0, lt=65536, description="TCP port that it listens on")
    image: str = Field(default="clickhouse", pattern=IMAGE, description=IMAGE_IS)


OPERATION = operation(
    "provision-clickhouse",
    version=1,
    params=Params,
    steps=lambda params: tuple(node_steps(params)),
    locks=node_locks,
    summary="a ClickHouse server in a zone of its own, running and recorded",
)
