"""`rotate-keys`: change the keys of encrypted pools to those of another epoch.

Leaves behind: the encryption root `crypt` of each pool wrapped by the key of the epoch, the epoch recorded on
it, no key in any file; and a report with a result for each pool: changed, present, or failed and why. No data
is written anew and nothing is unmounted. With the policy `best-effort`, which is usual, a pool that fails
keeps its key and the others are changed; with `all-or-nothing` one failure changes all of them back, for
which the secrets of their old epochs must still be there. The pools must be imported, their keys loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, field_validator

from sagas.steps import keys
from sagas.steps.encryption import crypt_name
from sagas.steps.patience import KEY_TRIES
from sagas.steps.tables import CHANGE_S, look, named
from sledsaga.core.define import (
    Lock,
    Source,
    Step,
    exclusive,
    no_undo,
    operation,
    output_of,
    outputs_of,
    shared,
    step,
    value,
)
from sledsaga.core.model import Model
from sledsaga.hosts.names import PoolName


class Params(Model):
    """Which pools, and to which epoch."""

    pools: tuple[PoolName, ...] = Field(description="names of the pools, each once", min_length=1)
    epoch: int | None = Field(default=None, ge=0, description="the epoch of the new keys; the latest if none")
    policy: Literal["best-effort", "all-or-nothing"] = Field(
        default="best-effort", description="what one failure means for the others"
    )

    @field_validator("pools")
    @classmethod
    def _each_once(cls, pools: tuple[PoolName, ...]) -> tuple[PoolName, ...]:
        twice = next((pool for pool in pools if pools.count(pool) > 1), None)
        if twice is not None:
            raise ValueError(f"pool {twice} is named twice; each pool may be named once")
        return pools


def _steps(params: Params) -> Iterator[Step]:
    is_strict = params.policy == "all-or-nothing"
    yield look(keys.target, "target", {"epoch": value(params.epoch)}, retry=KEY_TRIES)
    for pool in params.pools:
        do = keys.look if is_strict else keys.look_or_tell
        before = named("before", pool)
        wanted: dict[str, Source] = {"pool": value(pool)}
        yield look(do, before, wanted, after=["target"], retry=KEY_TRIES, undo=keys.undo_look)
        yield step(
            keys.change if is_strict else keys.change_or_tell,
            name=named("key", pool),
            undo=keys.undo_change,
            probe=keys.probe if is_strict else None,
            inputs={"before": output_of(before)},
            retry=KEY_TRIES,
            timeout_s=CHANGE_S,
            undo_timeout_s=CHANGE_S,
        )
    items = outputs_of([named("key", pool) for pool in params.pools])
    yield step(keys.report, undo=no_undo("it only tells how it went"), inputs={"items": items})


def _locks(params: Params) -> list[Lock]:
    return [
        *(shared(f"pool:{pool}") for pool in sorted(params.pools)),
        *(exclusive(f"dataset:{crypt_name(pool)}") for pool in sorted(params.pools)),
    ]


OPERATION = operation(
    "rotate-keys",
    version=1,
    params=Params,
    steps=lambda params: tuple(_steps(params)),
    locks=_locks,
    summary="change the keys of encrypted pools to those of another epoch",
)
