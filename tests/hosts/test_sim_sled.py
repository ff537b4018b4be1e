"""The simulated sled as a machine: files, faults, crashes, reboots, several processes, its description."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sledsaga.errors import (
    CommandCancelled,
    CommandTimedOut,
    ForeignObject,
    HostError,
    HostUnreachable,
    Mutates,
    NotFound,
    UsageError,
)
from sledsaga.hosts.host import Completed, HostCommand
from sledsaga.hosts.sim import DiskSpec, Fault, SimHost, SimSled
from sledsaga.hosts.sim.state import State
from tests.handles import open_below, tells_open_files

Run = Callable[..., Completed]
KEY = "-o encryption=aes-256-gcm -o keyformat=raw -o keylocation=file:///var/run/k"
UUID = "6340805e-c5af-418d-8bd1-fc0085667f33"
CHILD = """
import sys
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.sim import SimHost
host = SimHost(sys.argv[1])
for line in sys.stdin:
    print(host.run(HostCommand(tuple(line.split()), mutates=True)).code, flush=True)
"""


def child(sled: SimSled) -> subprocess.Popen[str]:
    """Start another process that runs a command on the sled for each line that it is told."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(sled.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_files_land_in_the_dataset_that_is_mounted_there(pool: Run, sled: SimSled) -> None:
    """A file belongs to the dataset mounted above it, goes with it, and what lies underneath comes back."""
    host = sled.host
    pool("zfs create -o mountpoint=/data p/a")
    host.write_file("/data/f", b"in", mode=0o600)
    found = host.stat("/data/f")
    assert found is not None
    assert (found.kind, found.size, found.mode) == ("file", 2, 0o600)
    pool("zfs unmount p/a")
    assert host.read_file("/data/f") is None
    host.write_file("/data/f", b"under")
    assert pool("zfs mount p/a").code == 1
    host.remove_file("/data/f")
    assert pool("zfs mount p/a").code == 0
    assert host.read_file("/data/f") == b"in"
    assert host.list_dir("/data") == ("f",)
    pool("zfs destroy p/a")
    assert host.list_dir("/data") == ()


def test_files_of_the_sled_obey_the_rules_of_the_seam(sled: SimSled) -> None:
    """Folders are made with parents, are removed only when empty, and a write needs its folder."""
    host = sled.host
    with pytest.raises(HostError, match="cannot write /x/y"):
        host.write_file("/x/y", b"")
    host.make_dir("/x/y")
    host.make_dir("/x/y")
    host.write_file("/x/y/z", b"key")
    with pytest.raises(ForeignObject, match="/x/y is not empty"):
        host.remove_dir("/x/y")
    host.erase_file("/x/y/z")
    host.erase_file("/x/y/z")
    host.remove_file("/x/y/z")
    host.remove_dir("/x/y")
    host.remove_dir("/x/y")
    assert host.stat("/x/y") is None
    with pytest.raises(HostError, match="not absolute"):
        host.read_file("x")
    assert host.stat("/../../etc/passwd") is None


def test_a_command_that_claims_to_look_may_not_change(pool: Run) -> None:
    """A driver that says of a changing command that it only looks is found out, and nothing is changed."""
    with pytest.raises(Mutates, match="mutates=True"):
        pool("zfs create p/a", mutates=False)
    assert pool("zfs list -Ho name", mutates=False).stdout == "p\n"


def test_the_journal_holds_each_change_and_nothing_else(pool: Run, sled: SimSled) -> None:
    """Mutating commands and file changes are in the journal with their codes; looking leaves no trace."""
    start = sled.changes()
    pool("zfs create p/a")
    pool("zfs create p/a")
    pool("zfs list -H", mutates=False)
    sled.host.write_file("/p/a/f", b"")
    sled.host.erase_file("/p/a/none")
    assert [(each.kind, each.argv, each.code) for each in sled.journal(after=start)] == [
        ("command", ("zfs", "create", "p/a"), 0),
        ("command", ("zfs", "create", "p/a"), 1),
        ("file", ("write_file", "/p/a/f"), 0),
    ]


