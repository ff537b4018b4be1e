"""Turns: what must not happen twice at a time on one machine, whoever does it.

- The lock is on a folder that is there anyway, so nothing is left behind, and the kernel frees it.
- Its descriptor is handed to what has the turn: when the caller is killed, the turn lasts as long as that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator

from sledsaga.errors import HostUnreachable

LOOK_S = 0.05
"""How often one who waits for others of this process looks whether it may wait on."""
PAUSE_S = 0.005
"""How often one looks whether another process has ended its turn, for the kernel tells nobody."""


class Turns:
    """One turn at a time for all processes of a machine that name the same folder."""

    def __init__(self, folder: str) -> None:
        """Remember the folder; nothing is locked yet."""
        self._folder = folder
        self._mine = threading.Lock()

    @contextlib.contextmanager
    def taken(self, may_wait: Callable[[], object]) -> Iterator[int]:
        """Have the turn while the block runs, and yield the descriptor that keeps it.

        `may_wait` is asked while others have theirs; it raises when there is to be no more waiting. Raises
        HostUnreachable when the folder is not there.
        """
        while not self._mine.acquire(timeout=LOOK_S):
            may_wait()
        try:
            handle = self._open()
            try:
                while not _locks(handle):
                    may_wait()
                    time.sleep(PAUSE_S)
                yield handle
            finally:
                os.close(handle)
        finally:
            self._mine.release()

    def _open(self) -> int:
        try:
            return os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise HostUnreachable(
                f"{self._folder} cannot be locked ({error.strerror}), which changes take turns by: "
                "start the daemon that keeps its socket there"
            ) from error


def _locks(handle: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
