"""`ensure-datasets`: have many datasets as they should be, in one saga.

Leaves behind: each dataset with its id, quota, reservation and compression, mounted unless it belongs to a
zone, and a report with a result for each: created, present, adjusted, or failed and why. With the policy
`all-or-nothing` one failure undoes all that was made or adjusted; with `best-effort` the others stay and
the saga succeeds. The pools must be imported and their keys loaded. No dataset is ever destroyed but one
that this saga made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from sagas.steps import datasets
from sagas.steps.datasets import DatasetWanted, parents_first
from sagas.steps.patience import TRIES
from sagas.steps.tables import CHANGE_S, dataset_step, look, named
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
from sledsaga.hosts.names import Compression, DatasetKind, DatasetName, PoolName

Policy = Literal["all-or-nothing", "best-effort"]


class Item(Model):
    """One dataset, as a sled config has it: `name` is its pool and kind; sizes in bytes, none is no limit."""

    id: UUID | None = None
    pool: PoolName
    kind: DatasetKind
    compression: Compression | None = None
    quota: int | None = Field(default=None, ge=0)
    reservation: int | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _unfold(cls, data: Any) -> Any:  # noqa: ANN401 - whatever came
        """Take the nested form of a sled config, too: `{"name": {"pool_name": …, "kind": …}}`."""
        if not isinstance(data, dict) or not isinstance(data.get("name"), dict):
            return data
        place = data["name"]
        rest = {key: held for key, held in data.items() if key != "name"}
        return rest | {"pool": place.get("pool_name"), "kind": place.get("kind")}

    @property
    def wanted(self) -> DatasetWanted:
        """The dataset as the steps take it."""
        return DatasetWanted(
            name=DatasetName.of(self.pool, self.kind),
            id=self.id,
            quota=self.quota or None,
            reservation=self.reservation or None,
            compression=self.compression,
        )


class Params(Model):
    """The datasets, and what one failure means for the others."""

    datasets: tuple[Item, ...] = Field(description="a list, or an object by id")
    policy: Policy = Field(default="all-or-nothing", description="what one failure means for the others")

    @field_validator("datasets", mode="before")
    @classmethod
    def _listed(cls, data: Any) -> Any:  # noqa: ANN401 - whatever came
        return list(data.values()) if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        _refuse_twice("dataset", [item.wanted.name for item in self.datasets])
        _refuse_twice("id", [str(item.id) for item in self.datasets if item.id is not None])
        return self


def _refuse_twice(what: str, names: Sequence[str]) -> None:
    counts = Counter(names)
    for name in names:
        if counts[name] > 1:
            raise ValueError(f"{what} {name} is named twice; each dataset may be named once")


def _steps(params: Params) -> Iterator[Step]:
    wanted = parents_first([item.wanted for item in params.datasets])
    for pool in sorted({one.name.pool for one in wanted}):
        names = [one.name for one in wanted if one.name.pool == pool]
        yield look(datasets.look, named("before", pool), {"names": value(names)})
    rows = {one.name: named("dataset", one.name) for one in wanted}
    for one in wanted:
        root = _root_of(one)
        parent = rows.get(root) if root is not None else None
        yield from _row(one, rows[one.name], parent, params.policy)
    in_order = outputs_of([rows[item.wanted.name] for item in params.datasets])
    yield _report(in_order, params.policy)


def _row(one: DatasetWanted, name: str, parent: str | None, policy: Policy) -> Iterator[Step]:
    before = named("before", one.name.pool)
    if policy == "all-or-nothing":
        yield dataset_step(one, name, before=before, after=[parent] if parent else [])
        return
    inputs: dict[str, Source] = {"wanted": value(one), "before": output_of(before)}
    yield step(
        datasets.attempt,
        name=name,
        undo=datasets.undo_ensure,
        inputs=inputs | ({"root": output_of(parent)} if parent else {}),
        retry=TRIES,
        timeout_s=CHANGE_S,
        undo_timeout_s=CHANGE_S,
    )


def _report(results: Any, policy: Policy) -> Step:  # noqa: ANN401 - a source of the steps' results
    why = no_undo("it only tells how it went")
    if policy == "best-effort":
        return step(datasets.report, undo=why, inputs={"items": results})
    return step(datasets.report_all, name="report", undo=why, inputs={"made": results})


def _root_of(one: DatasetWanted) -> DatasetName | None:
    """Name the dataset that holds the roots of zones, for one of them."""
    is_root = one.name.kind.transient_zone is not None
    return DatasetName.of(one.name.pool, DatasetKind("zone")) if is_root else None


def _locks(params: Params) -> list[Lock]:
    names = {item.wanted.name for item in params.datasets}
    roots = {root for item in params.datasets if (root := _root_of(item.wanted)) is not None}
    return [
        *(shared(f"pool:{pool}") for pool in sorted({name.pool for name in names})),
        *(shared(f"dataset:{root}") for root in sorted(roots - names)),
        *(exclusive(f"dataset:{name}") for name in sorted(names)),
    ]


OPERATION = operation(
    "ensure-datasets",
    version=1,
    params=Params,
    steps=lambda params: tuple(_steps(params)),
    locks=_locks,
    summary="have many datasets as they should be, all or as many as can be",
)
