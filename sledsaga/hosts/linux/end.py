"""A program of its own: end processes at once, and change nothing else.

    python -I -S end.py PID...

One that has gone is fine. Exit code 1, with a text, when one may not be ended. (No `kill` is at hand on every
Debian: it is a shell's, or in procps.)
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main(*pids: str) -> int:
    """Kill each process; returns the exit code."""
    for pid in map(int, pids):
        try:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        except OSError as error:
            sys.stderr.write(f"process {pid}: {error.strerror}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
