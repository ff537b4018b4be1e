"""Programs whose changes must not overlap: between threads and processes, and when a caller is killed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sledsaga.errors import CommandCancelled, CommandTimedOut, HostUnreachable
from sledsaga.hosts.host import Completed, HostCommand
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.turns import Turns

ALONE = """
import os, sys, time
os.mkdir(sys.argv[1])  # fails when another one has it
time.sleep(0.01)
os.rmdir(sys.argv[1])
"""
TELLS_AND_STAYS = """
import pathlib, sys, time
pathlib.Path(sys.argv[1]).touch()
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.01)
"""
CALLER = """
import sys
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.turns import Turns
host = LocalHost(turns={sys.executable: Turns(sys.argv[1])})
host.run(HostCommand((sys.executable, "-c", *sys.argv[2:]), mutates=True))
"""


def taking_turns(folder: Path) -> LocalHost:
    return LocalHost(turns={sys.executable: Turns(str(folder))})


def python(code: str, *arguments: Path, timeout_s: float | None = None) -> HostCommand:
    argv = (sys.executable, "-c", code, *map(str, arguments))
    return HostCommand(argv, mutates=True, timeout_s=timeout_s)


def wait_for(path: Path) -> None:
    ends_at = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < ends_at, f"{path} never came"
        time.sleep(0.01)


def test_changes_take_turns_between_threads_and_hosts(tmp_path: Path) -> None:
    """No two of them run at a time, whichever host and thread they come from."""
    hosts = [taking_turns(tmp_path), taking_turns(tmp_path)]

    def one(number: int) -> Completed:
        return hosts[number % 2].run(python(ALONE, tmp_path / "alone"))

    with ThreadPoolExecutor(6) as pool:
        assert [done.stderr for done in pool.map(one, range(24))] == [""] * 24
    assert not (tmp_path / "alone").exists()


def test_without_turns_they_overlap(tmp_path: Path) -> None:
    """The same commands do get into each other's way when nothing keeps them apart."""
    host = LocalHost()
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: host.run(python(ALONE, tmp_path / "alone")), range(24)))
    assert any(one.code for one in done)


def test_a_turn_outlives_its_killed_caller(tmp_path: Path) -> None:
    """What a killed process had started keeps its turn until it has ended."""
    began, may_end = tmp_path / "began", tmp_path / "may end"
    argv = (sys.executable, "-c", CALLER, str(tmp_path), TELLS_AND_STAYS, str(began), str(may_end))
    caller = subprocess.Popen(argv)
    wait_for(began)
    caller.kill()
    caller.wait()
    host = taking_turns(tmp_path)
    with pytest.raises(CommandTimedOut, match=r"was not started, for others had their turn, after 0\.3 s"):
        host.run(python("", timeout_s=0.3))
    may_end.touch()
    assert host.run(python("", timeout_s=20)).code == 0


def test_who_waits_for_a_turn_can_be_cancelled(tmp_path: Path) -> None:
    """A step that is cancelled, or out of time, stops waiting, and its command was never started."""
    host, cancel = taking_turns(tmp_path), threading.Event()
    began, may_end = tmp_path / "began", tmp_path / "may end"
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(host.run, python(TELLS_AND_STAYS, began, may_end))
        wait_for(began)
        second = pool.submit(host.run, python(ALONE, tmp_path / "never"), cancel=cancel)
        cancel.set()
        with pytest.raises(CommandCancelled, match="was not started"):
            second.result(20)
        with pytest.raises(CommandTimedOut, match="was not started"):
            host.run(python(ALONE, tmp_path / "never", timeout_s=0.1))
        may_end.touch()
        assert first.result(20).code == 0
    assert not (tmp_path / "never").exists()


def test_looking_waits_for_nobody(tmp_path: Path) -> None:
    """A command that changes nothing runs beside one that has the turn."""
    host = taking_turns(tmp_path)
    began, may_end = tmp_path / "began", tmp_path / "may end"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(host.run, python(TELLS_AND_STAYS, began, may_end))
        wait_for(began)
        looking = HostCommand((sys.executable, "-c", "print(1)"), mutates=False, timeout_s=20)
        assert host.run(looking).stdout == "1\n"
        may_end.touch()
        assert first.result(20).code == 0


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Without the folder there is no lock, so nothing is run, and the line says why."""
    with pytest.raises(HostUnreachable, match="nowhere cannot be locked"):
        taking_turns(tmp_path / "nowhere").run(python("", timeout_s=5))
