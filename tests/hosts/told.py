"""A machine that answers by a table, for what reads texts of real tools."""

from __future__ import annotations

import threading

from sledsaga.hosts.host import Completed, HostCommand
from sledsaga.hosts.local import LocalHost


class Told(LocalHost):
    """A machine that answers by a table and can do nothing else."""

    def __init__(self, answers: dict[tuple[str, ...], tuple[int, str]]) -> None:
        """Take the exit code and text of each command."""
        super().__init__()
        self.answers = answers

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        """Answer a command that changes nothing."""
        assert (command.mutates, cancel) == (False, None)
        code, text = self.answers[command.argv]
        return Completed(command.argv, code, "" if code else text, text if code else "")
