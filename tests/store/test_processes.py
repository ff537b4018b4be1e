"""Several processes on one log: readers are never in the way, and SIGKILL loses nothing acknowledged."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sledsaga.check.contract.samples import a_saga, then
from sledsaga.core import events as e
from sledsaga.store.sql import SqlStore
from sledsaga.store.store import Append, Filter, Index, NewSaga, SagaRow

WRITE = """
import sys
from pathlib import Path
from sledsaga.check.contract.samples import a_saga, then
from sledsaga.core import events as e
from sledsaga.store.sql import SqlStore
store = SqlStore(Path(sys.argv[1]))
last = [a_saga(n) for n in range(5)]
store.write(last, [])
for n in range(10**9):
    last = [then(saga, e.StepStarted(0, 1), e.StepSucceeded(0, n)) for saga in last]
    store.write([], last)
    print(last[0].index.seq, flush=True)
"""
READ = """
import sys
from pathlib import Path
from sledsaga.store.sql import SqlStore
from sledsaga.store.store import Filter
reads = 0
print("ready", flush=True)
while not Path(sys.argv[2]).exists():
    store = SqlStore(Path(sys.argv[1]), read_only=True)
    for row in store.list(Filter(), limit=9).rows:
        assert len(store.events(row.id)) >= row.seq
        store.locks()
    store.close()
    reads += 1
print(reads, flush=True)
"""
MAKE = """
import sys
from pathlib import Path
from sledsaga.store.sql import SqlStore
sys.stdin.readline()
SqlStore(Path(sys.argv[1])).find("")
"""


def start(code: str, *argv: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, argv)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def goes_on(row: SagaRow) -> Append:
    event = e.Recorded(row.seq + 1, row.updated_at, row.epoch, e.Parked("on"))
    return Append(
        row.id, row.epoch, row.seq, (event,), Index("stuck", "forward", row.epoch, row.seq + 1, 0.0)
    )


@pytest.mark.parametrize("acknowledged", [3, 40])
def test_a_killed_writer_loses_nothing_acknowledged(tmp_path: Path, acknowledged: int) -> None:
    """After SIGKILL all that was acknowledged is there, each batch whole, and writing goes on."""
    path = tmp_path / "log.db"
    with start(WRITE, path) as child:
        assert child.stdout is not None
        acks = [int(child.stdout.readline()) for _ in range(acknowledged)]
        child.kill()
        acks += [int(line) for line in child.stdout if line.endswith("\n")]
    store = SqlStore(path)
    rows = store.list(Filter(), limit=9).rows
    assert len({row.seq for row in rows}) == 1
    assert rows[0].seq >= acks[-1]
    assert all(len(store.events(row.id)) == row.seq for row in rows)
    assert store.write([], [goes_on(row) for row in rows]) == ()
    store.close()


def test_readers_are_never_in_the_way(tmp_path: Path) -> None:
    """While one process writes and reopens the log, another that reads all the time meets no lock."""
    path, stop = tmp_path / "log.db", tmp_path / "stop"
    store = SqlStore(path)
    last: list[NewSaga | Append] = [a_saga(n) for n in range(3)]
    store.write([saga for saga in last if isinstance(saga, NewSaga)], [])
    with start(READ, path, stop) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        for n in range(300):
            if n % 20 == 0:
                store.close()
                store = SqlStore(path)
            appends = [then(saga, e.StepStarted(0, n + 1)) for saga in last]
            assert store.write([], appends) == ()
            last = [*appends]
        stop.touch()
        out, err = reader.communicate(timeout=60)
    store.close()
    assert err == ""
    assert int(out) > 0


def test_threads_read_while_one_writes(tmp_path: Path) -> None:
    """Many threads read one store while another writes; each sees whole batches."""
    store = SqlStore(tmp_path / "log.db")
    sagas = [a_saga(n, key=f"k{n}") for n in range(2)]
    store.write(sagas, [])
    done, seen, failed = threading.Event(), [], []

    def read() -> None:
        try:
            while not done.is_set():
                rows = store.list(Filter(), limit=9).rows
                seen.append(rows[0].seq == rows[1].seq)
                store.events(rows[0].id)
                one, other = store.row(rows[0].id), store.by_key("k0")
                assert other is not None
                assert rows[0].seq <= one.seq <= other.seq
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    last: list[Append] = []
    for n in range(100):
        last = [then(saga, e.StepStarted(0, n)) for saga in last or sagas]
        store.write([], last)
    done.set()
    for thread in threads:
        thread.join()
    store.close()
    assert failed == []
    assert seen
    assert all(seen)


def test_a_log_is_made_once(tmp_path: Path) -> None:
    """Processes that make the same log at once all find it whole."""
    path = tmp_path / "new" / "log.db"
    children = [start(MAKE, path) for _ in range(4)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [child.communicate(timeout=60)[1] for child in children] == [""] * 4


def test_the_log_survives_power_cuts(tmp_path: Path) -> None:
    """The writer uses the write-ahead log and waits for the disk at each commit."""
    store = SqlStore(tmp_path / "log.db")
    assert store._writer is not None
    writer = store._writer._open()
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    assert {name: writer.execute(f"PRAGMA {name}").fetchone()[0] for name in expected} == expected
    store.close()
