"""This machine as a host, the host of plans, and a step's view: with real processes and files."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from sledsaga.errors import (
    CommandCancelled,
    CommandFailed,
    CommandTimedOut,
    ForeignObject,
    HostError,
    Mutates,
)
from sledsaga.hosts.answer import says
from sledsaga.hosts.host import FileStat, Host, HostCommand
from sledsaga.hosts.linux import cgroups, gateways, links, netns, runtime
from sledsaga.hosts.linux.containers import Containers
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.readonly import ReadOnlyHost
from sledsaga.hosts.sim import SimSled
from sledsaga.hosts.step import LEAST_LOOK_S, StepHost
from sledsaga.hosts.zfs import mounts

TREE = """
import os, sys, time
def tell(name):
    with open(os.path.join(sys.argv[1], name + ".tmp"), "w") as file:
        file.write(str(os.getpid()))
    os.rename(os.path.join(sys.argv[1], name + ".tmp"), os.path.join(sys.argv[1], name))
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        tell("daemon")
        time.sleep(600)
    os._exit(0)
if os.fork() == 0:
    tell("child")
    time.sleep(600)
tell("root")
time.sleep(600)
"""
NAMES = ("root", "child", "daemon")


def python(code: str, *args: str, stdin: bytes | None = None, timeout_s: float | None = None) -> HostCommand:
    return HostCommand((sys.executable, "-c", code, *args), mutates=False, stdin=stdin, timeout_s=timeout_s)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_command_runs_without_shell_in_its_own_session_and_locale() -> None:
    """The argv goes to the program as it is, in a session of its own, with LC_ALL=C, stdin from us alone."""
    code = (
        "import os,sys; print(sys.argv[1], os.getsid(0)==os.getpid(), os.environ['LC_ALL'], sys.stdin.read())"
    )
    done = LocalHost().run(python(code, "$HOME; *", stdin=b"fed"))
    assert (done.code, done.stdout) == (0, "$HOME; * True C fed\n")
    assert LocalHost().run(python("import sys; print(repr(sys.stdin.read()))")).stdout == "''\n"
    done = LocalHost().run(python("import sys; sys.stderr.write('no'); sys.exit(3)"))
    assert (done.code, done.stderr) == (3, "no")


def test_a_missing_command_is_an_answer() -> None:
    """A command that is not there gives 127 and a text, one that may not be run 126."""
    done = LocalHost().run(HostCommand(("sledsaga-no-such-tool",), mutates=True))
    assert (done.code, done.stderr) == (127, "sledsaga-no-such-tool: command not found\n")
    assert LocalHost().run(HostCommand(("/etc/passwd",), mutates=True)).code == 126


@pytest.mark.parametrize(
    "absent", [cgroups.GONE, links.GONE, mounts.GONE, gateways.HAS_NOT, netns.NO_FILE, runtime.ENDED]
)
def test_a_missing_command_says_nothing_of_what_it_was_asked_about(absent: tuple[str, ...]) -> None:
    """That a tool is not there is never read as its word that something else is not."""
    assert not says(LocalHost().run(HostCommand(("sledsaga-no-such-tool",), mutates=True)), absent)


def test_a_zone_is_not_broken_when_its_runtime_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its runtime nobody can tell what a zone is, which is an error; it is not cleared away."""
    (tmp_path / "zones" / "z").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    containers = Containers(LocalHost(), Machine(run=str(tmp_path)), time.sleep)
    with pytest.raises(CommandFailed, match="crun: command not found"):
        containers.observe("z")


def test_a_machine_that_can_start_nothing_says_so() -> None:
    """What keeps any command from being started is an error of the machine, not that command's absence."""
    too_much = HostCommand(("true", "x" * 10_000_000), mutates=False)
    with pytest.raises(HostError, match="cannot start true: Argument list too long; nothing ran"):
        LocalHost().run(too_much)


def test_much_stdin_goes_in_even_under_a_timeout_and_a_cancel_event() -> None:
    """A stdin larger than a pipe arrives whole though the wait for the command is cut into short looks."""
    code = "import sys,time; time.sleep(0.2); print(len(sys.stdin.buffer.read()))"
    done = LocalHost().run(python(code, stdin=b"x" * 1_000_000, timeout_s=30), cancel=threading.Event())
    assert done.stdout == "1000000\n"


