"""A program of its own: run an OCI runtime with what a zone inherits put right, without a shell.

    python -I -S launch.py LOG HIDDEN COMMAND...

- A zone inherits the outputs of the runtime that creates it: they are LOG, to which is added. What the
  runtime itself has to say still goes where it was asked from: HEARD is that place, as a path for `--log`.
- HIDDEN is a mount that the runtime must not see, or nothing. crun refuses a machine that has cgroups of
  both versions, though it is fine with the first alone; only this program and its child lose the mount, and
  a zone keeps neither.
- Exit code 126 or 127, with a text, when the command cannot be run, as a shell would.
"""

from __future__ import annotations

import ctypes
import os
import sys

NEW_MOUNTS = 0x00020000
RECURSIVE, SLAVE = 0x4000, 1 << 19
DETACH = 2
HEARD_FD = 9
HEARD = f"/proc/self/fd/{HEARD_FD}"
"""Where the caller's stderr is for the command: its own stderr is the log of the zone."""


def main(log: str, hidden: str, *command: str) -> int:
    """Become the command; returns an exit code only when that cannot be."""
    try:
        if hidden:
            _hide(hidden)
        if log:
            _log_to(log)
        os.execvp(command[0], command)  # noqa: S606 - a runtime and its arguments, and no shell
    except OSError as error:
        heard = HEARD_FD if log else 2
        os.write(heard, f"{command[0]}: {error.filename or ''} {error.strerror}\n".encode())
        return 126 if isinstance(error, PermissionError) else 127


def _hide(mount: str) -> None:
    """Take a mount away from this process. A slave still hears when something is unmounted elsewhere."""
    _call("unshare", NEW_MOUNTS)
    _call("mount", b"none", b"/", None, RECURSIVE | SLAVE, None)
    _call("umount2", os.fsencode(mount), DETACH)


def _log_to(log: str) -> None:
    os.dup2(2, HEARD_FD)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o640)
    os.dup2(handle, 1)
    os.dup2(handle, 2)


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name} was refused: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
