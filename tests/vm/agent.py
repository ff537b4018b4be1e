"""The guest's agent: runs what it is told over a virtio port, many commands at a time, and says what came.

A line is one JSON object. To the agent: `{"id", "argv", "stdin"}` runs a command (stdin in base64), and
`{"id", "kill": true}` kills it with its group. From it: `{"ready": seconds since the kernel started}` once,
then `{"id", "out"}` and `{"id", "err"}` (base64) as they come, and `{"id", "code"}` at the end.
Only the standard library is used, for this is a guest's second process.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import IO, Any

NAME = "agent"
"""The name of the port."""
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PYTHONPATH": "/project/site",
    "PYTHONDONTWRITEBYTECODE": "1",
    "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",  # noqa: S108 - the guest is ours alone
    "SLEDSAGA_GUEST": "1",
}


class Agent:
    """One port, and the commands that run."""

    def __init__(self, port: IO[bytes]) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def serve(self) -> None:
        """Take requests until the port is closed."""
        self._say({"ready": float(Path("/proc/uptime").read_text().split()[0])})
        for line in self._port:
            request = json.loads(line)
            if request.get("kill"):
                self._kill(request["id"])
            else:
                threading.Thread(target=self._run, args=(request,), daemon=True).start()

    def _say(self, reply: dict[str, Any]) -> None:
        with self._lock:
            self._port.write(json.dumps(reply).encode() + b"\n")

    def _kill(self, number: int) -> None:
        process = self._running.get(number)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _run(self, request: dict[str, Any]) -> None:
        number, pipe = request["id"], subprocess.PIPE
        try:
            process = subprocess.Popen(
                request["argv"],
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                cwd="/project",
                env=ENVIRONMENT,
                start_new_session=True,
            )
        except OSError as error:
            self._say({"id": number, "err": _text(f"{error}\n".encode())})
            self._say({"id": number, "code": 127})
            return
        self._running[number] = process
        assert process.stdin is not None
        parts = [
            threading.Thread(target=_feed, args=(process.stdin, base64.b64decode(request["stdin"]))),
            threading.Thread(target=self._tell, args=(number, "out", process.stdout)),
            threading.Thread(target=self._tell, args=(number, "err", process.stderr)),
        ]
        for part in parts:
            part.start()
        for part in parts:
            part.join()
        self._say({"id": number, "code": process.wait()})
        del self._running[number]

    def _tell(self, number: int, what: str, stream: IO[bytes]) -> None:
        while data := os.read(stream.fileno(), 65536):
            self._say({"id": number, what: _text(data)})


def _feed(stream: IO[bytes], data: bytes) -> None:
    with contextlib.suppress(OSError), stream:
        stream.write(data)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _find_port() -> Path:
    for name in Path("/sys/class/virtio-ports").glob("*/name"):
        if name.read_text().strip() == NAME:
            return Path("/dev", name.parent.name)
    raise SystemExit(f"this guest has no virtio port {NAME}")


if __name__ == "__main__":
    with _find_port().open("r+b", buffering=0) as opened:
        Agent(opened).serve()
