"""What the simulated sled learned from real ZFS (tests/real/test_differential.py), where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sledsaga.hosts.host import Completed
from sledsaga.hosts.sim import SimSled
from tests.real.differential.learned import LEARNED
from tests.real.differential.play import once
from tests.real.differential.side import SimSide
from tests.real.differential.state import observe

Run = Callable[..., Completed]
MIB = 2**20
A1 = "/dev/dsk/c1tA1d0"

TRANSCRIPTS: dict[str, list[tuple[str, int, str]]] = {
    "what has its own place stays where it is": [
        ("zfs create p/a", 0, ""),
        ("zfs create p/a/b", 0, ""),
        ("zfs create -o mountpoint=/x p/a/c", 0, ""),
        ("zfs unmount p/a", 0, ""),
        ("zfs get -Hpo name,value mounted p/a p/a/b p/a/c", 0, "p/a\tno\np/a/b\tno\np/a/c\tyes\n"),
        ("zfs set canmount=on p/a", 0, ""),
        ("zfs set mountpoint=/y p/a", 0, ""),
        ("zfs get -Hpo value mounted p/a", 0, "no\n"),
        ("zfs mount p/a", 0, ""),
    ],
    "a place that comes from nowhere is mounted, with those that follow": [
        ("zfs create -p p/a/b", 0, ""),
        ("zfs set mountpoint=none p/a", 0, ""),
        ("zfs get -Hpo value mounted p/a/b", 0, "no\n"),
        ("zfs set mountpoint=/x p/a", 0, ""),
        ("zfs get -Hpo value mounted,mountpoint p/a/b", 0, "yes\n/x/b\n"),
    ],
    "limits cannot be inherited, nor be less than what is reserved": [
        ("zfs create -o quota=8M p/a", 0, ""),
        ("zfs inherit quota p/a", 1, "use 'zfs set quota=none' to clear"),
        ("zfs set quota=0 p/a", 1, "use 'none' to disable quota/refquota"),
        ("zfs set reservation=9M p/a", 1, "size is greater than available space"),
        ("zfs set reservation=7M p/a", 0, ""),
        ("zfs set quota=6M p/a", 1, "size is less than current used or reserved space"),
        ("zfs create -o quota=1M -o reservation=2M p/b", 1, "out of space"),
    ],
    "what -p made above stays when the rest is refused": [
        ("zfs create -p -o compression=best p/a/b", 1, "must be one of"),
        ("zfs rename -p p p/c/d", 1, "datasets must be within same pool"),
        ("zfs list -Ho name", 0, "p\np/a\np/c\n"),
    ],
    "a dry run makes no pool, and a place in use is refused before there is one": [
        (f"zpool create -n q {A1}", 0, "would create 'q'"),
        ("zfs create p/a", 0, ""),
        (f"zpool create -O mountpoint=/p q {A1}", 1, "mountpoint '/p' exists and is not empty"),
        ("zpool list -Ho name", 0, "p\n"),
        (f"zpool create -O canmount=noauto q {A1}", 0, ""),
        ("zfs get -Hpo value mounted q", 0, "yes\n"),
    ],
    "snapshots go with those of their name below": [
        ("zfs create -p p/a/b", 0, ""),
        ("zfs snapshot -r p/a@s", 0, ""),
        ("zfs snapshot -r p@s", 1, "no snapshots were created"),
        ("zfs destroy -r p/a@s", 0, ""),
        ("zfs destroy p/a@s", 1, "could not find any snapshots to destroy"),
        ("zfs list -Ho name -t all", 0, "p\np/a\np/a/b\n"),
    ],
}


@pytest.mark.parametrize("title", TRANSCRIPTS)
def test_the_simulated_sled_keeps_what_it_learned(pool: Run, title: str) -> None:
    """Each transcript is what real ZFS does and the simulated sled once did otherwise."""
    for line, code, text in TRANSCRIPTS[title]:
        done = pool(line)
        assert (done.code, text in done.stdout + done.stderr) == (code, True), (line, done)


@pytest.mark.parametrize("title", LEARNED)
def test_the_simulated_sled_leaves_what_real_zfs_leaves(tmp_path: Path, title: str) -> None:
    """After each learned sequence the same is said, mounted and in the folders as on real ZFS."""
    row, side = LEARNED[title], SimSide(tmp_path)
    side.renew()
    said = [once(side, line) for line in row.whole][-1]
    state = observe(side)
    side.close()
    mounted = {name for name, each in state.datasets.items() if each.get("mounted") == ("yes", "-")}
    assert said == row.said
    assert (mounted, {*state.files}) == ({"pa", *row.mounted.split()}, {"pa", *row.files.split()})


def test_a_snapshot_uses_only_what_is_gone(pool: Run, sled: SimSled) -> None:
    """A snapshot takes nothing while its files are there, and their size when they are removed."""
    pool("zfs create p/a")
    sled.host.write_file("/p/a/f", bytes(MIB))
    before = int(pool("zfs get -Hpo value used p/a").stdout)
    pool("zfs snapshot p/a@s")
    assert pool("zfs get -Hpo value used p/a@s p/a").stdout.split() == [str(before), "0"]
    sled.host.remove_file("/p/a/f")
    assert pool("zfs get -Hpo value used p/a@s p/a").stdout.split() == [str(before), str(MIB)]
