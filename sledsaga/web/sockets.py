"""The local socket of an executor: nobody but its owner can ever connect, however long its path is.

Rules
- Only who holds the OS lock of the log may bind: a socket that stands there then is stale and is replaced.
- The socket has mode 0600 from its first moment; there is no time between bind and chmod.
- A path too long for a socket's address is reached by a short link that lives only as long as it is needed.
  So the socket stands where it was wanted, and every client finds it, whatever its environment.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sledsaga.errors import LogUnavailable

ADDRESS_BYTES_MAX = 103
"""What every system can hold: Linux and illumos 107 bytes and a NUL, the BSDs 103."""
BACKLOG = 128


@contextlib.contextmanager
def short_way(path: Path, *, room: int = 0) -> Iterator[Path]:
    """Yield a path to the same thing that leaves `room` bytes of a socket's address; raises OSError."""
    if len(os.fsencode(path)) + room <= ADDRESS_BYTES_MAX:
        yield path
        return
    above = tempfile.gettempdir()
    above = above if len(os.fsencode(above)) + room < ADDRESS_BYTES_MAX // 2 else "/tmp"  # noqa: S108 - made 0700
    with tempfile.TemporaryDirectory(prefix="sledsaga-", dir=above) as folder:
        link = Path(folder) / "s"
        link.symlink_to(path.absolute())
        yield link


def listen(path: Path) -> socket.socket:
    """Bind and listen, in place of a stale socket; raises LogUnavailable.

    Clients can connect from here on; they wait until somebody accepts.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _check_free(path)
        _bind(made, path)
    except OSError as error:
        made.close()
        msg = f"no socket can be made at {path}: {error.strerror or error}"
        raise LogUnavailable(msg) from error
    except LogUnavailable:
        made.close()
        raise
    return made


def _check_free(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            msg = f"{path} is no socket, so it is left alone; move it away and start again"
            raise LogUnavailable(msg)


def _bind(made: socket.socket, path: Path) -> None:
    """Bind beside the path and move it there, so that whoever finds a socket there is answered."""
    name = f".{secrets.token_hex(4)}.sock"
    with short_way(path.parent, room=len(name) + 1) as folder:
        _bind_private(made, folder / name)
        try:
            made.listen(BACKLOG)
            (folder / name).replace(path)
        except OSError:
            (folder / name).unlink()
            raise


def _bind_private(made: socket.socket, path: Path) -> None:
    if (
        sys.platform == "linux"
    ):  # a new socket file takes its mode from the socket: no other thread is touched
        os.fchmod(made.fileno(), 0o600)
        made.bind(os.fspath(path))
    else:
        before = os.umask(0o177)
        try:
            made.bind(os.fspath(path))
        finally:
            os.umask(before)


def remove_own(path: Path, inode: int) -> None:
    """Remove our socket file, unless another executor's stands there by now."""
    with contextlib.suppress(FileNotFoundError):
        if path.lstat().st_ino == inode:
            path.unlink()
