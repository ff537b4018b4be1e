"""Where the parts are put together: the only file that names concrete stores, hosts and the catalog.

Rules
- Operations come from the entry points in the group `sledsaga.operations`: each names one, or several.
  `SLEDSAGA_CATALOG=module:ATTR[,module:ATTR]` adds more for one process; modules are found as Python finds
  them, then in the current directory.
- Whoever drives the sagas of a log in a file holds its lock until all is handed back.
- A sled is opened when the first step asks for one, so operations that need none work without.
- A probe gets a host that refuses every change; a step's commands carry its cancel event and its deadline.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from sledsaga.errors import SledsagaError, UsageError
from sledsaga.settings import Settings, resolve

if TYPE_CHECKING:
    from sledsaga.core.define import Operation
    from sledsaga.engine.catalog import Catalog
    from sledsaga.engine.context import Context
    from sledsaga.engine.engine import Engine
    from sledsaga.hosts.finding import Finding
    from sledsaga.hosts.host import Host, HostCommand
    from sledsaga.hosts.platform import Platform
    from sledsaga.hosts.sled import Sled
    from sledsaga.store.oslock import Holder
    from sledsaga.store.store import Store

GROUP: Final = "sledsaga.operations"
Hook = Callable[[str, str | None], None]


def open_catalog(settings: Settings | None = None) -> Catalog:
    """Return all operations that are installed, and those that SLEDSAGA_CATALOG names.

    Raises UsageError, naming the entry point or variable, for one that cannot be loaded.
    """
    from importlib.metadata import entry_points

    from sledsaga.engine.catalog import Catalog

    catalog = Catalog()
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        _add(catalog, f"entry point {point.name} = {point.value}", point.load)
    extra = (settings or resolve()).catalog
    for place in filter(None, map(str.strip, extra.value.split(","))):
        _add(catalog, f"{extra.origin}: {place}", partial(_load, place))
    return catalog


def _add(catalog: Catalog, origin: str, load: Callable[[], Any]) -> None:
    from sledsaga.core.define import Operation

    try:
        found = load()
        for operation in (found,) if isinstance(found, Operation) else found:
            catalog.add(operation)
    except SledsagaError as error:
        raise type(error)(f"{origin}: {error}") from error
    except (Exception, SystemExit) as error:  # importing runs other people's code, which may raise anything
        raise UsageError(f"{origin} cannot be loaded: {type(error).__name__}: {error}") from error


def _load(place: str) -> Any:  # noqa: ANN401 - whatever stands there
    name, _, attribute = place.partition(":")
    if not name or not attribute:
        raise UsageError("module:ATTR is expected, such as my_operations:CATALOG")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    return getattr(importlib.import_module(name), attribute)


def log_path(settings: Settings) -> Path | None:
    """Return the file of the log, or None for one in memory; raises UsageError for what is no log's URL."""
    from sledsaga.store.open import log_path

    try:
        path = log_path(settings.db.value)
    except UsageError as error:
        raise UsageError(f"{settings.db.origin}: {error}") from error
    if path is not None and (wrong := _no_file(path)):
        raise UsageError(f"{settings.db.origin}: {path} {wrong}")
    return path


def _no_file(path: Path) -> str | None:
    """Say why there cannot be a log at a path, or None."""
    try:
        if path.is_dir():
            return f"is a folder; name a file in it, such as {path}/log.db"
        return "is a device or a pipe; name a file" if path.exists() and not path.is_file() else None
    except PermissionError:
        raise
    except OSError as error:  # a name that is too long, a link to itself
        return f"is no name for a file: {error.strerror}"


def socket_path(log: Path) -> Path:
    """Return where the executor of a log answers: beside it, by whatever link the log is reached."""
    real = Path(os.path.realpath(log))
    return real.with_name(f"{real.name}.sock")


def holder(settings: Settings) -> Holder | None:
    """Say which process drives the sagas of the log, or None when none does."""
    from sledsaga.store.oslock import holder

    path = log_path(settings)
    return None if path is None else holder(path)


def open_reader(settings: Settings | None = None) -> Store:
    """Open the log for reading only; one that is not there yet, or that nobody has begun, reads as empty.

    Raises LogUnavailable, LogCorrupt, SchemaMismatch, UsageError.
    """
    from sledsaga.store.open import open_store

    settings = settings or resolve()
    path = log_path(settings)
    if path is None or not path.exists() or _is_empty(path):
        return open_store("memory:")
    return open_store(settings.db.value, create=False, read_only=True)


def _is_empty(path: Path) -> bool:
    from sledsaga.store.sqlite import is_empty

    return is_empty(path)


@contextmanager
def open_engine(
    settings: Settings | None = None,
    *,
    db: str | None = None,
    sled: str | None = None,
    operations: Iterable[Operation] = (),
    drive: bool = True,
) -> Iterator[Engine]:
    """Drive the sagas of a log from this process, as long as the `with` that this stands in.

    `db` and `sled` are as the flags of the same name; `operations` are added to the installed ones.
    At the end what runs is let finish and the rest handed back; at once when an exception is on its way.
    Raises ExecutorBusy when another process does, LogUnavailable, SchemaMismatch, UsageError.
    """
    from sledsaga.engine.crashpoints import CrashPoint
    from sledsaga.engine.engine import Engine
    from sledsaga.engine.limits import Limits
    from sledsaga.store.open import open_store

    settings = settings or resolve({"db": db, "sled": sled})
    crash = CrashPoint.from_env()
    hook = None if crash is None else crash.hit
    catalog = open_catalog(settings)
    for operation in operations:
        catalog.add(operation)
    executor = _name()
    limits = Limits(threads=int(settings.threads.value), async_calls=int(settings.async_calls.value))
    with _locked(settings, executor), Sleds(settings.sled.value, hook) as sleds:
        store = open_store(settings.db.value)
        engine = Engine(store, catalog, sled=sleds, limits=limits, executor=executor, hook=hook, drive=drive)
        with engine:
            yield engine


