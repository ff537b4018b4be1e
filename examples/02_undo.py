"""A step fails, and what was done before it is undone, last first."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sledsaga import FailedClean, Model, no_undo, open_engine, operation, step


class Params(Model):
    """Where to work, and whether the last step shall go well."""

    folder: Path
    enough_room: bool


def box(params: Params) -> Path:
    """Make a folder; one that is there already is fine, for a step may be run twice."""
    path = params.folder / "box"
    path.mkdir(exist_ok=True)
    return path


def undo_box(params: Params) -> None:
    """Remove the folder if it is there; it is built from the params, so it can go even if `box` got lost."""
    path = params.folder / "box"
    if path.exists():
        path.rmdir()


def note(box: Path) -> Path:
    """Put a note into the box."""
    path = box / "note.txt"
    path.write_text("packed\n")
    return path


def undo_note(box: Path) -> None:
    """Take the note out again."""
    (box / "note.txt").unlink(missing_ok=True)


def shipped(note: Path, params: Params) -> str:
    """Ship the box, if there is room for it."""
    if not params.enough_room:
        raise FailedClean("the lorry is full")
    return f"{note.name} is on its way"


PACK = operation(
    "pack",
    version=1,
    params=Params,
    steps=[
        step(box, undo=undo_box),
        step(note, undo=undo_note),
        step(shipped, undo=no_undo("nothing follows it, so it is never undone")),
    ],
)


def main() -> None:
    """Run it twice: once without room, once with."""
    with tempfile.TemporaryDirectory() as folder, open_engine(db="memory:", operations=[PACK]) as engine:
        for enough_room in (False, True):
            saga = engine.run("pack", {"folder": folder, "enough_room": enough_room})
            left = [path.name for path in Path(folder).iterdir()]
            print(f"room: {enough_room}, saga: {saga.state}, left: {left}")
            for one in saga.steps:
                print(f"  {one.path}: {one.state}" + (f" ({one.error})" if one.error else ""))


if __name__ == "__main__":
    main()
