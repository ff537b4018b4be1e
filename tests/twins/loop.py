"""Broken executors, each with one mistake in its loop, and the simulated world that must notice it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from sledsaga.check.simulate import simulate
from sledsaga.check.simulation.world import Parts
from sledsaga.core.endings import Failed, Succeeded
from sledsaga.engine.adopt import Backlog
from sledsaga.engine.execute import Executor
from sledsaga.engine.flights import Flights
from sledsaga.engine.live import Live
from sledsaga.engine.messages import Decide, Finished, Message, Stop, Submit
from sledsaga.engine.replies import Replies, resolve
from sledsaga.errors import LogUnavailable
from tests.twins.twin import Twin

SAGAS = 60
SEEDS = 40


class CallsFirst(Executor):
    def _advance(self) -> None:
        super()._advance()
        for live in self.books.touched.values():
            if self.books.live.get(live.id) is live:
                self.flights.follow(live, may_start=not self.books.stopping)


class AnswersFirst(Executor):
    def _advance(self) -> None:
        super()._advance()
        self.books.replies.give_answers()


class TellsRestEarly(Executor):
    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.books.replies = Hurried()


class Hurried(Replies):
    def at_rest(self, _saga: str, reply: Future[Live | None]) -> None:
        resolve(reply, None)


class ForgetsOne(Executor):
    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.books.backlog = Forgetful(self.books.store, self.books.step_aside, self.clock)


class Forgetful(Backlog):
    def load(self, room: int, is_known: Callable[[str], bool]) -> Iterator[Live]:
        for live in super().load(room, is_known):
            if int(live.id[-1], 16):
                yield live


class Deaf:
    """A store that tells nobody who lost, or that nothing was written."""

    def __init__(self, store: Any, *, swallows: bool) -> None:
        self._store, self._swallows = store, swallows

    def write(self, new: Any, appends: Any) -> tuple[str, ...]:
        try:
            lost: tuple[str, ...] = self._store.write(new, appends)
        except LogUnavailable:
            if self._swallows:
                return ()
            raise
        return lost if self._swallows else ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class HearsNoLoss(Executor):
    def __init__(self, store: Any, *parts: Any, **more: Any) -> None:
        super().__init__(Deaf(store, swallows=False), *parts, **more)


class SwallowsTrouble(Executor):
    def __init__(self, store: Any, *parts: Any, **more: Any) -> None:
        super().__init__(Deaf(store, swallows=True), *parts, **more)


class FreesTwice(Executor):
    def _finished(self, done: Finished) -> None:
        super()._finished(done)
        self.books.lanes.take(done.live, -1)


class NeverFrees(Executor):
    def _finished(self, done: Finished) -> None:
        super()._finished(done)
        self.books.lanes.take(done.live, 1)


class DropsAnEnd(Executor):
    def _handle(self, message: Message) -> None:
        if not (isinstance(message, Finished) and int(message.live.id[-1], 16) == 0):
            super()._handle(message)


class CallsAgain(Flights):
    def follow(self, live: Live, *, may_start: bool) -> None:  # noqa: ARG002 - it may not, and does
        super().follow(live, may_start=True)


class CallsAgainWhileStopping(Executor):
    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        made = self.flights
        self.flights = CallsAgain(
            self.workers, self.post, sled=made._sled, hook=made._hook, note=made._note, clock=self.clock
        )
        self.books.flights = self.flights


class StopsLate(Executor):
    def _stop(self, asked: Stop) -> None:
        super()._stop(asked)
        self.books.stopping = not self.flights.count


class ForgetsTimes(Executor):
    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.books.backlog = Impatient(self.books.store, self.books.step_aside, self.clock)


class Impatient(Backlog):
    def load(self, room: int, is_known: Callable[[str], bool]) -> Iterator[Live]:
        for live in super().load(room, is_known):
            for step in live.state.next_at:
                live.state.next_at[step] = 0.0
            live.state.backing_off[:] = [(0.0, step) for step in live.state.next_at]
            yield live


class KeysOfItsOwn(Executor):
    def _request(self, message: Any) -> None:
        if isinstance(message, Submit) and message.key is not None:
            message = replace(message, key=f"{message.key} of {self.books.executor}")
        super()._request(message)


class RunsWhatIsDry(Executor):
    def _request(self, message: Any) -> None:
        super()._request(replace(message, dry_run=False) if isinstance(message, Decide) else message)


class StartsWithNoLocks(Executor):
    def restore(self) -> None:
        """Believe that nobody holds anything."""


class FreesWhatIsStuck(Executor):
    def _turn(self, messages: list[Message]) -> None:
        super()._turn(messages)
        for live in self.books.touched.values():
            if live.state.at_rest and live.state.locked:
                self.books.pass_on(live.id)


class BelievesFailures(Executor):
    def _finished(self, done: Finished) -> None:
        is_bad = isinstance(done.ending, Failed) and done.flight.call.direction == "do"
        super()._finished(done._replace(ending=Succeeded("fine")) if is_bad else done)


class OldClaims(Flights):
    def _context(self, live: Live, call: Any) -> Any:
        return replace(super()._context(live, call), epoch=live.state.epoch - 1)


class NamesOldClaims(Executor):
    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        made = self.flights
        self.flights = OldClaims(
            self.workers, self.post, sled=made._sled, hook=made._hook, note=made._note, clock=self.clock
        )
        self.books.flights = self.flights


class ForgetsThoseWhoWait(Executor):
    def _turn(self, messages: list[Message]) -> None:
        super()._turn(messages)
        for saga in sorted(self.books.waiting)[:1]:
            self.books.waiting.discard(saga)


class KeepsWhoIsNot(Executor):
    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.books.backlog = Clinging(self.books.store, self.books.step_aside, self.clock)


class Clinging(Backlog):
    def drop(self, saga: str) -> None:
        """Keep it."""


class TellsSubscribersFirst(Executor):
    def _advance(self) -> None:
        super()._advance()
        for live in self.books.touched.values():
            for tell in self.books.subscribers if live.pending else ():
                tell(live.id, tuple(live.pending))


class OverlooksNewKeys(Executor):
    def _request(self, message: Any) -> None:
        super()._request(message)
        self.books.new_keys.clear()


@dataclass(frozen=True, slots=True)
class Plant:
    """A broken executor, what it does wrong, what is said of it (one of these), and from where to look."""

    executor: Callable[..., Executor]
    breaks: str
    says: Sequence[str]
    first: int = 0

    def catch(self) -> str:
        """Live through worlds until one shows it."""
        for seed in range(self.first, self.first + SEEDS):
            run = simulate(seed, sagas=SAGAS, parts=Parts(executor=self.executor))
            if run.breach:
                assert any(text in run.breach for text in self.says), run.breach
                return "\n".join((*run.transcript, run.breach, run.again))
        return ""


PLANTS = (
    Plant(
        CallsFirst,
        "calls are started before their start is in the log",
        ("is called before its saga is in the log", "is called; what the log says"),
    ),
    Plant(AnswersFirst, "answers are given before the write", ("is not in the log",)),
    Plant(
        TellsRestEarly,
        "whoever waits for a saga is told at once that it rests",
        ("it was said to rest, and does not",),
    ),
    Plant(ForgetsOne, "one saga in sixteen is not taken over after a crash", ("neither ends, nor goes on",)),
    Plant(
        HearsNoLoss, "a saga that another executor claimed is driven on", ("is called; what", "was told what")
    ),
    Plant(
        SwallowsTrouble,
        "a write that failed is taken for one that succeeded",
        ("is not in the log", "is called", "was told what"),
    ),
    Plant(FreesTwice, "the room of a call is freed twice", ("its limit is", "the limits are")),
    Plant(NeverFrees, "the room of a call is not freed", ("neither ends, nor goes on",)),
    Plant(DropsAnEnd, "the ends of one saga's calls are dropped", ("neither ends, nor goes on",)),
    Plant(
        CallsAgainWhileStopping,
        "a call that a stop has ended is made again",
        ("although the executor stops",),
    ),
    Plant(
        StopsLate,
        "new calls are started while a stop waits for the old ones",
        ("although the executor stops",),
    ),
    Plant(ForgetsTimes, "the time of a retry is forgotten in a crash", ("starts before its time",)),
    Plant(KeysOfItsOwn, "each executor has its own idea of a key", ("another body was taken", "it was")),
    Plant(RunsWhatIsDry, "a dry run is run", ("although it was refused",)),
    Plant(StartsWithNoLocks, "who holds what is forgotten in a crash", ("it takes res:",)),
    Plant(
        FreesWhatIsStuck,
        "the resources of a saga that is stuck or paused are given to the next",
        ("it takes res:",),
    ),
    Plant(
        BelievesFailures,
        "a step that failed is said to have succeeded",
        ("no output of its saga", "has succeeded, and"),
    ),
    Plant(
        NamesOldClaims, "calls are made in the name of the claim before", ("is called; what the log says",)
    ),
    Plant(
        ForgetsThoseWhoWait, "a saga that waits for a resource is forgotten", ("neither ends, nor goes on",)
    ),
    Plant(KeepsWhoIsNot, "a saga that came not to be is looked for", ("failed by itself",), first=379),
    Plant(TellsSubscribersFirst, "subscribers are told before the write", ("a subscriber was told",)),
    Plant(
        OverlooksNewKeys,
        "a key that was new in this very turn is overlooked",
        ("failed by itself", "was refused"),
    ),
)
TWINS = tuple(Twin(f"loop: {one.executor.__name__}", one.breaks, one.catch) for one in PLANTS)