@contextmanager
def _locked(settings: Settings, executor: str) -> Iterator[None]:
    from sledsaga.store.oslock import OsLock

    path = log_path(settings)
    if path is None:
        yield
        return
    open_reader(settings).close()  # what is no log of ours is refused with nothing left beside it
    with OsLock.acquire(path, executor=executor, socket=str(socket_path(path))):
        yield


def _name() -> str:
    """Return a name for this executor: unique for each start."""
    from sledsaga.engine.ids import new_id

    return f"{socket.gethostname()}:{os.getpid()}:{new_id()[-8:]}"


def open_host(url: str) -> Host:
    """Open the machine at a URL, as `open_machine` does, when its platform does not matter."""
    return open_machine(url)[0]


def open_machine(url: str) -> tuple[Host, Platform]:
    """Open the machine at a URL, and say what kind it is.

    `sim:PATH` (with `?latency_s=0.1` for a slow one) is a simulated one, `local:` is this one; `local:PATH`
    names the document of a Linux machine. Raises UsageError, HostError.
    """
    kind, _, rest = url.partition(":")
    if kind == "local":
        return _this_machine(rest)
    path, _, query = rest.partition("?")
    if kind != "sim" or not path:
        raise UsageError(f"{url!r} is no sled: sim:PATH is expected, or local: for this machine")
    from sledsaga.hosts.illumos.platform import ILLUMOS
    from sledsaga.hosts.sim.host import SimHost

    return SimHost(path, latency_s=_latency_s(query)), ILLUMOS


def _this_machine(document: str) -> tuple[Host, Platform]:
    from sledsaga.hosts.local import LocalHost

    if os.uname().sysname == "SunOS":
        from sledsaga.hosts.illumos.platform import ILLUMOS

        return LocalHost(), ILLUMOS
    from sledsaga.hosts.linux.machine import read_machine
    from sledsaga.hosts.linux.platform import open_linux

    return open_linux(read_machine(LocalHost(), document))


def look_at_sled(url: str) -> Sled:
    """Open the machine at a URL for looking only. Raises UsageError, HostError."""
    from sledsaga.hosts.readonly import ReadOnlyHost
    from sledsaga.hosts.sled import Sled

    host, platform = open_machine(url)
    return Sled(ReadOnlyHost(host), saga="", platform=platform)


def find_needs(url: str) -> tuple[Finding, ...]:
    """Look whether the machine at a URL has what operations need. Raises UsageError, HostError."""
    from sledsaga.hosts.finding import Finding
    from sledsaga.hosts.local import LocalHost

    kind, _, rest = url.partition(":")
    if kind != "local":
        getattr(open_host(url), "close", lambda: None)()
        return (Finding("sled", "ok", f"simulated, in {rest}"),)
    if os.uname().sysname == "SunOS":
        from sledsaga.hosts.illumos import needs as illumos

        return illumos.find_needs(LocalHost())
    from sledsaga.hosts.linux import needs as linux
    from sledsaga.hosts.linux.machine import read_machine

    return linux.find_needs(LocalHost(), read_machine(LocalHost(), rest))


def _latency_s(query: str) -> float:
    name, _, text = query.partition("=")
    try:
        if not query or (name == "latency_s" and float(text) >= 0):
            return float(text or 0)
    except ValueError:
        pass
    raise UsageError(f"{query!r} cannot be set for a sled; latency_s=SECONDS can")


class Sleds:
    """Makes the sled that a step gets; the machine is opened when the first one is asked for."""

    def __init__(self, url: str, hook: Hook | None = None) -> None:
        """Remember where the machine is; `hook` is told before and after each command that changes it."""
        self._url = url
        self._hook = hook
        self._machine: tuple[Host, Platform] | None = None
        self._lock = threading.Lock()

    def __call__(self, context: Context) -> Sled:
        """Return the sled as one call sees it; raises HostError when there is none."""
        from sledsaga.hosts.readonly import ReadOnlyHost
        from sledsaga.hosts.sled import Sled
        from sledsaga.hosts.step import StepHost

        with self._lock:
            self._machine = self._machine or open_machine(self._url)
        machine, platform = self._machine
        host: Host = ReadOnlyHost(machine) if context.direction == "probe" else machine
        before, after = (self._told(context.step, moment) for moment in ("before-command", "after-command"))
        seen = StepHost(host, context.cancelled, context.deadline, before, after)
        return Sled(
            seen,
            saga=context.saga,
            pause=context.pause,
            platform=platform,
            monotonic=context.monotonic,
        )

    def _told(self, step: str, point: str) -> Callable[[HostCommand], None] | None:
        hook = self._hook
        return None if hook is None else lambda _command: hook(point, step)

    def __enter__(self) -> Self:
        """Return the maker."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the machine, if it was opened."""
        close = getattr(self._machine and self._machine[0], "close", None)
        if close is not None:
            close()
