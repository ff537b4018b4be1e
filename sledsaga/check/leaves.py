"""Pictures of what is there, and what differs between two of them."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

TOLD: Final = 4
"""How many changed lines a sentence names; the others are counted."""
BRACKETS: Final = ("{", "}", "[", "]")


@contextmanager
def leaves_nothing(snapshot: Callable[[], Any]) -> Iterator[None]:
    """Take a picture before and after what the `with` does; raises AssertionError with a diff if they differ.

    `snapshot` returns anything that JSON can hold, such as what `files_below` returns.
    """
    before = text_of(snapshot())
    yield
    after = text_of(snapshot())
    if before != after:
        msg = f"not as it was before:\n{difference(before, after)}"
        raise AssertionError(msg)


def text_of(picture: Any) -> str:  # noqa: ANN401 - anything that JSON can hold
    """Return a picture as text: the same for equal pictures, a line for each thing."""
    return json.dumps(picture, sort_keys=True, indent=1, default=str)


def difference(wanted: str, seen: str) -> str:
    """Return a unified diff of two pictures as text."""
    lines = difflib.unified_diff(wanted.splitlines(), seen.splitlines(), "wanted", "seen", n=2, lineterm="")
    return "\n".join(lines)


def in_short(wanted: str, seen: str) -> str:
    """Return the lines that differ as one line, "" when none does: `+` is there, `-` is missing.

    Lines that name a thing come first; of many only the first are told.
    """
    lines = [line for line in difference(wanted, seen).splitlines()[2:] if line[0] in "+-"]
    lines = [line for line in lines if not line.rstrip(",").endswith(BRACKETS)] or lines
    lines.sort(key=lambda line: '"name": ' not in line)
    told = ["".join((line[0], " ", line[1:].strip().rstrip(","))) for line in lines]
    more = [f"and {len(told) - TOLD} lines more"] if len(told) > TOLD else []
    return "; ".join([*told[:TOLD], *more])


def files_below(folder: str | Path, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what is below a folder: each path with `dir`, where its link leads, or size and SHA-256.

    `without` names what is left out at the top.
    """
    found: dict[str, str] = {}
    top = Path(folder)
    for place, folders, files in os.walk(top):
        if Path(place) == top:
            folders[:] = [name for name in folders if name not in without]
        for name in (*folders, *files):
            path = Path(place, name)
            found[str(path.relative_to(top))] = _what(path)
    return found


def _what(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    if path.is_dir():
        return "dir"
    if not path.is_file():
        return "neither file nor folder"
    data = path.read_bytes()
    return f"{len(data)} bytes, {hashlib.sha256(data).hexdigest()[:16]}"
