"""The lock beside a log: one process at a time drives its sagas.

Rules
- It is an flock on `<log>.lock`: the kernel frees it when its process ends, however it ends. So a killed
  executor is followed at once, and there is no lease to wait for.
- The file says who holds it, for messages and for clients that look for the socket. It means nothing
  unless the lock is held: what a killed process left there is not believed.
- The file is never removed: whoever removed it would free others from a lock that is still held.
- A process that is started by the holder does not inherit it; a forked copy of the holder does.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sledsaga.errors import ExecutorBusy, LogUnavailable

PATIENCE_S: Final = 0.25  # longer than a look by `holder`, shorter than a person notices
PAUSE_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class Holder:
    """Who drives the sagas of a log, since when (seconds since 1970, UTC), and the socket it answers on."""

    pid: int
    executor: str
    started_at: float
    socket: str | None = None


class OsLock:
    """The lock, held. Released by `release`, by leaving a `with`, or by the end of the process."""

    def __init__(self, path: Path, fd: int, holder: Holder) -> None:
        self.path = path
        self.holder = holder
        self._fd: int | None = fd

    @classmethod
    def acquire(
        cls, path: Path, *, executor: str, socket: str | None = None, started_at: float | None = None
    ) -> OsLock:
        """Take the lock of the log at `path`; does not wait.

        Raises ExecutorBusy naming the process that has it, LogUnavailable when the file cannot be made.
        """
        me = Holder(os.getpid(), executor, time.time() if started_at is None else started_at, socket)
        fd = _open(lock_path(path), os.O_RDWR | os.O_CREAT, path)
        if not _take(fd):
            with _closing(fd):
                raise ExecutorBusy(_busy(path, _read(fd)))
        try:
            _write(fd, me)
        except OSError as error:
            os.close(fd)
            raise _no_lock(path, error) from error
        return cls(path, fd, me)

    def release(self) -> None:
        """Free the lock; a second call does nothing."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.ftruncate(fd, 0)
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def lock_path(path: Path) -> Path:
    """Return the lock file of the log at `path`: the same one by whatever link the log is reached."""
    real = Path(os.path.realpath(path))
    return real.with_name(f"{real.name}.lock")


def holder(path: Path) -> Holder | None:
    """Say who drives the sagas of the log at `path`, or None when nobody does.

    A holder that has not yet written who it is has pid 0.
    """
    try:
        fd = os.open(lock_path(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LogUnavailable(f"the lock {lock_path(path)} cannot be read: {error.strerror}") from error
    with _closing(fd):
        deadline = time.monotonic() + PATIENCE_S
        while _is_held(fd):
            found = _read(fd)
            if found is not None or time.monotonic() > deadline:
                return found or Holder(0, "unknown", 0.0)
            time.sleep(PAUSE_S)
        return None


def _open(file: Path, flags: int, path: Path) -> int:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(file, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _no_lock(path, error) from error


def _no_lock(path: Path, error: OSError) -> LogUnavailable:
    return LogUnavailable(
        f"the lock of log {path} cannot be made: {error.strerror}; only who may write beside the log can"
        " drive its sagas"
    )


def _take(fd: int) -> bool:
    """Lock the file, trying again for a moment: somebody may only be looking who has it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(PAUSE_S)


def _is_held(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def _write(fd: int, me: Holder) -> None:
    text = json.dumps(asdict(me)).encode()
    os.pwrite(fd, text, 0)
    os.ftruncate(fd, len(text))


def _read(fd: int) -> Holder | None:
    try:
        return Holder(**json.loads(os.pread(fd, 4096, 0)))
    except (ValueError, TypeError):
        return None


def _busy(path: Path, found: Holder | None) -> str:
    if found is None:
        return f"another process drives the sagas of {path}: wait for it, or end it"
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.started_at))
    return f"process {found.pid} has driven the sagas of {path} since {since}: wait for it, or end it"


@contextmanager
def _closing(fd: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(fd)
