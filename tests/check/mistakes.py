"""Operations with one mistake each: which check must catch it, and what its reason must say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sledsaga.check import Subject
from sledsaga.core.define import Absent, Conflicting, Present, step
from sledsaga.engine.context import Context
from sledsaga.errors import FailedClean, HostError, HostUnreachable, Transient
from sledsaga.hosts.sled import Sled
from tests.check import toys
from tests.check.toys import BOX, OnSled, Params, is_there, on_files, on_sled, undo_note, zfs


@dataclass(frozen=True)
class Mistake:
    """What is wrong, which check catches it, what its reason says, and the subject on a sled's folder."""

    name: str
    check: str
    says: str
    subject: Callable[[Path], Subject]


def appends(box: Path) -> str:
    with (box / "note").open("a") as file:
        file.write("note")
    return "note"


def undo_nothing() -> None:
    """Forget to take it away."""


def undo_strictly(box: Path) -> None:
    (box / "note").unlink()


def scatters(params: Params) -> str:
    (params.root / "scrap").write_text("scrap")
    (params.root / "note").write_text("note")
    return "note"


def undo_scattered(params: Params) -> None:
    (params.root / "note").unlink(missing_ok=True)


def lies_clean(params: Params) -> str:
    path = params.root / "note"
    if path.exists():
        raise FailedClean("it is there already")
    path.write_text("note")
    return "note"


def undo_once_only(box: Path, ctx: Context) -> None:
    if ctx.attempt == 1:
        (box / "note").unlink(missing_ok=True)


def by_epoch(box: Path, ctx: Context) -> str:
    name = f"note-{ctx.epoch}"
    (box / name).write_text("note")
    return name


def undo_by_epoch(box: Path, output: str | None) -> None:
    if output is not None:
        (box / output).unlink(missing_ok=True)


def undo_by_glob(box: Path) -> None:
    for file in box.glob("note-*"):
        file.unlink()


def says_present(params: Params) -> Present:
    return Present(params.root / "box")


def says_absent(params: Params) -> Absent:
    return Absent()


def says_conflict(params: Params) -> Conflicting:
    return Conflicting("it is not ours")


def scribbles(params: Params) -> Present | Absent:
    (params.root / "scribble").write_text("scribble")
    return toys.probe_box(params)


def claims_another(params: Params) -> Present | Absent:
    return Present(params.root, ours=True) if (params.root / "box").exists() else Absent()


def breaks(params: Params) -> Present:
    raise OSError("no probe today")


def creates_to_look(sled: Sled, params: OnSled) -> Present:
    zfs(sled, "create", params.dataset)
    return Present(params.dataset)


def undo_by_output(sled: Sled, output: str | None) -> None:
    if output is not None and is_there(sled, output):
        zfs(sled, "destroy", output)


def creates_blindly(sled: Sled, params: OnSled) -> str:
    zfs(sled, "create", params.dataset)
    return params.dataset


def swallows(sled: Sled, params: OnSled) -> str:
    try:
        if not is_there(sled, params.dataset):
            zfs(sled, "create", params.dataset)
        zfs(sled, "set", "quota=1073741824", params.dataset)
    except HostError:
        return params.dataset
    return params.dataset


def takes_there_for_done(sled: Sled, params: OnSled) -> str:
    if is_there(sled, params.dataset):
        return params.dataset
    try:
        zfs(sled, "create", params.dataset)
        zfs(sled, "set", "quota=1073741824", params.dataset)
    except HostUnreachable as error:
        raise Transient(str(error)) from error
    return params.dataset


def on_box(do: Any = appends, undo: Any = undo_note, **about: Any) -> Callable[[Path], Subject]:
    """Return what makes a subject of a box and one step in it."""
    return lambda _sled: on_files(BOX, step(do, name="note", undo=undo, **about))


def probed(probe: Any) -> Callable[[Path], Subject]:
    return lambda _sled: on_files(step(toys.box, undo=toys.undo_box, probe=probe))


def on_root(do: Any, undo: Any) -> Callable[[Path], Subject]:
    return lambda _sled: on_files(step(do, name="note", undo=undo))


MISTAKES = (
    Mistake("what is done twice is there twice", "actions_twice", "note", on_box()),
    Mistake("a file is left over", "fail_each_step", "scrap", on_root(scatters, undo_scattered)),
    Mistake(
        "nothing was left, it says, and something is",
        "actions_twice",
        "undone",
        on_root(lies_clean, undo_scattered),
    ),
    Mistake(
        "an undo needs that there is something",
        "undo_twice",
        "FileNotFoundError",
        on_box(toys.label, undo_strictly),
    ),
    Mistake(
        "an undo works the first time only", "undo_fails_each_step", "note", on_box(appends, undo_once_only)
    ),
    Mistake(
        "a second executor makes another one", "crash_each_point", "note-2", on_box(by_epoch, undo_by_glob)
    ),
    Mistake("a probe sees what is not there", "probe_truthful", "changed something", probed(says_present)),
    Mistake("a probe does not see what is there", "probe_truthful", "just succeeded", probed(says_absent)),
    Mistake(
        "a probe sees a conflict that is none",
        "probe_truthful",
        "yet the step succeeds",
        probed(says_conflict),
    ),
    Mistake("a probe changes what it looks at", "probe_truthful", "asked, it changed", probed(scribbles)),
    Mistake("a probe claims another output", "probe_truthful", "is ours", probed(claims_another)),
    Mistake("a probe breaks", "probe_truthful", "no probe today", probed(breaks)),
    Mistake(
        "a probe changes the sled",
        "probe_truthful",
        "may only look",
        lambda sled: on_sled(sled, probe=creates_to_look),
    ),
    Mistake(
        "an undo needs the output that was lost",
        "lost_reply_each_command",
        "/toy",
        lambda sled: on_sled(sled, creates_blindly, undo_by_output),
    ),
    Mistake(
        "nobody ever gives up",
        "slow_each_command",
        "has no timeout_s",
        lambda sled: on_sled(sled, timeout_s=None),
    ),
    Mistake(
        "nobody ever gives up an undo",
        "slow_each_command",
        "has no undo_timeout_s",
        lambda sled: on_sled(sled, undo_timeout_s=None),
    ),
    Mistake(
        "a timeout is taken for an answer", "slow_each_command", "quota", lambda sled: on_sled(sled, swallows)
    ),
    Mistake(
        "what is there is taken for done",
        "cut_each_command",
        "quota",
        lambda sled: on_sled(sled, takes_there_for_done),
    ),
)
