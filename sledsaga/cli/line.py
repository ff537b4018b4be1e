"""`sledsaga`: read the line, run the verb, and end with one clear line and the right code whatever happens.

Rules
- Every verb's module is imported here and is light; what is heavy is imported by the verb that needs it.
- Nobody sees a traceback unless asked for one (-vv).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

import click

from sledsaga.cli import check, complete, decide, doctor, graph, keep, look, offer, run, serve, sled
from sledsaga.cli.codes import ERROR, INTERRUPTED, OK, PIPE_CLOSED, USAGE, code_of
from sledsaga.cli.root import root
from sledsaga.cli.words import one_line
from sledsaga.errors import SledsagaError

NAME: Final = "sledsaga"
VERBS: Final = (offer, run, look, decide, graph, sled, check, doctor, keep, serve, complete)
"""The modules whose verbs there are."""


def run_to_end(argv: Sequence[str]) -> int:
    """Run one command line, write out all that it said, and return the exit code."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")  # a terminal that cannot show a sign shows a question mark
    return _flushed(run_line(list(argv)))


def _open_what_is_closed() -> None:
    """Let a stream that was closed lead nowhere, so that no file of ours is opened in its place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good


def run_line(argv: list[str]) -> int:
    """Run one command line; say on stderr what went wrong, and return the exit code."""
    try:
        return _run(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else OK
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        return _say_misuse(error)
    except (KeyboardInterrupt, click.Abort) as error:
        return _say(": ".join(filter(None, ["interrupted", str(error)])), INTERRUPTED)
    except BrokenPipeError:
        return _pipe_closed()
    except PermissionError as error:
        return _say(_denied(error), code_of(error), trace=_wants_trace(argv))
    except SledsagaError as error:
        return _say(str(error) or type(error).__name__, code_of(error), trace=_wants_trace(argv))
    except OSError as error:
        _drop_output()
        what = f"{error.filename or 'the output'} could not be read or written: {error.strerror or error}"
        return _say(what, ERROR, trace=_wants_trace(argv))
    except Exception as error:  # noqa: BLE001 - a mistake of ours shall be a line, not a page
        what = f"unexpected {type(error).__name__}: {error}"
        return _say(what, code_of(error), trace=_wants_trace(argv), hint="-vv shows where it came from")


def _run(argv: list[str]) -> int:
    """Parse and invoke; not by click's own `main`, which would keep an interrupt's message to itself."""
    if complete.COMPLETING in os.environ:
        root.main(argv, prog_name=NAME)
    with root.make_context(NAME, list(argv)) as context:  # click takes from the list as it reads it
        root.invoke(context)
    return OK


def _say(text: str, code: int, *, hint: str = "", trace: bool = False) -> int:
    if trace:
        import traceback

        traceback.print_exc()
    tail = f" ({hint})" if hint and not trace else ""
    with contextlib.suppress(OSError):  # nobody can hear it; the code tells
        click.echo(f"sledsaga: {one_line(text)}{tail}", err=True)
    return code


def _denied(error: PermissionError) -> str:
    if error.filename is None:
        return str(error)
    return f"{error.filename}: access was denied: ask as the user whose it is, or have access given to you"


def _say_misuse(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return USAGE
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = "" if context is None else f"`{context.command_path} --help` shows how"
    return _say(error.format_message(), USAGE, hint=hint)


def _wants_trace(argv: list[str]) -> bool:
    verbose = sum(word.count("v") for word in argv if word.startswith("-v") and set(word[1:]) == {"v"})
    return verbose + argv.count("--verbose") > 1


def _flushed(code: int) -> int:
    """Write out what is left; a reader that went away, or a full disk, is seen only now."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _pipe_closed()
    except OSError as error:
        _drop_output()
        return _say(f"the output could not be written: {error.strerror}", ERROR)
    return code


def _pipe_closed() -> int:
    _drop_output()
    return PIPE_CLOSED


def _drop_output() -> None:
    """Let Python not complain at its end that it cannot write what is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
