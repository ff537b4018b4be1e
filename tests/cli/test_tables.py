"""Tables look the same whoever lays them out."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sledsaga.cli import words
from sledsaga.cli.tables import Table, Words, labelled
from sledsaga.cli.terminal import Terminal

SIGNS = "ab \n\N{CHECK MARK}\N{CJK UNIFIED IDEOGRAPH-4E2D}e\N{COMBINING ACUTE ACCENT}"
TEXT = st.text(st.sampled_from(SIGNS)).map("a{}".format)  # a column of no width is nothing to rich
CELLS = st.tuples(TEXT | st.builds(Words, TEXT, st.just("bold red")), TEXT)


def drawn(table: Table) -> list[str]:
    console = Console(file=io.StringIO(), width=1000, color_system=None)
    with console.capture() as text:
        console.print(table.draw())
    return text.get().splitlines()


@given(st.lists(CELLS, min_size=1, max_size=4), st.sampled_from([None, ("ONE", "")]))
def test_rich_draws_the_same(rows: list[Any], titles: tuple[str, ...] | None) -> None:
    """Without a terminal a table has the lines that rich would draw, whatever its cells hold."""
    table = Table(titles)
    for row in rows:
        table.add_row(*row)
    assert [line.rstrip() for line in table.lines()] == [line.rstrip() for line in drawn(table)]


def test_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """A cell that is longer than any terminal is wide stands on one line where there is no terminal."""
    table = Table(("ID", "STATE"))
    table.add_row("x" * 9000, labelled(words.STATES["stuck"], "stuck"))
    Terminal().show(table)
    assert capsys.readouterr().out.splitlines()[1] == f"{'x' * 9000}  ! stuck"


def test_colour_is_had_for_the_asking(capsys: pytest.CaptureFixture[str]) -> None:
    """`--color always` colours a table where there is no terminal, too."""
    table = Table(("STATE",))
    table.add_row(labelled(words.STATES["stuck"], "stuck"))
    Terminal(colour="always").show(table)
    assert "\x1b[1;31m! stuck" in capsys.readouterr().out
