"""Datasets: look at those of a pool, then have each one as it should be.

Ids, quotas and the saga's tag go into the command that creates a dataset. A dataset of another id, place or
encryption is never touched. Undo destroys what this saga made and gives the others back what was adjusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from pydantic import Field

from sagas.steps.patience import TRIES, patient
from sledsaga.core.define import Absent, Conflicting, Present, Probe
from sledsaga.core.model import Model
from sledsaga.engine.context import Context
from sledsaga.errors import CommandCancelled, HostError, SledsagaError, Transient
from sledsaga.hosts.names import Compression, DatasetName
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zfs.spec import EPOCH, ID, Dataset, DatasetSpec, differing_settings, printed

State = Literal["created", "present", "adjusted"]


class DatasetWanted(Model):
    """A dataset that should be there; sizes in bytes, None is none. Its place follows from its name."""

    name: DatasetName
    id: UUID | None = None
    quota: int | None = None
    reservation: int | None = None
    compression: Compression | None = None

    @property
    def spec(self) -> DatasetSpec:
        """The dataset as the driver takes it."""
        return DatasetSpec.of(
            self.name,
            self.id,
            quota=self.quota,
            reservation=self.reservation,
            compression=self.compression,
        )


class DatasetSeen(Model):
    """What a dataset was when it was looked at; sizes in bytes."""

    id: UUID | None
    saga: str | None
    epoch: int | None
    quota: int | None
    reservation: int | None
    compression: str
    is_mounted: bool
    is_key_loaded: bool | None

    @property
    def settings(self) -> dict[str, str | None]:
        """The adjustable properties, as `Datasets.restore` takes them."""
        return {
            "quota": str(self.quota or "none"),
            "reservation": str(self.reservation or "none"),
            "compression": self.compression,
            ID: None if self.id is None else str(self.id),
            EPOCH: None if self.epoch is None else str(self.epoch),
        }


class Looked(Model):
    """Those of some datasets that were there, by name.

    `away`: those of which that could not be told, as their pool was away, and why.
    """

    datasets: dict[str, DatasetSeen]
    away: dict[str, str] = Field(default_factory=dict)

    def refuse_away(self, name: str) -> None:
        """Raise HostError for a dataset that could not be looked at: no undo would know what it was."""
        if name in self.away:
            raise HostError(f"{name} could not be looked at before: {self.away[name]}")


class DatasetMade(Model):
    """A dataset that is as it should be, and what it took."""

    name: DatasetName
    id: UUID | None
    state: State


class Item(Model):
    """How it went for one dataset of several; `why` says what is wrong with a failed one."""

    name: DatasetName
    id: UUID | None
    state: Literal["created", "present", "adjusted", "failed"]
    why: str = ""


class Report(Model):
    """How it went for all datasets, in the order in which they were given."""

    items: list[Item]
    counts: dict[str, int]


def seen_of(found: Dataset) -> DatasetSeen:
    """Keep of a dataset what an undo may have to give back."""
    return DatasetSeen(
        id=found.id,
        saga=found.saga,
        epoch=found.epoch,
        quota=found.quota,
        reservation=found.reservation,
        compression=found.compression,
        is_mounted=found.is_mounted,
        is_key_loaded=found.is_key_loaded,
    )


@patient
def look(sled: Sled, names: list[str]) -> Looked:
    """Look at some datasets, before anything is done to them."""
    found, away = sled.datasets.recall_all(names)
    return Looked(datasets={name: seen_of(found[name]) for name in sorted(found)}, away=away)


@patient
def ensure(sled: Sled, wanted: DatasetWanted, before: Looked) -> DatasetMade:
    """Have the dataset there, as it should be, and mounted unless it is for a zone."""
    before.refuse_away(wanted.name)
    sled.datasets.ensure(wanted.spec, was_absent=wanted.name not in before.datasets)
    return DatasetMade(
        name=wanted.name, id=wanted.id, state=_state(wanted.spec, before.datasets.get(wanted.name))
    )


def undo_ensure(sled: Sled, wanted: DatasetWanted, before: Looked) -> None:
    """Destroy the dataset when it was not there before; else give it back its settings, and unmount it.

    Nothing was done to one that could not be looked at before.
    """
    if wanted.name not in before.away:
        put_back(sled, wanted.spec, before.datasets.get(wanted.name))


def put_back(sled: Sled, spec: DatasetSpec, seen: DatasetSeen | None) -> None:
    """Make a dataset what it was. Raises ForeignObject when it should go but holds anything.

    One that came meanwhile without this saga's tag is not this saga's work, so it is left alone.
    """
    if seen is None:
        found = sled.datasets.recall(spec.name)
        if found is not None and found.saga != sled.saga and not sled.datasets.discard_unmade(found):
            return
        sled.datasets.destroy(spec.name, mountpoint=spec.mountpoint if spec.is_mounted_here else None)
        return
    if spec.is_mounted_here and not seen.is_mounted:
        sled.datasets.unmount(spec.name)
    sled.datasets.restore(spec.name, seen.settings)


@patient
def ensure_there(sled: Sled, wanted: DatasetWanted, before: Looked) -> DatasetMade:
    """Have the dataset there and mounted; one that is there keeps its id and its settings."""
    before.refuse_away(wanted.name)
    spec = wanted.spec
    seen = before.datasets.get(wanted.name)
    found = sled.datasets.observe(spec.name)
    if found is None or (seen is None and sled.datasets.discard_unmade(found)):
        sled.datasets.ensure(spec)
    elif spec.is_mounted_here:
        sled.datasets.mount(spec.name)
    state: State = "created" if seen is None else "present"
    return DatasetMade(name=wanted.name, id=wanted.id if seen is None else seen.id, state=state)


def attempt(
    sled: Sled, ctx: Context, wanted: DatasetWanted, before: Looked, root: Item | None = None
) -> Item:
    """Do the same as `ensure`, but tell of a failure instead of failing; `root` is the parent's result.

    What may be tried again is, as often as other steps are; only then is it told.
    """
    if root is not None and root.state == "failed":
        return _failed(wanted, f"its root {root.name} failed: {root.why}")
    try:
        made = ensure(sled=sled, wanted=wanted, before=before)
    except CommandCancelled:
        raise
    except Transient as error:
        if ctx.attempt < TRIES.attempts:
            raise
        return _failed(wanted, str(error))
    except SledsagaError as error:
        return _failed(wanted, str(error))
    return Item(name=made.name, id=made.id, state=made.state)


def as_item(made: DatasetMade) -> Item:
    """Tell of a dataset that went well."""
    return Item(name=made.name, id=made.id, state=made.state)


def report(items: list[Item]) -> Report:
    """Collect the results of all datasets."""
    states = [item.state for item in items]
    return Report(items=items, counts={state: states.count(state) for state in sorted(set(states))})


def report_all(made: list[DatasetMade]) -> Report:
    """Collect the results of datasets that all went well."""
    return report([as_item(one) for one in made])


def probe(sled: Sled, wanted: DatasetWanted) -> Probe:
    """Say whether the dataset is there, exactly as it should be, and whose it is."""
    seen = sled.datasets.observe(wanted.name)
    if seen is None:
        return Absent()
    try:
        sled.datasets.refuse_other(wanted.spec, seen)
    except SledsagaError as error:
        return Conflicting(str(error))
    if differing_settings(wanted.spec, seen) or (wanted.spec.is_mounted_here and not seen.is_mounted):
        return Absent()
    is_ours = seen.saga == sled.saga
    made = DatasetMade(name=wanted.name, id=wanted.id, state="created" if is_ours else "present")
    return Present(made, ours=is_ours)


def step_name(what: str, name: str) -> str:
    """Name the step for one dataset: a step's name has no slash."""
    return f"{what}:{name.replace('/', ':')}"


def parents_first(wanted: Sequence[DatasetWanted]) -> list[DatasetWanted]:
    """Order datasets so that each comes after its parent, the roots of zones last."""
    return sorted(
        wanted, key=lambda one: (one.name.kind.transient_zone is not None, one.name.count("/"), one.name)
    )


def _state(spec: DatasetSpec, seen: DatasetSeen | None) -> State:
    """Say what it took, by what was there before: a second try after a crash tells the same."""
    if seen is None:
        return "created"
    pairs = (
        ((spec.quota or None), (seen.quota or None)),
        ((spec.reservation or None), (seen.reservation or None)),
        (printed(spec.compression or seen.compression), printed(seen.compression)),
        (spec.id or seen.id, seen.id),
        (spec.is_mounted_here, seen.is_mounted),
    )
    return "present" if all(want == have for want, have in pairs) else "adjusted"


def _failed(wanted: DatasetWanted, why: str) -> Item:
    return Item(name=wanted.name, id=wanted.id, state="failed", why=why)
