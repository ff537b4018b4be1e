"""Engines and gates that no failing test leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sledsaga.core.define import Operation
from sledsaga.engine.engine import Engine
from tests.engine.toys import Gate, Start, new_engine


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Give a gate that is opened at the end."""
    made = Gate()
    yield made
    made.opened.set()


@pytest.fixture
def start() -> Iterator[Start]:
    """Give a maker of engines, all of which are closed at the end."""
    made: list[Engine] = []

    def make(*operations: Operation, **about: Any) -> Engine:
        made.append(new_engine(*operations, **about))
        return made[-1]

    yield make
    for engine in made:
        engine.close(now=True, timeout_s=0.5)
