"""Files on this machine's disks: whole or not at all, and durable when the call returns.

- A write goes to `.NAME.new` beside its target, under a lock on that file: two writers of one path take
  turns, and what a dead writer left is used up by the next one, or goes with the file: no litter grows.
- After a rename or an unlink the folder is synced too, or the change would not survive a power cut.
- Whatever the operating system refuses becomes HostError with the path and the reason.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat as modes
from pathlib import Path
from typing import TYPE_CHECKING

from sledsaga.errors import ForeignObject, HostError
from sledsaga.hosts.host import FileStat

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = {modes.S_IFREG: "file", modes.S_IFDIR: "dir"}
ABSENT = (FileNotFoundError, NotADirectoryError)


@contextlib.contextmanager
def told(verb: str, path: str) -> Iterator[None]:
    """Turn an OSError into a HostError that names the path as the caller knows it."""
    try:
        yield
    except OSError as error:
        raise HostError(f"cannot {verb} {path}: {error.strerror or error}") from error


def sync_dir(folder: Path) -> None:
    """Make what was renamed or unlinked in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(real: Path) -> bytes | None:
    """Return the bytes of a file, or None when there is no such file."""
    try:
        return real.read_bytes()
    except ABSENT:
        return None


def stat(real: Path) -> FileStat | None:
    """Say what is at a path; a dangling or looping link is `other`."""
    try:
        found = real.lstat()
    except ABSENT:
        return None
    is_link = modes.S_ISLNK(found.st_mode)
    with contextlib.suppress(OSError):
        found = real.stat()
    kind = KINDS.get(modes.S_IFMT(found.st_mode), "other")
    return FileStat(kind, found.st_size, modes.S_IMODE(found.st_mode), is_link)


def names(real: Path) -> tuple[str, ...]:
    """Return the sorted names in a folder; none when there is no such folder."""
    try:
        return tuple(sorted(each.name for each in real.iterdir()))
    except ABSENT:
        return ()


def make_dir(real: Path, mode: int) -> None:
    """Make a folder and its parents, each synced into the one above it."""
    if real.is_dir():
        return
    make_dir(real.parent, 0o755)
    with contextlib.suppress(FileExistsError):
        real.mkdir(mode=mode)
        real.chmod(mode)
        sync_dir(real.parent)
    if not real.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "a file is in the way")


def write(real: Path, data: bytes, mode: int) -> None:
    """Replace a file by new bytes, whole or not at all."""
    if real.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a folder is in the way")
    temporary = real.with_name(f".{real.name}.new")
    handle = _own(temporary)
    try:
        os.ftruncate(handle, 0)
        os.fchmod(handle, mode)
        _write_all(handle, data)
        os.fsync(handle)
        temporary.rename(real)
        os.fchmod(handle, mode)  # zfs-fuse syncs no folder, but with a file all up to that file's last change
        os.fsync(handle)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(handle)
    sync_dir(real.parent)


def erase(real: Path) -> None:
    """Overwrite a file with zeros, sync, unlink, sync; nothing there is fine."""
    for path in (real.with_name(f".{real.name}.new"), real):
        with contextlib.suppress(*ABSENT):
            _zero(path)
            path.unlink()
            sync_dir(path.parent)


def remove(real: Path) -> None:
    """Unlink a file, and what a dead writer of it left; nothing there is fine."""
    _remove_left(real.with_name(f".{real.name}.new"))
    with contextlib.suppress(*ABSENT):
        real.unlink()
        sync_dir(real.parent)


def remove_dir(real: Path, path: str) -> None:
    """Remove an empty folder; nothing there is fine. `path` is its name in the message."""
    try:
        real.rmdir()
    except ABSENT:
        return
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise ForeignObject(f"{path} is not empty, so it stays; look at what is in it") from error
        raise
    sync_dir(real.parent)


def _remove_left(temporary: Path) -> None:
    """Unlink what a dead writer left; a writer that lives has its lock, and keeps it."""
    with contextlib.suppress(OSError):  # what cannot be opened, locked or unlinked was left by no writer
        handle = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), temporary.stat()):
                temporary.unlink()
                sync_dir(temporary.parent)
        finally:
            os.close(handle)


def _own(temporary: Path) -> int:
    """Open the temp file and hold its lock, sure that the open file still is the one at the path."""
    while True:
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(handle), temporary.stat()):
                return handle
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _zero(path: Path) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        _write_all(handle, bytes(os.fstat(handle).st_size))
        os.fsync(handle)
    finally:
        os.close(handle)
