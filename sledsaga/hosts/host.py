"""The one seam to a machine: commands are values, and a host runs them.

Rules
- A command says whether it changes the machine (`mutates`); a plan's host refuses those that do.
- `run` returns whatever exit code came. Drivers translate codes and texts; hosts do not judge.
- A host raises only when there is no exit code to return: the time was over, the step was
  cancelled, the machine could start nothing, the reply was lost. Lost means "it may have run", and is never
  read as "absent".
- Files are part of the machine. Paths are absolute *on the sled*; a simulated sled keeps them
  below a folder of its own. A write is whole or not at all: temp file, fsync, rename, fsync of the folder.
- Whoever runs a step may end its command from another thread: `run` takes the step's cancel event. When it
  is set, the command and all its children end and CommandCancelled is raised. None means nobody can cancel.
- A look at a file (`read_file`, `stat`, `list_dir`) may have a time limit, too. A host whose files may hang
  raises HostUnreachable when it is over; others need not heed it.
- `stdin` never enters a log or a message (it carries keys); argv does, so no secret goes there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading


@dataclass(frozen=True, slots=True)
class HostCommand:
    """One command line: what to run, whether it changes the machine, and for how long it may run.

    `timeout_s` None means the time of the step is the only limit.
    """

    argv: tuple[str, ...]
    mutates: bool
    stdin: bytes | None = field(default=None, repr=False)
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command left: its exit code and both outputs, decoded as UTF-8 with replacement."""

    argv: tuple[str, ...]
    code: int
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class FileStat:
    """What is at a path: `kind` is `file`, `dir` or `other`; `size` in bytes; `mode` as in chmod.

    All three are of what a link leads to; `is_link` says that there is a link.
    """

    kind: str
    size: int
    mode: int
    is_link: bool = False


class Host(Protocol):
    """A machine: it runs commands and keeps files. Safe to be called from many threads."""

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        """Run to the end and return the exit code, whatever it is; end it when `cancel` is set.

        Raises CommandTimedOut, CommandCancelled, HostUnreachable, Mutates, HostError (nothing was started).
        """
        ...

    def read_file(self, path: str, *, timeout_s: float | None = None) -> bytes | None:
        """Return the bytes of a file, or None when there is no such file."""
        ...

    def stat(self, path: str, *, timeout_s: float | None = None) -> FileStat | None:
        """Say what is at the path, or None when nothing is."""
        ...

    def list_dir(self, path: str, *, timeout_s: float | None = None) -> tuple[str, ...]:
        """Return the names in a folder, sorted; empty when there is no such folder."""
        ...

    def make_dir(self, path: str, *, mode: int = 0o755) -> None:
        """Make a folder and its parents; one that exists is left as it is."""
        ...

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file whole or not at all, durably; its folder must exist."""
        ...

    def erase_file(self, path: str) -> None:
        """Overwrite a file with zeros, sync it, then unlink it; nothing there is fine. For keys."""
        ...

    def remove_file(self, path: str) -> None:
        """Unlink a file; nothing there is fine."""
        ...

    def remove_dir(self, path: str) -> None:
        """Remove an empty folder; nothing there is fine. Raises ForeignObject when it is not empty."""
        ...
