"""SimHost: the simulated sled as a Host. The same argv, exit codes and texts as on a real one.

- A command is one transaction with its line in the journal; a refused one leaves only that line.
- Commands that only look commit nothing; if one does change something, its driver was wrong about `mutates`,
  and Mutates is raised.
- File changes are transactions too, so no mount moves under them, and are in the journal.
- Waiting (latency, hangs) is done outside of any transaction, and ends at a cancel or when the time is
  over.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from sledsaga.errors import CommandCancelled, CommandTimedOut, HostError, HostUnreachable
from sledsaga.hosts import files
from sledsaga.hosts.files import told
from sledsaga.hosts.host import Completed, FileStat, HostCommand
from sledsaga.hosts.sim.argv import Call, Refusal, Reply
from sledsaga.hosts.sim.commands import interpret
from sledsaga.hosts.sim.disks import is_reachable
from sledsaga.hosts.sim.faults import Fault, die, struck
from sledsaga.hosts.sim.state import State, Tx
from sledsaga.hosts.sim.things import Dataset
from sledsaga.hosts.sim.tree import Tree
from sledsaga.hosts.sim.zfs_space import Space

if TYPE_CHECKING:
    from types import TracebackType

R = TypeVar("R")
FOREVER_S = 3600.0 * 24
"""A hang without a limit ends after a day, so that a forgotten one cannot outlive a test machine."""

REMOVALS = ("erase_file", "remove_file", "remove_dir")
VERBS = {
    "make_dir": "make the folder",
    "write_file": "write",
    "erase_file": "erase",
    "remove_file": "remove",
    "remove_dir": "remove the folder",
}
"""What a file change is called in a message, as on a real host."""


class SimHost:
    """A simulated sled, opened by its folder. Safe for many threads; several processes may have one open."""

    def __init__(self, path: str | Path, *, latency_s: float = 0.0) -> None:
        """Open the sled in a folder. `latency_s` is added to each command. Raises HostError."""
        self.path = Path(path).absolute()
        if not (self.path / "sled.db").is_file():
            raise HostError(f"there is no simulated sled in {self.path}: make one with `sledsaga sled init`")
        self.state = State(self.path / "sled.db")
        try:
            self.state.check()
        except BaseException:
            self.state.close()
            raise
        self.tree = Tree(self.path)
        self._latency_s = latency_s
        self._lock = threading.Lock()
        self._spent_s = 0.0

    @property
    def spent_s(self) -> float:
        """How long commands and commits took here, added up: the bare cost, waits not counted."""
        return self._spent_s

    def close(self) -> None:
        """Close the sled's file."""
        self.state.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        """Interpret a command. Raises CommandTimedOut, CommandCancelled, HostUnreachable, Mutates."""
        wait = _Wait(command, cancel)
        fired = struck(self.state, command.argv, mutates=command.mutates)
        wait.pause(self._latency_s + sum(fault.latency_s for fault in fired))
        fault = next((each for each in fired if each.action != "delay"), None)
        if fault is not None:
            before = _before(fault, command, wait)
            if before is not None:
                self._journal(command, before)
                return before
        completed = self._timed(command)
        return completed if fault is None else _after(fault, completed, command, wait)

    def read_file(self, path: str, *, timeout_s: float | None = None) -> bytes | None:  # noqa: ARG002 - no file of it hangs
        """Return the bytes of a file, or None when there is no such file."""
        with told("read", path), self.state.reading() as tx:
            _need_disk(self.tree, tx, path)
            return files.read(self.tree.real(tx, path))

    def stat(self, path: str, *, timeout_s: float | None = None) -> FileStat | None:  # noqa: ARG002 - no file of it hangs
        """Say what is at the path, or None when nothing is."""
        with told("look at", path), self.state.reading() as tx:
            _need_disk(self.tree, tx, path)
            return files.stat(self.tree.real(tx, path))

    def list_dir(self, path: str, *, timeout_s: float | None = None) -> tuple[str, ...]:  # noqa: ARG002 - no file of it hangs
        """Return the names in a folder, sorted; empty when there is no such folder."""
        with told("list", path), self.state.reading() as tx:
            _need_disk(self.tree, tx, path)
            return files.names(self.tree.real(tx, path))

    def make_dir(self, path: str, *, mode: int = 0o755) -> None:
        """Make a folder and its parents; one that exists is left as it is."""
        with told(VERBS["make_dir"], path), self.state.reading() as tx:
            _need_disk(self.tree, tx, path)
            found = files.stat(self.tree.real(tx, path))
        if found is None or found.kind != "dir":
            self._change("make_dir", path, lambda real: files.make_dir(real, mode))

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file whole or not at all, durably; its folder must exist."""
        self._change("write_file", path, lambda real: files.write(real, data, mode), size=len(data))

    def erase_file(self, path: str) -> None:
        """Overwrite a file with zeros, sync it, then unlink it; nothing there is fine."""
        self._change("erase_file", path, files.erase)

    def remove_file(self, path: str) -> None:
        """Unlink a file; nothing there is fine."""
        self._change("remove_file", path, files.remove)

    def remove_dir(self, path: str) -> None:
        """Remove an empty folder; nothing there is fine. Raises ForeignObject when it is not empty."""
        self._change("remove_dir", path, lambda real: files.remove_dir(real, path))

    def _timed(self, command: HostCommand) -> Completed:
        start = time.perf_counter()
        try:
            return self._interpret(command)
        finally:
            with self._lock:
                self._spent_s += time.perf_counter() - start

    def _interpret(self, command: HostCommand) -> Completed:
        if not command.mutates:
            with self.state.reading() as tx:
                return _completed(command, self._reply(tx, command))
        with self.state.writing() as tx:
            tx.db.execute("SAVEPOINT command")
            reply = self._reply(tx, command)
            _note(tx, "command", command.argv, reply.code)
        return _completed(command, reply)

    def _reply(self, tx: Tx, command: HostCommand) -> Reply:
        try:
            return interpret(Call(tx, self.tree, command.stdin or b"", time.time()), command.argv)
        except Refusal as refusal:
            if command.mutates:
                tx.db.execute("ROLLBACK TO command")
                tx.undone()
            return refusal.reply

    def _journal(self, command: HostCommand, completed: Completed) -> None:
        if command.mutates:
            with self.state.writing() as tx:
                _note(tx, "command", command.argv, completed.code)

    def _change(self, verb: str, path: str, act: Callable[[Path], None], *, size: int = 0) -> None:
        argv = (verb, path)
        fault = next(iter(struck(self.state, argv, mutates=True)), None)
        if fault is not None:
            _before_change(fault, verb, path)
        with told(VERBS[verb], path), self.state.writing() as tx:
            _need_disk(self.tree, tx, path)
            self._need_room(tx, path, size)
            real = self.tree.real(tx, path)
            idle = verb in REMOVALS and not real.exists()
            act(real)
            if not idle:
                _note(tx, "file", argv, 0)
        if fault is not None:
            _after_change(fault, verb, path)

    def _need_room(self, tx: Tx, path: str, size: int) -> None:
        """Raise OSError when a dataset has no room for this many bytes more."""
        name = self.tree.dataset_at(tx, path) if size else None
        real = self.tree.real(tx, path)
        if name is None or tx.get(Dataset, name) is None or real.is_dir() or not real.parent.is_dir():
            return
        call = Call(tx, self.tree, b"", time.time())
        space = Space(call, name.partition("/")[0])
        if size > space.available(name):
            number = errno.EDQUOT if space.is_free(name, size) else errno.ENOSPC
            raise OSError(number, os.strerror(number))


def _need_disk(tree: Tree, tx: Tx, path: str) -> None:
    """Raise OSError when the disk below a path is failing or was pulled."""
    name = tree.dataset_at(tx, path)
    if name is not None and not is_reachable(tx, name):
        raise OSError(errno.EIO, "I/O error")


class _Wait:
    """The patience of one command: how long it may take, and who may end it."""

    def __init__(self, command: HostCommand, cancel: threading.Event | None) -> None:
        self._tool = command.argv[0] if command.argv else ""
        self._limit_s = command.timeout_s
        self._ends_at = time.monotonic() + (FOREVER_S if command.timeout_s is None else command.timeout_s)
        self._cancel = cancel or threading.Event()
        self.pause(0.0)

    def pause(self, seconds: float) -> None:
        """Wait; raise CommandCancelled or CommandTimedOut when that comes first."""
        left = self._ends_at - time.monotonic()
        if self._cancel.wait(min(seconds, max(0.0, left))) if seconds > 0 else self._cancel.is_set():
            raise CommandCancelled(f"{self._tool} was ended: its step was cancelled")
        if seconds > left:
            limit = FOREVER_S if self._limit_s is None else self._limit_s
            raise CommandTimedOut(
                f"{self._tool} was ended after {limit:g} s: look at the sled, then retry with more time"
            )


def _before(fault: Fault, command: HostCommand, wait: _Wait) -> Completed | None:
    if fault.action == "crash_before":
        die()
    if fault.action == "hang":
        wait.pause(FOREVER_S * 2)
    if fault.action == "error":
        return Completed(command.argv, fault.code, "", fault.text)
    return None


def _after(fault: Fault, completed: Completed, command: HostCommand, wait: _Wait) -> Completed:
    if fault.action == "crash_after":
        die()
    if fault.action == "hang_after":
        wait.pause(FOREVER_S * 2)
    if fault.action == "reply_lost":
        raise HostUnreachable(
            f"no answer to {command.argv[0]}: it may have run; look before running it again"
        )
    return replace(completed, code=fault.code, stdout="", stderr=fault.text)


def _before_change(fault: Fault, verb: str, path: str) -> None:
    if fault.action in ("error", "hang"):
        raise HostError(f"cannot {VERBS[verb]} {path}: {fault.text.strip()}")
    if fault.action == "crash_before":
        die()


def _after_change(fault: Fault, verb: str, path: str) -> None:
    if fault.action == "crash_after":
        die()
    if fault.action == "error_after":
        raise HostError(f"cannot {VERBS[verb]} {path}: {fault.text.strip()}")
    if fault.action in ("reply_lost", "hang_after"):
        raise HostUnreachable(
            f"no answer to {verb} {path}: it may have been done; look before doing it again"
        )


def _completed(command: HostCommand, reply: Reply) -> Completed:
    return Completed(command.argv, reply.code, reply.out, reply.err)


def _note(tx: Tx, kind: str, argv: tuple[str, ...], code: int) -> None:
    tx.db.execute(
        "INSERT INTO journal (at, kind, argv, code) VALUES (?, ?, ?, ?)",
        (time.time(), kind, json.dumps(argv), code),
    )
