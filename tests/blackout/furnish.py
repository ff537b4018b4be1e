"""The operation under which the power is cut: three datasets, two at the same time, and a file in one.

Rules
- Each dataset is created with the saga's tag, so a second try knows its own, and undo removes only that.
- `fails` makes the last step fail, so all is taken back.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from sagas.steps.patience import TRIES, patient
from sledsaga.core.define import no_undo, operation, step
from sledsaga.core.model import Model
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.errors import ForeignObject
from sledsaga.hosts.answer import changes, looks, lookup, require
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zfs.parse import ABSENT
from sledsaga.hosts.zpool.commands import TAG
from tests.blackout.work import Told, Work

POOL: Final = "tank"
MOUNTED: Final = f"/{POOL}"
VDEV: Final = Path("/disk/vdev.img")
VDEV_BYTES: Final = 128 * 2**20
PATIENCE_S: Final = 60.0


class Params(Model):
    number: int
    fails: bool


def names(number: int) -> tuple[str, ...]:
    """Return the datasets of the saga with this number, when it has succeeded."""
    shelf = f"{POOL}/shelf{number}"
    return shelf, f"{shelf}/left", f"{shelf}/right"


def note_path(number: int) -> str:
    """Return where a saga that has succeeded has written its number."""
    return f"{MOUNTED}/shelf{number}/left/number"


@patient
def shelf(sled: Sled, params: Params) -> str:
    return have(sled, names(params.number)[0])


@patient
def left(sled: Sled, shelf: str) -> str:
    return have(sled, f"{shelf}/left")


@patient
def right(sled: Sled, shelf: str) -> str:
    return have(sled, f"{shelf}/right")


@patient
def undo_shelf(sled: Sled, params: Params) -> None:
    remove(sled, names(params.number)[0])


@patient
def undo_left(sled: Sled, shelf: str) -> None:
    remove(sled, f"{shelf}/left")


@patient
def undo_right(sled: Sled, shelf: str) -> None:
    remove(sled, f"{shelf}/right")


def note(sled: Sled, params: Params, left: str) -> str:
    path = note_path(params.number)
    sled.host.write_file(path, str(params.number).encode())
    return path


def undo_note(sled: Sled, params: Params) -> None:
    sled.host.remove_file(note_path(params.number))


def verdict(params: Params, note: str, right: str) -> None:
    if params.fails:
        raise ValueError("it was to fail")


def have(sled: Sled, name: str) -> str:
    """Have a dataset of this saga. Raises ForeignObject when it is another's."""
    if owner(sled, name) is None:
        require(sled.host, changes("zfs", "create", "-o", f"{TAG}={sled.saga}", name))
    if owner(sled, name) != sled.saga:
        raise ForeignObject(f"{name} is not this saga's; it stays as it is")
    return name


def remove(sled: Sled, name: str) -> None:
    """Destroy a dataset of this saga; none is fine."""
    if owner(sled, name) == sled.saga:
        require(sled.host, changes("zfs", "destroy", name))


def owner(sled: Sled, name: str) -> str | None:
    """Return whose tag a dataset has, or None when there is no dataset."""
    text = lookup(sled.host, looks("zfs", "get", "-Hp", "-o", "value", TAG, name), (ABSENT,))
    return None if text is None else text.strip()


OPERATION = operation(
    "furnish",
    version=1,
    params=Params,
    steps=[
        step(shelf, undo=undo_shelf, retry=TRIES),
        step(left, undo=undo_left, retry=TRIES),
        step(right, undo=undo_right, retry=TRIES),
        step(note, undo=undo_note),
        step(verdict, undo=no_undo("it only fails or not")),
    ],
)


def prepare() -> None:
    """Make the pool."""
    with VDEV.open("wb") as file:
        file.truncate(VDEV_BYTES)
    subprocess.run(("zpool", "create", "-m", MOUNTED, POOL, str(VDEV)), check=True)


def sled_for(context: Context) -> Sled:
    return Sled(LocalHost(), saga=context.saga, pause=context.pause)


def run_pair(engine: Engine, number: int) -> None:
    """Run two sagas at the same time, the second of which is to fail."""
    pair = ({"number": 2 * number, "fails": False}, {"number": 2 * number + 1, "fails": True})
    sagas = [engine.submit("furnish", params, key=f"saga {params['number']}").id for params in pair]
    for saga in sagas:
        engine.wait(saga, PATIENCE_S)


def notes() -> list[str]:
    """Return what the sagas have written."""
    return [f"{path}={path.read_text()}" for path in Path(MOUNTED).rglob("number")]


def ends(saga: Told) -> frozenset[str]:
    return frozenset({"undone" if saga["params"]["fails"] else "succeeded"})


def leaves(saga: Told) -> frozenset[str]:
    number = saga["params"]["number"]
    return frozenset({*names(number), f"{note_path(number)}={number}"})


def made(saga: Told, step: str) -> str:
    number = saga["params"]["number"]
    places = dict(zip(("shelf", "left", "right"), names(number), strict=True))
    return (places | {"note": f"{note_path(number)}={number}"}).get(step, "")


WORK: Final = Work(
    operations=(OPERATION,),
    prepare=prepare,
    sled=sled_for,
    round=run_pair,
    files=notes,
    begin=frozenset({POOL}),
    ends=ends,
    leaves=leaves,
    made=made,
)
