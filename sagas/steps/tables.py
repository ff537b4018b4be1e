"""Ready rows for DAG tables: the shared steps with their undo, probe, retries and time, wired to each other.

A row's name is `what`, or `what:which` where an operation does the same for many things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sagas.steps import datasets, encryption, images, links, pools, zone_records, zones
from sagas.steps.datasets import DatasetWanted
from sagas.steps.images import ImageWanted
from sagas.steps.patience import KEY_TRIES, PATIENT, TRIES
from sagas.steps.pools import PoolWanted
from sagas.steps.zone_kinds import ZoneWanted
from sledsaga.core.define import NoUndo, Retry, Source, Step, no_undo, output_of, step, value

LOOK_S = 60.0
CHANGE_S = 120.0
"""Seconds for one try of a step that changes one thing; the commands need well below one each."""
INSTALL_S = 900.0
"""Seconds to install a zone: an image of some GiB is unpacked."""
WAIT_S = 90.0
ONLY_LOOKS = no_undo("it only looks")


def named(what: str, which: str = "") -> str:
    """Name a row; the name of a thing may have slashes, the name of a row has none."""
    return f"{what}:{which.replace('/', ':')}" if which else what


def look(
    do: Callable[..., Any],
    name: str,
    inputs: dict[str, Source],
    *,
    after: Iterable[str] = (),
    retry: Retry = TRIES,
    probe: Callable[..., Any] | None = None,
    undo: Callable[..., Any] | NoUndo = ONLY_LOOKS,
) -> Step:
    """Make a row that only looks; `undo` is for one that may leave something when it is killed."""
    return step(
        do,
        name=name,
        undo=undo,
        probe=probe,
        inputs=inputs,
        after=after,
        retry=retry,
        timeout_s=WAIT_S if retry is PATIENT else LOOK_S,
        undo_timeout_s=None if undo is ONLY_LOOKS else LOOK_S,
        cancellable=retry is PATIENT,
    )


def pool_steps(
    wanted: PoolWanted, names: list[str], *, which: str = "", after: Iterable[str] = ()
) -> Iterator[Step]:
    """Make the rows for one pool: find its disk, have it, look at its datasets, have its encryption root."""
    pool: dict[str, Source] = {"wanted": value(wanted)}
    disk: dict[str, Source] = {"disk": output_of(named("find", which))}
    before: dict[str, Source] = {"before": output_of(named("before", which))}
    seen = value([encryption.crypt_name(wanted.name), *names])
    yield look(pools.find, named("find", which), pool, after=after)
    yield step(
        pools.ensure,
        name=named("pool", which),
        undo=pools.undo_ensure,
        probe=pools.probe,
        inputs=pool | disk,
        retry=TRIES,
        timeout_s=CHANGE_S,
        undo_timeout_s=CHANGE_S,
    )
    yield look(datasets.look, named("before", which), {"names": seen}, after=[named("pool", which)])
    yield step(
        encryption.ensure,
        name=named("crypt", which),
        undo=encryption.undo_ensure,
        probe=encryption.probe,
        inputs=pool | disk | before,
        retry=KEY_TRIES,
        timeout_s=CHANGE_S,
        undo_timeout_s=CHANGE_S,
    )


def dataset_step(
    wanted: DatasetWanted,
    name: str,
    *,
    before: str = "before",
    after: Iterable[str] = (),
    do: Callable[..., Any] = datasets.ensure,
) -> Step:
    """Make the row for one dataset."""
    return step(
        do,
        name=name,
        undo=datasets.undo_ensure,
        probe=datasets.probe if do is datasets.ensure else None,
        inputs={"wanted": value(wanted), "before": output_of(before)},
        after=after,
        retry=TRIES,
        timeout_s=CHANGE_S,
        undo_timeout_s=CHANGE_S,
    )


def image_step(wanted: ImageWanted, name: str, *, after: Iterable[str] = ()) -> Step:
    """Make the row that finds an image."""
    return look(images.locate, name, {"wanted": value(wanted)}, after=after, probe=images.probe)


def stub_step(*, after: Iterable[str] = ()) -> Step:
    """Make the row for the underlay's etherstub."""
    return step(
        links.stub,
        name="stub",
        undo=links.undo_stub,
        after=after,
        retry=TRIES,
        timeout_s=CHANGE_S,
        undo_timeout_s=CHANGE_S,
    )


def link_step(name: str, row: str) -> Step:
    """Make the row for one VNIC over the etherstub."""
    return step(
        links.vnic,
        name=row,
        undo=links.undo_vnic,
        probe=links.probe_vnic,
        inputs={"name": value(name)},
        after="stub",
        retry=TRIES,
        timeout_s=CHANGE_S,
        undo_timeout_s=CHANGE_S,
    )


def zone_steps(
    zone: ZoneWanted,
    image: str,
    *,
    which: str = "",
    after: Iterable[str] = (),
    boot_after: Iterable[str] = (),
    is_rebuilt: bool = False,
) -> Iterator[Step]:
    """Make the rows for one zone: configure, install, profile, boot, and wait for its services.

    `is_rebuilt`: an earlier step halts a zone that has another configuration, so it is built anew.
    """
    own: dict[str, Source] = {"zone": value(zone)}
    made: dict[str, Source] = {"image": output_of(image)}
    before: dict[str, Source] = {"before": output_of("zones-before")}
    yield step(
        zones.configure,
        name=named("configure", which),
        undo=zones.undo_configure,
        probe=zones.probe_reconfigure if is_rebuilt else zones.probe_configure,
        inputs=own | made | before,
        after=after,
        retry=TRIES,
        timeout_s=CHANGE_S,
        undo_timeout_s=CHANGE_S,
    )
    yield step(
        zones.install,
        name=named("install", which),
        undo=zones.undo_install,
        inputs=own | made | before | {"configured": output_of(named("configure", which))},
        retry=TRIES,
        timeout_s=INSTALL_S,
        undo_timeout_s=INSTALL_S,
    )
    yield step(
        zones.profile,
        name=named("profile", which),
        undo=zones.undo_profile,
        inputs=own | {"zonepath": output_of(named("install", which))},
        retry=TRIES,
        timeout_s=LOOK_S,
        undo_timeout_s=LOOK_S,
    )
    yield from _start(own | made | before, which, boot_after)


def _start(inputs: dict[str, Source], which: str, boot_after: Iterable[str]) -> Iterator[Step]:
    yield step(
        zones.boot,
        name=named("boot", which),
        undo=zones.undo_boot,
        probe=zones.probe_boot,
        inputs=inputs | {"profile": output_of(named("profile", which))},
        after=boot_after,
        retry=TRIES,
        timeout_s=CHANGE_S,
        undo_timeout_s=CHANGE_S,
    )
    running: dict[str, Source] = {"running": output_of(named("boot", which))}
    yield look(zones.ready, named("ready", which), running, retry=PATIENT)


def zones_before_step(zone: ZoneWanted, image: str, *, after: Iterable[str] = ()) -> Step:
    """Make the row that looks at one zone before anything is done to it."""
    inputs: dict[str, Source] = {"zone": value(zone), "image": output_of(image)}
    return look(zone_records.look_at_one, "zones-before", inputs, after=after)
