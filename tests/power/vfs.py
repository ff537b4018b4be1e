"""A file system for SQLite that writes down all that is done to its files, and fails where it is told to.

Rules
- While there is power it is the system's own: reads, locks and shared memory are those of SQLite's `unix`.
- Each change of a database, its write-ahead log or its journal goes to a tape, in order. A disk that hears
  the tape up to some place tells what a cut of the power there would leave. Shared memory is never on it.
- The one call that is to fail fails as a real disk does: half of a write is there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import apsw

from tests.power.disk import Entry, Made, Note, Removed, Resized, Synced, Wrote, disk_after

Call = Literal["open", "read", "write", "sync", "truncate", "delete"]
Trouble = Literal["eio", "full"]
CODES: Final[dict[Trouble, dict[Call, int]]] = {
    "full": {"write": apsw.SQLITE_FULL},
    "eio": {
        "open": apsw.SQLITE_CANTOPEN,
        "read": apsw.SQLITE_IOERR_READ,
        "write": apsw.SQLITE_IOERR_WRITE,
        "sync": apsw.SQLITE_IOERR_FSYNC,
        "truncate": apsw.SQLITE_IOERR_TRUNCATE,
        "delete": apsw.SQLITE_IOERR_DELETE,
    },
}
ON_TAPE: Final = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
SYNCS_FOLDER: Final = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
_numbers = itertools.count()


@dataclass(slots=True)
class Fault:
    """The `at`-th call of a kind, from 1, is to fail, and so are those that follow, `times` in all."""

    trouble: Trouble
    at: int
    times: int = 1
    calls: int = 0

    def strikes(self, call: Call) -> bool:
        """Count a call; say whether it is to fail."""
        if call not in CODES[self.trouble]:
            return False
        self.calls += 1
        return 0 <= self.calls - self.at < self.times

    @property
    def came(self) -> bool:
        """Say whether the call that was to fail was made."""
        return self.calls >= self.at


@dataclass(slots=True)
class Tape:
    """What was done to the files of a folder, and who knew what in between."""

    entries: list[Entry] = field(default_factory=list)
    fault: Fault | None = None

    def note(self, what: Any) -> None:
        """Write down what the writer knows now."""
        self.entries.append(Note(what))

    def check(self, call: Call) -> None:
        """Fail the call, if it is its turn."""
        if self.fault is not None and self.fault.strikes(call):
            raise apsw.exception_for(CODES[self.fault.trouble][call])

    def file(self, name: str, path: Path) -> int:
        """Return the number of the file that has this name; one that was there before the tape is sure."""
        for entry in reversed(self.entries):
            match entry:
                case Made(made, number) if made == name:
                    return number
                case Removed(removed) if removed == name:
                    break
        number = 1 + max((entry.file for entry in self.entries if isinstance(entry, Made)), default=0)
        self.entries.append(Made(name, number, path.read_bytes() if path.exists() else b""))
        return number


class PowerFile(apsw.VFSFile):
    """A file whose changes go to the tape."""

    def __init__(self, tape: Tape, name: str | apsw.URIFilename, flags: list[int]) -> None:
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        self._tape = tape
        self._syncs_folder = bool(flags[0] & SYNCS_FOLDER and flags[0] & apsw.SQLITE_OPEN_CREATE)
        self._file = tape.file(path.name, path)
        super().__init__("unix", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - SQLite's own name
        self._tape.check("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - the same
        whole = bytes(data)
        try:
            self._tape.check("write")
        except apsw.Error:
            self._put(whole[: len(whole) // 2], offset)
            raise
        self._put(whole, offset)

    def _put(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._tape.entries.append(Wrote(self._file, offset, data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - the same
        self._tape.check("truncate")
        super().xTruncate(newsize)
        self._tape.entries.append(Resized(self._file, newsize))

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802 - the same
        """Note the sync; the real disk is spared."""
        try:
            self._tape.check("sync")
        except apsw.Error:
            self._tape.entries.append(Synced(self._file, folder=False, failed=True))
            raise
        self._tape.entries.append(Synced(self._file, self._syncs_folder))
        self._syncs_folder = False


class PowerVfs(apsw.VFS):
    """SQLite's file system, with a tape; `name` is what connections ask for."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.name = f"power{next(_numbers)}"
        super().__init__(self.name, "unix")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - the same
        if name is None or not flags[0] & ON_TAPE:
            return apsw.VFSFile("unix", name, flags)
        self.tape.check("open")
        return PowerFile(self.tape, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802 - the same
        self.tape.check("delete")
        super().xDelete(filename, False)  # noqa: FBT003 - the same
        self.tape.entries.append(Removed(Path(filename).name, syncdir))


def lay_out(files: dict[str, bytes], folder: Path) -> None:
    """Write these files into a folder, new, and take away all that was there."""
    folder.mkdir(exist_ok=True)
    for other in folder.iterdir():
        other.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def next_life(entries: Iterable[Entry], folder: Path) -> Tape:
    """Let the process die after these entries, with power: the next one finds what programs saw."""
    tape = Tape(list(entries))
    lay_out(disk_after(tape.entries).now(), folder)
    return tape
