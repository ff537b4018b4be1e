"""Documents say what is so: maps, diagrams, and every name that a person or a script can use.

A rule about a document names what is missing from it, so that one run is enough to mend it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from sledsaga.check.diagram import blocks, put_into
from sledsaga.core.machine import Status
from sledsaga.core.view import SagaState

ROOT = Path(__file__).parent.parent
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
MAPPED = (".", "core", "store", "engine", "check", "hosts")


def text(name: str) -> str:
    """Read a document."""
    return (ROOT / name).read_text(encoding="utf-8")


def modules(folder: str) -> Iterator[str]:
    """Yield the files of a package of the program that deserve a place on the map."""
    for path in (ROOT / "sledsaga" / folder).glob("*.py"):
        if not path.name.startswith("__"):
            yield path.name


def test_the_diagrams_are_those_of_the_machine() -> None:
    """Both state diagrams in ARCHITECTURE.md are what the machine draws now."""
    written = ARCHITECTURE.read_text(encoding="utf-8")
    assert written == put_into(written), "run: python -m sledsaga.check.diagram ARCHITECTURE.md"


@pytest.mark.parametrize(("name", "states"), [("step", list(Status)), ("saga", list(get_args(SagaState)))])
def test_a_diagram_shows_every_state(name: str, states: list[str]) -> None:
    """No state of a step or of a saga is left out of its diagram, and each can be reached."""
    reached = set(re.findall(r"--> (\w+)", blocks()[name]))
    assert [state for state in states if str(state) not in reached] == []


@pytest.mark.parametrize("folder", MAPPED)
def test_the_map_shows_every_module(folder: str) -> None:
    """Each module of these packages stands on the map in ARCHITECTURE.md."""
    drawn = text("ARCHITECTURE.md").partition("## The map")[2].partition("## States")[0]
    assert sorted(name for name in modules(folder) if not re.search(rf"\b{re.escape(name)}", drawn)) == []


def test_the_map_shows_nothing_that_is_not_there() -> None:
    """Each file that the map names exists somewhere in the program."""
    drawn = text("ARCHITECTURE.md").partition("## The map")[2].partition("## States")[0]
    real = {path.name for path in (ROOT / "sledsaga").rglob("*.py")}
    assert sorted({name for name in re.findall(r"\w+\.py", drawn) if name not in real}) == []


def documents() -> list[Path]:
    """List every document of the project."""
    return [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def test_links_between_documents_lead_somewhere() -> None:
    """Each relative link in a document names a file that exists."""
    broken = [
        f"{path.name}: {target}"
        for path in documents()
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if not target.startswith("http") and not (path.parent / target).exists()
    ]
    assert broken == []


def test_files_that_documents_name_exist() -> None:
    """Each path below a folder of the project that a document names in code style exists."""
    pattern = re.compile(r"`((?:sledsaga|sagas|tests|examples|docs|bench|migrations)/[\w./-]+)`")
    missing = [
        f"{path.name}: {name}"
        for path in documents()
        for name in pattern.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]
    assert missing == []
