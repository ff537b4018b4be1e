"""One saga, driven to rest in this very process, which counts the points that it passes and may die at one.

Rules
- The engine, the log, its lock and the drivers are the real ones; the machine is a simulated sled.
- What is passed: each append, each change of the sled, each call of a step's `do` and `undo`. A passing has
  a number among those of its point; with one step at a time it is the same whenever a run is repeated.
- The saga's id is given, so that two runs on equal machines leave equal ones.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from sledsaga.check.trials import variant
from sledsaga.check.trials.series import fail_last
from sledsaga.check.trials.trial import NONE, Mischief, told
from sledsaga.core.dag import Dag, Plan
from sledsaga.core.define import Operation, no_undo, operation, step
from sledsaga.core.events import Recorded, Submitted
from sledsaga.core.model import Model
from sledsaga.core.plan import plan
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.context import Context
from sledsaga.engine.crashpoints import APPENDS, COMMANDS
from sledsaga.engine.engine import Engine
from sledsaga.engine.ids import new_id
from sledsaga.engine.limits import Limits
from sledsaga.engine.read import find_row
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.keys import KEY_DIR
from sledsaga.hosts.readonly import ReadOnlyHost
from sledsaga.hosts.sim import SimSled
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.step import StepHost
from sledsaga.store.open import open_store
from sledsaga.store.oslock import OsLock
from sledsaga.store.store import Index, NewSaga, Store

SLED: Final = "sled"
"""The name of the sled's folder in the folder of a trial."""
WORDS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Kill:
    """When to die: at a passing of a point, or (without one) some seconds after the engine is open."""

    point: str = ""
    number: int = 1
    after_s: float = 0.0

    def __str__(self) -> str:
        """Return the kill in words."""
        return f"{self.point} {self.number}" if self.point else f"after {self.after_s * 1000:.0f} ms"


@dataclass(frozen=True, slots=True)
class Task:
    """One saga to be driven: of these params and id, on the sled in a folder (if there is one), in a log.

    One that `unwinds` fails when all that can be undone is done (see `variant.late`). With more `threads`
    than one, steps run at the same time, and the n-th passing of a point may be another in each run.
    """

    folder: Path
    log: Path
    params: Mapping[str, Any]
    saga: str
    unwinds: bool = False
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Passing:
    """The n-th time that a point was passed: by which step, and what happened there."""

    point: str
    number: int
    step: str = ""
    what: str = ""

    def __str__(self) -> str:
        """Return the passing as a matrix names it."""
        return f"{self.point} {self.number}: {': '.join(filter(None, (self.step, self.what)))}"

    @property
    def kill(self) -> Kill:
        """The kill that comes here."""
        return Kill(self.point, self.number)


@dataclass(slots=True)
class Watch:
    """Counts what is passed, dies where it was told to, and does mischief to calls."""

    kill: Kill | None
    mischief: Mischief = NONE
    passed: list[Passing] = field(default_factory=list)
    written: list[tuple[Recorded, ...]] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: bool = False

    def hook(self, point: str, step: str | None) -> None:
        """Pass a point that the engine names."""
        self.passing(point, step or "")
        if step is not None:
            self.mischief.call(point, step)

    def passing(self, point: str, step: str, what: str = "") -> None:
        """Pass a point; this may be the end."""
        with self._lock:
            self._counts[point] += 1
            number = self._counts[point]
            if self.kill is not None and (self.kill.point, self.kill.number) == (point, number):
                os.kill(os.getpid(), signal.SIGKILL)
            self.passed.append(Passing(point, number, step, what))

    def changing(self, point: str, step: str) -> Callable[[HostCommand], None]:
        """Return what is told of each change that a step makes."""
        return lambda command: self.passing(point, step, _short(" ".join(command.argv)))

    def writing(self, _saga: str, events: tuple[Recorded, ...]) -> None:
        """Be told of an append."""
        self.written.append(events)

    def begin(self) -> None:
        """Die later, if that was asked for."""
        if self.kill is not None and not self.kill.point:
            timer = threading.Timer(self.kill.after_s, self._die)
            timer.daemon = True
            timer.start()

    def end(self) -> None:
        """Die no more: what was to be driven rests."""
        self._over = True

    def _die(self) -> None:
        if not self._over:
            os.kill(os.getpid(), signal.SIGKILL)

    def passings(self, dag: Dag) -> tuple[Passing, ...]:
        """Return all that was passed, appends with what they wrote."""
        names = [_short(", ".join(_event(dag, one) for one in events)) for events in self.written]
        return tuple(
            replace(one, what=names[one.number - 1])
            if one.point in APPENDS and one.number <= len(names)
            else one
            for one in self.passed
        )


