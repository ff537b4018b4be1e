"""Sleds by the command line: made from documents, shown, rebooted; and those on files that cannot be made."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Line = Callable[..., Any]
POOL = "oxp_7b24095a-72df-45e3-984f-2b795e052ac7"
DISK = {"identity": {"vendor": "1b96", "model": "M", "serial": "S1"}}
CURRENT = {"generation": 1, "disks": {"a": DISK}, "datasets": {}, "zones": {}}
OLDER = {"generation": 1, "zones": [{"zone_type": {"type": "crucible", "dataset": {"pool_name": POOL}}}]}


def write(tmp_path: Path, document: object) -> str:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(document))
    return str(file)


def test_a_document_names_the_disks(line: Line, tmp_path: Path) -> None:
    """`sled init --config` puts in the blank disks that the document names, and two formatted M.2s."""
    made = line("sled", "init", "--config", write(tmp_path, CURRENT), "--json").json
    assert (made["v"], [(d["serial"], d["pool"]) for d in made["disks"] if d["variant"] == "U.2"]) == (
        1,
        [("S1", None)],
    )
    assert len([d for d in made["disks"] if d["variant"] == "M.2"]) == 2
    assert line("sled", "show", "--json").json == made


def test_the_older_document_names_pools(line: Line, tmp_path: Path) -> None:
    """A document without disks gives one formatted disk for each pool that it mentions."""
    made = line("sled", "init", "--config", write(tmp_path, OLDER), "--json").json
    assert [disk["pool"] for disk in made["disks"] if disk["variant"] == "U.2"] == [POOL]
    assert POOL in [pool["name"] for pool in made["pools"]]


@pytest.mark.parametrize("document", [{}, {"zones": 3}, {"disks": {"a": {}}}, {"disks": [1]}])
def test_a_document_that_is_none_is_refused(line: Line, tmp_path: Path, document: object) -> None:
    """What is no sled config is refused in one line, and no sled is made."""
    done = line("sled", "init", "--config", write(tmp_path, document))
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert line("sled", "show").code == 1


def test_a_sled_is_not_made_over_another(line: Line) -> None:
    """`sled init` refuses a folder that holds a sled already."""
    assert line("sled", "init", "--disks", "1").code == 0
    assert line("sled", "init", "--disks", "1").code == 2
    assert line("sled", "init").code == 2


def test_a_reboot_loses_what_is_volatile_only(line: Line) -> None:
    """After a reboot disks and pools are as before."""
    line("sled", "init", "--disks", "2")
    before = line("sled", "show", "--json").json
    after = line("sled", "reboot", "--json", "--yes").json
    assert (after["disks"], after["pools"]) == (before["disks"], before["pools"])


def test_the_sled_is_shown_as_tables(line: Line) -> None:
    """Without --json each kind of thing is a table."""
    shown = line("sled", "init", "--disks", "1").out
    assert "BLANK0" in shown
    assert "ONLINE" in shown


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a script in the place of a tool."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)

    def put(name: str, script: str) -> None:
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)

    return put


@pytest.fixture
def no_daemon(tmp_path: Path, tool: Callable[[str, str], None]) -> Path:
    """Have a zpool that finds no daemon, and return an absent folder for a sled on files."""
    tool("zpool", "echo 'connect: No such file or directory' >&2; exit 1")
    return tmp_path / "sled"


@pytest.mark.skipif(sys.platform != "linux", reason="disks that are files are of Linux")
def test_without_a_daemon_no_disks_are_made(line: Line, no_daemon: Path) -> None:
    """Where ZFS does not answer, `sled init` says so and what to do, and leaves no folder behind."""
    done = line("sled", "init", "--disks", "1", "--sled", f"local:{no_daemon}/sled.json")
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert "start the zfs-fuse daemon" in done.err
    assert not no_daemon.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="what ZFS lacks is told so on Linux")
def test_the_doctor_tells_of_the_daemon_what_to_do(line: Line, no_daemon: Path) -> None:
    """A ZFS that is installed and does not answer is not told to be installed."""
    findings = line("doctor", "--json", "--sled", "local:").json["findings"]
    zfs = next(one for one in findings if one["what"] == "zfs")
    assert (zfs["verdict"], zfs["found"]) == (
        "missing",
        "ZFS does not answer; it said: connect: No such file or directory",
    )
    assert zfs["todo"].startswith("start the zfs-fuse daemon")


@pytest.mark.skipif(sys.platform != "linux", reason="disks that are files are of Linux")
def test_what_is_not_ours_on_a_disk_keeps_the_sled(
    line: Line, tmp_path: Path, tool: Callable[[str, str], None]
) -> None:
    """`sled remove` takes nothing away when a disk holds somebody's data, and says what to do."""
    for name, script in {
        "zpool": "exit 0",
        "zfs": "exit 0",
        "zdb": "for n in 0 1 2 3; do echo failed to unpack label $n; done",
        "blkid": "echo TYPE=ext4",
    }.items():
        tool(name, script)
    disk = {"vendor": "v", "model": "m", "serial": "s", "slot": 0, "variant": "U.2", "path": f"{tmp_path}/u"}
    (tmp_path / "u").write_text("theirs")
    (tmp_path / "sled.json").write_text(json.dumps({"disks": [disk]}))
    done = line("sled", "remove", "--yes", "--sled", f"local:{tmp_path}/sled.json")
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert "u holds ext4" in done.err
    assert "Nothing was removed: let go of what is there" in done.err
    assert (tmp_path / "u").read_text() == "theirs"


def test_what_best_effort_could_not_do_is_counted(line: Line, tmp_path: Path) -> None:
    """A saga that succeeded, though a dataset of it failed, ends with 0 and one line that says how many."""
    assert line("sled", "init", "--config", write(tmp_path, OLDER)).code == 0
    rows = [{"pool": POOL, "kind": "crucible"}, {"pool": POOL.replace("ac7", "ac8"), "kind": "debug"}]
    (tmp_path / "wanted.json").write_text(json.dumps({"datasets": rows, "policy": "best-effort"}))
    done = line("submit", "ensure-datasets", "-f", str(tmp_path / "wanted.json"), "--wait")
    assert done.code == 0
    assert [one for one in done.out.splitlines() if one.startswith("!")] == [
        "! 1 of 2 failed; why stands beside each"
    ]
    assert "1 of 2 failed" in line("show", line("list", "--json").json["sagas"][0]["id"]).out
