"""Where sagas are killed: fresh folders, each with a copy of the subject's sled and a log beside it.

    with Grounds(subject, jobs=2) as grounds:
        for end in grounds.each(act, kills): ...   # act(ground, kill), one at a time on each ground

Rules
- Trials stand in memory where there is a place for that: processes are killed here, machines are not.
- Every saga of a subject has the same id, so what differs between two ends is not what it is called.
- What trials leave is removed, however they end.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

from sledsaga.check.kills.child import SLED, Kill, Task, picture_of
from sledsaga.check.kills.place import place_of
from sledsaga.check.kills.processes import Nest, Ran
from sledsaga.check.leaves import files_below, text_of
from sledsaga.check.subject import Subject, temporary
from sledsaga.engine.ids import new_id
from sledsaga.hosts.sim import SimSled

Thing = TypeVar("Thing")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class End:
    """How a trial ended: the saga's state, all that is there as one text, and what went wrong."""

    state: str
    seen: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One saga on a machine of its own."""

    ground: Ground
    task: Task

    @property
    def sled(self) -> Path:
        """Where its sled is, if it has one."""
        return self.task.folder / SLED

    def run(self, kill: Kill | None = None) -> Ran:
        """Drive the saga in a process of its own, to rest or until it is killed; raises SledsagaError."""
        return self.ground.nest.run(self.task, kill)

    def seen(self, sled: Any) -> str:  # noqa: ANN401 - any JSON value
        """Return all that is there as one text, given the picture of the sled."""
        subject, folder = self.ground.subject, self.task.folder
        beside = subject.snapshot(folder) if subject.snapshot else files_below(folder, without=(SLED,))
        return self._plain(text_of({"sled": sled, "beside": beside}))

    def _plain(self, text: str) -> str:
        """Return a text as it is in every trial: without the name of this one's folder."""
        return text.replace(str(self.task.folder), "FOLDER")

    def end(self, ran: Ran) -> End:
        """Return how the trial ended, as the last process tells it."""
        return End(ran.state, self.seen(ran.picture), self._plain(ran.error or ran.why))

    def now(self, ran: Ran | None = None) -> End:
        """Return how things stand now: what was done to the sled since the last process is seen."""
        picture = None
        if self.ground.subject.sled is not None:
            sim = SimSled.open(self.sled)
            picture = picture_of(sim)
            sim.close()
        return End(ran.state if ran else "", self.seen(picture), ran.why if ran else "")


@dataclass(frozen=True, slots=True)
class Ground:
    """Trials of one subject, one after the other."""

    subject: Subject
    nest: Nest
    home: Path
    saga: str

    @contextmanager
    def trial(self, *, unwinds: bool = False, threads: int = 1) -> Iterator[Trial]:
        """Give a trial on a fresh copy of the sled, with a fresh log; remove all of it afterwards."""
        place = Path(tempfile.mkdtemp(dir=self.home))
        folder = place / "trial"
        folder.mkdir()
        try:
            if self.subject.sled is not None:
                shutil.copytree(self.subject.sled, folder / SLED)
            params = self.subject.params_in(folder)
            yield Trial(self, Task(folder, place / "log.db", params, self.saga, unwinds, threads))
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def before(self) -> str:
        """Return all that is there before anything was done."""
        with self.trial() as trial:
            return trial.now().seen


class Grounds:
    """So many grounds of one subject at a time. Use as a context manager."""

    def __init__(self, subject: Subject, *, jobs: int = 1) -> None:
        """Begin with none. Entering raises UsageError for an operation that cannot be had there."""
        self._subject = subject
        self._jobs = jobs
        self._stack = ExitStack()
        self._all: list[Ground] = []
        self._pool: ThreadPoolExecutor | None = None
        self._free: SimpleQueue[Ground] = SimpleQueue()

    def __enter__(self) -> Self:
        """Make a folder for all trials, and the processes that children come from."""
        place, saga = place_of(self._subject.operation), new_id()
        with ExitStack() as stack:
            home = stack.enter_context(temporary())
            self._pool = pool = ThreadPoolExecutor(self._jobs)
            stack.callback(pool.shutdown, cancel_futures=True)  # when their processes have ended
            for _ in range(self._jobs):
                nest = stack.enter_context(Nest(place, patience_s=self._subject.patience_s))
                self._all.append(Ground(self._subject, nest, home, saga))
            for ground in self._all:
                self._free.put(ground)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End the processes and remove the folder."""
        self._stack.close()

    def each(self, act: Callable[[Ground, Thing], Result], things: Iterable[Thing]) -> Iterator[Result]:
        """Yield what `act` makes of each thing, in order; as many at a time as there are grounds."""
        if self._pool is None or self._jobs == 1:
            yield from (self.on_one(act, thing) for thing in things)
            return
        yield from self._pool.map(lambda thing: self.on_one(act, thing), things)

    @property
    def one(self) -> Ground:
        """One of the grounds, for whoever needs no more."""
        return self._all[0]

    def on_one(self, act: Callable[[Ground, Thing], Result], thing: Thing) -> Result:
        """Return what `act` makes of a thing on a ground that is free."""
        ground = self._free.get()
        try:
            return act(ground, thing)
        finally:
            self._free.put(ground)
