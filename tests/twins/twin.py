"""A twin: one part of the product with one planted mistake, and the checker that must notice it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Twin:
    """A planted mistake.

    `breaks` says in one sentence what the twin does wrong. `catch` runs a checker with the twin in place of
    the real part and returns what it told (the shortest way to the breach), or "" when it noticed nothing.
    """

    name: str
    breaks: str
    catch: Callable[[], str]
