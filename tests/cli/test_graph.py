"""Drawings of DAGs: the languages are well formed, and the layout keeps its promises."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sledsaga.cli.graph import FILLS, Box, Drawing, dot, mermaid, svg
from sledsaga.cli.svg import BOX_HEIGHT, layout
from sledsaga.core.state import Status

Line = Callable[..., Any]
NASTY = Drawing(
    'a "b" <c> & d',
    (Box('x"<&>\n\\y', "pending", "irreversible", ()), Box("z", "undo_failed", "none", (0,))),
)


@st.composite
def dags(draw: st.DrawFn) -> tuple[Box, ...]:
    """Draw boxes that each need some of those before."""
    boxes: list[Box] = []
    for number in range(draw(st.integers(0, 12))):
        needs = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        boxes.append(Box(f"s{number}", "pending", "undo", tuple(sorted(needs))))
    return tuple(boxes)


def test_every_status_has_a_fill() -> None:
    """Each status of a step has a colour of its own box."""
    assert set(FILLS) == {status.value for status in Status}


@given(dags())
def test_needs_stand_to_the_left_and_no_boxes_touch(boxes: tuple[Box, ...]) -> None:
    """Each box stands right of all that it needs, and boxes of one column do not overlap."""
    places = layout(boxes)
    for box, place in zip(boxes, places, strict=True):
        assert all(places[need].x + places[need].width < place.x for need in box.needs)
    for x in {place.x for place in places}:
        rows = sorted(place.y for place in places if place.x == x)
        assert all(below - above >= BOX_HEIGHT for above, below in pairwise(rows))


@pytest.mark.parametrize("drawing", [NASTY, Drawing("empty", ())])
def test_an_svg_is_well_formed(drawing: Drawing) -> None:
    """Whatever names there are, the SVG can be parsed and holds a titled group for each box."""
    root = ET.fromstring(svg(drawing))  # noqa: S314 - it is our own
    groups = root.findall("{http://www.w3.org/2000/svg}g")
    assert len(groups) == len(drawing.boxes)


def test_dot_and_mermaid_quote_what_they_must() -> None:
    """Quotes and line breaks in names cannot end a label."""
    assert 'label="x\\"<&> \\\\y\\ncannot be undone"' in dot(NASTY)
    assert 's0["x#quot;<&> \\y<br/>cannot be undone"]' in mermaid(NASTY)
    assert "s0 --> s1" in mermaid(NASTY)
    assert "s0 -> s1;" in dot(NASTY)


@pytest.mark.parametrize("form", ["dot", "mermaid", "svg"])
def test_a_saga_and_an_operation_can_be_drawn(line: Line, form: str) -> None:
    """`graph` draws what a saga did and what an operation would do."""
    saga = line("submit", "two", "-p", "fail=second", "--json").json["id"]
    assert "undone" in line("graph", saga, "--format", form).out
    assert "pending" in line("graph", "two", "--format", form).out
    assert line("graph", saga, "--json").json["format"] == "mermaid"
    assert line("graph", "nosuch").code == 4
