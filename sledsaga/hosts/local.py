"""The machine that this process runs on.

- No shell, `LC_ALL=C`, a session of its own for each command, and never this process's stdin.
- Output goes to unnamed files, not pipes: a command that leaves a daemon behind does not keep us waiting.
- On timeout or cancel everything that the command started ends: its process group, and, found through
  /proc, its children and all who carry the mark that it put into their environment, so a change of session
  is no way out.
- Programs whose changes must not overlap take turns, with those of other processes too; the wait is of the
  command's time.
- Below POOLS a file system may hang with the daemon that serves it. A look there that has a time limit is
  made in a thread of its own, which is given up when the time is over; that costs 50 microseconds a look.
- A command that is not there gives exit code 127, one that may not be run 126, both with a text, as a shell
  would; nothing ran, so this is an answer and not an error of the host. The text never says "No such file or
  directory": that is what tools say of the things that they are asked about.
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

from sledsaga.errors import CommandCancelled, CommandTimedOut, HostError, HostUnreachable
from sledsaga.hosts import files
from sledsaga.hosts.files import ABSENT, told
from sledsaga.hosts.host import Completed, FileStat, HostCommand
from sledsaga.hosts.turns import Turns

R = TypeVar("R")
POOLS = "/pool/"
"""Where the datasets of a sled are mounted."""
MARK = "SLEDSAGA_COMMAND"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
GLANCE_S = 0.05
"""How often a waiting command looks at its cancel event."""
RAN, WAITED = "was ended, with all its children", "was not started, for others had their turn"
LOOKS = 100
"""How often it is looked whether what was killed has gone, before that is given up: a second and more."""
KEPT_BYTES = 16 * 2**20
"""More output than this is cut: no tool that we parse says so much."""


@dataclass(kw_only=True)
class LocalHost:
    """Runs commands and keeps files on this machine. Safe to be called from many threads.

    `turns` names the programs that change the machine one at a time only; all others may at any time.
    """

    turns: Mapping[str, Turns] = field(default_factory=dict)

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        """Run a process to its end. Raises CommandTimedOut, CommandCancelled: its tree has ended.

        Raises HostUnreachable when it does not end, though it was killed.
        """
        mark = uuid.uuid4().hex
        look = functools.partial(_time_left, command, cancel, _end_of(command))
        with self._turn(command, look) as kept, _file() as out, _file() as err:
            try:
                process = _start(command, mark, (out, err), kept)
            except ABSENT:
                return Completed(command.argv, 127, "", f"{command.argv[0]}: command not found\n")
            except PermissionError as error:
                return Completed(command.argv, 126, "", f"{command.argv[0]}: {error.strerror}\n")
            except OSError as error:
                raise HostError(f"cannot start {command.argv[0]}: {error.strerror}; nothing ran") from error
            try:
                _await(process, command, look)
            except BaseException as error:
                if not end_tree(process, mark):
                    raise HostUnreachable(
                        f"{command.argv[0]} does not end even when it is killed, so it may still change "
                        "something: look for a disk or a file system that hangs, then retry"
                    ) from error
                raise
            return Completed(command.argv, process.returncode, _text(out), _text(err))

    @contextlib.contextmanager
    def _turn(self, command: HostCommand, look: Callable[..., float]) -> Iterator[tuple[int, ...]]:
        """Have the turn of a command that needs one; yield the descriptors that it gets."""
        turns = self.turns.get(command.argv[0]) if command.mutates else None
        if turns is None:
            yield ()
        else:
            with turns.taken(functools.partial(look, WAITED)) as handle:
                yield (handle,)

    def read_file(self, path: str, *, timeout_s: float | None = None) -> bytes | None:
        """Return the bytes of a file, or None when there is no such file."""
        with told("read", path):
            return _within(timeout_s, files.read, path)

    def stat(self, path: str, *, timeout_s: float | None = None) -> FileStat | None:
        """Say what is at the path, or None when nothing is."""
        with told("look at", path):
            return _within(timeout_s, files.stat, path)

    def list_dir(self, path: str, *, timeout_s: float | None = None) -> tuple[str, ...]:
        """Return the names in a folder, sorted; empty when there is no such folder."""
        with told("list", path):
            return _within(timeout_s, files.names, path)

    def make_dir(self, path: str, *, mode: int = 0o755) -> None:
        """Make a folder and its parents; one that exists is left as it is."""
        with told("make the folder", path):
            files.make_dir(Path(path), mode)

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file whole or not at all, durably; its folder must exist."""
        with told("write", path):
            files.write(Path(path), data, mode)

    def erase_file(self, path: str) -> None:
        """Overwrite a file with zeros, sync it, then unlink it; nothing there is fine."""
        with told("erase", path):
            files.erase(Path(path))

    def remove_file(self, path: str) -> None:
        """Unlink a file; nothing there is fine."""
        with told("remove", path):
            files.remove(Path(path))

    def remove_dir(self, path: str) -> None:
        """Remove an empty folder; nothing there is fine. Raises ForeignObject when it is not empty."""
        with told("remove the folder", path):
            files.remove_dir(Path(path), path)


