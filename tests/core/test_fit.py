"""Annotated types: what certainly does not fit is an error, and doubt is let pass."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NewType, Protocol, TypedDict, TypeVar
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from sledsaga.core.expand import ANY
from sledsaga.core.fit import fits, fits_each

T = TypeVar("T")
PoolName = NewType("PoolName", str)
Short = NewType("Short", Annotated[str, Field(max_length=3)])


class Animal(BaseModel):
    name: str


class Dog(Animal):
    pass


class Named(Protocol):
    name: str


class Typed(TypedDict):
    name: str


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (int, int),
        (bool, int),
        (int, float),
        (Dog, Animal),
        (Dog, object),
        (int, Any),
        (ANY, int),
        (int, ANY),
        (None, None),
        (None, int | None),
        (int, int | None),
        (int | str, str | int | None),
        (list[int], list[int]),
        (list[int], Sequence[int]),
        (list[Dog], list[Animal]),
        (list, list[int]),
        (dict[str, int], Mapping[str, int]),
        (tuple[int, ...], Sequence[int]),
        (tuple[int, ...], tuple[int, ...]),
        (PoolName, str),
        (str, PoolName),
        (str, Annotated[str, Field(min_length=1)]),
        (str, Short),
        (Short, str),
        (T, int),
        (int, T),
        (Dog, Named),
        (dict, Typed),
        (Literal["a"], str),
        (typing.Optional[int], int | None),  # noqa: UP045 - the old spelling must fit the new one
    ],
)
def test_it_fits(given: Any, wanted: Any) -> None:
    """These may stand where those are annotated, or nobody can say before it runs."""
    assert fits(given, wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (int, str),
        (float, int),
        (Animal, Dog),
        (int | None, int),
        (int | str, int),
        (int | str, str | None),
        (int, str | None),
        (None, int),
        (str, UUID),
        (list[int], list[str]),
        (list[Animal], list[Dog]),
        (dict[str, int], dict[str, str]),
        (list[int], dict[str, int]),
        (int, Short),
    ],
)
def test_it_does_not_fit(given: Any, wanted: Any) -> None:
    """These certainly may not stand where those are annotated."""
    assert not fits(given, wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([int, int], list[int]),
        ([int, int], Sequence[int]),
        ([int, int], tuple[int, ...]),
        ([int, str], tuple[int, str]),
        ([int, str], tuple),
        ([int], list),
        ([int], list[int] | None),
        ([int], Any),
        ([int], ANY),
        ([int], T),
        ([], list[int]),
        ([Dog], list[Animal]),
    ],
)
def test_a_fan_in_fits(given: list[Any], wanted: Any) -> None:
    """A list of outputs may stand where a list, sequence or tuple of such is annotated."""
    assert fits_each(given, wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([int, str], list[int]),
        ([int], int),
        ([int], dict[str, int]),
        ([int], set[int]),
        ([int, int], tuple[int]),
        ([int, str], tuple[int, int]),
        ([Animal], list[Dog] | None),
        ([int], str),
    ],
)
def test_a_fan_in_does_not_fit(given: list[Any], wanted: Any) -> None:
    """A list of outputs may not stand for one value, nor for a list of others."""
    assert not fits_each(given, wanted)
