"""A sled for a test: this guest's own disks, blank, its secrets, and the drivers for this very machine.

The guest is ours alone, so all that a test leaves is taken away here with a heavy hand.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sledsaga.core.view import SagaView
from sledsaga.hosts.disks import Disk, Variant
from sledsaga.hosts.host import Completed, HostCommand
from sledsaga.hosts.keys import KEY_DIR, SECRET_FILE, Secrets, secrets_document
from sledsaga.hosts.linux.machine import DOCUMENT, Machine, machine_document
from sledsaga.hosts.linux.platform import linux
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.names import DiskIdentity, PoolName
from sledsaga.hosts.sled import Sled
from sledsaga.settings import resolve
from sledsaga.wiring import open_engine

POOL: Final = PoolName("oxp_11111111-1111-4111-8111-111111111111")
OTHER: Final = PoolName("oxp_22222222-2222-4222-8222-222222222222")
INTERNAL: Final = PoolName("oxi_33333333-3333-4333-8333-333333333333")
VARIANTS: Final[tuple[Variant, ...]] = ("U.2", "U.2", "M.2")
"""What the guest's three disks are."""
MINE: Final = ("/pool", "/run/oxide", "/run/sledsaga", "/var/lib/sledsaga", "/etc/sledsaga", "/logs")
SOON_S: Final = 120.0
LABEL_BYTES: Final = 2**20
"""More than the labels of a pool take at each end of a disk."""


def sh(*argv: str, code: int = 0) -> str:
    """Run a command, which must end with this code; return all that it printed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, (argv, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def value(name: str, key: str) -> str:
    """Return one property of a dataset."""
    return sh("zfs", "get", "-Hpo", "value", key, name).strip()


def key_files() -> list[str]:
    """Return the names of all files in the folder of keys."""
    return sorted(path.name for path in Path(KEY_DIR).glob("*"))


def secret_of(epoch: int) -> bytes:
    """Return the secret that tests give to an epoch."""
    return bytes([epoch + 1]) * 32


@dataclass
class Spy:
    """This machine, which remembers the changes that it was asked for."""

    host: LocalHost = field(default_factory=LocalHost)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, command: HostCommand, *, cancel: Any = None) -> Completed:
        if command.mutates:
            self.asked.append(command.argv)
        return self.host.run(command, cancel=cancel)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.host, name)

    def said(self, *words: str) -> list[tuple[str, ...]]:
        """Return what was asked for that begins with these words."""
        return [argv for argv in self.asked if argv[: len(words)] == words]


@dataclass
class Ground:
    """The sled, and who works on it."""

    disks: tuple[Disk, ...]
    spy: Spy = field(default_factory=Spy)

    @property
    def machine(self) -> Machine:
        """The document of this machine."""
        return Machine(disks=self.disks)

    def sled(self, saga: str = "s1") -> Sled:
        """Return the sled as one saga sees it."""
        return Sled(self.spy, saga, time.sleep, platform=linux(self.spy, self.machine))

    def give_secrets(self, *epochs: int, **changed: bytes) -> None:
        """Have the secrets of these epochs on the sled, and of no other."""
        secrets = {epoch: changed.get(f"epoch{epoch}", secret_of(epoch)) for epoch in epochs}
        Path(SECRET_FILE).parent.mkdir(parents=True, exist_ok=True)
        Path(SECRET_FILE).write_bytes(secrets_document(Secrets("a rack", secrets)))

    def params(self, number: int = 0) -> dict[str, Any]:
        """Return the params of `format-u2` for one disk."""
        identity = self.disks[number].identity
        disk = {"vendor": identity.vendor, "model": identity.model, "serial": identity.serial}
        return {"disk": disk, "pool_id": (POOL, OTHER)[number].removeprefix("oxp_")}

    def formatted(self, *numbers: int) -> None:
        """Make disks ready by the operation for that."""
        for number in numbers or (0,):
            view = self.run("format-u2", self.params(number))
            assert view.state == "succeeded", why(view)

    def run(
        self, operation: str, params: Mapping[str, Any], *, log: str = "memory:", saga: str | None = None
    ) -> SagaView:
        """Run an operation to rest, or carry on what the log has of it, as a process of the program would."""
        with open_engine(resolve({"db": log, "sled": "local:"})) as engine:
            engine.recover()
            return engine.wait(engine.submit(operation, params, id=saga).id, SOON_S)

    def killed(self, crash: str, act: Callable[[], object]) -> bool:
        """Act in a process that dies at a crash point; False when it got to its end."""
        child = os.fork()
        if child == 0:
            os.environ["SLEDSAGA_CRASH"] = crash
            with contextlib.suppress(BaseException):
                act()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def why(view: SagaView) -> str:
    """Tell what went wrong in a saga."""
    return "; ".join(f"{step.path}: {step.error}" for step in view.steps if step.error)


def lock(pool: str = POOL) -> None:
    """Have a pool as it is after a reboot: imported, its keys not loaded, nothing mounted."""
    sh("zpool", "export", pool)
    sh("zpool", "import", "-d", "/dev/disk/by-id", pool)


@contextlib.contextmanager
def open_ground() -> Iterator[Ground]:
    """Have the guest's disks blank, and leave them so."""
    _wipe()
    disks = tuple(_disk(number) for number in range(len(VARIANTS)))
    ground = Ground(disks)
    Path(DOCUMENT).parent.mkdir(parents=True, exist_ok=True)
    Path(DOCUMENT).write_bytes(machine_document(ground.machine))
    ground.give_secrets(0)
    try:
        yield ground
    finally:
        _wipe()


def _disk(number: int) -> Disk:
    identity = DiskIdentity("virtio", "disk", f"D{number}")
    return Disk(identity, _device(number), 0, number, VARIANTS[number])


def _device(number: int) -> str:
    return f"/dev/disk/by-id/virtio-disk{number}-part1"


def _wipe() -> None:
    for pool in sh("zpool", "list", "-H", "-o", "name").split():
        _destroy(pool)
    for number in range(len(VARIANTS)):
        with Path(_device(number)).open("r+b") as device:
            size = device.seek(0, os.SEEK_END)
            for place in (0, size - LABEL_BYTES):
                device.seek(place)
                device.write(bytes(LABEL_BYTES))
            os.fsync(device.fileno())
    for folder in MINE:
        shutil.rmtree(folder, ignore_errors=True)


def _destroy(pool: str) -> None:
    """Destroy a pool; a log on it is let go of a moment after its engine was closed."""
    ends_at = time.monotonic() + SOON_S / 4
    while subprocess.run(("zpool", "destroy", "-f", pool), capture_output=True, check=False).returncode != 0:
        assert time.monotonic() < ends_at, f"{pool} stays busy: {_holders()}"
        gc.collect()  # a connection that a reference cycle keeps is closed with it
        time.sleep(0.1)


def _holders() -> list[str]:
    """Return who has something open below our pools."""
    found = subprocess.run(
        ("find", "/proc", "-maxdepth", "3", "-lname", "/pool/*", "-printf", "%p -> %l\n"),
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.splitlines()
