"""The local socket of an executor: where it stands, and that nobody but its owner can ever connect.

Rules
- Only who holds the OS lock of the log may bind: whatever stands there then is stale and is removed.
- The socket has mode 0600 from its first moment; there is no time between bind and chmod.
- A path too long for a socket's address is replaced by one in a folder of the user's own (0700), the same
  for the same path; where the socket really stands is told by the lock file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import sys
import tempfile
from pathlib import Path

from sledsaga.errors import LogUnavailable

PATH_BYTES_MAX = 103
"""What every system can hold: Linux and illumos 107 bytes and a NUL, the BSDs 103."""
BACKLOG = 128


def socket_path(wanted: Path) -> Path:
    """Return where the socket can stand: as wanted, or, too long for an address, in the user's own folder.

    Makes that folder. Raises LogUnavailable when another user holds its name.
    """
    wanted = wanted.absolute()
    if len(os.fsencode(wanted)) <= PATH_BYTES_MAX:
        return wanted
    name = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    return _own_folder() / f"{name}.sock"


def _own_folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    above = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    folder = above / f"sledsaga-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        msg = f"{folder} is not a folder of this user alone (mode 0700); remove it or set XDG_RUNTIME_DIR"
        raise LogUnavailable(msg)
    return folder


def listen(path: Path) -> socket.socket:
    """Bind and listen, in place of a stale socket; raises LogUnavailable.

    Clients can connect from here on; they wait until somebody accepts.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        remove_stale(path)
        _bind_private(made, path)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        msg = f"no socket can be made at {path}: {error.strerror or error}"
        raise LogUnavailable(msg) from error
    except BaseException:
        made.close()
        raise
    return made


def remove_stale(path: Path) -> None:
    """Remove a socket that a dead executor left; raises LogUnavailable when something else stands there."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            msg = f"{path} is no socket, so it is left alone; move it away and start again"
            raise LogUnavailable(msg)
        path.unlink()


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
