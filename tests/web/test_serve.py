"""The socket of an executor: private from the first moment, where it was wanted, gone at the end."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from sledsaga.engine.engine import Engine
from sledsaga.errors import LogUnavailable
from sledsaga.web.client import Client
from sledsaga.web.serve import Server
from sledsaga.web.sockets import listen, remove_own

STOP_S = 1.0


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_only_the_owner_can_connect(tmp_path: Path) -> None:
    """Whatever the umask, the socket has mode 0600, and the umask stays as it was."""
    before = os.umask(0)
    try:
        with listen(tmp_path / "x.sock"):
            assert mode(tmp_path / "x.sock") == 0o600
    finally:
        assert os.umask(before) == 0


def test_a_socket_answers_from_the_start(engine: Engine, tmp_path: Path) -> None:
    """Who connects right after the start is answered."""
    with Server(engine, tmp_path / "x.sock") as server, Client(server.path) as client:
        assert client.ready()["ready"] is True


def test_what_a_dead_executor_left_is_replaced(engine: Engine, tmp_path: Path) -> None:
    """A socket that nobody listens on any more is no hindrance."""
    path = tmp_path / "x.sock"
    listen(path).close()
    with Server(engine, path), Client(path) as client:
        assert client.operations() != ()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_socket_is_left_alone(engine: Engine, tmp_path: Path) -> None:
    """A file where the socket should stand is kept, and the start is refused."""
    path = tmp_path / "x.sock"
    path.write_text("precious")
    with pytest.raises(LogUnavailable, match="is no socket"):
        Server(engine, path).start()
    assert path.read_text() == "precious"


def test_a_folder_that_is_not_there_is_one_clear_line(engine: Engine, tmp_path: Path) -> None:
    """A socket that cannot be made says where and why."""
    with pytest.raises(LogUnavailable, match=r"no socket can be made at .*x\.sock: No such file"):
        Server(engine, tmp_path / "none" / "x.sock").start()


@pytest.mark.parametrize("length", [90, 200])
def test_a_path_may_be_longer_than_an_address(engine: Engine, tmp_path: Path, length: int) -> None:
    """The socket stands where it was wanted, and both ends reach it, however long the path is."""
    folder = tmp_path / ("d" * length)
    folder.mkdir()
    path = folder / ("s" * length)
    with Server(engine, path), Client(path) as client:
        view = client.wait(client.submit("greet").id, 20)
        assert (view.state, mode(path)) == ("succeeded", 0o600)
    assert list(folder.iterdir()) == []


def test_stopping_is_quick_and_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    """With a stream and a long poll open, stopping takes less than a second."""
    server = Server(engine, tmp_path / "x.sock")
    server.start()
    with Client(server.path) as client:
        saga = client.submit("gated").id
        records = client.events(saga, follow=True)
        next(records)
        before = time.monotonic()
        server.stop()
        assert time.monotonic() - before < STOP_S
    assert list(tmp_path.iterdir()) == []
    server.stop()


def test_a_server_that_never_answered_can_be_stopped(engine: Engine, tmp_path: Path) -> None:
    """A stop right after the start ends what is still being loaded."""
    server = Server(engine, tmp_path / "x.sock")
    server.start()
    server.stop()
    assert list(tmp_path.iterdir()) == []
    assert [thread.name for thread in threading.enumerate() if thread.name == "sledsaga-web"] == []


def test_the_next_executors_socket_is_not_removed(tmp_path: Path) -> None:
    """Only the socket that was made is removed, not one that took its place."""
    path = tmp_path / "x.sock"
    with listen(path):
        remove_own(path, inode=0)
        assert path.exists()


def test_signals_and_the_terminal_are_left_alone(tmp_path: Path) -> None:
    """A process that serves keeps its own signal handlers, and nothing is printed, even for garbage."""
    script = tmp_path / "serving.py"
    script.write_text(SERVING)
    command = [sys.executable, "-W", "error", str(script), str(tmp_path / "x.sock")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


SERVING = """
import signal, socket, sys
from pathlib import Path
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.engine import Engine
from sledsaga.store.memory import MemoryStore
from sledsaga.web.serve import Server

before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
with Engine(MemoryStore(), Catalog()) as engine, Server(engine, Path(sys.argv[1])) as server:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server.path))
        client.sendall(b"garbage\\r\\n\\r\\n")
        client.recv(1000)
    print((signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before)
"""


def test_garbage_is_answered_and_hurts_nobody(server: Server, http: httpx.Client) -> None:
    """A client that speaks no HTTP is turned away; others go on."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server.path))
        client.sendall(b"\x00\x01\x02\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400")
    assert http.get("/livez").status_code == 200
