"""The host of a plan: it looks, and refuses every change, so a plan has no side effects by construction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from sledsaga.errors import Mutates

if TYPE_CHECKING:
    import threading

    from sledsaga.hosts.host import Completed, FileStat, Host, HostCommand


class ReadOnlyHost:
    """Passes on what only looks; raises Mutates for every command and file change that does more."""

    def __init__(self, host: Host) -> None:
        """Look at `host`, and only look."""
        self._host = host

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        """Run a command that changes nothing. Raises Mutates."""
        if command.mutates:
            _refuse(" ".join(command.argv))
        return self._host.run(command, cancel=cancel)

    def read_file(self, path: str, *, timeout_s: float | None = None) -> bytes | None:
        """Return the bytes of a file, or None when there is no such file."""
        return self._host.read_file(path, timeout_s=timeout_s)

    def stat(self, path: str, *, timeout_s: float | None = None) -> FileStat | None:
        """Say what is at the path, or None when nothing is."""
        return self._host.stat(path, timeout_s=timeout_s)

    def list_dir(self, path: str, *, timeout_s: float | None = None) -> tuple[str, ...]:
        """Return the names in a folder, sorted; empty when there is no such folder."""
        return self._host.list_dir(path, timeout_s=timeout_s)

    def make_dir(self, path: str, *, mode: int = 0o755) -> None:
        """Raise Mutates."""
        _refuse(f"make the folder {path} (mode {mode:o})")

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Raise Mutates."""
        _refuse(f"write {len(data)} bytes to {path} (mode {mode:o})")

    def erase_file(self, path: str) -> None:
        """Raise Mutates."""
        _refuse(f"erase {path}")

    def remove_file(self, path: str) -> None:
        """Raise Mutates."""
        _refuse(f"remove {path}")

    def remove_dir(self, path: str) -> None:
        """Raise Mutates."""
        _refuse(f"remove the folder {path}")


def _refuse(what: str) -> NoReturn:
    raise Mutates(f"a plan may only look, but a step wanted to: {what}; submit the operation to have it done")