def test_an_error_fault_fires_at_its_match_only(pool: Run, sled: SimSled) -> None:
    """The second matching command gets the injected code and text and is not run; the others are."""
    sled.inject(Fault("error", ("zfs", "create"), nth=2, code=1, text="boom\n"))
    assert pool("zfs create p/a").code == 0
    done = pool("pfexec zfs create p/b")
    assert (done.code, done.stderr) == (1, "boom\n")
    assert pool("zfs create p/c").code == 0
    assert pool("zfs list -Ho name").stdout == "p\np/a\np/c\n"
    sled.clear_faults()


def test_a_lost_reply_is_of_a_command_that_was_done(pool: Run, sled: SimSled) -> None:
    """With its reply lost a command raises HostUnreachable, although it was done."""
    sled.inject(Fault("reply_lost", pattern="create p/a"))
    with pytest.raises(HostUnreachable, match="may have run"):
        pool("zfs create p/a")
    assert pool("zfs list -Ho name p/a").code == 0
    sled.inject(Fault("reply_lost", ("write_file",)))
    with pytest.raises(HostUnreachable):
        sled.host.write_file("/p/f", b"x")
    assert sled.host.read_file("/p/f") == b"x"
    sled.inject(Fault("error", ("write_file",), text="disk full"))
    with pytest.raises(HostError, match="disk full"):
        sled.host.write_file("/p/g", b"x")
    assert sled.host.read_file("/p/g") is None


def test_a_no_of_what_was_done(pool: Run, sled: SimSled) -> None:
    """A command, or a change of a file, can say that it failed although it was done."""
    sled.inject(Fault("error_after", ("zfs", "create"), code=2, text="no\n"))
    assert (pool("zfs create p/a").code, pool("zfs list -Ho name p/a").code) == (2, 0)
    sled.inject(Fault("error_after", ("write_file",), text="disk full"))
    with pytest.raises(HostError, match="disk full"):
        sled.host.write_file("/p/h", b"x")
    assert sled.host.read_file("/p/h") == b"x"


def test_a_hang_ends_at_the_timeout_or_the_cancel(pool: Run, sled: SimSled) -> None:
    """A command that hangs ends when its time is over or its step is cancelled, and says which."""
    sled.inject(Fault("hang", ("zfs", "create"), times=0))
    with pytest.raises(CommandTimedOut, match=r"after 0\.05 s"):
        sled.host.run(HostCommand(("zfs", "create", "p/a"), mutates=True, timeout_s=0.05))
    cancel = threading.Event()
    threading.Timer(0.05, cancel.set).start()
    with pytest.raises(CommandCancelled):
        sled.host.run(HostCommand(("zfs", "create", "p/a"), mutates=True), cancel=cancel)
    assert pool("zfs list -Ho name").stdout == "p\n"
    sled.clear_faults()
    sled.inject(Fault("hang_after", ("zfs", "create")))
    with pytest.raises(CommandTimedOut):
        sled.host.run(HostCommand(("zfs", "create", "p/a"), mutates=True, timeout_s=0.05))
    assert pool("zfs list -Ho name p/a").code == 0


def test_latency_is_added_to_a_command(pool: Run, sled: SimSled) -> None:
    """A delay fault and a host's own latency make a command take at least that long."""
    sled.inject(Fault("delay", ("zfs",), latency_s=0.05))
    start = time.monotonic()
    pool("zfs list -H")
    assert time.monotonic() - start >= 0.05
    slow = SimHost(sled.path, latency_s=0.05)
    start = time.monotonic()
    slow.run(HostCommand(("zfs", "list", "-H"), mutates=False))
    assert time.monotonic() - start >= 0.05
    slow.close()


def test_a_fault_must_be_one_that_there_is() -> None:
    """A fault of an unknown action is refused, and told which ones there are."""
    with pytest.raises(UsageError, match="crash_before"):
        Fault("explode")


