"""A DAG as an SVG: boxes in columns by how deep they stand, few crossings, curves between them.

Layout, in linear time: a box stands one column right of the deepest box that it needs. Within a column,
boxes are ordered by the middle of what they need, then of what needs them, a few times to and fro.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from sledsaga.cli.graph import Box, Drawing

BOX_HEIGHT: Final = 44
GAP_X: Final = 56
GAP_Y: Final = 16
MARGIN: Final = 24
TITLE_HEIGHT: Final = 32
LETTER: Final = 7.4  # the width of a letter of 13 px, on average
LEAST_WIDTH: Final = 96
MOST_LETTERS: Final = 40
SWEEPS: Final = 4
STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#111}.n{font-size:11px;fill:#37474f}"
    ".t{font-weight:600}rect{stroke:#455a64}.p{stroke:#b71c1c;stroke-width:2.5}path{fill:none;stroke:#78909c}"
)


class Place(NamedTuple):
    """Where a box stands: its upper left corner and its width."""

    x: float
    y: float
    width: float


def draw(drawing: Drawing, fills: Mapping[str, str]) -> str:
    """Return the drawing as SVG; `fills` gives each state its colour."""
    places = layout(drawing.boxes)
    width = max([LETTER * len(drawing.title), *(place.x + place.width for place in places)]) + MARGIN
    height = max([TITLE_HEIGHT, *(place.y + BOX_HEIGHT for place in places)]) + MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">']
    parts += [f"<title>{escape(drawing.title)}</title>", f"<style>{STYLE}</style>"]
    parts.append('<rect width="100%" height="100%" fill="#fff" stroke="none" style="stroke:none"/>')
    parts.append(f'<text class="t" x="{MARGIN}" y="{MARGIN + 4}">{escape(drawing.title)}</text>')
    for box, place in zip(drawing.boxes, places, strict=True):
        parts += [_edge(places[need], place) for need in box.needs]
    for box, place in zip(drawing.boxes, places, strict=True):
        parts.append(_box(box, place, fills[box.state]))
    return "\n".join([*parts, "</svg>"])


def layout(boxes: Sequence[Box]) -> list[Place]:
    """Return where each box stands."""
    columns = _columns(boxes)
    _untangle(boxes, columns)
    places: list[Place] = [Place(0, 0, 0)] * len(boxes)
    tallest = max((len(column) for column in columns), default=0)
    x: float = MARGIN
    for column in columns:
        width = max(_width(boxes[index]) for index in column)
        above = (tallest - len(column)) * (BOX_HEIGHT + GAP_Y) / 2
        for row, index in enumerate(column):
            places[index] = Place(x, MARGIN + TITLE_HEIGHT + above + row * (BOX_HEIGHT + GAP_Y), width)
        x += width + GAP_X
    return places


def _columns(boxes: Sequence[Box]) -> list[list[int]]:
    depth: list[int] = []
    for box in boxes:
        depth.append(max((depth[need] + 1 for need in box.needs), default=0))
    columns: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for index, column in enumerate(depth):
        columns[column].append(index)
    return columns


def _untangle(boxes: Sequence[Box], columns: list[list[int]]) -> None:
    """Order each column by the middle of its neighbours, from the left, then from the right."""
    children: list[list[int]] = [[] for _ in boxes]
    for index, box in enumerate(boxes):
        for need in box.needs:
            children[need].append(index)
    row = {index: (place + 0.5) / len(column) for column in columns for place, index in enumerate(column)}
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            column.sort(
                key=lambda index: _middle(boxes[index].needs if forward else children[index], row, index)
            )
            row.update({index: (place + 0.5) / len(column) for place, index in enumerate(column)})


def _middle(beside: Sequence[int], row: Mapping[int, float], index: int) -> float:
    return sum(row[other] for other in beside) / len(beside) if beside else row[index]


def _width(box: Box) -> float:
    return max(LEAST_WIDTH, LETTER * min(MOST_LETTERS, max(len(box.label), len(box.note))) + 24)


def _edge(start: Place, end: Place) -> str:
    x1, y1 = start.x + start.width, start.y + BOX_HEIGHT / 2
    x2, y2 = end.x, end.y + BOX_HEIGHT / 2
    bend = max(GAP_X, (x2 - x1) / 2) / 1.5
    return (
        f'<path d="M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"/>'
    )


def _box(box: Box, place: Place, fill: str) -> str:
    pivot = ' class="p"' if box.undo == "irreversible" else ""
    label = box.label if len(box.label) <= MOST_LETTERS else f"…{box.label[1 - MOST_LETTERS :]}"
    at = f'x="{place.x + place.width / 2:.1f}" text-anchor="middle"'
    return (
        f"<g><title>{escape(box.label)}: {escape(box.note)}</title>"
        f'<rect{pivot} x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" height="{BOX_HEIGHT}"'
        f' rx="8" fill="{fill}"/>'
        f'<text {at} y="{place.y + 19:.1f}">{escape(label)}</text>'
        f'<text class="n" {at} y="{place.y + 35:.1f}">{escape(box.note)}</text></g>'
    )
