"""What is walked, how much may befall it, and what a move is. `world` says which moves there are.

The parts that are walked are arguments: a broken twin stands in for one of them, nothing is patched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sledsaga.core import endings, machine
from sledsaga.core import events as ev
from sledsaga.core import ready as readiness
from sledsaga.core.commands import VERBS, Command, Verb, decide
from sledsaga.core.endings import Ending
from sledsaga.core.ready import Ready
from sledsaga.core.state import Call, State
from sledsaga.engine import flights
from sledsaga.store.batch import lets_through

Place = tuple[int, int]  # an epoch, and the number of the last event


@dataclass(frozen=True, slots=True)
class Parts:
    """The functions that are walked: of the machine, of the engine, and of the store."""

    apply: Callable[[State, ev.Recorded], None] = machine.apply
    ready: Callable[[State, float], Ready] = readiness.ready
    conclude: Callable[[State, Call, Ending, float], ev.Event] = endings.conclude
    decide: Callable[[State, Command], tuple[ev.Event, ...]] = decide
    judged: Callable[..., Ending | None] = flights.judged
    fence: Callable[[Place, Place], bool] = lets_through


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may befall a saga: crashes, commands (of these verbs), and claims that park it.

    `in_batches` makes one move of all that is to be recorded, as an engine does that has room for all of it:
    far fewer states, but nothing comes between two starts.
    """

    crashes: int = 1
    commands: int = 0
    verbs: tuple[Verb, ...] = VERBS
    parks: int = 0
    in_batches: bool = False


REAL: Final = Parts()
ONE_CRASH: Final = Bounds()


@dataclass(frozen=True, slots=True)
class Ghost:
    """An executor that lost its claim: where it believes the saga to stand, and what it wants to write."""

    believed: Place
    writes: tuple[tuple[str, tuple[ev.Event, ...]], ...]


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that can happen next. `is_own` says that it needs neither a crash nor a person.

    `believed` is where who writes the events believes the saga to stand; None is who holds the claim.
    """

    label: str
    events: tuple[ev.Event, ...] = ()
    is_own: bool = True
    now: float | None = None
    cost: tuple[int, int, int] = (0, 0, 0)
    believed: Place | None = None
    leaves: Ghost | None = None