@pytest.mark.parametrize(("action", "made"), [("crash_before", False), ("crash_after", True)])
def test_a_crash_kills_the_process_before_or_after_the_command(
    pool: Run,
    sled: SimSled,
    action: str,
    made: bool,  # noqa: FBT001 - a parameter of a table
) -> None:
    """A crash fault kills the process that runs the command, with none or all of it done."""
    sled.inject(Fault(action, ("zfs", "create")))
    process = child(sled)
    process.communicate("zfs create p/a\n", timeout=20)
    assert process.returncode == -9
    assert (pool("zfs list -Ho name p/a").code == 0) == made
    assert pool("zfs create -p p/a").code == 0


def test_an_acknowledged_command_survives_kill_9(pool: Run, sled: SimSled) -> None:
    """What a process was told is done is there after it was killed in the middle of more work."""
    process = child(sled)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("".join(f"zfs create p/d{number}\n" for number in range(500)))
    process.stdin.flush()
    acked = sum(process.stdout.readline() == "0\n" for _ in range(20))
    process.kill()
    acked += process.communicate()[0].count("0\n")
    names = pool("zfs list -rHo name p").stdout.split()
    assert [f"p/d{number}" in names for number in range(acked)] == [True] * acked
    assert len(names) - 1 in (acked, acked + 1)


