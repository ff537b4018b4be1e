"""Small operations to try the checks on: good ones here, ones with one mistake each in mistakes.py.

Those on files work below `root`; those on a sled make one dataset by bare commands, so that no driver mends
what they do wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sledsaga.check import Subject
from sledsaga.core.define import (
    Absent,
    Operation,
    Present,
    Retry,
    irreversible,
    nest,
    no_undo,
    operation,
    step,
)
from sledsaga.core.model import Model
from sledsaga.errors import CommandFailed, HostUnreachable, Transient
from sledsaga.hosts.host import Completed, HostCommand
from sledsaga.hosts.sim import SimSled
from sledsaga.hosts.sled import Sled

TWICE = Retry(2, backoff_s=0.0)
LIMIT_S = 60.0


class Params(Model):
    root: Path


def params_in(folder: Path) -> dict[str, Any]:
    """Prepare a trial: there is a root with a file that is somebody else's."""
    root = folder / "root"
    root.mkdir()
    (root / "theirs").write_text("keep")
    return {"root": root}


def box(params: Params) -> Path:
    path = params.root / "box"
    path.mkdir(exist_ok=True)
    return path


def undo_box(params: Params) -> None:
    path = params.root / "box"
    if path.exists():
        path.rmdir()


def probe_box(params: Params) -> Present | Absent:
    path = params.root / "box"
    return Present(path, ours=True) if path.exists() else Absent()


async def note(box: Path) -> str:
    await asyncio.sleep(0)
    (box / "note").write_text("note")
    return "note"


async def undo_note(box: Path) -> None:
    await asyncio.sleep(0)
    (box / "note").unlink(missing_ok=True)


async def probe_note(box: Path) -> Present | Absent:
    await asyncio.sleep(0)
    return Present("note") if (box / "note").exists() else Absent()


def label(box: Path) -> str:
    (box / "label").write_text("label")
    return "label"


def undo_label(box: Path) -> None:
    (box / "label").unlink(missing_ok=True)


def other(params: Params) -> None:
    (params.root / "other").write_text("other")


def undo_other(params: Params) -> None:
    (params.root / "other").unlink(missing_ok=True)


def sent(params: Params) -> str:
    (params.root / "sent").write_text("sent")
    return "sent"


def filed(sent: str, params: Params) -> str:
    (params.root / "filed").write_text(sent)
    return sent


BOX = step(box, undo=undo_box, probe=probe_box)
NOTE = step(note, undo=undo_note, probe=probe_note)
LABEL = step(label, undo=undo_label)
OTHER = step(other, undo=undo_other)
PIVOT = step(sent, undo=irreversible("it is sent"), retry=TWICE)
FILED = step(filed, undo=no_undo("it may stay"), retry=TWICE)


def made_of(*nodes: Any, name: str = "toy") -> Operation:
    return operation(name, version=1, params=Params, steps=nodes)


def on_files(*nodes: Any, **about: Any) -> Subject:
    return Subject(made_of(*nodes), params_in, **about)


def nested() -> Any:
    """Put a box with two things into another operation."""
    inner = made_of(BOX, NOTE, LABEL, name="inner")
    return nest("packing", inner, params=lambda params: params, output="note")


GOOD_ON_FILES: dict[str, Callable[[], Subject]] = {
    "several last steps": lambda: on_files(BOX, NOTE, LABEL),
    "nested": lambda: on_files(nested(), OTHER),
    "a pivot beside what can be undone": lambda: on_files(OTHER, nested(), PIVOT, FILED),
}


class OnSled(Model):
    dataset: str


def zfs(sled: Sled, *words: str, mutates: bool = True) -> Completed:
    """Run a command of one's own; raises CommandFailed when it says no."""
    done = sled.host.run(HostCommand(("zfs", *words), mutates=mutates))
    if done.code:
        raise CommandFailed(done.stderr)
    return done


def is_there(sled: Sled, name: str) -> bool:
    return sled.host.run(HostCommand(("zfs", "list", "-H", "-o", "name", name), mutates=False)).code == 0


def dataset(sled: Sled, params: OnSled) -> str:
    try:
        if not is_there(sled, params.dataset):
            zfs(sled, "create", params.dataset)
        zfs(sled, "set", "quota=1073741824", params.dataset)
    except HostUnreachable as error:
        raise Transient(str(error)) from error
    return params.dataset


def undo_dataset(sled: Sled, params: OnSled) -> None:
    if is_there(sled, params.dataset):
        zfs(sled, "destroy", params.dataset)


def probe_dataset(sled: Sled, params: OnSled) -> Present | Absent:
    return Present(params.dataset) if is_there(sled, params.dataset) else Absent()


def on_sled(sled: Path, do: Any = dataset, undo: Any = undo_dataset, **about: Any) -> Subject:
    """Return a subject that makes one dataset; `about` is about the step."""
    settings: dict[str, Any] = {
        "retry": TWICE,
        "timeout_s": LIMIT_S,
        "undo_timeout_s": LIMIT_S,
        "name": "dataset",
    } | about
    steps = [step(do, undo=undo, **settings)]
    one = operation("toy-on-sled", version=1, params=OnSled, steps=steps)
    return Subject(one, {"dataset": f"{pool_of(sled)}/toy"}, sled)


def pool_of(sled: Path) -> str:
    """Name a pool of a sled."""
    sim = SimSled.open(sled)
    try:
        return min(str(pool["name"]) for pool in sim.describe()["pools"])
    finally:
        sim.close()


def looks() -> None:
    """Change nothing."""
