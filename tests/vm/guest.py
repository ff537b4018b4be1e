"""A guest that runs: a virtual machine with OpenZFS, in which commands are run, and whose power can be cut.

- It is emulated (no KVM is asked for), so it runs wherever qemu does, some fifteen times slower.
- Its root is read-only with changes in memory; only its disks outlive it. They are the serials `disk0`,
  `disk1`, …: inside, `/dev/disk/by-id/virtio-disk0-part1` and so on.
- It ends with the thread that booted it, also when that is killed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import queue
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tests.vm.recipe import Built

BOOT_S: Final = 180.0
"""Six seconds is usual; a machine with much else to do needs more."""
CONSOLE_BYTES: Final = 4000
PARTITION_SECTOR: Final = 2048
TYPE_ZFS: Final = 0xBF
Told = Callable[[bytes], None]


class GuestError(Exception):
    """The guest does not run, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command in the guest left."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """What it printed."""
        return self.out.decode()


def make_disk(path: Path, mib: int = 256) -> Path:
    """Make a sparse disk with one partition for ZFS, which without udev cannot partition disks itself."""
    sectors = mib * 2048
    entry = bytes([0, 0, 0, 0, TYPE_ZFS, 0, 0, 0])
    entry += PARTITION_SECTOR.to_bytes(4, "little") + (sectors - PARTITION_SECTOR).to_bytes(4, "little")
    with path.open("wb") as stream:
        stream.truncate(sectors * 512)
        stream.seek(446)
        stream.write(entry)
        stream.seek(510)
        stream.write(b"\x55\xaa")
    return path


def qemu_argv(built: Built, project: Path, folder: Path, disks: Sequence[Path]) -> tuple[str, ...]:
    """Return the command line of the virtual machine."""
    drives = [("root", built.root, True), ("project", project, True)]
    drives += [(f"disk{number}", path, False) for number, path in enumerate(disks)]
    return (
        *("setpriv", "--pdeathsig", "KILL"),
        *("qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"),
        *("-m", "1536", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-kernel", str(built.kernel), "-initrd", str(built.initramfs)),
        *("-append", "console=ttyS0 quiet panic=-1 mitigations=off"),
        *("-serial", f"file:{folder}/console.log", "-device", "virtio-serial-pci"),
        *("-chardev", f"socket,id=c,path={folder}/agent,server=on,wait=off"),
        *("-device", "virtserialport,chardev=c,name=agent"),
        *(part for serial, path, is_fixed in drives for part in _drive(serial, path, is_fixed=is_fixed)),
    )


def _drive(serial: str, path: Path, *, is_fixed: bool) -> tuple[str, ...]:
    # writeback: what the guest did not flush is lost with its power, as with a real disk's cache
    mode = "readonly=on" if is_fixed else "cache=writeback"
    return (
        *("-drive", f"file={path},if=none,id={serial},format=raw,{mode}"),
        *("-device", f"virtio-blk-pci,drive={serial},serial={serial}"),
    )


class Guest:
    """A running guest. Safe to be asked from many threads."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket, folder: Path) -> None:
        self.process = process
        self.boot_s = 0.0
        self._line = line
        self._folder = folder
        self._lock = threading.Lock()
        self._replies: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._ready: queue.SimpleQueue[float] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    @classmethod
    def boot(cls, built: Built, project: Path, disks: Sequence[Path] = ()) -> Self:
        """Boot a guest and wait until it takes commands. Raises GuestError."""
        folder = Path(tempfile.mkdtemp(prefix="guest-"))
        began = time.monotonic()
        null = subprocess.DEVNULL
        with (folder / "qemu.log").open("wb") as log:
            argv = qemu_argv(built, project, folder, disks)
            process = subprocess.Popen(argv, stdin=null, stdout=log, stderr=log)
        try:
            guest = cls(process, _connect(folder / "agent", process), folder)
            guest._ready.get(timeout=BOOT_S)
        except (queue.Empty, OSError) as error:
            process.kill()
            process.wait()
            raise GuestError(f"the guest did not boot within {BOOT_S:g} s: {_last_words(folder)}") from error
        guest.boot_s = time.monotonic() - began
        return guest

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 120.0, told: Told | None = None
    ) -> Done:
        """Run a command to its end; `told` gets its output as it comes. Raises GuestError."""
        number = self.start(argv, stdin=stdin)
        ends_at = time.monotonic() + timeout_s
        parts: dict[str, list[bytes]] = {"out": [], "err": []}
        while True:
            reply = self._next(number, ends_at, argv)
            if "code" in reply:
                del self._replies[number]
                return Done(reply["code"], b"".join(parts["out"]), b"".join(parts["err"]))
            for what in parts.keys() & reply.keys():
                data = base64.b64decode(reply[what])
                parts[what].append(data)
                if told is not None:
                    told(data)

    def check(self, *argv: str, timeout_s: float = 120.0) -> str:
        """Run a command that must end with 0; return what it printed. Raises GuestError."""
        done = self.run(argv, timeout_s=timeout_s)
        if done.code != 0:
            raise GuestError(f"`{' '.join(argv)}` ended with {done.code} in the guest: {done.err.decode()}")
        return done.text

    def start(self, argv: Sequence[str], *, stdin: bytes = b"") -> int:
        """Start a command and return its number, for `told` and `kill`. Raises GuestError."""
        with self._lock:
            number = len(self._replies) + 1
            while number in self._replies:
                number += 1
            self._replies[number] = queue.SimpleQueue()
        self._say({"id": number, "argv": list(argv), "stdin": base64.b64encode(stdin).decode()})
        return number

    def told(self, number: int, timeout_s: float = 120.0) -> Iterator[bytes]:
        """Yield the output of a started command, of both kinds, as it comes. Raises GuestError."""
        ends_at = time.monotonic() + timeout_s
        while "code" not in (reply := self._next(number, ends_at, ("what was started",))):
            yield base64.b64decode(reply.get("out") or reply["err"])
        del self._replies[number]

    def kill(self, number: int) -> None:
        """Kill a started command with its group."""
        self._say({"id": number, "kill": True})

    def cut(self) -> None:
        """Cut the power: the guest loses what its disks had not been told to keep."""
        self.process.kill()
        self.process.wait()
        self._line.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.cut()

    def _say(self, request: dict[str, Any]) -> None:
        try:
            with self._lock:
                self._line.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise GuestError(f"the guest has gone: {_last_words(self._folder)}") from error

    def _next(self, number: int, ends_at: float, argv: Sequence[str]) -> dict[str, Any]:
        try:
            reply = self._replies[number].get(timeout=max(0.0, ends_at - time.monotonic()))
        except queue.Empty:
            self.kill(number)
            raise GuestError(f"`{' '.join(argv)}` took too long in the guest; it was killed") from None
        if "gone" in reply:
            raise GuestError(f"the guest has gone: {_last_words(self._folder)}")
        return reply

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._line.makefile("rb") as lines:
            for line in lines:
                reply = json.loads(line)
                if "ready" in reply:
                    self._ready.put(reply["ready"])
                elif reply["id"] in self._replies:
                    self._replies[reply["id"]].put(reply)
        for waiting in list(self._replies.values()):
            waiting.put({"gone": True})


def _connect(path: Path, process: subprocess.Popen[bytes]) -> socket.socket:
    ends_at = time.monotonic() + BOOT_S
    line = socket.socket(socket.AF_UNIX)
    while True:
        try:
            line.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            if process.poll() is not None or time.monotonic() > ends_at:
                raise
            time.sleep(0.02)
        else:
            return line


def _last_words(folder: Path) -> str:
    logs = [folder / name for name in ("qemu.log", "console.log")]
    return "".join(log.read_text(errors="replace")[-CONSOLE_BYTES:] for log in logs if log.exists()) or "-"
