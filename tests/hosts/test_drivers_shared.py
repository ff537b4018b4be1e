"""Two sagas on one sled at one moment, and things of others in the way: nobody loses what he made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sledsaga.errors import CommandFailed, HostError, HostUnreachable
from sledsaga.hosts.host import Completed, FileStat, HostCommand
from sledsaga.hosts.keys import KEY_DIR
from sledsaga.hosts.link import VnicSpec
from sledsaga.hosts.names import DiskIdentity, LinkName
from sledsaga.hosts.sim import Fault, SimHost, SimSled
from sledsaga.hosts.sled import Sled

Run = Callable[..., Completed]
STUB, VNIC = LinkName("underlay_stub0"), LinkName("oxControlService0")
ADDRESS = f"{VNIC}/omicron6"
OWNERS = "/var/run/sledsaga/owners"
POOL = "oxp_10fec275-f937-40f7-9c25-616079ef3816"
DISK = DiskIdentity("1b96", "WUS4", "A0")


@dataclass
class Meanwhile:
    """A host on which something else happens just before the first change by a command."""

    host: SimHost
    act: Callable[[], object] | None

    def run(self, command: HostCommand, *, cancel: threading.Event | None = None) -> Completed:
        if command.mutates and self.act is not None:
            act, self.act = self.act, None
            act()
        return self.host.run(command, cancel=cancel)

    def read_file(self, path: str, *, timeout_s: float | None = None) -> bytes | None:
        return self.host.read_file(path, timeout_s=timeout_s)

    def stat(self, path: str, *, timeout_s: float | None = None) -> FileStat | None:
        return self.host.stat(path, timeout_s=timeout_s)

    def list_dir(self, path: str, *, timeout_s: float | None = None) -> tuple[str, ...]:
        return self.host.list_dir(path, timeout_s=timeout_s)

    def make_dir(self, path: str, *, mode: int = 0o755) -> None:
        self.host.make_dir(path, mode=mode)

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        self.host.write_file(path, data, mode=mode)

    def erase_file(self, path: str) -> None:
        self.host.erase_file(path)

    def remove_file(self, path: str) -> None:
        self.host.remove_file(path)

    def remove_dir(self, path: str) -> None:
        self.host.remove_dir(path)


def no_pause(_seconds: float) -> None:
    """Wait for nothing."""


def test_the_loser_of_a_race_leaves_the_winners_record(sled: SimSled) -> None:
    """Of two sagas that make one link at the same moment the winner stays its owner, and can delete it."""
    winner = Sled(sled.host, "winner", no_pause).links
    host = Meanwhile(sled.host, lambda: winner.ensure_etherstub(STUB))
    loser = Sled(host, "loser", no_pause).links
    with pytest.raises(CommandFailed):
        loser.ensure_etherstub(STUB)
    assert (winner.owner(STUB), loser.owner(STUB)) == ("winner", "winner")
    assert winner.delete_etherstub(STUB)
    assert sled.host.list_dir(OWNERS) == ()


def test_a_link_goes_with_its_last_record(sled: SimSled) -> None:
    """When a killed saga may have made the link as well, the link stays until both have taken it back."""
    one, other = (Sled(sled.host, saga, no_pause).links for saga in ("one", "other"))
    one.ensure_etherstub(STUB)
    sled.host.write_file(f"{OWNERS}/{STUB}=other", b"other")
    one.delete_etherstub(STUB)
    assert STUB in one.etherstubs()
    assert other.ensure_etherstub(STUB)
    other.delete_etherstub(STUB)
    assert (one.etherstubs(), sled.host.list_dir(OWNERS)) == (frozenset(), ())


def test_a_link_that_two_give_up_at_one_moment(sled: SimSled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that take their records back at one moment, each before the other's has gone, one deletes it."""
    one = Sled(sled.host, "one", no_pause).links
    host = Meanwhile(sled.host, None)
    one.ensure_etherstub(STUB)
    sled.host.write_file(f"{OWNERS}/{STUB}=other", b"other")

    def remove_file(path: str) -> None:
        monkeypatch.undo()
        one.delete_etherstub(STUB)
        sled.host.remove_file(path)

    monkeypatch.setattr(host, "remove_file", remove_file)
    assert Sled(host, "other", no_pause).links.delete_etherstub(STUB)
    assert (one.etherstubs(), sled.host.list_dir(OWNERS)) == (frozenset(), ())


