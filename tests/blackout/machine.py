"""A machine of its own (user-mode-linux) with one disk, whose power can be cut at any moment.

Rules
- The power is cut by killing all its processes at once: what its kernel had in memory is gone, what it had
  given to the disk is there. Orderly shutdown is not known here.
- Its root is this machine's root, read-only; nothing of this machine is changed but the disk's image.
- What it needs: the Debian packages `user-mode-linux` and `zfs-fuse`, and a C compiler for fifty lines.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from tests.blackout.orders import Orders, heard

ROOT: Final = Path(__file__).parent.parent.parent
TOOLS: Final = {
    "linux.uml": "user-mode-linux",
    "zfs-fuse": "zfs-fuse",
    "cc": "gcc libc6-dev",
    "mke2fs": "e2fsprogs",
}
"""Which tool comes with which Debian package."""
DISK_BYTES: Final = 512 * 2**20
MEMORY: Final = "mem=384M"
MEMORY_PLACE: Final = "/dev/shm"  # noqa: S108 - the machine keeps its memory there, in a file without a name
CONSOLE_KEPT: Final = 40


class Silent(Exception):
    """The machine said nothing that was waited for, in time; its last lines are the message."""


def missing() -> str:
    """Say what must be installed for such a machine, or nothing."""
    if os.uname().sysname != "Linux" or os.uname().machine != "x86_64":
        return "user-mode-linux runs on Linux on x86_64 only"
    absent = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    return f"apt-get install --no-install-recommends {' '.join(absent)}" if absent else ""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that is off: the image of its disk, and a folder (not below /dev) for what boots it."""

    folder: Path
    disk: Path
    registers: Path

    @contextlib.contextmanager
    def boot(self, orders: Orders) -> Iterator[Life]:
        """Switch it on; at the end of the `with` the power is cut, if it was not before."""
        init = self.folder / "init"
        init.write_text(_init(orders))
        init.chmod(0o755)
        argv = _argv(self, init)
        env = {"PATH": os.environ["PATH"], "TMPDIR": MEMORY_PLACE, "LD_PRELOAD": str(self.registers)}
        with (self.folder / "console").open("ab") as kept:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=kept,
                start_new_session=True,
                cwd=self.folder,
                env=env,
            )
        life = Life(process, queue.SimpleQueue(), [])
        assert process.stdout is not None
        reader = threading.Thread(target=life.read, args=(process.stdout,))
        reader.start()
        try:
            yield life
        finally:
            life.cut()
            reader.join()


@dataclass(frozen=True, slots=True)
class Life:
    """A machine that is on, from its boot to the cut."""

    process: subprocess.Popen[bytes]
    said: queue.SimpleQueue[dict[str, Any] | None]
    console: list[str]

    def read(self, stream: IO[bytes]) -> None:
        """Take down what comes from the console, until it ends."""
        for raw in stream:
            line = raw.decode(errors="replace").strip()
            if line:
                self.console.append(line[:400])
                del self.console[:-CONSOLE_KEPT]
            if (message := heard(line)) is not None:
                self.said.put(message)
        stream.close()
        self.said.put(None)

    def hear(self, timeout_s: float) -> Iterator[dict[str, Any]]:
        """Return what is told, one by one, until the machine ends. Raises Silent after the time given."""
        ends_at = time.monotonic() + timeout_s
        while True:
            try:
                message = self.said.get(timeout=max(ends_at - time.monotonic(), 0))
            except queue.Empty:
                raise Silent("\n".join(self.console)) from None
            if message is None:
                return
            yield message

    def cut(self) -> None:
        """Cut the power: nothing more is written from here on."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def compile_registers(folder: Path) -> Path:
    """Compile what lets user-mode-linux run on any processor; see registers.c."""
    made = folder / "registers.so"
    source = Path(__file__).with_name("registers.c")
    subprocess.run(("cc", "-O2", "-shared", "-fPIC", "-o", str(made), str(source)), check=True)
    return made


def make_machine(folder: Path, disk: Path, registers: Path) -> Machine:
    """Make a machine with an empty disk."""
    folder.mkdir()
    machine = Machine(folder, disk, registers)
    with machine.disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(("mke2fs", "-q", "-t", "ext4", "-F", str(machine.disk)), check=True)
    return machine


def check_disk(machine: Machine) -> str:
    """Let e2fsck read the disk of a machine that is off, once its journal is replayed; say what is wrong."""
    subprocess.run(("e2fsck", "-p", str(machine.disk)), capture_output=True, check=False)
    done = subprocess.run(("e2fsck", "-fn", str(machine.disk)), capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout


def _init(orders: Orders) -> str:
    return (
        f"#!{sys.executable} -B\n"
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"from tests.blackout.inside import main\nmain({orders.as_json()!r})\n"
    )


def _argv(machine: Machine, init: Path) -> tuple[str, ...]:
    root = ("rootfstype=hostfs", "rootflags=/", "root=98:0", "ro", f"init={init}")
    console = ("con0=fd:0,fd:1", "con=null", "quiet")
    return ("linux.uml", f"uml_dir={machine.folder}", MEMORY, *root, f"ubdb={machine.disk}", *console)
