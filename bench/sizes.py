"""How much is measured: `full` is the bench, `tiny` only shows in seconds that every case still runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of sagas, unless the name says something else."""

    one: int
    """run one after the other"""
    many: int
    """run so many at once as is best"""
    held: int
    """held at a gate, all at once"""
    waves: int
    """how often that is done"""
    large: int
    """steps of the large saga"""
    tens: int
    """chains of ten steps beside it"""
    few_unfinished: int
    many_unfinished: int
    in_flight: int
    """killed and recovered"""
    few_finished: int
    many_finished: int
    reads: int
    """of each kind, of which the median counts"""
    clients: int
    """that submit at once"""
    submits: int
    """by each of them"""
    crowd: int
    """that run while one more is submitted"""
    disks: int | None
    """of the sled; None for the production document"""


FULL: Final = Sizes(
    one=300,
    many=2000,
    held=256,
    waves=5,
    large=10_000,
    tens=1000,
    few_unfinished=1000,
    many_unfinished=100_000,
    in_flight=1000,
    few_finished=1000,
    many_finished=1_000_000,
    reads=400,
    clients=8,
    submits=400,
    crowd=10_000,
    disks=None,
)
TINY: Final = Sizes(
    one=3,
    many=20,
    held=5,
    waves=1,
    large=30,
    tens=3,
    few_unfinished=10,
    many_unfinished=30,
    in_flight=5,
    few_finished=10,
    many_finished=100,
    reads=3,
    clients=2,
    submits=2,
    crowd=30,
    disks=1,
)
SCALES: Final = {"full": FULL, "tiny": TINY}
