"""`apply-sled-config` of the production document on a simulated sled, beside its bare host commands.

All that the operation asks of its host (commands, and the files that it reads and writes) is noted in a
first run. Bare is the same on an equal fresh sled, one after the other in the order in which they began,
without a saga and without a log. Where the document is not at hand, one of the same shape stands in: ten
disks, thirteen zones.

A simulated command is work of this process, which one thread at a time can do. A real one is a process that
is waited for; so both are measured once more with commands that take PROCESS_S longer.
"""

from __future__ import annotations

import pickle
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from bench.cases import Case, Row, Side, at_most
from bench.child import Place
from sagas import CATALOG
from sledsaga import Catalog, Context, Engine
from sledsaga.engine.collector import collect_rarely
from sledsaga.engine.perform import SledFactory
from sledsaga.hosts.host import Host
from sledsaga.hosts.illumos.platform import ILLUMOS
from sledsaga.hosts.sim.document import disks_of, make_sled
from sledsaga.hosts.sim.host import SimHost
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.step import StepHost
from sledsaga.store.open import open_store
from tests.real.config import document, production

OPERATION: Final = "apply-sled-config"
PROCESS_S: Final = 0.005
"""What a command takes at least where it is a process that asks a kernel."""


class Asked(NamedTuple):
    """One thing that was asked of a host: the method, and what it was given."""

    method: str
    arguments: tuple[Any, ...]
    named: dict[str, Any]


@dataclass(slots=True)
class Noting:
    """A host that notes what is asked of it, in the order in which that begins."""

    host: Host
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        """Return a method of the host that notes its calls."""
        bare = getattr(self.host, method)

        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the host takes
            with self.lock:
                kept = {name: value for name, value in named.items() if name != "cancel"}
                self.asked.append(Asked(method, arguments, kept))
            return bare(*arguments, **named)

        return call


def params(place: Place) -> dict[str, Any]:
    """Return the production document, or one of its shape."""
    if place.sizes.disks is not None:
        return document(disks=place.sizes.disks)
    return production() or document()


def prepare(place: Place) -> None:
    """Make the fresh sled, and note what the operation asks of it."""
    blank = place.shared / "blank"
    wanted = params(place)
    make_sled(blank, disks_of(wanted), wanted).close()
    shutil.copytree(blank, place.own / "sled")
    with SimHost(place.own / "sled") as host:
        noting = Noting(host)
        _apply(place, noting)
    (place.shared / "asked.pickle").write_bytes(pickle.dumps(noting.asked))


def applied(place: Place, latency_s: float = 0.0) -> dict[str, float]:
    """Apply the document as a saga."""
    collect_rarely()
    shutil.copytree(place.shared / "blank", place.own / "sled")
    with SimHost(place.own / "sled", latency_s=latency_s) as host:
        seconds = _apply(place, host)
        return {"s": seconds, "commands s": host.spent_s}


def bare(place: Place, latency_s: float = 0.0) -> dict[str, float]:
    """Ask the same of an equal sled, one after the other."""
    collect_rarely()
    shutil.copytree(place.shared / "blank", place.own / "sled")
    asked: list[Asked] = pickle.loads((place.shared / "asked.pickle").read_bytes())  # noqa: S301 - a file of ours
    commands_s = 0.0
    with SimHost(place.own / "sled", latency_s=latency_s) as host:
        began = time.perf_counter()
        for method, arguments, named in asked:
            start = time.perf_counter()
            getattr(host, method)(*arguments, **named)
            commands_s += (time.perf_counter() - start) * (method == "run")
        seconds = time.perf_counter() - began
    commands = sum(one.method == "run" for one in asked)
    return {"s": seconds, "commands s": commands_s, "asked": len(asked), "commands": commands}


def _apply(place: Place, host: Host) -> float:
    wanted, store = params(place), open_store(f"sqlite:///{place.own}/log.db")
    with Engine(store, Catalog(CATALOG), sled=_sleds(host)) as engine:
        began = time.perf_counter()
        view = engine.run(OPERATION, wanted)
        seconds = time.perf_counter() - began
    assert view.state == "succeeded", [f"{step.path}: {step.error}" for step in view.steps if step.error]
    return seconds


def _sleds(host: Host) -> SledFactory:
    def sled(context: Context) -> Sled:
        seen = StepHost(host, context.cancelled, context.deadline)
        return Sled(seen, saga=context.saga, pause=context.pause, platform=ILLUMOS)

    return sled


CASES: Final = (
    Case(
        "sled",
        (
            Side("applied", "bench.sled:applied"),
            Side("bare", "bench.sled:bare"),
            Side("late", "bench.sled:applied", {"latency_s": PROCESS_S}),
            Side("bare late", "bench.sled:bare", {"latency_s": PROCESS_S}),
        ),
        (
            Row(f"{OPERATION}; its host's work one by one", "applied.s", "bare.s", at_most(1.0), "s", 2),
            Row("the same; its commands alone, without files", "applied.s", "bare.commands s", None, "s", 2),
            Row("both; each command takes 5 ms more", "late.s", "bare late.s", None, "s", 2),
            Row("what it asks of its host; commands of it", "bare.asked", "bare.commands", None),
        ),
        prepare=Side("sled", "bench.sled:prepare"),
        rounds=3,
    ),
)