def test_a_daemon_left_behind_does_not_hold_the_answer_back() -> None:
    """A command that ends is answered at once though a child of it lives on with its output open."""
    code = "import os,time\nif os.fork() == 0:\n    time.sleep(3)\nelse:\n    print('done')"
    start = time.monotonic()
    assert LocalHost().run(python(code)).stdout == "done\n"
    assert time.monotonic() - start < 2.5


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_the_whole_tree_ends(tmp_path: Path, how: str) -> None:
    """On timeout and on cancel the process, its child and its daemon in another session are all dead."""
    cancel = threading.Event()

    def watch() -> None:
        while not all((tmp_path / name).exists() for name in NAMES):
            threading.Event().wait(0.01)
        cancel.set()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    command = python(TREE, str(tmp_path), timeout_s=1.5 if how == "timeout" else None)
    with pytest.raises(
        CommandTimedOut if how == "timeout" else CommandCancelled, match="with all its children"
    ):
        LocalHost().run(command, cancel=cancel if how == "cancel" else None)
    watcher.join(timeout=10)
    pids = [int((tmp_path / name).read_text()) for name in NAMES]
    assert [is_alive(pid) for pid in pids] == [False, False, False]


def test_a_write_is_whole_and_uses_up_what_a_dead_writer_left(tmp_path: Path) -> None:
    """A write replaces the file at once with its mode, over a dead writer's temp file, and leaves none."""
    host, path = LocalHost(), tmp_path / "f"
    (tmp_path / ".f.new").write_bytes(b"half of something longer")
    host.write_file(str(path), b"one", mode=0o600)
    before = path.stat().st_ino
    host.write_file(str(path), b"two", mode=0o640)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o640)
    assert path.stat().st_ino != before
    assert host.list_dir(str(tmp_path)) == ("f",)


