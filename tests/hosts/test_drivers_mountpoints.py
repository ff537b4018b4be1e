"""A mountpoint is made empty and immutable; what lay there is kept beside it, and nothing is lost midway."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from sledsaga.errors import CommandFailed, ForeignObject
from sledsaga.hosts.host import Completed, Host, HostCommand
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.zfs.mountpoints import Mountpoints


@dataclass
class Flagged:
    """This machine, with a chmod that knows illumos' flags (or says what `refusal` says)."""

    refusal: str = ""
    broken: str = ""
    chmods: list[tuple[str, ...]] = field(default_factory=list)
    local: LocalHost = field(default_factory=LocalHost)

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        if command.argv[0] == self.broken:
            return Completed(command.argv, 1, "", "I/O error")
        if command.argv[0] == "chmod":
            self.chmods.append(command.argv[1:])
            return Completed(command.argv, int(bool(self.refusal)), "", self.refusal)
        return self.local.run(command, cancel=cancel)

    def __getattr__(self, name: str) -> object:
        return getattr(self.local, name)


def mountpoints(host: Flagged) -> Mountpoints:
    return Mountpoints(cast("Host", host), "s1")


def test_a_missing_mountpoint_is_made(tmp_path: Path) -> None:
    """A folder that is not there is made, and made immutable; releasing it takes it away again."""
    host, path = Flagged(), tmp_path / "a" / "mp"
    mountpoints(host).prepare(str(path), dataset="p/d")
    assert path.is_dir()
    assert host.chmods == [("S+ci", str(path))]
    mountpoints(host).release(str(path))
    assert not path.exists()
    mountpoints(host).release(str(path))
    assert host.chmods == [("S+ci", str(path)), ("S-ci", str(path))]


def test_what_lies_in_the_way_is_kept(tmp_path: Path) -> None:
    """Files and folders are moved to a sibling; after a crash midway the rest goes to the same place."""
    host, path = Flagged(), tmp_path / "mp"
    (path / "folder").mkdir(parents=True)
    (path / "folder" / "x").write_text("x")
    (path / "y").write_text("y")
    mountpoints(host).prepare(str(path), dataset="p/d")
    (path / "z").write_text("z")
    mountpoints(host).prepare(str(path), dataset="p/d")
    kept = tmp_path / "old-under-mountpoint-d-s1"
    assert sorted(str(each.relative_to(kept)) for each in kept.rglob("*")) == ["folder", "folder/x", "y", "z"]
    assert list(path.iterdir()) == []


def test_a_filesystem_without_flags_is_put_up_with(tmp_path: Path) -> None:
    """A filesystem without the flag is used all the same, but no other failure is hidden."""
    path = tmp_path / "mp"
    mountpoints(Flagged(refusal="chmod: not supported")).prepare(str(path), dataset="p/d")
    assert path.is_dir()
    with pytest.raises(CommandFailed, match="I/O error"):
        mountpoints(Flagged(broken="chmod")).prepare(str(path), dataset="p/d")


def test_what_cannot_be_moved_stays(tmp_path: Path) -> None:
    """A file in the way of the folder, or a move that fails, is an error; nothing is removed."""
    path = tmp_path / "mp"
    path.write_text("a file")
    with pytest.raises(ForeignObject, match="is no folder"):
        mountpoints(Flagged()).prepare(str(path), dataset="p/d")
    mountpoints(Flagged()).release(str(path))
    assert path.read_text() == "a file"
    path.unlink()
    path.mkdir()
    (path / "x").write_text("x")
    with pytest.raises(CommandFailed, match="I/O error"):
        mountpoints(Flagged(broken="mv")).prepare(str(path), dataset="p/d")
    mountpoints(Flagged()).release(str(path))
    assert (path / "x").read_text() == "x"
