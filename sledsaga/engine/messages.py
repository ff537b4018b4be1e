"""What can arrive in the executor's inbox. Everything that changes a saga comes this way."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

from sledsaga.core import events as ev
from sledsaga.core.bind import Bound
from sledsaga.core.commands import Command
from sledsaga.core.dag import Plan
from sledsaga.core.endings import Ending
from sledsaga.core.view import SagaView
from sledsaga.engine.live import Flight, Live


@dataclass(frozen=True, slots=True)
class Submitted:
    """Which saga a submission is; `first` is the event that began it, or None when it was there before."""

    saga: str
    first: ev.Recorded | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The events that a command is (or would be), and the saga as it stands with them."""

    events: tuple[ev.Event, ...]
    view: SagaView


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recovery found: how many sagas it took over, which it could not run, which it could not read."""

    claimed: int
    parked: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Submit:
    """Record a saga, unless its key or id is known with the same digest."""

    id: str
    has_own_id: bool
    plan: Plan
    bound: Bound
    key: str | None
    digest: str
    by: str
    reply: Future[Submitted]


@dataclass(frozen=True, slots=True)
class Decide:
    """Tell a saga something; with `dry_run` only say what it would be."""

    saga: str
    command: Command
    expect_seq: int | None
    dry_run: bool
    reply: Future[Decision]


@dataclass(frozen=True, slots=True)
class Wait:
    """Tell when the saga rests: ended, stuck, or paused with nothing running.

    The answer is the saga as it was let out of memory, or None when only the log has it all.
    """

    saga: str
    reply: Future[Live | None]


@dataclass(frozen=True, slots=True)
class Recover:
    """Take over every saga of the log that is not at rest."""

    reply: Future[Recovered]


class Finished(NamedTuple):
    """A call came to its end; `at` is when, on the monotonic clock."""

    live: Live
    flight: Flight
    ending: Ending
    at: float


@dataclass(frozen=True, slots=True)
class Idle:
    """Tell when nothing runs and nothing is left to take over."""

    reply: Future[None]


@dataclass(frozen=True, slots=True)
class Stop:
    """Take nothing new. Let what runs finish, or (`now`) tell it to end and hand it back.

    With `leave` the loop ends without waiting for calls; what they come to is not recorded.
    """

    now: bool
    leave: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """Nothing but a reason to look at the clock again."""


Message = Submit | Decide | Wait | Recover | Finished | Idle | Stop | Look
