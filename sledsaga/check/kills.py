"""Kill the process that drives a saga, for real, and see what another one makes of what is left.

A `Trial` is one saga on one log: who opens an engine on it, and what is submitted. `drive` runs it in a
child process, which is ended with SIGKILL by a crash point, or at a moment; `recover` lets another child
finish. Children come from a fork server that has the modules loaded, so a trial costs what its saga costs.

Rules
- Nothing is simulated here: the child is a process, the kill is the kernel's, the log is the real one.
- A kill that was asked for and did not come is told (by what `drive` returns): it counts as not tried.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from typing import Any, Final

from sledsaga.engine.crashpoints import VARIABLE
from sledsaga.engine.engine import Engine

OpenEngine = Callable[[str, str], AbstractContextManager[Engine]]
CONTEXT: Final = multiprocessing.get_context("forkserver")
TIME_LIMIT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One saga to be driven: how an engine is opened (by a function that pickles), where, what for."""

    open_engine: OpenEngine
    db: str
    sled: str
    operation: str
    params: Mapping[str, Any] = field(default_factory=dict)
    key: str = "trial"


@dataclass(frozen=True, slots=True)
class Kill:
    """When to die: at a crash point (`SLEDSAGA_CRASH`'s form), or some seconds after the engine is open."""

    point: str | None = None
    after_s: float | None = None

    def __str__(self) -> str:
        """Return how a person would ask for the same."""
        return f"{VARIABLE}={self.point}" if self.point else f"SIGKILL after {self.after_s:.3f} s"


def preload(modules: Iterable[str]) -> None:
    """Name the modules that children find loaded; call it before the first trial."""
    CONTEXT.set_forkserver_preload(["sledsaga.check.kills", *modules])


def drive(trial: Trial, kill: Kill | None = None) -> bool:
    """Drive the trial's saga to rest in a child process; say whether it was killed on the way.

    Raises AssertionError when the child ends in any other way, or does not end in two minutes.
    """
    process = CONTEXT.Process(target=_child, args=(trial, kill), daemon=True)
    process.start()
    code = _reap(process)
    if code not in (0, -signal.SIGKILL):
        msg = f"the child ended with {code} ({kill or 'no kill was asked for'})"
        raise AssertionError(msg)
    return code != 0


def _reap(process: ForkServerProcess) -> int | None:
    process.join(TIME_LIMIT_S)
    if process.is_alive():
        process.kill()
        process.join()
        return None
    return process.exitcode


def _child(trial: Trial, kill: Kill | None) -> None:
    os.environ.pop(VARIABLE, None)
    if kill is not None and kill.point is not None:
        os.environ[VARIABLE] = kill.point
    with trial.open_engine(trial.db, trial.sled) as engine:
        if kill is not None and kill.after_s is not None:
            timer = threading.Timer(kill.after_s, os.kill, (os.getpid(), signal.SIGKILL))
            timer.daemon = True
            timer.start()
        engine.recover()
        engine.submit(trial.operation, trial.params, key=trial.key, by="trial")
        engine.idle()
    os._exit(0)  # what the timer would do now is of no interest


def random_kill(random_: random.Random, passings: Mapping[str, int], duration_s: float) -> Kill:
    """Return a kill at a random passing of a random crash point, or (one in four) at a random moment."""
    if random_.randrange(4) == 0:
        return Kill(after_s=random_.uniform(0, duration_s))
    point = random_.choice(sorted(point for point, count in passings.items() if count))
    return Kill(point=f"{point}:{random_.randint(1, passings[point])}")
