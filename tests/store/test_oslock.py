"""The lock beside a log: one holder, who is named, and whose death frees it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sledsaga.errors import ExecutorBusy, LogUnavailable
from sledsaga.store.oslock import Holder, OsLock, holder, lock_path

HOLD = """
import sys
from pathlib import Path
from sledsaga.store.oslock import OsLock
lock = OsLock.acquire(Path(sys.argv[1]), executor="child", socket="/s")
print(lock.holder.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def test_a_holder_is_named(log: Path) -> None:
    """Whoever asks learns who holds the lock; nobody does before and after."""
    assert holder(log) is None
    with OsLock.acquire(log, executor="e1", socket="/run/s", started_at=5.0):
        assert holder(log) == Holder(os.getpid(), "e1", 5.0, "/run/s")
    assert holder(log) is None
    assert lock_path(log).stat().st_mode & 0o777 == 0o600


def test_the_second_is_refused(log: Path) -> None:
    """A second holder is refused, in the same process too, and told who is first and since when."""
    with (
        OsLock.acquire(log, executor="e1", started_at=0.0),
        pytest.raises(ExecutorBusy, match=rf"process {os.getpid()} has driven .* since 1970-01-01T00:00:00Z"),
    ):
        OsLock.acquire(log, executor="e2")
    OsLock.acquire(log, executor="e2").release()


def test_release_twice_is_fine(log: Path) -> None:
    """A second release frees nobody else's lock."""
    first = OsLock.acquire(log, executor="e1")
    first.release()
    with OsLock.acquire(log, executor="e2"):
        first.release()
        assert holder(log) is not None


def test_a_killed_holder_is_followed_at_once(log: Path) -> None:
    """The lock of a process ended by SIGKILL is free; what it wrote there is not believed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == f"{child.pid}\n"
        found = holder(log)
        assert found is not None
        assert (found.pid, found.executor, found.socket) == (child.pid, "child", "/s")
        with pytest.raises(ExecutorBusy, match=f"process {child.pid} "):
            OsLock.acquire(log, executor="e2")
        child.kill()
        child.wait()
    assert lock_path(log).read_text() != ""
    assert holder(log) is None
    with OsLock.acquire(log, executor="e2"):
        found = holder(log)
        assert found is not None
        assert found.pid == os.getpid()


def test_rubbish_in_the_file_is_no_matter(log: Path) -> None:
    """What stands in the file of a free lock, however long, is neither read nor kept."""
    lock_path(log).write_text("{" + "x" * 1000)
    assert holder(log) is None
    with OsLock.acquire(log, executor="e1"):
        assert holder(log) is not None


def test_a_link_leads_to_the_same_lock(log: Path, tmp_path: Path) -> None:
    """A log that is reached by a link has the lock of the log itself."""
    log.touch()
    link = tmp_path / "link.db"
    link.symlink_to(log)
    with OsLock.acquire(link, executor="e1"), pytest.raises(ExecutorBusy):
        OsLock.acquire(log, executor="e2")


def test_of_many_one_wins(log: Path) -> None:
    """Of threads that take the lock at once, one gets it, however many look on."""
    barrier = threading.Barrier(8)
    won: list[OsLock] = []

    def take() -> None:
        barrier.wait()
        holder(log)
        try:
            won.append(OsLock.acquire(log, executor="e"))
        except ExecutorBusy:
            holder(log)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    won[0].release()


def test_looking_never_makes_the_lock_busy(log: Path) -> None:
    """A free lock is got while others look who has it."""
    OsLock.acquire(log, executor="e").release()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            holder(log)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            OsLock.acquire(log, executor="e").release()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_place_that_cannot_hold_a_lock(tmp_path: Path) -> None:
    """Where no lock can be made, the message says so."""
    (tmp_path / "file").touch()
    with pytest.raises(LogUnavailable, match=r"the lock of log .* cannot be made"):
        OsLock.acquire(tmp_path / "file" / "log.db", executor="e")
