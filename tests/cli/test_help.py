"""Help: every verb and option explains itself, and the handbook tells of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from sledsaga.cli.codes import ERRORS, MEANINGS, STATES
from sledsaga.cli.line import VERBS as MODULES
from sledsaga.cli.root import root
from sledsaga.core.commands import VERBS
from sledsaga.engine.crashpoints import POINTS
from sledsaga.settings import ROWS

Line = Callable[..., Any]
HANDBOOK = Path(__file__).parents[2] / "docs" / "command-line.md"
CHANGING = ("submit", "recover", *VERBS)


def commands(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield each verb with its full name."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


assert MODULES  # importing them is what gives the group its verbs
ALL = dict(commands(root))


def test_every_verb_there_should_be_is_there() -> None:
    """All verbs of the design are commands, and every command of the core is a verb."""
    looking = [
        "operations",
        "plan",
        "list",
        "show",
        "events",
        "watch",
        "locks",
        "graph",
        "check",
        "doctor",
        "completion",
    ]
    driving = ["submit", "recover", "serve"]
    sled = ["sled init", "sled show", "sled reboot", "sled remove"]
    db = ["db upgrade", "db current", "db check"]
    assert {*looking, *driving, *sled, *db, *VERBS} == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_every_verb_and_option_explains_itself(name: str) -> None:
    """Each verb has a help text and each of its options has one too."""
    command = ALL[name]
    silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert (bool(command.help), bool(command.short_help), silent) == (True, True, [])


@pytest.mark.parametrize("name", ALL)
def test_every_verb_shows_its_help(line: Line, name: str) -> None:
    """`--help` works for each verb, leaves no raw mark, and tells of the shared options."""
    done = line(*name.split(), "--help")
    assert (done.code, "\\b" in done.out, "--json" in done.out) == (0, False, True)


@pytest.mark.parametrize("name", CHANGING)
def test_changing_verbs_tell_what_cannot_be_taken_back(name: str) -> None:
    """The help of a verb that changes something shows an example first."""
    text = ALL[name].help or ""
    assert f"sledsaga {name}" in text


def test_exit_codes_are_told(line: Line) -> None:
    """`--help` ends with the table of exit codes, and each code that is used has a meaning."""
    text = line("--help").out
    assert [code for code, meaning in MEANINGS.items() if f"{code}  {meaning}" not in text] == []
    assert {*ERRORS.values(), *STATES.values()} <= set(MEANINGS)


def test_the_handbook_tells_of_everything() -> None:
    """The handbook names every verb, option, variable, exit code and crash point."""
    text = HANDBOOK.read_text(encoding="utf-8")
    options = {
        name for command in ALL.values() for p in command.params for name in p.opts if name[:2] == "--"
    }
    words = [f"`{name}`" for name in (*ALL, *POINTS)] + [f"| {code} |" for code in MEANINGS]
    words += [*sorted(options), *(row.variable for row in ROWS.values()), "SLEDSAGA_CRASH"]
    assert [word for word in words if word not in text] == []
