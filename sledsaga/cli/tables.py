"""Tables as data: rich draws them on a terminal; elsewhere they are laid out here, and rich is not loaded.

Rules
- The two lay out alike: columns two blanks apart, no lines, what has line breaks takes several lines.
- Elsewhere nothing is cut or folded: a column is as wide as it must be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from sledsaga.cli.words import Look

if TYPE_CHECKING:
    from rich.table import Table as Drawn

GAP: Final = 2


class Words(NamedTuple):
    """What stands in a cell, and in which style; a plain `str` is words without one."""

    text: str
    style: str


def labelled(look: Look, word: str) -> Words:
    """Return sign and word in their colour."""
    return Words(f"{look.sign} {word}", look.colour)


@dataclass(slots=True)
class Table:
    """A table of the house's kind: no lines, one header (none when `titles` are None)."""

    titles: tuple[str, ...] | None
    rows: list[tuple[str | Words, ...]] = field(default_factory=list)

    def add_row(self, *cells: str | Words) -> None:
        """Add a row below the others."""
        self.rows.append(cells)

    def draw(self) -> Drawn:
        """Return the table as rich draws it."""
        from rich.table import Table as Drawn
        from rich.text import Text

        drawn = Drawn(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
        drawn.show_header = self.titles is not None
        for title in self.titles or [""] * len(self.rows[0]):
            drawn.add_column(title, overflow="fold")
        for row in self.rows:
            drawn.add_row(*(cell if isinstance(cell, str) else Text(*cell) for cell in row))
        return drawn

    def lines(self) -> list[str]:
        """Return the table as lines of text, without styles; lines may end in blanks."""
        from rich.cells import cell_len

        rows = [[_split(cell) for cell in row] for row in [*filter(None, [self.titles]), *self.rows]]
        widths = [
            max(cell_len(line) for cell in column for line in cell) for column in zip(*rows, strict=True)
        ]
        return [
            (" " * GAP).join(
                line + " " * (width - cell_len(line)) for line, width in zip(parts, widths, strict=True)
            )
            for row in rows
            for parts in zip_longest(*row, fillvalue="")
        ]


def _split(cell: str | Words) -> list[str]:
    return (cell if isinstance(cell, str) else cell.text).expandtabs().split("\n")
