"""Processes that drive one saga of an operation, and are ended with SIGKILL on the way.

    with Nest(place_of(operation)) as nest:
        nest.run(Task(folder, params, saga), Kill("after-append", 3)).killed  # True
        nest.run(Task(folder, params, saga)).state  # "succeeded": another process went on

A nest is a process of a fork server which has the operation loaded; it forks a fresh child for each run. So
a child begins with nothing that another one left in memory, and a run costs what its saga costs.

Rules
- Nothing is simulated here: the child is a process, the kill is the kernel's, the log is the real one.
- One step runs at a time, so that the n-th passing of a point is the same in each run.
- A kill that was asked for and did not come is told: it counts as not tried.
- Children are silent: what an operation prints is not the checker's output.
- No child outlives its nest for longer than one run may take, and no nest whoever made it.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from sledsaga.check.kills import child
from sledsaga.check.kills.child import Kill, Passing, Task
from sledsaga.check.kills.place import Place, load
from sledsaga.errors import SledsagaError, UsageError

__all__ = ["Kill", "Nest", "Passing", "Ran", "Task", "preload"]
CONTEXT: Final = multiprocessing.get_context("forkserver")
PATIENCE_S: Final = 120.0
LOADED: Final = ("sledsaga.check.kills.processes", "sledsaga.store.sql")
CONTEXT.set_forkserver_preload([*LOADED])


@dataclass(frozen=True, slots=True)
class Ran:
    """How a child ended: killed, or with a saga at rest. `seconds` are those in which it drove the saga.

    `passings` are the points that it passed, in order; `error` is why it has neither state nor picture.
    """

    killed: bool = False
    state: str = ""
    picture: Any = None
    passings: tuple[Passing, ...] = ()
    why: str = ""
    seconds: float = 0.0
    error: str = ""


def preload(modules: Iterable[str] = ()) -> None:
    """Name more modules that nests find loaded; it is heard before the first nest of this process is made."""
    CONTEXT.set_forkserver_preload([*LOADED, *modules])


class Nest:
    """A process that forks children, one at a time. Use as a context manager, or call `close`."""

    def __init__(self, place: Place, *, patience_s: float = PATIENCE_S) -> None:
        """Start the process and load the operation in it; raises UsageError when it cannot be had there."""
        ours, theirs = CONTEXT.Pipe()
        self._pipe = ours
        self._process = CONTEXT.Process(target=_serve, args=(theirs, place, patience_s), daemon=True)
        try:
            with _unheard(signal.SIGINT):  # until the process says itself that it does not listen
                self._process.start()
            theirs.close()
            problem = self._answer()
        except OSError as error:
            self.close()
            msg = f"no process can be started below {tempfile.gettempdir()} ({error}): set a shorter TMPDIR"
            raise UsageError(msg) from error
        except BaseException:
            self.close()
            raise
        if problem:
            self.close()
            raise UsageError(problem)

    def run(self, task: Task, kill: Kill | None = None) -> Ran:
        """Drive the task's saga to rest in a child, or until it is killed. Raises SledsagaError."""
        self._pipe.send((task, kill))
        ran: Ran = self._answer()
        return ran

    def _answer(self) -> Any:  # noqa: ANN401 - whatever was asked for
        try:
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise SledsagaError("the process that makes the children has ended") from error

    def close(self) -> None:
        """End the process, and with it the child that it has; who waits for it is told."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._pipe.close()

    def __enter__(self) -> Self:
        """Return the nest."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


@contextmanager
def _unheard(number: signal.Signals) -> Iterator[None]:
    """Keep a signal back, also from what is started meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, place: Place, patience_s: float) -> None:
    """Be a nest: fork a child for each request, until whoever asks has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's Ctrl-C is for whoever asks, who then closes
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _fall_silent()
    problem = _load_all(place)
    pipe.send(problem)
    while not problem:
        try:
            task, kill = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(_run_child(place, task, kill, patience_s))


def _fall_silent() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _load_all(place: Place) -> str:
    """Load what children need; return why the operation cannot be had here, or nothing."""
    try:
        load(place)
        with _unheard(signal.SIGTERM):  # until its folder is removed
            child.warm_up()
        gc.freeze()  # what is there now is shared with all children, as long as nobody touches it
    except UsageError as error:
        return str(error)
    return ""


def _run_child(place: Place, task: Task, kill: Kill | None, patience_s: float) -> Ran:
    reading, writing = os.pipe()
    with _unheard(signal.SIGTERM):  # until it is known whom to end
        pid = os.fork()
        if not pid:
            os.close(reading)
            _be_child(place, task, kill, end=writing, patience_s=patience_s)
        signal.signal(signal.SIGTERM, lambda *_: _end_with(pid))
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read()
    with _unheard(signal.SIGTERM):  # once it was waited for, its id may be another's
        _, status = os.waitpid(pid, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return _told(said, os.waitstatus_to_exitcode(status), patience_s)


def _end_with(pid: int) -> NoReturn:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os._exit(0)


def _told(said: bytes, code: int, patience_s: float) -> Ran:
    """Return what a child's exit code and words mean."""
    if code == -signal.SIGKILL:
        return Ran(killed=True)
    if code == -signal.SIGALRM:
        return Ran(error=f"the process did not end within {patience_s:g} s")
    if code or not said:
        return Ran(error=f"the process ended by itself, with {code}")
    body: Mapping[str, Any] = pickle.loads(said)  # noqa: S301 - our own child's words
    return Ran(**body)


def _be_child(place: Place, task: Task, kill: Kill | None, *, end: int, patience_s: float) -> NoReturn:
    """Drive the saga, tell the nest how that ended, and end: nothing of the nest's own is cleaned up here."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        signal.setitimer(signal.ITIMER_REAL, patience_s)  # its signal ends this process
        try:
            body = child.run(load(place), task, kill)
        except Exception as error:  # noqa: BLE001 - whatever it is, the nest is told
            body = {"error": f"{type(error).__name__}: {error}"}
        with os.fdopen(end, "wb") as stream:
            pickle.dump(body, stream)
    finally:
        os._exit(0)
