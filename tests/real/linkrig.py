"""What the tests of links share: names, hosts that die or lie, and all that can be left behind."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sledsaga.check.room import Room
from sledsaga.errors import (
    HostUnreachable,
)
from sledsaga.hosts.host import Completed, FileStat, HostCommand
from sledsaga.hosts.link import VnicSpec
from sledsaga.hosts.linux import ip
from sledsaga.hosts.linux.links import IpLinks
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.netns import Netns
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.names import LinkName
from sledsaga.hosts.zone import ZoneNetwork

HOST, MACHINE = LocalHost(), Machine()
STUB, LONG_STUB, GZ = LinkName("underlay_stub0"), LinkName("a_long_etherstub_name0"), LinkName("underlay0")
VNIC, OTHER = LinkName("oxControl0123456789abcdefn0"), LinkName("oxControlfedcba9876543210n0")
SPEC = VnicSpec(VNIC, STUB, 9000)
ZONE, NEXT = "oxz_cockroachdb_10fec275-f937-40f7-9c25-616079ef3816", "oxz_next"
V6 = ZoneNetwork(VNIC, "fd00:1122:3344:101::1", "fd00:1122:3344:101::5")
V4 = ZoneNetwork(VNIC, "10.7.0.1", "10.7.0.5")
OBJECT = "underlay0/sled6"
SERVER = """
import socket, sys
with socket.create_server((sys.argv[1], 4000), family=int(sys.argv[2])) as listening:
    print("ready", flush=True)
    while True:
        listening.accept()[0].close()
"""
IDLER = "import signal; print('ready', flush=True); signal.pause()"
RUN = Path("/run/sledsaga")


def no_pause(_seconds: float) -> None:
    """Wait for nothing."""


def links(saga: str = "s1", host: Any = HOST) -> IpLinks:
    return IpLinks(host, saga, no_pause, MACHINE)


def seen(zone: str | None = None) -> dict[str, tuple[Any, ...]]:
    """Return what counts of all interfaces; link-local addresses come late, and by themselves."""
    done = HOST.run(ip.show(zone))
    return {
        one.name: (
            *(one.mtu, one.kind, one.is_up, one.master, one.alias),
            tuple(map(str, (each for each in one.addresses if not each.is_link_local))),
        )
        for one in ip.parse_interfaces(done.stdout).values()
    }


def everything() -> dict[str, Any]:
    """Return all that a test could leave behind."""
    files = {str(path): path.read_bytes() for path in RUN.rglob("*") if path.is_file()}
    zones = {path.name: seen(path.name) for path in Path(ip.NETNS).iterdir()}
    return {"outside": seen(), "zones": zones, "files": files}


def leave_nothing(room: Room) -> Iterator[None]:
    """Check that a test leaves nothing, when it has undone what it did (for a fixture)."""
    before = everything()
    yield
    assert everything() == before


def have_vnic() -> Iterator[IpLinks]:
    """Have a VNIC on an etherstub, and undo it (for a fixture)."""
    made = links()
    have(made)
    yield made
    undo(made)


def have(made: IpLinks, stub: LinkName = STUB, name: LinkName = VNIC) -> None:
    """Make a VNIC on an etherstub."""
    made.ensure_etherstub(stub)
    made.ensure_vnic(VnicSpec(name, stub, 9000))


def undo(made: IpLinks, stub: LinkName = STUB, name: LinkName = VNIC) -> None:
    """Undo what `have` made."""
    assert made.delete_vnic(name)
    assert made.delete_etherstub(stub)


@dataclass
class Dying:
    """A host that makes so many changes, and dies at the next one."""

    left: int
    made: int = 0

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        if command.mutates:
            self.change()
        return HOST.run(command, cancel=cancel)

    def change(self) -> None:
        if self.left == self.made:
            raise HostUnreachable("the machine is gone")
        self.made += 1

    def read_file(self, path: str, *, timeout_s: float | None = None) -> bytes | None:
        return HOST.read_file(path, timeout_s=timeout_s)

    def stat(self, path: str, *, timeout_s: float | None = None) -> FileStat | None:
        return HOST.stat(path, timeout_s=timeout_s)

    def list_dir(self, path: str, *, timeout_s: float | None = None) -> tuple[str, ...]:
        return HOST.list_dir(path, timeout_s=timeout_s)

    def make_dir(self, path: str, *, mode: int = 0o755) -> None:
        HOST.make_dir(path, mode=mode)

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        self.change()
        HOST.write_file(path, data, mode=mode)

    def erase_file(self, path: str) -> None:
        self.change()
        HOST.erase_file(path)

    def remove_file(self, path: str) -> None:
        self.change()
        HOST.remove_file(path)

    def remove_dir(self, path: str) -> None:
        self.change()
        HOST.remove_dir(path)


@dataclass
class Before(LocalHost):
    """A host on which something else happens just before the first change by a command."""

    act: Callable[[], object] | None

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        if command.mutates and self.act is not None:
            act, self.act = self.act, None
            act()
        return super().run(command, cancel=cancel)


@dataclass
class Late(LocalHost):
    """A host on which something else happens just before the first file below a folder changes."""

    word: str
    act: Callable[[], object] | None

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        self.happen(path)
        super().write_file(path, data, mode=mode)

    def remove_file(self, path: str) -> None:
        self.happen(path)
        super().remove_file(path)

    def happen(self, path: str) -> None:
        if self.word in path and self.act is not None:
            act, self.act = self.act, None
            act()


@dataclass
class Lying(LocalHost):
    """A host whose commands of one kind do what they should, and say that they failed."""

    word: str
    text: str

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        done = super().run(command, cancel=cancel)
        if command.mutates and self.word in command.argv:
            return Completed(command.argv, 2, "", self.text)
        return done


def deaths(act: Callable[[Dying], object]) -> Iterator[int]:
    """Act on hosts that die later and later, until one lives; yields how many changes each had made."""
    for left in range(100):
        try:
            act(Dying(left))
        except HostUnreachable:
            yield left
        else:
            return
    pytest.fail("it changes something for ever")


def ensure(zone: str = ZONE, network: ZoneNetwork = V6, link: LinkName = VNIC, host: Any = HOST) -> None:
    Netns(host, "s1", MACHINE).ensure(zone, (link,), network)


def remove(zone: str = ZONE, link: LinkName = VNIC, host: Any = HOST) -> None:
    Netns(host, "s1", MACHINE).remove(zone, (link,))


@contextmanager
def inside(zone: str, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a zone's namespace until it says that it is ready, and kill it in the end."""
    line = ("ip", "netns", "exec", zone, *argv)
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def becomes(is_so: Callable[[], bool]) -> bool:
    """Look again and again, for ten seconds at most."""
    ends_at = time.monotonic() + 10
    while not is_so() and time.monotonic() < ends_at:
        time.sleep(0.01)
    return is_so()


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Act in threads of their own, all at one moment."""
    with ThreadPoolExecutor(len(acts)) as threads:
        return [done.result() for done in [threads.submit(act) for act in acts]]
