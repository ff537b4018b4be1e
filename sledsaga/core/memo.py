"""What may stand beside the key of a cache without being a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Unhashed(Generic[T]):
    """An argument that a cache neither compares nor hashes: another one of its arguments says which it is."""

    it: T

    def __eq__(self, other: object) -> bool:
        """Say that it is the same, whatever it is."""
        return isinstance(other, Unhashed)

    def __hash__(self) -> int:
        """Return the same for all."""
        return 0
