"""Operations of the catalog on a virtual sled: disks are formatted and get datasets, or all is taken back.

Rules
- In one round a disk is formatted while the formatting of another is cancelled midway; in the next one
  datasets are made on the first disk, twice at the same time, once with one among them that cannot be.
- What was cancelled may end either way: the cancel may have come too late, or was never acknowledged.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from pathlib import Path
from typing import Any, Final

from sagas.ensure_datasets import OPERATION as ENSURE_DATASETS
from sagas.format_u2 import OPERATION as FORMAT_U2
from sledsaga.core import events as e
from sledsaga.core.commands import Command
from sledsaga.engine.engine import Engine
from sledsaga.engine.ids import new_id
from sledsaga.errors import Refused
from sledsaga.hosts.linux.machine import parse_machine
from sledsaga.hosts.linux.virtual import DOCUMENT, LEAST_BYTES, make_virtual
from sledsaga.wiring import Sleds
from tests.blackout.work import Told, Work

FOLDER: Final = Path("/disk/sled")
KEPT: Final = 4
"""Disks that are formatted; as many more are begun and cancelled."""
TOO_MUCH: Final = 2**40
PATIENCE_S: Final = 60.0
FORMATTED: Final = {"pool": "", "crypt": "/crypt", "zone": "/crypt/zone", "debug": "/crypt/debug"}
"""What is in a disk's pool, by the step that makes it."""
SLEDS: Final = Sleds(f"local:{FOLDER / DOCUMENT}")


def prepare() -> None:
    """Make the disks."""
    make_virtual(FOLDER, u2=2 * KEPT, m2=0, size_bytes=LEAST_BYTES, plain=True)


def run_round(engine: Engine, number: int) -> None:
    """Run a pair of sagas at the same time; the first ones that ever run format the first disk."""
    for saga in format_pair(engine, number) if number // 2 % 2 == 0 else dataset_pair(engine, number):
        engine.wait(saga, PATIENCE_S)


def format_pair(engine: Engine, number: int) -> tuple[str, str]:
    """Format a disk, and cancel the formatting of another."""
    disk = (number // 4 * 2 + number % 2) % KEPT
    first = engine.submit("format-u2", disk_params(disk)).id
    return first, submit_and_cancel(engine, disk_params(KEPT + disk), after=1 + number % 5)


def dataset_pair(engine: Engine, number: int) -> tuple[str, ...]:
    """Make datasets in the first disk's pool, twice, the second time in vain."""
    both = (dataset_params(number, fails=False), dataset_params(number, fails=True))
    return tuple(engine.submit("ensure-datasets", params).id for params in both)


def submit_and_cancel(engine: Engine, params: Told, *, after: int) -> str:
    """Submit the formatting of a disk, and cancel it once so many of its steps have succeeded."""
    saga, left, reached = new_id(), iter(range(after, 0, -1)), threading.Event()

    def hear(told: str, events: tuple[e.Recorded, ...]) -> None:
        done = sum(isinstance(one.event, e.StepSucceeded) for one in events) if told == saga else 0
        if any(next(left, 1) == 1 for _ in range(done)):
            reached.set()

    unsubscribe = engine.subscribe(hear)
    engine.submit("format-u2", params, id=saga)
    assert reached.wait(PATIENCE_S), "its steps do not succeed"
    unsubscribe()
    with contextlib.suppress(Refused):
        engine.command(saga, Command("cancel", "the test", "to see it unwind"))
    return saga


def disk_params(number: int) -> Told:
    """Return what formats a disk."""
    disk = parse_machine((FOLDER / DOCUMENT).read_bytes()).disks[number].identity
    identity = {"vendor": disk.vendor, "model": disk.model, "serial": disk.serial}
    return {"disk": identity, "pool_id": steady("pool", number)}


def dataset_params(number: int, *, fails: bool) -> Told:
    """Return what makes three datasets; when it fails, the last one is larger than its pool."""
    pool = f"oxp_{steady('pool', 0)}"
    zones = [f"zone/oxz_test_{steady(number, fails, place)}" for place in range(3)]
    items: list[dict[str, Any]] = [{"pool": pool, "kind": kind} for kind in sorted(zones)]
    if fails:
        items[-1]["reservation"] = TOO_MUCH
    return {"datasets": items}


def steady(*parts: object) -> str:
    """Return the same id for the same words."""
    return str(uuid.UUID(bytes=uuid.uuid5(uuid.NAMESPACE_URL, " ".join(map(str, parts))).bytes, version=4))


def ends(saga: Told) -> frozenset[str]:
    """Say how a saga may end."""
    if saga["operation"] == "ensure-datasets":
        fails = any(item.get("reservation") for item in saga["params"]["datasets"])
        return frozenset({"undone" if fails else "succeeded"})
    cancelled = {steady("pool", number) for number in range(KEPT, 2 * KEPT)}
    return frozenset({"succeeded", "undone"} if saga["params"]["pool_id"] in cancelled else {"succeeded"})


def leaves(saga: Told) -> frozenset[str]:
    """Name what is there once a saga has succeeded."""
    if saga["operation"] == "ensure-datasets":
        return frozenset(f"{item['pool']}/crypt/{item['kind']}" for item in saga["params"]["datasets"])
    return frozenset(made(saga, step) for step in FORMATTED)


def made(saga: Told, step: str) -> str:
    """Name what a step makes."""
    if saga["operation"] == "ensure-datasets":
        what, _, name = step.partition(":")
        return name.replace(":", "/") if what == "dataset" else ""
    return f"oxp_{saga['params']['pool_id']}{FORMATTED[step]}" if step in FORMATTED else ""


WORK: Final = Work(
    operations=(FORMAT_U2, ENSURE_DATASETS),
    prepare=prepare,
    sled=SLEDS,
    round=run_round,
    files=list,
    begin=frozenset(),
    ends=ends,
    leaves=leaves,
    made=made,
)
