"""How rough a simulated world is: drawn from its seed, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from sledsaga.engine.limits import Limits


@dataclass(frozen=True, slots=True)
class Weather:
    """Chances are of 1, times in seconds of the world's own clock."""

    is_sql: bool
    has_sled: bool
    life_s: float
    """How long an executor lives, on average."""
    write_trouble: float
    read_trouble: float
    step_trouble: float
    slow_write: float
    """The chance that a write takes long, on a disk that answers."""
    orderly: float
    """The chance that an executor is told to stop, and not killed."""
    overlap: float
    """The chance that the next executor begins while the last one still believes that it drives.

    A log in a file keeps two apart by its lock; here they are let, for the fence alone must bear it.
    Resources are handed out by one executor only, so where this is not 0 nobody asks for any, nor for a sled,
    which has no fence.
    """
    command: float
    """How many commands a saga is given on average, by people who look at none of them."""
    limits: Limits


def draw(dice: Random, *, is_sql: bool, has_sled: bool) -> Weather:
    """Draw the weather of a world."""
    limits = Limits(
        threads=dice.choice((1, 2, 4, 16, 64)),
        async_calls=dice.choice((1, 3, 64)),
        live=dice.choice((3, 16, 256, 2048)),
        per_operation={"op-0": dice.choice((1, 3)), "op-2": 2} if happens(dice, 0.5) else {},
    )
    return Weather(
        is_sql=is_sql,
        has_sled=has_sled,
        life_s=dice.choice((0.4, 1.5, 4.0)),
        write_trouble=dice.choice((0.0, 0.001, 0.008)),
        read_trouble=dice.choice((0.0, 0.0002, 0.002)),
        step_trouble=dice.choice((0.05, 0.15, 0.35)),
        slow_write=dice.choice((0.0, 0.02)),
        orderly=dice.choice((0.1, 0.5, 0.9)),
        overlap=0.0 if has_sled else dice.choice((0.0, 0.3, 0.6)),
        command=dice.choice((0.1, 0.6)),
        limits=limits,
    )


def happens(dice: Random, chance: float) -> bool:
    """Say whether what has this chance happens now."""
    return dice.random() < chance