def _short(text: str) -> str:
    return text if len(text) <= WORDS_MAX else f"{text[: WORDS_MAX - 1]}…"


def _event(dag: Dag, recorded: Recorded) -> str:
    event = recorded.event
    step = getattr(event, "step", None)
    return type(event).__name__ if step is None else f"{type(event).__name__} {dag.steps[step].path}"


def run(operation: Operation, task: Task, kill: Kill | None = None) -> dict[str, Any]:
    """Drive a saga to rest, be it new or in the log; return how it ended, as the fields of a `kills.Ran`."""
    late = variant.late(plan(operation, task.params)) if task.unwinds else None
    watch = Watch(kill, fail_last(late) if late else NONE)
    with ExitStack() as stack:
        sim = _opened(task, stack)
        stack.enter_context(OsLock.acquire(task.log, executor=f"trial {os.getpid()}"))
        store = open_store(f"sqlite:///{task.log}")
        if late is not None:
            _record(store, task, variant.at_once(late.unwinding()))
        engine = stack.enter_context(_engine(operation, task, store, watch, sim=sim))
        engine.subscribe(watch.writing)
        seconds = _drive(engine, operation, task, watch)
        view = engine.view(task.saga)
        return {
            "state": view.state,
            "picture": None if sim is None else picture_of(sim),
            "passings": watch.passings(store.plan(task.saga).dag),
            "why": told(view),
            "seconds": seconds,
        }


def _opened(task: Task, stack: ExitStack) -> SimSled | None:
    if not (task.folder / SLED).is_dir():
        return None
    sim = SimSled.open(task.folder / SLED)
    stack.callback(sim.close)
    return sim


def _record(store: Store, task: Task, planned: Plan) -> None:
    """Put a saga into the log that has a plan of its own, unless it is there."""
    if find_row(store, task.saga, None) is None:
        submitted = Recorded(1, time.time(), 0, Submitted("trial"))
        index = Index("waiting", "forward", 0, 1, submitted.at)
        store.write([NewSaga(task.saga, planned, None, "", submitted.at, (submitted,), index)], [])


def _engine(operation: Operation, task: Task, store: Store, watch: Watch, *, sim: SimSled | None) -> Engine:
    many = task.threads
    limits = Limits(threads=many, async_calls=many, per_operation={operation.name: many})
    sled = None if sim is None else _sleds(sim.host, watch)
    return Engine(store, Catalog([operation]), sled=sled, limits=limits, hook=watch.hook)


def _drive(engine: Engine, operation: Operation, task: Task, watch: Watch) -> float:
    """Drive the saga to rest; return how many seconds that took."""
    begun = time.monotonic()
    watch.begin()
    engine.recover()
    if find_row(engine.store, task.saga, None) is None:
        engine.submit(operation, task.params, id=task.saga, by="trial")
    engine.idle()
    watch.end()
    return time.monotonic() - begun


def _sleds(machine: Host, watch: Watch) -> Callable[[Context], Sled]:
    def make(context: Context) -> Sled:
        host: Host = ReadOnlyHost(machine) if context.direction == "probe" else machine
        before, after = (watch.changing(point, context.step) for point in COMMANDS)
        seen = StepHost(host, context.cancelled, context.deadline, before, after)
        return Sled(seen, saga=context.saga, pause=context.pause)

    return make


def picture_of(sim: SimSled) -> dict[str, Any]:
    """Return a sled as JSON, with the key files that are left on it."""
    return {**sim.describe(), "keys": list(sim.host.list_dir(KEY_DIR))}


def warm_up() -> None:
    """Have loaded, once, what every child needs: a child that begins with it need not look for it."""
    trifle = operation(
        "warm-up", version=1, params=Nothing, steps=[step(_look, name="look", undo=no_undo("it looks"))]
    )
    with tempfile.TemporaryDirectory() as home:
        folder, saga = Path(home), new_id()
        SimSled.create(folder / SLED).close()
        for unwinds in (False, True):
            for _ in ("anew", "again"):
                run(trifle, Task(folder, folder / f"{unwinds}.db", {}, saga, unwinds))
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()  # a child of a process with more than one thread may wait for ever


class Nothing(Model):
    """No params."""


def _look(sled: Sled) -> None:
    sled.pools.list()
