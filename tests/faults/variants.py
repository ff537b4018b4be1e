"""Operations whose last step fails once its work is done, so that all there is to undo is undone."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from sledsaga.core.define import ONCE, Operation, Step

FAILING: Final = "-failing"
"""Ends the name of such an operation."""


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
