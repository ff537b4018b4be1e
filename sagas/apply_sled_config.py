"""`apply-sled-config`: make a sled what its config document says.

Leaves behind: each disk of the document with its pool, formatted when it was blank; each dataset with its
id and limits; each zone running; zones that only the former document named gone, their data kept; and the
document, every field of it, in the ledger on both internal disks. Applied again it changes nothing. A lower
generation, and another document of the same generation, are refused.

The ledger is written last: until then the saga's own log is the record of what is meant, and undoing gives
back every byte. Zones that go are halted before anything new starts, and taken away only after the ledger
is written. The boot images (`host_phase_2`), `measurements` and `remove_mupdate_override` are recorded, not
acted on. A disk that the document no longer names is left as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PrivateAttr, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from sagas.steps import ledger, links, removal, waiting, zone_records
from sagas.steps.datasets import DatasetWanted
from sagas.steps.ledger import LedgerSeen, LedgerWritten
from sagas.steps.patience import PATIENT, TRIES, patient
from sagas.steps.sled_config import SledConfig, read_config
from sagas.steps.tables import (
    CHANGE_S,
    INSTALL_S,
    ONLY_LOOKS,
    dataset_step,
    image_step,
    link_step,
    look,
    named,
    pool_steps,
    stub_step,
    zone_steps,
)
from sagas.steps.zone_kinds import BEFORE_TIME, NTP, ZoneWanted
from sagas.steps.zone_records import ZonesSeen
from sledsaga.core.define import (
    Lock,
    Probe,
    Source,
    Step,
    exclusive,
    operation,
    output_of,
    outputs_of,
    step,
    value,
)
from sledsaga.errors import Conflict, UsageError
from sledsaga.hosts.names import PoolName
from sledsaga.hosts.sled import Sled

LEDGER = "omicron-sled-config.json"


class Params(BaseModel):
    """The document itself, at the top level, with whatever fields it has; they are all kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    generation: JsonValue = Field(default=None, description="a number that rises with each config")
    disks: JsonValue = Field(default=None, description="the disks to have, formatted if blank")
    datasets: JsonValue = Field(default=None, description="the datasets to have")
    zones: JsonValue = Field(default=None, description="the zones to have, running")

    _config: SledConfig = PrivateAttr()

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            self._config = read_config(self.document)
        except UsageError as error:
            raise PydanticCustomError("sled_config", "{why}", {"why": str(error)}) from error
        return self

    @model_serializer(mode="plain")
    def _as_it_came(self) -> dict[str, JsonValue]:
        return self.document

    @property
    def document(self) -> dict[str, Any]:
        """The document as it came, without a field that it did not have."""
        given = {
            name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set
        }
        return given | dict(self.__pydantic_extra__ or {})

    @property
    def config(self) -> SledConfig:
        """The document, read."""
        return self._config


@patient
def check(sled: Sled, params: Params) -> LedgerSeen:
    """Look at the ledger, and refuse a document that is older than it, or another of its generation."""
    seen = ledger.look(sled=sled, name=LEDGER)
    ledger.check_generation(params.config.generation, params.document, seen)
    return seen


@patient
def zones_before(sled: Sled, zones: list[ZoneWanted], check: LedgerSeen) -> ZonesSeen:
    """Look at the zones of this document and of the one before it."""
    return zone_records.look(sled=sled, zones=zones, previous=_previous(check))


def _previous(check: LedgerSeen) -> list[ZoneWanted]:
    if check.document is None:
        return []
    try:
        return list(read_config(check.document).zones)
    except UsageError as error:
        where = f"the config in the sled's ledger (generation {check.generation}) cannot be read"
        raise Conflict(f"{where}, so it is not known which zones have to go: {error}") from error


@patient
def record(sled: Sled, params: Params, check: LedgerSeen) -> LedgerWritten:
    """Write the document to the ledger on each internal disk; copies that hold it are left alone."""
    return ledger.write(sled=sled, name=LEDGER, document=params.document, before=check)


def undo_record(sled: Sled, params: Params, check: LedgerSeen) -> None:
    """Give each copy of the ledger what it held before."""
    ledger.undo_write(sled=sled, name=LEDGER, document=params.document, before=check)


def probe_record(sled: Sled, params: Params) -> Probe:
    """Say whether the ledger holds the document, or refuses it."""
    return ledger.probe(sled=sled, name=LEDGER, document=params.document)


def _steps(params: Params) -> Iterator[Step]:
    config = params.config
    images = {named("image", zone.image.key): zone.image for zone in config.zones}
    yield look(check, "check", {})
    yield from (image_step(image, row, after=["check"]) for row, image in images.items())
    on_pools = _by_pool(config.datasets)
    for pool in config.pools:
        names: list[str] = [one.name for one in on_pools[pool.name]]
        yield from pool_steps(pool, names, which=pool.name, after=["check", *images])
    for name, datasets in on_pools.items():
        yield from _dataset_rows(name, datasets)
    yield from _shutdown_rows(config)
    yield stub_step(after=["check", *images])
    yield from _zone_rows(config.zones)
    yield step(
        record,
        undo=undo_record,
        probe=probe_record,
        after=_all_done(config),
        retry=TRIES,
        timeout_s=CHANGE_S,
        undo_timeout_s=CHANGE_S,
    )
    yield _retire_row(config)