def test_two_processes_and_many_threads_share_a_sled(pool: Run, sled: SimSled) -> None:
    """Commands from another process and from four threads all take effect, each once."""
    process = child(sled)
    assert process.stdin is not None
    process.stdin.write("".join(f"zfs create p/x{number}\n" for number in range(30)))
    process.stdin.flush()
    codes: list[int] = []
    threads = [
        threading.Thread(
            target=lambda mark=mark: codes.extend(
                pool(f"zfs create p/{mark}{each}").code for each in range(15)
            )
        )
        for mark in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out = process.communicate(timeout=30)[0]
    assert (codes, out.split()) == ([0] * 60, ["0"] * 30)
    assert len(pool("zfs list -rHo name p").stdout.split()) == 91


def test_a_reboot_loses_what_a_real_one_loses(pool: Run, sled: SimSled) -> None:
    """Links, running zones, keys, encrypted mounts and tmpfs files go; pools, data and config stay."""
    host = sled.host
    host.write_file("/var/run/k", b"k" * 32)
    host.write_file("/opt/oxide/kept", b"")
    pool(f"zfs create {KEY} p/c")
    pool("zfs create p/plain")
    host.write_file("/p/plain/f", b"data")
    host.write_file("/p/c/f", b"secret")
    pool("dladm create-etherstub -t stub0")
    pool("ipadm create-addr -t -T addrconf stub0/ll")
    pool("svcadm disable -t system/fmd")
    pool(
        "zonecfg -z z create -b ; set brand=omicron1 ; set zonepath=/p/z ; add net ; set physical=stub0 ; end"
    )
    pool("zoneadm -z z install")
    assert pool("zoneadm -z z boot").code == 0
    sled.reboot()
    assert pool("zfs list -Ho name,mounted,keystatus").stdout == (
        "p\tyes\t-\np/c\tno\tunavailable\np/plain\tyes\t-\np/z\tyes\t-\n"
    )
    assert host.read_file("/var/run/k") is None
    assert host.read_file("/p/c/f") is None
    assert host.read_file("/p/plain/f") == b"data"
    assert host.stat("/opt/oxide/kept") is not None
    assert ":z:installed:" in pool("zoneadm list -cp").stdout
    assert [each["name"] for each in sled.describe()["links"]] == ["cxgbe0"]
    assert sled.describe()["addresses"] == []
    assert pool("svcs -Ho state system/fmd").stdout == "online\n"
    host.write_file("/var/run/k", b"k" * 32)
    assert pool("zfs mount -l p/c").code == 0
    assert host.read_file("/p/c/f") == b"secret"


def test_equal_descriptions_mean_equal_sleds(pool: Run, sled: SimSled) -> None:
    """A sled on which all was taken back describes itself as before; ids and tags are local ones."""
    before = json.dumps(sled.describe())
    pool("zfs create -o oxide:uuid=7 -o sledsaga:saga=s1 -o quota=1G p/a")
    pool("zfs create p/a/b")
    rows = {each["name"]: each for each in sled.describe()["datasets"]}
    assert (rows["p/a"]["id"], rows["p/a"]["saga"], rows["p/a"]["quota"]) == ("7", "s1", 2**30)
    assert (rows["p/a/b"]["id"], rows["p/a/b"]["saga"], rows["p/a/b"]["quota"]) == (None, None, None)
    assert json.dumps(sled.describe()) != before
    pool("zfs destroy p/a/b")
    pool("zfs destroy p/a")
    assert json.dumps(sled.describe()) == before


def test_a_new_sled_has_two_formatted_m2s_with_images(tmp_path: Path) -> None:
    """A new sled has blank and formatted U.2s, and two M.2s with datasets, images and artifacts."""
    disks = [DiskSpec("v", "m", "S0"), DiskSpec("v", "m", "S1", pool=f"oxp_{UUID}")]
    sled = SimSled.init_from_disks(
        tmp_path / "s", disks, images={"crdb": b"img"}, artifacts={"ab" * 32: b"art"}
    )
    shown = sled.describe()
    assert [(each["serial"], each["variant"]) for each in shown["disks"]] == [
        *(("S0", "U.2"), ("S1", "U.2"), ("M2A", "M.2"), ("M2B", "M.2"))
    ]
    points = {each["name"]: each["mountpoint"] for each in shown["datasets"]}
    assert points[f"oxp_{UUID}"] == f"/pool/ext/{UUID}"
    m2s = [each["name"] for each in shown["pools"] if each["name"].startswith("oxi_")]
    for name in m2s:
        point = f"/pool/int/{name.removeprefix('oxi_')}"
        assert sled.host.read_file(f"{point}/install/crdb.tar.gz") == b"img"
        assert sled.host.read_file(f"{point}/update/{'ab' * 32}") == b"art"
        sled.host.write_file(f"{point}/config/omicron-sled-config.json", b'{"generation": 4}')
    assert len(m2s) == 2
    assert [each.get("generation") for each in sled.describe()["ledgers"]] == [4, 4]
    sled.close()


@tells_open_files
def test_a_sled_that_is_closed_or_refused_is_let_go_of(tmp_path: Path) -> None:
    """No file of a sled stays open that was closed amid a look, nor of one that this program cannot read."""
    SimSled.create(tmp_path / "s").close()
    state = State(tmp_path / "s" / "sled.db")
    with state.reading():
        state.close()
    assert open_below(tmp_path) == []
    with closing(sqlite3.connect(tmp_path / "s" / "sled.db")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(HostError, match="has format 99") as refused:
        SimHost(tmp_path / "s")
    assert (open_below(tmp_path), refused.type) == ([], HostError)


def test_a_sled_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    """A sled that cannot be made leaves no folder, and one that is there is not overwritten."""
    with pytest.raises(UsageError, match="must be oxp_UUID"):
        SimSled.create(tmp_path / "s", [DiskSpec("v", "m", "S0", pool="tank")])
    assert not (tmp_path / "s").exists()
    with pytest.raises(HostError, match="no simulated sled"):
        SimSled.open(tmp_path / "s")
    SimSled.create(tmp_path / "s").close()
    with pytest.raises(UsageError, match="not empty"):
        SimSled.create(tmp_path / "s")
    sled = SimSled.open(tmp_path / "s")
    with pytest.raises(NotFound):
        sled.set_disk("nosuch", "ok")
    with pytest.raises(NotFound):
        sled.put_file("nosuch", "f", b"")
    with pytest.raises(HostError, match=r"no formatted M\.2"):
        sled.put_image("x", b"")
    sled.close()
