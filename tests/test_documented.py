"""Documents say what is so: maps, diagrams, and every name that a person or a script can use.

A rule about a document names what is missing from it, so that one run is enough to mend it.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest

import sledsaga
from sledsaga.check.walk.diagram import blocks, put_into
from sledsaga.cli.root import root
from sledsaga.core.commands import VERBS
from sledsaga.core.state import Status
from sledsaga.core.view import SagaState
from sledsaga.web.app import ROUTES
from sledsaga.web.problems import HTTP_PROBLEMS, PROBLEMS, code_of

ROOT = Path(__file__).parent.parent
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
importlib.import_module("sledsaga.cli.line")  # registers every verb
MAPPED = (
    *(".", "core", "store", "engine", "hosts", "check"),
    *(f"check/{part}" for part in ("walk", "simulation", "trials", "kills", "contract")),
)


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
    assert written == put_into(written), "run: python -m sledsaga.check.walk.diagram ARCHITECTURE.md"


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


def verbs(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield each verb of the command line with its full name."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def test_every_verb_is_documented() -> None:
    """The table of verbs in docs/operating.md has each verb once, and none that there is not."""
    table = text("docs/operating.md").partition("## The verbs")[2].partition("## Who drives")[0]
    rows = re.findall(r"^\| `([a-z-]+(?: [a-z]+)?)", table, re.MULTILINE)
    assert sorted(rows) == sorted(name for name, _ in verbs(root))


def test_every_variable_that_is_read_is_documented() -> None:
    """Each variable whose name begins with SLEDSAGA in the program stands in docs/command-line.md."""
    own_mark = "SLEDSAGA_COMMAND"  # set for children, never read from outside
    sources = "\n".join(path.read_text() for path in (ROOT / "sledsaga").rglob("*.py"))
    named = set(re.findall(r"\bSLEDSAGA_[A-Z_]+\b", sources)) - {own_mark}
    assert sorted(name for name in named if name not in text("docs/command-line.md")) == []


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("states of a saga", get_args(SagaState)),
        ("states of a step", tuple(map(str, Status))),
        ("commands", VERBS),
    ],
)
def test_every_word_of_a_kind_is_explained(what: str, names: tuple[str, ...]) -> None:
    """docs/operating.md has each word of these kinds in the first column of a table."""
    columns = re.findall(r"^\| ([^|]+) \|", text("docs/operating.md"), re.MULTILINE)
    words = set(re.findall(r"[\w-]+", " ".join(columns)))
    assert (what, sorted(set(names) - words)) == (what, [])


def test_every_route_is_documented() -> None:
    """docs/http.md names each route with each of its methods."""
    written = text("docs/http.md")
    silent = [
        f"{method} {path}"
        for path, endpoints in ROUTES.items()
        for method in endpoints
        if f"`{method} {path}`" not in written
    ]
    assert silent == []


def test_every_problem_is_documented() -> None:
    """docs/http.md has a row for each problem, with the status that it has."""
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", text("docs/http.md"), re.MULTILINE))
    real = {code_of(kind): str(problem.status) for kind, problem in PROBLEMS.items()}
    real |= {problem.code: str(status) for status, problem in HTTP_PROBLEMS.items()}
    assert rows == real


def test_every_query_parameter_is_documented() -> None:
    """docs/http.md names each query parameter that a route takes."""
    operations = [
        one for path in json.loads(text("docs/openapi.json"))["paths"].values() for one in path.values()
    ]
    names = {
        parameter["name"]
        for operation in operations
        if isinstance(operation, dict)
        for parameter in operation.get("parameters", ())
        if parameter.get("in") == "query"
    }
    assert names
    assert sorted(name for name in names if not re.search(rf"[`&?]{name}\b", text("docs/http.md"))) == []


def test_every_public_name_is_documented() -> None:
    """docs/writing-an-operation.md, the README or an example uses each name that `sledsaga` exports."""
    written = text("docs/writing-an-operation.md") + text("README.md")
    written += "".join(path.read_text() for path in (ROOT / "examples").glob("*.py"))
    assert [name for name in sledsaga.__all__ if not re.search(rf"\b{name}\b", written)] == []
