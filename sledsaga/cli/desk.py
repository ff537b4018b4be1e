"""What every verb has at hand: the settings, the outputs, and the options that all verbs share.

Rules
- The shared options may stand before or after the verb; the one nearest to the verb's end wins.
- A verb is one function: it gets a `Desk` first, then its own arguments and options by name.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from sledsaga.cli.terminal import Terminal
from sledsaga.settings import Settings, resolve

if TYPE_CHECKING:
    from sledsaga.store.store import Store

PREFIX: Final = "sledsaga."
SHORT: Final = 64
LEVELS: Final = (None, "info", "debug")
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Desk:
    """The settings of this call, and where its words go."""

    settings: Settings
    terminal: Terminal

    def reader(self) -> Store:
        """Open the log for reading; one that is not there yet reads as empty."""
        from sledsaga import wiring

        return wiring.open_reader(self.settings)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401 - click's
    """Remember a shared option if it was given here, over what was given before the verb."""
    if value:
        context.meta[f"{PREFIX}{parameter.name}"] = value


def _shared(*names: str, **attributes: Any) -> Callable[[Function], Function]:  # noqa: ANN401 - click's
    return click.option(*names, expose_value=False, callback=_keep, **attributes)


SHARED: Final = (
    _shared("--db", metavar="URL", help="The log: a path, or a URL such as sqlite:///P (SLEDSAGA_DB)."),
    _shared("--sled", metavar="URL", help="The machine: sim:PATH, or local: (SLEDSAGA_SLED)."),
    _shared("--json", "as_json", is_flag=True, help='JSON on stdout, an object with "v": 1.'),
    _shared(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        help="When to use colour; auto heeds NO_COLOR and TERM=dumb.",
    ),
    _shared("-v", "--verbose", count=True, help="Diagnostics on stderr; twice for more, and for traces."),
)


def shared_options(function: Function) -> Function:
    """Add the options that all verbs share."""
    for option in reversed(SHARED):
        function = option(function)
    return function


def make_desk(context: click.Context) -> Desk:
    """Return the desk for one call, by what was given before and after the verb."""
    given = {name.removeprefix(PREFIX): value for name, value in context.meta.items()}
    verbosity = int(given.get("verbose", 0))
    level = LEVELS[min(verbosity, len(LEVELS) - 1)]
    settings = resolve({"db": given.get("db"), "sled": given.get("sled"), "log_level": level})
    terminal = Terminal(bool(given.get("as_json")), given.get("color", "auto"), verbosity)
    return Desk(settings, terminal)


def verb(
    group: click.Group,
    name: str,
    *,
    only_reads: bool = False,
    **attributes: Any,  # noqa: ANN401 - click's
) -> Callable[[Callable[..., None]], click.Command]:
    """Register a function as a verb of a group; its docstring is the help.

    One that only reads the log has no diagnostics, and starts the sooner.
    """

    def register(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def run(**given: Any) -> None:  # noqa: ANN401 - click's
            desk = make_desk(click.get_current_context())
            if not only_reads:
                observe(desk)
            function(desk, **given)

        text = as_help(attributes.pop("help", None) or function.__doc__ or "")
        short = _short(text.partition("\n")[0])
        made: click.Command = group.command(name, help=text, short_help=short, **attributes)(
            shared_options(run)
        )
        made.params.sort(key=lambda one: not one.expose_value)  # its own options stand first in the help
        return made

    return register


def as_help(docstring: str) -> str:
    r"""Return a docstring as click wants it: its mark for "leave these lines alone" is written as \b here."""
    return inspect.cleandoc(docstring).replace(r"\b", "\b")


def _short(line: str) -> str:
    """Return a line as it stands in the list of verbs: whole when it fits, else up to its first pause."""
    return line if len(line) <= SHORT else re.split(r"[;:,]", line, maxsplit=1)[0] + "."


def observe(desk: Desk) -> None:
    """Let diagnostics be seen at the level that is wanted."""
    from sledsaga import observe as diagnostics

    settings = desk.settings
    diagnostics.enable(settings.log_level.value, as_json=settings.log_format.value == "json")
