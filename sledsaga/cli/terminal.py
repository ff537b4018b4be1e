"""Where words go: data to stdout, talk to stderr, and never a colour that was not wanted.

Rules
- stdout carries what was asked for, and nothing else; everything said on the way goes to stderr.
- With `--json` stdout carries JSON alone, with times in RFC 3339.
- Colour only on a terminal, unless `--color` says otherwise; NO_COLOR and TERM=dumb are heard.
- What is not written to a terminal is as wide as it must be, never cut.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, cast

from sledsaga.cli.tables import Table
from sledsaga.cli.words import clean

if TYPE_CHECKING:
    from rich.console import Console

Colour = Literal["auto", "always", "never"]
WIDE: Final = 4000


@dataclass(frozen=True)  # no slots: consoles are made once, when first used
class Terminal:
    """The two outputs of this process, as the person wants them."""

    as_json: bool = False
    colour: Colour = "auto"
    verbosity: int = 0

    @cached_property
    def out(self) -> Console:
        """The console of stdout."""
        return self._console(sys.stdout)

    @cached_property
    def err(self) -> Console:
        """The console of stderr."""
        return self._console(sys.stderr)

    def show(self, *things: Any) -> None:  # noqa: ANN401 - whatever rich can draw
        """Draw data on stdout; no line ends in blanks."""
        is_plain = self.colour != "always" and not _is_terminal(sys.stdout)
        parts = (
            _lines(thing) if is_plain and isinstance(thing, str | Table) else self._draw(thing)
            for thing in things
        )
        sys.stdout.write("".join(f"{line.rstrip()}\n" for lines in parts for line in lines))

    def _draw(self, thing: Any) -> list[str]:  # noqa: ANN401 - whatever rich can draw
        with self.out.capture() as drawn:
            self.out.print(
                thing.draw() if isinstance(thing, Table) else thing, soft_wrap=isinstance(thing, str)
            )
        return drawn.get().splitlines()

    def write(self, text: str) -> None:
        """Write a document (SVG, a script) to stdout as it is, and let it go at once."""
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()

    def write_line(self, text: str) -> None:
        """Write one line of a stream to stdout, and let it go at once."""
        sys.stdout.write(clean(text) + "\n")
        sys.stdout.flush()

    def json(self, body: Any) -> None:  # noqa: ANN401 - any JSON value
        """Write one JSON object to stdout: on one line for programs, spread out for people."""
        indent = 2 if sys.stdout.isatty() else None
        sys.stdout.write(json.dumps(body, ensure_ascii=False, indent=indent, default=str) + "\n")
        sys.stdout.flush()

    def json_line(self, body: Any) -> None:  # noqa: ANN401 - any JSON value
        """Write one line of a stream of JSON objects, and let it go at once."""
        sys.stdout.write(json.dumps(body, ensure_ascii=False, default=str) + "\n")
        sys.stdout.flush()

    def check_reader(self) -> None:
        """Raise BrokenPipeError when whoever read stdout went away (a quiet stream would never tell)."""
        poll = select.poll()
        with contextlib.suppress(OSError, ValueError):  # it is no file
            poll.register(sys.stdout, 0)
        if any(flags & (select.POLLERR | select.POLLHUP) for _, flags in poll.poll(0)):
            raise BrokenPipeError("nobody reads the output any more")

    def say(self, text: str) -> None:
        """Say something on stderr; that it cannot be written (a full disk) stops no work."""
        try:
            sys.stderr.write(clean(text) + "\n")
            sys.stderr.flush()
        except BrokenPipeError:
            raise
        except OSError:
            return

    @property
    def is_live(self) -> bool:
        """Say whether a moving picture may be drawn on stderr."""
        return _is_terminal(sys.stderr) and not _is_dumb() and not self.as_json

    @property
    def can_ask(self) -> bool:
        """Say whether a person is there to answer."""
        return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)

    def _console(self, stream: TextIO) -> Console:
        from rich.console import Console

        is_terminal = _is_terminal(stream)
        return Console(
            file=cast("Any", stream),
            force_terminal={"always": True, "never": is_terminal, "auto": is_terminal}[self.colour],
            no_color=self.colour == "never" or (self.colour == "auto" and _wants_no_colour()),
            color_system="standard" if self.colour == "always" else "auto",
            width=None if is_terminal else WIDE,
            markup=False,
            highlight=False,
            emoji=False,
            legacy_windows=False,
        )


def _lines(thing: str | Table) -> list[str]:
    """Return as lines what needs nobody to draw it."""
    return thing.lines() if isinstance(thing, Table) else clean(thing).expandtabs().split("\n")


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it was closed
        return False


def _is_dumb() -> bool:
    return os.environ.get("TERM", "").lower() in ("dumb", "unknown")


def _wants_no_colour() -> bool:
    return bool(os.environ.get("NO_COLOR")) or _is_dumb()