def _by_pool(datasets: Iterable[DatasetWanted]) -> Mapping[PoolName, list[DatasetWanted]]:
    found: defaultdict[PoolName, list[DatasetWanted]] = defaultdict(list)
    for one in datasets:
        found[one.name.pool].append(one)
    return found


def _dataset_rows(pool: PoolName, datasets: Sequence[DatasetWanted]) -> Iterator[Step]:
    """Parents come first; the roots of zones come after everything else of their pool."""
    others = [_row(one) for one in datasets if one.name.kind.transient_zone is None]
    for one in datasets:
        is_root = one.name.kind.transient_zone is not None
        after = [named("crypt", pool), *(others if is_root else ())]
        yield dataset_step(one, _row(one), before=named("before", pool), after=after)


def _row(one: DatasetWanted) -> str:
    return named("dataset", one.name)


def _shutdown_rows(config: SledConfig) -> Iterator[Step]:
    zones: dict[str, Source] = {"zones": value(list(config.zones))}
    yield step(
        zones_before,
        name="zones-before",
        undo=ONLY_LOOKS,
        inputs=zones,
        after=[*(named("crypt", pool.name) for pool in config.pools), *map(_row, config.datasets)],
        retry=TRIES,
        timeout_s=CHANGE_S,
    )
    yield step(
        removal.shut_down,
        name="shut-down",
        undo=removal.undo_shut_down,
        inputs=zones | {"images": _images(config.zones), "before": output_of("zones-before")},
        retry=TRIES,
        timeout_s=CHANGE_S,
        undo_timeout_s=CHANGE_S,
    )


def _images(zones: Sequence[ZoneWanted]) -> Source:
    return outputs_of([named("image", zone.image.key) for zone in zones])


def _zone_rows(zones: Sequence[ZoneWanted]) -> Iterator[Step]:
    first = [zone for zone in zones if zone.type in BEFORE_TIME]
    others = [zone for zone in zones if zone.type not in BEFORE_TIME]
    for zone in zones:
        yield link_step(zone.link, named("link", zone.name))
        gated = ["time"] if zone.type not in BEFORE_TIME else []
        yield from zone_steps(
            zone,
            named("image", zone.image.key),
            which=zone.name,
            after=["shut-down", named("link", zone.name)],
            boot_after=[*gated, *_address_of(zone)],
            is_rebuilt=True,
        )
    yield from _address_rows(zones)
    if others:
        yield _time_row(first, others)


def _time_row(first: Sequence[ZoneWanted], others: Sequence[ZoneWanted]) -> Step:
    inputs: dict[str, Source] = {
        "ntp": value([zone.name for zone in first if zone.type in NTP]),
        "others": value([zone.name for zone in others]),
    }
    after = ["shut-down", *(named("ready", zone.name) for zone in first)]
    return look(waiting.time_sync, "time", inputs, after=after, retry=PATIENT)


def _address_rows(zones: Sequence[ZoneWanted]) -> Iterator[Step]:
    """Have an address of the global zone beside each zone of internal DNS."""
    with_address = [zone for zone in zones if zone.gz_address is not None]
    if with_address:
        yield link_step(links.UNDERLAY, "underlay")
    for zone in with_address:
        assert zone.gz_address is not None
        yield step(
            links.address,
            name=named("address", zone.name),
            undo=links.undo_address,
            inputs={
                "name": value(zone.gz_object),
                "cidr": value(zone_records.gz_cidr(zone.gz_address)),
            },
            after=["underlay", "shut-down"],
            retry=TRIES,
            timeout_s=CHANGE_S,
            undo_timeout_s=CHANGE_S,
        )


def _address_of(zone: ZoneWanted) -> list[str]:
    return [] if zone.gz_address is None else [named("address", zone.name)]


def _all_done(config: SledConfig) -> list[str]:
    return ["shut-down", *(named("ready", zone.name) for zone in config.zones)]


def _retire_row(config: SledConfig) -> Step:
    return step(
        removal.retire,
        name="retire",
        undo=removal.undo_retire,
        inputs={
            "zones": value(list(config.zones)),
            "before": output_of("zones-before"),
            "keep": value([one.name for one in config.datasets]),
        },
        after="record",
        retry=TRIES,
        timeout_s=INSTALL_S,
        undo_timeout_s=INSTALL_S,
    )


def _locks(params: Params) -> list[Lock]:
    config = params.config
    serials = [pool.disk.serial for pool in config.pools if pool.disk is not None]
    return [
        exclusive("sled:config"),
        *(exclusive(f"disk:{serial}") for serial in serials),
        *(exclusive(f"pool:{pool.name}") for pool in config.pools),
        *(exclusive(f"zone:{zone.name}") for zone in config.zones),
    ]


OPERATION = operation(
    "apply-sled-config",
    version=1,
    params=Params,
    steps=lambda params: tuple(_steps(params)),
    locks=_locks,
    summary="make a sled what its config document says: disks, datasets, zones, ledger",
)