def _within(timeout_s: float | None, look: Callable[[Path], R], path: str) -> R:
    """Look at a path, no longer than that where it may hang. Raises OSError, HostUnreachable."""
    if timeout_s is None or not path.startswith(POOLS):
        return look(Path(path))
    seen: list[R] = []
    refused: list[BaseException] = []

    def make() -> None:
        try:
            seen.append(look(Path(path)))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where it was asked
            refused.append(error)

    # A new thread has the mounts of the thread that starts it; one that waits for us might have others.
    looking = threading.Thread(target=make, name="sledsaga-look", daemon=True)
    looking.start()
    looking.join(timeout_s)
    if refused:
        raise refused[0]
    if not seen:
        raise HostUnreachable(
            f"a look at {path} had no answer within {timeout_s:.3g} s: "
            "see whether the ZFS daemon that serves it hangs, then retry"
        )
    return seen[0]


def _file() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _start(
    command: HostCommand, mark: str, outputs: tuple[IO[bytes], IO[bytes]], kept: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - argv is built by drivers, and no shell reads it
        command.argv,
        stdin=subprocess.DEVNULL if command.stdin is None else subprocess.PIPE,
        stdout=outputs[0],
        stderr=outputs[1],
        env={"LC_ALL": "C", "PATH": os.environ.get("PATH", PATH), "HOME": "/", MARK: mark},
        start_new_session=True,
        pass_fds=kept,
    )


def _end_of(command: HostCommand) -> float | None:
    """Return when the time of a command that is started now is over, on time.monotonic()."""
    return None if command.timeout_s is None else time.monotonic() + command.timeout_s


def _time_left(
    command: HostCommand, cancel: threading.Event | None, ends_at: float | None, how: str = RAN
) -> float:
    """Return for how many seconds one may wait before the next look; raise when the waiting is over."""
    if cancel is not None and cancel.is_set():
        raise CommandCancelled(f"{command.argv[0]} {how}: its step was cancelled")
    left = GLANCE_S if ends_at is None else ends_at - time.monotonic()
    if left <= 0:
        raise CommandTimedOut(
            f"{command.argv[0]} {how}, after {command.timeout_s:g} s: "
            "look at the machine, then retry with more time"
        )
    return min(GLANCE_S, left)


def _await(process: subprocess.Popen[bytes], command: HostCommand, look: Callable[..., float]) -> None:
    """Feed stdin and wait in short looks; `look` raises when the time is over or the step is cancelled."""
    if command.stdin is not None:
        threading.Thread(target=_feed, args=(process, command.stdin), daemon=True).start()
    while not _has_ended(process, look()):
        pass


def _feed(process: subprocess.Popen[bytes], data: bytes) -> None:
    """Write stdin and close it; a thread of its own, as a pipe takes only so much before it is read."""
    assert process.stdin is not None, "it was started with a pipe"
    with contextlib.suppress(OSError), process.stdin as stream:
        stream.write(data)


def _has_ended(process: subprocess.Popen[bytes], glance_s: float) -> bool:
    """Wait this long for the process; where the kernel has pidfds, without the naps of `Popen.wait`."""
    if hasattr(os, "pidfd_open"):
        handle = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            poll.poll(glance_s * 1000)
        finally:
            os.close(handle)
        return process.poll() is not None
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(glance_s)
    return process.returncode is not None


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read(KEPT_BYTES).decode("utf-8", "replace")


class _Process(NamedTuple):
    """A living process, as /proc has it; `started` tells it from a later one with the same number."""

    parent: int
    session: int
    started: int


def end_tree(process: subprocess.Popen[bytes], mark: str) -> bool:
    """Kill the process, its group, and all that came of it; say whether nobody is left."""
    kin: set[tuple[int, int]] = set()
    for _ in range(LOOKS):
        kin = _kin(process.pid, mark, kin)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        for pid, _started in kin:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)
        if not kin and process.returncode is not None:
            return True
        time.sleep(0.001)
    return False


def _kin(root: int, mark: str, before: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """All living processes that descend from `root`, share its session, carry the mark, or did so before.

    One that was killed has no parent of ours any more, and may take a moment to be gone.
    """
    kin = {root}
    living = _processes()
    for pid in sorted(living, key=lambda pid: (living[pid].started, pid)):
        one = living[pid]
        if one.parent in kin or one.session == root or (pid, one.started) in before or _carries(pid, mark):
            kin.add(pid)
    return {(pid, living[pid].started) for pid in kin - {root}}


def _processes() -> dict[int, _Process]:
    """Map pid to each living process; empty where there is no /proc of that form."""
    found: dict[int, _Process] = {}
    for entry in files.names(Path("/proc")):
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name in parentheses may hold blanks: fields are counted from the last parenthesis.
                fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
                if fields[0] not in "ZX":
                    found[int(entry)] = _Process(int(fields[1]), int(fields[3]), int(fields[19]))
    return found


def _carries(pid: int, mark: str) -> bool:
    with contextlib.suppress(OSError):
        return f"{MARK}={mark}".encode() in Path("/proc", str(pid), "environ").read_bytes().split(b"\0")
    return False
