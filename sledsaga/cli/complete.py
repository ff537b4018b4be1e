"""Completion in the shell: ids of sagas, names of operations, paths of steps; and the scripts for it.

Whatever goes wrong while completing, the shell gets no answer rather than a message amid the line.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

import click
from click.shell_completion import CompletionItem

from sledsaga.cli.desk import Desk, make_desk, verb
from sledsaga.cli.root import root

SHELLS: Final = ("bash", "zsh", "fish")
SHOWN: Final = 50
COMPLETING: Final = "_SLEDSAGA_COMPLETE"
Finder = Callable[[click.Context, Desk, str], list[CompletionItem]]
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _quietly(find: Finder) -> Complete:
    @functools.wraps(find)
    def complete(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        try:
            return find(context, make_desk(context), begun)
        except Exception:  # noqa: BLE001 - a message would land amid the person's line
            return []

    return complete


@_quietly
def complete_operation(_context: click.Context, desk: Desk, begun: str) -> list[CompletionItem]:
    """Return the operations whose name begins so."""
    from sledsaga.wiring import open_catalog

    return [
        CompletionItem(one.name, help=one.summary)
        for one in open_catalog(desk.settings)
        if one.name.startswith(begun)
    ]


@_quietly
def complete_saga(_context: click.Context, desk: Desk, begun: str) -> list[CompletionItem]:
    """Return the newest sagas whose id begins so."""
    store = desk.reader()
    try:
        found = store.find(begun.lower(), limit=SHOWN)
        rows = [store.row(saga) for saga in found]
    finally:
        store.close()
    return [CompletionItem(row.id, help=f"{row.operation} {row.state}") for row in rows]


@_quietly
def complete_step(context: click.Context, desk: Desk, begun: str) -> list[CompletionItem]:
    """Return the steps of the saga that stands before it on the line."""
    from sledsaga.engine.read import read_view, resolve

    store = desk.reader()
    try:
        view = read_view(store, resolve(store, context.params["saga"]))
    finally:
        store.close()
    return [CompletionItem(step.path, help=step.state) for step in view.steps if step.path.startswith(begun)]


@verb(root, "completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(desk: Desk, *, shell: str) -> None:
    r"""Print the script that lets SHELL complete verbs, saga ids, operations and steps.

    \b
        eval "$(sledsaga completion bash)"
        sledsaga completion fish > ~/.config/fish/completions/sledsaga.fish

    Writes nothing.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    script = made(root, {}, "sledsaga", COMPLETING)
    desk.terminal.write(script.source_template % script.source_vars())
