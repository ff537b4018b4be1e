"""One trial: a saga in this process, on a fresh copy of the ground, with mischief at chosen moments.

Rules
- The log is one in memory, the sled a copy of the subject's; nothing outlives the trial.
- Mischief comes through what the engine has anyway: its hook round each call, the host's hooks round each
  change, and the log that it writes to. The operation's own functions are called as they are.
- An engine may be dropped in the middle, as if its process had died: from then on nothing of it reaches the
  log or the sled. Another one takes the saga over from the log.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from sledsaga.check.leaves import files_below, in_short, text_of
from sledsaga.check.subject import Params, Subject, temporary
from sledsaga.core import events as ev
from sledsaga.core.commands import Command, Verb
from sledsaga.core.dag import Plan
from sledsaga.core.define import Operation
from sledsaga.core.plan import plan
from sledsaga.core.view import SagaView
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.engine.ids import new_id
from sledsaga.engine.limits import Limits
from sledsaga.errors import UsageError
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.keys import KEY_DIR
from sledsaga.hosts.readonly import ReadOnlyHost
from sledsaga.hosts.sim import SimSled
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.step import StepHost
from sledsaga.store.memory import MemoryStore
from sledsaga.store.store import Append, Index, NewSaga, Store

SAGA: Final = "0197a000-0000-7000-8000-000000000001"
"""The saga of every trial: what is made of its id is the same in all of them, so pictures can be compared."""
GRACE_S: Final = 1.0
ONE_AT_A_TIME: Final = Limits(threads=1, async_calls=1)
"""With these the n-th write of the log is the same in every trial."""


class Dropped(BaseException):
    """The engine of this call is no more: nothing may follow, and no `except Exception` may catch it."""


class PlantedError(Exception):
    """What a step raises that a trial makes fail."""


@dataclass(frozen=True, slots=True)
class Site:
    """One change of the sled by a step: the `number`-th of its `do` or `undo`, and what it was."""

    path: str
    direction: str
    number: int
    text: str

    def __str__(self) -> str:
        """Name it for people."""
        return f"{self.path}, {self.direction}, change {self.number}: {self.text}"

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What is the same in another trial: which change of which step it is, and of what kind."""
        return self.path, self.direction, self.number, self.kind

    @property
    def kind(self) -> str:
        """The tool and its verb; what follows may be another word in each trial."""
        return " ".join(self.text.removeprefix("pfexec ").split()[:2])


