"""Where another process finds an operation: a module and a name in it, as pickle does with functions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from sledsaga.core.define import Operation
from sledsaga.errors import UsageError

MAIN: Final = "__main__"
"""Asked last: what a script makes when it is run is not there when another process imports it."""


@dataclass(frozen=True, slots=True)
class Place:
    """`attribute` of a module is the operation of this name and version, or a list that has it."""

    module: str
    attribute: str
    operation: str
    version: int

    def __str__(self) -> str:
        """Return the place as SLEDSAGA_CATALOG has it."""
        return f"{self.module}:{self.attribute}"


def place_of(operation: Operation) -> Place:
    """Return where another process finds the operation; raises UsageError when it has no place."""
    modules = sorted(sys.modules.items(), key=lambda each: each[0] == MAIN)
    for home, module in modules:
        names = vars(module) if hasattr(module, "__dict__") else {}
        for name, value in list(names.items()):
            if any(each is operation for each in _operations(value)):
                return Place(home, name, operation.name, operation.version)
    raise UsageError(
        f"operation {operation.name}: another process cannot find it; give it, or a list that has it, "
        "a name in a module, outside of any function"
    )


def load(place: Place) -> Operation:
    """Return the operation at its place; raises UsageError when it is not there."""
    try:
        found = getattr(import_module(place.module), place.attribute)
    except Exception as error:  # importing runs other people's code, which may raise anything
        raise UsageError(
            f"operation {place.operation}: {place} cannot be loaded in another process: "
            f"{type(error).__name__}: {error}"
        ) from error
    wanted = place.operation, place.version
    for each in _operations(found):
        if (each.name, each.version) == wanted:
            return each
    raise UsageError(f"operation {place.operation} v{place.version} is not in {place} of another process")


def _operations(value: Any) -> Iterator[Operation]:  # noqa: ANN401 - whatever a module has
    if isinstance(value, Operation):
        yield value
    elif isinstance(value, list | tuple):
        yield from (each for each in value if isinstance(each, Operation))
