"""One executor, from its start to its end: turned by hand whenever the world's clock says that a turn is due.

Rules
- A killed one loses its calls, its memory, and every answer that it has not given.
- One whose log failed is let go on for a moment, as a process that nobody has looked at yet, then killed.
- One that is told to stop starts no call any more, and ends when its last call has.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from sledsaga.check.simulation.acts import Act
from sledsaga.check.simulation.hands import Flying, Hands
from sledsaga.check.simulation.stores import BAD, BadDisk, Crash
from sledsaga.check.simulation.weather import happens
from sledsaga.core.endings import Ending
from sledsaga.engine.clock import Clock
from sledsaga.engine.messages import Message, Recover, Stop
from sledsaga.errors import SledsagaError

if TYPE_CHECKING:
    from sledsaga.check.simulation.world import World
    from sledsaga.core.events import Recorded
    from sledsaga.engine.catalog import Catalog
    from sledsaga.engine.context import Context
    from sledsaga.store.store import Store

FOREVER_S = 3000.0
POINTS = (
    *("before-append", "after-append", "before-do", "after-do", "before-undo", "after-undo"),
    *("mid-do", "mid-undo", "before-command", "after-command"),
)
Heard = Callable[[Any, SledsagaError | None], None]


class Life:
    """A living executor. `is_dead` once it was killed or has ended; then nothing more comes of it."""

    def __init__(self, world: World, name: str, store: Store, catalog: Catalog) -> None:
        """Begin to live: raises LogUnavailable when the log cannot be read."""
        self.world, self.name, self.catalog = world, name, catalog
        self.is_dead = self.is_stopping = False
        self.drives = world.is_calm or happens(world.dice, 0.95)
        self.armed = ""
        self.due: float | None = None
        self.asked: dict[Future[Any], Heard] = {}
        self.disk = BadDisk(
            store, world.shadow, self._fate, self.crash, lambda: self.is_dead, lambda: world.overtake(self)
        )
        self.hands = Hands(
            world.dice, world.later, world.trouble, self._starts, world.calls.begins, world.calls.ends
        )
        self.executor = world.parts.executor(
            self.disk,
            catalog,
            name=name,
            limits=world.weather.limits,
            drive=self.drives,
            sled=self._touch,
            hook=self.reach,
            note=lambda _message, _fields: None,
            clock=Clock(world.wall, lambda: world.now),
            workers=self.hands,
        )
        self.executor.books.subscribers = (self._hear,)
        self.executor.restore()
        self.ask(Recover(Future()), lambda _answer, _error: None)

    def ask(self, message: Message, heard: Heard) -> None:
        """Ask the executor; `heard` is told the answer or the refusal, or two times None when it is lost."""
        if not isinstance(message, Stop):
            reply: Future[Any] = message.reply  # type: ignore[union-attr]  # only calls end without a reply
            self.asked[reply] = heard
            reply.add_done_callback(self._answered)
        self.executor.ask(message)
        self.wake(self.world.dice.random() * 0.01)

    def stop(self, *, now: bool, leave: bool = False) -> None:
        """Tell it to stop, in good order, and perhaps to leave behind what runs."""
        if not self.is_dead:
            self.is_stopping = True
            self.executor.ask(Stop(now=now, leave=leave))
            self.wake(0.0)

    def wake(self, delay_s: float) -> None:
        """Have a turn made, no later than in so many seconds."""
        at = self.world.now + delay_s
        if not self.is_dead and (self.due is None or at < self.due):
            self.due = at
            self.world.later(delay_s, lambda: self.turn() if self.due == at else None)

    def crash(self) -> Crash:
        """Die at once; return what the code that stands here shall raise, to be left by it."""
        if not self.is_dead:
            self.world.count["crashes"] += 1
            self._die()
        return Crash(self.name)

    def reach(self, point: str, _step: str | None = None) -> None:
        """Pass a crash point; raises Crash when it is the one."""
        if self.armed == point:
            raise self.crash()
        if self.is_dead:  # what was caught on the way does not make it live again
            raise Crash(self.name)

    def turn(self) -> None:
        """Make a turn now."""
        self.due = None
        if not self.is_dead:
            self.executor.turn(must_wait=False)
            self._look()

    def _look(self) -> None:
        """See what has become of the executor in its turn, and when the next one is due."""
        if self.is_dead:
            return
        failure = self.executor.books.failure
        if failure is not None and BAD not in str(failure):
            self.world.blame("", f"the executor failed by itself: {failure}")
        if failure is not None and not self.armed:
            self.armed = "soon"
            self.world.later(self.world.dice.random(), self.crash)
        if self.executor.is_done:
            self.executor.end()
            self.world.count["stops"] += 1
            self._die()
            return
        patience_s = self.executor.patience_s()
        if patience_s < FOREVER_S:
            self.wake(patience_s)

    def _die(self) -> None:
        self.is_dead = True
        self.hands.drop()
        asked, self.asked = self.asked, {}
        for heard in asked.values():
            heard(None, None)
        self.world.mourn(self)

    def _answered(self, reply: Future[Any]) -> None:
        heard = self.asked.pop(reply, None)
        if heard is None or reply.cancelled():
            return
        error = reply.exception()
        if error is None:
            answer = reply.result()
            heard(True if answer is None else answer, None)
        elif self.is_dead:
            heard(None, None)
        else:
            assert isinstance(error, SledsagaError)
            heard(None, error)

    def _fate(self, what: str) -> str:
        weather, dice = self.world.weather, self.world.dice
        if self.world.is_calm:
            return "fine"
        if what == "read":
            fate = "refused" if happens(dice, weather.read_trouble) else "fine"
        elif happens(dice, weather.write_trouble):
            fate = dice.choice(("refused", "late", "crash"))
        else:
            fate = "slow" if happens(dice, weather.slow_write) else "fine"
        if fate == "slow":
            self.world.now += dice.random() * 2.0
        if fate != "fine":
            self.world.count[f"{what}s {fate}"] += 1
        return fate

    def _starts(self, flying: Flying) -> None:
        if self.is_stopping or not self.drives:
            why = "stops" if self.drives else "only records"
            self.world.blame(flying.job.context.saga, f"a call is started although the executor {why}")
        self.world.calls.starts(self, flying)
        report = flying.report

        def tell(ending: Ending, *, has_time: bool = False) -> None:
            report(ending, has_time=has_time)
            self._look()
            self.wake(self.world.dice.random() * 0.01)

        flying.report = tell

    def _hear(self, saga: str, events: tuple[Recorded, ...]) -> None:
        """Take what subscribers are told, which must be in the log; break down now and then."""
        told = self.world.shadow.sagas.get(saga)
        if told is None or told.log[events[0].seq - 1 : events[-1].seq] != list(events):
            self.world.blame(saga, "a subscriber was told what is not in the log")
        if happens(self.world.dice, 0.01):
            raise ValueError("a subscriber breaks down")

    def _touch(self, ctx: Context) -> Act:
        world = self.world
        sled = world.ground.sled(ctx, self.reach) if world.ground is not None else None
        return Act(world.dice, world.machine, world.trouble(), ctx, self.reach, world.blame, sled)