def _nothing(*_about: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Mischief:
    """What is done to a trial. Each part may raise, wait, or do nothing.

    `call` is told of `before-do`, `after-do`, `before-undo` and `after-undo` of a step; `change` of `before`
    and `after` each change of the sled; `write` of `before` and `after` each write of the log, from 1.
    """

    call: Callable[[str, str], None] = _nothing
    change: Callable[[str, Site, Context, HostCommand], None] = _nothing
    write: Callable[[str, int], None] = _nothing


NONE: Final = Mischief()


def several(*parts: Mischief) -> Mischief:
    """Return mischief that is all of these, in order."""

    def call(moment: str, path: str) -> None:
        for part in parts:
            part.call(moment, path)

    def change(moment: str, site: Site, context: Context, command: HostCommand) -> None:
        for part in parts:
            part.change(moment, site, context, command)

    def write(moment: str, number: int) -> None:
        for part in parts:
            part.write(moment, number)

    return Mischief(call, change, write)


@dataclass(slots=True)
class Seen:
    """What ran in a trial: the steps and undos that were called, the changes of the sled, the log's writes.

    `writes` has the direction in which the saga went after each; `seconds` is how long each call took.
    """

    steps: set[str] = field(default_factory=set)
    undos: set[str] = field(default_factory=set)
    sites: dict[tuple[str, str, int, str], Site] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Trial:
    """One saga on its ground; made by `begin`."""

    subject: Subject
    folder: Path
    params: Params
    sim: SimSled | None
    saga: str = SAGA
    store: MemoryStore = field(default_factory=MemoryStore)
    seen: Seen = field(default_factory=Seen)
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _began: dict[tuple[str, str], float] = field(default_factory=dict)

    def plan(self) -> Plan:
        """Plan the operation with the params of this trial; raises as `plan` does."""
        return plan(self.subject.operation, self.params)

    def record(self, planned: Plan) -> None:
        """Put the saga into the log, to be taken over by the first engine."""
        submitted = ev.Recorded(1, time.time(), 0, ev.Submitted("trial"))
        index = Index("waiting", "forward", 0, 1, submitted.at)
        self.store.write([NewSaga(self.saga, planned, None, "", submitted.at, (submitted,), index)], [])

    def run(self, planned: Plan, mischief: Mischief, *, limits: Limits | None = None) -> SagaView:
        """Record the saga and drive it to rest; raises WaitTimedOut, LogUnavailable when it was dropped."""
        self.record(planned)
        return self.drive(mischief, limits=limits)

    def drive(self, mischief: Mischief, *, limits: Limits | None = None) -> SagaView:
        """Let a new engine take the saga over and drive it to rest; raises as `run` does."""
        with self._engine(mischief, limits) as engine:
            engine.recover()
            return engine.wait(self.saga, self.subject.patience_s)

    def say(self, verb: Verb, mischief: Mischief) -> SagaView:
        """Let a new engine tell the saga something and drive it to rest; raises as `run`, and Refused."""
        with self._engine(mischief, None) as engine:
            engine.command(self.saga, Command(verb, "trial", "mended"))
            return engine.wait(self.saga, self.subject.patience_s)

    def events(self) -> tuple[ev.Event, ...]:
        """Return all that happened to the saga."""
        return tuple(recorded.event for recorded in self.store.events(self.saga))

    def picture(self) -> dict[str, Any]:
        """Return what is there now: the sled with its key files, and what is beside it."""
        snapshot = self.subject.snapshot
        beside = files_below(self.folder, without=("sled",)) if snapshot is None else snapshot(self.folder)
        if self.sim is None:
            return {"beside": beside}
        keys = list(self.sim.host.list_dir(KEY_DIR))
        return {"beside": beside, "keys": keys, "sled": self.sim.describe()}

    def text(self) -> str:
        """Return the picture as text that can be compared with that of another trial."""
        return text_of(self.picture()).replace(str(self.folder), "FOLDER")

    def sled(self, context: Context, mischief: Mischief) -> Sled:
        """Return the sled as one call sees it; a probe cannot change it."""
        if self.sim is None:
            msg = "the operation asks for a sled and the subject has none"
            raise PlantedError(msg)
        told = self._told(context, mischief)
        host: Host = ReadOnlyHost(self.sim.host) if context.direction == "probe" else self.sim.host
        seen = StepHost(host, context.cancelled, context.deadline, told("before"), told("after"))
        return Sled(seen, context.saga, context.pause)

    def _told(self, context: Context, mischief: Mischief) -> Callable[[str], Callable[[HostCommand], None]]:
        key = (context.step, context.direction)

        def tell(moment: str, command: HostCommand) -> None:
            self._counts[key] += moment == "before"
            site = Site(*key, self._counts[key], " ".join(command.argv))
            self.seen.sites.setdefault(site.key, site)
            mischief.change(moment, site, context, command)

        return lambda moment: lambda command: tell(moment, command)

    def _hook(self, mischief: Mischief) -> Callable[[str, str | None], None]:
        def hook(moment: str, path: str | None) -> None:
            if path is None:
                return
            self._note(moment, path)
            mischief.call(moment, path)

        return hook

    def _note(self, moment: str, path: str) -> None:
        place, _, direction = moment.partition("-")
        if place == "before":
            (self.seen.steps if direction == "do" else self.seen.undos).add(path)
            self._began[path, direction] = time.monotonic()
        else:
            took = time.monotonic() - self._began[path, direction]
            self.seen.seconds[path, direction] = max(took, self.seen.seconds.get((path, direction), 0.0))

    @contextmanager
    def _engine(self, mischief: Mischief, limits: Limits | None) -> Iterator[Engine]:
        store = cast("Store", Handle(self.store, self.seen, mischief))
        engine = Engine(
            store,
            Catalog([self.subject.operation]),
            sled=lambda context: self.sled(context, mischief),
            limits=limits,
            executor=f"trial:{len(self.seen.writes)}",
            hook=self._hook(mischief),
        )
        try:
            yield engine
        finally:
            engine.close(now=True, timeout_s=GRACE_S)


class Handle:
    """The log as one engine of a trial has it: mischief is told of each write."""

    def __init__(self, store: Store, seen: Seen, mischief: Mischief) -> None:
        """Write to `store`, and note in `seen` which way the saga went."""
        self._store, self._seen, self._mischief = store, seen, mischief
        self._lock = threading.Lock()

    def write(self, new: Sequence[NewSaga], appends: Sequence[Append]) -> tuple[str, ...]:
        """Write as the store does; raises what mischief raises."""
        with self._lock:
            self._seen.writes.append(appends[0].index.direction if appends else "forward")
            number = len(self._seen.writes)
            self._mischief.write("before", number)
            lost = self._store.write(new, appends)
            self._mischief.write("after", number)
            return lost

    def close(self) -> None:
        """Leave the log to the next engine."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        """Read from the store."""
        return getattr(self._store, name)


@contextmanager
def begin(subject: Subject) -> Iterator[Trial]:
    """Prepare the ground of one trial in a folder that is removed afterwards."""
    with temporary() as folder:
        if subject.sled is not None:
            shutil.copytree(subject.sled, folder / "sled")
        params = subject.params_in(folder)
        sim = None if subject.sled is None else SimSled.open(folder / "sled")
        try:
            yield Trial(subject, folder, params, sim)
        finally:
            if sim is not None:
                sim.close()


def prepare(sled: Path, operation: Operation, params: Params) -> None:
    """Run an operation on a simulated sled itself, to make the ground for trials of another.

    Raises UsageError when the saga does not succeed.
    """
    sim = SimSled.open(sled)
    try:
        trial = Trial(Subject(operation, params, sled), sled.parent, params, sim, saga=new_id())
        view = trial.run(trial.plan(), NONE)
    finally:
        sim.close()
    if view.state != "succeeded":
        msg = f"{operation.name} on {sled}: {told(view)}; the ground cannot be made with it"
        raise UsageError(msg)


def told(view: SagaView) -> str:
    """Say how a saga stands, and what its steps say."""
    errors = "; ".join(f"{step.path}: {step.error}" for step in view.steps if step.error)
    return f"the saga is {view.state}" + (f" ({errors})" if errors else "")


def compared(wanted: str, seen: str) -> str:
    """Say what differs between two pictures, "" when nothing does."""
    return "" if wanted == seen else f"it is not as it should be: {in_short(wanted, seen)}"