def test_writers_of_one_path_take_turns(tmp_path: Path) -> None:
    """Of eight writers at once each writes whole: the file is one of theirs and no temp file stays."""
    host, path = LocalHost(), str(tmp_path / "f")
    bodies = [bytes([65 + number]) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=host.write_file, args=(path, body)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert host.read_file(path) in bodies
    assert host.list_dir(str(tmp_path)) == ("f",)


def test_a_removed_file_takes_along_what_a_dead_writer_left(tmp_path: Path) -> None:
    """What a killed write left goes with its file, or instead of it; what a living writer has open stays."""
    host, path, left = LocalHost(), tmp_path / "f", tmp_path / ".f.new"
    for is_whole in (True, False):
        left.write_bytes(b"half")
        if is_whole:
            path.write_bytes(b"whole")
        host.remove_file(str(path))
        assert host.list_dir(str(tmp_path)) == ()
    with left.open("wb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        host.remove_file(str(path))
        assert host.list_dir(str(tmp_path)) == (".f.new",)


def test_erasing_overwrites_before_it_unlinks(tmp_path: Path) -> None:
    """Whoever still has an erased key file open, or linked, reads zeros."""
    path = tmp_path / "key"
    path.write_bytes(b"secret")
    os.link(path, tmp_path / "other")
    LocalHost().erase_file(str(path))
    assert (path.exists(), (tmp_path / "other").read_bytes()) == (False, bytes(6))
    LocalHost().erase_file(str(path))


def test_files_that_are_in_the_way_are_told(tmp_path: Path) -> None:
    """Absent is None, empty or fine; what cannot be is a HostError that names the path."""
    host = LocalHost()
    assert (host.read_file(str(tmp_path / "no")), host.stat(str(tmp_path / "no"))) == (None, None)
    assert host.list_dir(str(tmp_path / "no")) == ()
    host.make_dir(str(tmp_path / "a" / "b"), mode=0o700)
    host.write_file(str(tmp_path / "a" / "b" / "f"), b"")
    with pytest.raises(ForeignObject, match="not empty"):
        host.remove_dir(str(tmp_path / "a" / "b"))
    with pytest.raises(HostError, match="cannot make the folder"):
        host.make_dir(str(tmp_path / "a" / "b" / "f"))
    with pytest.raises(HostError, match="cannot write"):
        host.write_file(str(tmp_path / "nodir" / "f"), b"")
    with pytest.raises(HostError, match="cannot write"):
        host.write_file(str(tmp_path / "a"), b"")
    host.remove_file(str(tmp_path / "a" / "b" / "f"))
    host.remove_dir(str(tmp_path / "a" / "b"))
    host.remove_dir(str(tmp_path / "a" / "b"))


def test_a_plan_looks_and_refuses_every_change(sled: SimSled) -> None:
    """Through a read-only host everything can be seen, and each change raises Mutates and is not done."""
    plan, before = ReadOnlyHost(sled.host), sled.changes()
    assert plan.run(HostCommand(("zpool", "list", "-H"), mutates=False)).code == 0
    assert (plan.read_file("/none"), plan.stat("/none"), plan.list_dir("/none")) == (None, None, ())
    changes = (
        lambda: plan.run(HostCommand(("zpool", "destroy", "p"), mutates=True)),
        lambda: plan.make_dir("/x"),
        lambda: plan.write_file("/x", b"secret"),
        lambda: plan.erase_file("/x"),
        lambda: plan.remove_file("/x"),
        lambda: plan.remove_dir("/x"),
    )
    for change in changes:
        with pytest.raises(Mutates, match="a plan may only look"):
            change()
    assert sled.changes() == before


def test_a_step_sees_its_hooks_round_each_change_and_no_look(sled: SimSled) -> None:
    """The hooks are told of each mutating command and file change, in order, and of nothing else."""
    told: list[tuple[str, ...]] = []
    host: Host = StepHost(
        sled.host,
        before=lambda command: told.append(("before", *command.argv)),
        after=lambda command: told.append(("after", *command.argv)),
    )
    host.run(HostCommand(("zpool", "list", "-H"), mutates=False))
    host.run(HostCommand(("dladm", "create-etherstub", "-t", "s0"), mutates=True))
    host.make_dir("/x")
    host.write_file("/x/f", b"")
    host.erase_file("/x/f")
    host.remove_file("/x/f")
    host.remove_dir("/x")
    assert (host.read_file("/x"), host.stat("/x"), host.list_dir("/x")) == (None, None, ())
    changes = [
        *(("dladm", "create-etherstub", "-t", "s0"), ("make_dir", "/x"), ("write_file", "/x/f")),
        *(("erase_file", "/x/f"), ("remove_file", "/x/f"), ("remove_dir", "/x")),
    ]
    assert told == [(when, *each) for each in changes for when in ("before", "after")]


def test_a_step_starts_nothing_when_it_is_cancelled_or_its_time_is_over(sled: SimSled) -> None:
    """A cancelled step, or one without time, starts no command; it may still erase its key."""
    cancel = threading.Event()
    cancel.set()
    command = HostCommand(("zpool", "list", "-H"), mutates=False)
    with pytest.raises(CommandCancelled, match="not started"):
        StepHost(sled.host, cancel=cancel).run(command)
    with pytest.raises(CommandTimedOut, match="time of its step"):
        StepHost(sled.host, deadline=time.monotonic() - 1).run(command)
    sled.host.write_file("/key", b"k")
    StepHost(sled.host, cancel=cancel, deadline=0.0).erase_file("/key")
    assert sled.host.stat("/key") is None


def test_a_command_gets_no_more_time_than_its_step_has() -> None:
    """A command with a minute of its own is ended when its step's deadline comes first."""
    host = StepHost(LocalHost(), deadline=time.monotonic() + 0.2)
    with pytest.raises(CommandTimedOut):
        host.run(python("import time; time.sleep(60)", timeout_s=60))


def test_a_look_gets_what_its_step_has_left() -> None:
    """A look at a file is limited by the step's deadline as a command is, yet cleaning up may always look."""
    limits: list[float | None] = []

    class Noting(LocalHost):
        def stat(self, path: str, *, timeout_s: float | None = None) -> FileStat | None:
            limits.append(timeout_s)
            return super().stat(path, timeout_s=timeout_s)

    StepHost(Noting()).stat("/")
    StepHost(Noting(), deadline=time.monotonic() + 100.0).stat("/")
    StepHost(Noting(), deadline=time.monotonic() - 1.0).stat("/")
    assert limits[0] is None
    assert limits[2] == LEAST_LOOK_S < (limits[1] or 0.0) <= 100.0
