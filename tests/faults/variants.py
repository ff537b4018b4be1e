"""Engines for child processes: the catalog as it is, and each operation with a last step that fails.

Rules
- What stands here is imported by children that are killed, so nothing here imports a test framework.
- One step runs at a time, so that the n-th passing of a point is the same in each trial.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import sagas
from sledsaga.core.define import ONCE, Operation, Step
from sledsaga.engine.engine import Engine
from sledsaga.wiring import open_engine

FAILING: Final = "-failing"
"""Ends the name of an operation whose last step fails once its work is done."""
MODULES: Final = (
    "sledsaga.wiring",
    "sledsaga.store.sql",
    "sledsaga.hosts.sim.host",
    "sagas",
    "tests.faults.ground",
    "tests.faults.variants",
)
"""What children find loaded."""


class PlantedError(Exception):
    """What the last step of a failing operation raises."""


def failing(operation: Operation) -> Operation:
    """Return the operation under another name, its last step failing after its work is done."""

    def steps(params: Any) -> list[Any]:
        made = operation.steps(params) if callable(operation.steps) else operation.steps
        *most, last = made
        assert isinstance(last, Step), "ours nest nothing"
        return [*most, replace(last, do=failing_late(last.do), retry=ONCE)]

    return replace(operation, name=f"{operation.name}{FAILING}", steps=steps)


def failing_late(do: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with the same inputs, failing after it."""

    @functools.wraps(do)
    def call(**inputs: Any) -> Any:
        do(**inputs)
        raise PlantedError

    return call


VARIANTS: Final = tuple(failing(each) for each in sagas.CATALOG)


@contextmanager
def opened_singly(db: str, sled: str) -> Iterator[Engine]:
    """Open an engine that runs one step at a time and knows the failing operations, too."""
    os.environ["SLEDSAGA_THREADS"] = "1"
    with open_engine(db=db, sled=sled, operations=VARIANTS) as engine:
        yield engine