@pytest.mark.parametrize("action", ["error_after", "reply_lost"])
@pytest.mark.parametrize(
    "line", ["dladm create-etherstub", "dladm create-vnic", "ipadm create-if", "ipadm create-addr"]
)
def test_a_link_that_was_made_all_the_same(sled: SimSled, line: str, action: str) -> None:
    """When a create says no, or nothing, yet did it, what it made is known for this saga's, and is undone."""
    before, links = sled.describe(), Sled(sled.host, "s1", no_pause).links

    def have() -> list[str | None]:
        links.ensure_etherstub(STUB)
        links.ensure_vnic(VnicSpec(VNIC, STUB, 9000))
        links.ensure_address(ADDRESS, "fd00::5/64")
        return [links.owner(name) for name in (STUB, VNIC, f"{VNIC}/interface", ADDRESS)]

    sled.inject(Fault(action, tuple(line.split())))
    if action == "reply_lost":
        with pytest.raises(HostUnreachable):
            have()
    assert have() == ["s1"] * 4
    links.delete_address(ADDRESS)
    links.delete_vnic(VNIC)
    links.delete_etherstub(STUB)
    assert (sled.describe(), sled.host.list_dir(OWNERS)) == (before, ())


def test_a_link_that_was_not_made_has_no_record(sled: SimSled) -> None:
    """A create that failed and did nothing leaves no record; while nobody can look, the record stays."""
    links = Sled(sled.host, "s1", no_pause).links
    sled.inject(Fault("error", ("dladm", "create-etherstub"), text="dladm: permission denied"))
    with pytest.raises(CommandFailed, match="permission denied"):
        links.ensure_etherstub(STUB)
    assert links.owner(STUB) is None
    sled.inject(Fault("error_after", ("dladm", "create-etherstub")))
    sled.inject(Fault("error", ("dladm", "show-etherstub"), nth=2))
    with pytest.raises(CommandFailed, match="show-etherstub"):
        links.ensure_etherstub(STUB)
    assert links.owner(STUB) == "s1"
    assert links.delete_etherstub(STUB)


def test_a_folder_under_anothers_mount_is_let_be(sled: SimSled, pool: Run) -> None:
    """Undoing a dataset that was never made does not touch another one that is mounted at its place."""
    assert pool("zfs create -o mountpoint=/place p/other").code == 0
    assert pool(f"zpool create {POOL} /dev/dsk/c1tA1d0").code == 0
    datasets = Sled(sled.host, "s1", no_pause).datasets
    count = sled.changes()
    assert not datasets.destroy(f"{POOL}/mine", mountpoint="/place")
    assert sled.changes() == count
    assert sled.host.stat("/place") is not None


@pytest.mark.parametrize("name", [f"{DISK}-zfs-aes-256-gcm.key", f".{DISK}-zfs-aes-256-gcm.key.new"])
def test_a_key_that_was_being_written_is_found_and_erased(sled: SimSled, name: str) -> None:
    """A key file left by a kill is erased, also when the kill came before it had its name."""
    keys = Sled(sled.host, "s1").keys
    sled.host.make_dir(KEY_DIR)
    sled.host.write_file(f"{KEY_DIR}/{name}", b"k" * 32)
    sled.host.write_file(f"{KEY_DIR}/other", b"stays")
    assert keys.left() == (keys.path(DISK),)
    keys.erase_left(DiskIdentity("1b96", "WUS4", "A1"))
    assert len(keys.left()) == 1
    keys.erase_left(DISK)
    assert sled.host.list_dir(KEY_DIR) == ("other",)
    sled.host.write_file(f"{KEY_DIR}/{name}", b"k" * 32)
    keys.erase_all()
    assert sled.host.list_dir(KEY_DIR) == ("other",)


@pytest.mark.parametrize("condition", ["failing", "pulled"])
def test_a_disk_that_does_not_answer(sled: SimSled, pool: Run, condition: str) -> None:
    """On a failing or pulled disk files cannot be read or written, and no command changes its pool."""
    pool("zfs create -o mountpoint=/place p/d")
    sled.host.write_file("/place/file", b"held")
    sled.set_disk("A0", condition)
    for act in (
        lambda: sled.host.read_file("/place/file"),
        lambda: sled.host.stat("/place/file"),
        lambda: sled.host.list_dir("/place"),
        lambda: sled.host.write_file("/place/file", b"new"),
        lambda: sled.host.remove_file("/place/file"),
    ):
        with pytest.raises(HostError, match="I/O error"):
            act()
    for line in (
        "zfs create p/e",
        "zfs destroy p/d",
        "zfs set quota=1G p/d",
        "zpool destroy p",
        "zpool export p",
    ):
        assert "I/O" in pool(line).stderr
    sled.set_disk("A0", "ok")
    assert sled.host.read_file("/place/file") == b"held"
