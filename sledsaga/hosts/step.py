"""One step's view of a host: the step's cancel event and remaining time go with each command.

- A command gets the smaller of its own time and what the step has left; none is started when nothing is
  left.
- `before` and `after` are called round each change (a command with `mutates`, or a file change, shown to
  them as a HostCommand such as `("write_file", PATH)`). `after` is not called when the change raised.
- A look at a file gets what the step has left, and LEAST_LOOK_S at least: cleaning up looks, too.
- File changes are short and are what cleaning up is made of (a key must be erased from a cancelled step,
  too), so they are neither cancelled nor timed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sledsaga.errors import CommandCancelled, CommandTimedOut
from sledsaga.hosts.host import Completed, FileStat, Host, HostCommand

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable


LEAST_LOOK_S: Final = 5.0
"""For a look when the time of its step is over; one that is answered takes far less."""


@dataclass(frozen=True, slots=True)
class StepHost:
    """A host as one attempt of one step sees it; `deadline` is on time.monotonic(), in seconds."""

    host: Host
    cancel: threading.Event | None = None
    deadline: float | None = None
    before: Callable[[HostCommand], None] | None = None
    after: Callable[[HostCommand], None] | None = None

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        """Run a command within the step's time. Raises CommandCancelled, CommandTimedOut."""
        event = cancel or self.cancel
        if event is not None and event.is_set():
            raise CommandCancelled(f"{command.argv[0]} was not started: its step was cancelled")
        limited = self._limited(command)
        if not command.mutates:
            return self.host.run(limited, cancel=event)
        self._tell(self.before, command)
        completed = self.host.run(limited, cancel=event)
        self._tell(self.after, command)
        return completed

    def read_file(self, path: str, *, timeout_s: float | None = None) -> bytes | None:
        """Return the bytes of a file, or None when there is no such file."""
        return self.host.read_file(path, timeout_s=self._look_s(timeout_s))

    def stat(self, path: str, *, timeout_s: float | None = None) -> FileStat | None:
        """Say what is at the path, or None when nothing is."""
        return self.host.stat(path, timeout_s=self._look_s(timeout_s))

    def list_dir(self, path: str, *, timeout_s: float | None = None) -> tuple[str, ...]:
        """Return the names in a folder, sorted; empty when there is no such folder."""
        return self.host.list_dir(path, timeout_s=self._look_s(timeout_s))

    def make_dir(self, path: str, *, mode: int = 0o755) -> None:
        """Make a folder and its parents; one that exists is left as it is."""
        self._change("make_dir", path, lambda: self.host.make_dir(path, mode=mode))

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file whole or not at all, durably; its folder must exist."""
        self._change("write_file", path, lambda: self.host.write_file(path, data, mode=mode))

    def erase_file(self, path: str) -> None:
        """Overwrite a file with zeros, sync it, then unlink it; nothing there is fine."""
        self._change("erase_file", path, lambda: self.host.erase_file(path))

    def remove_file(self, path: str) -> None:
        """Unlink a file; nothing there is fine."""
        self._change("remove_file", path, lambda: self.host.remove_file(path))

    def remove_dir(self, path: str) -> None:
        """Remove an empty folder; nothing there is fine. Raises ForeignObject when it is not empty."""
        self._change("remove_dir", path, lambda: self.host.remove_dir(path))

    def _change(self, verb: str, path: str, change: Callable[[], None]) -> None:
        command = HostCommand((verb, path), mutates=True)
        self._tell(self.before, command)
        change()
        self._tell(self.after, command)

    def _look_s(self, timeout_s: float | None) -> float | None:
        if self.deadline is None:
            return timeout_s
        left = max(LEAST_LOOK_S, self.deadline - time.monotonic())
        return left if timeout_s is None else min(timeout_s, left)

    def _limited(self, command: HostCommand) -> HostCommand:
        if self.deadline is None:
            return command
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise CommandTimedOut(f"{command.argv[0]} was not started: the time of its step is over")
        own = command.timeout_s
        return replace(command, timeout_s=left if own is None else min(own, left))

    @staticmethod
    def _tell(hook: Callable[[HostCommand], None] | None, command: HostCommand) -> None:
        if hook is not None:
            hook(command)
