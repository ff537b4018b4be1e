"""What is on a disk of Linux: labels, signatures and the judgement over both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sledsaga.errors import CommandFailed, ForeignObject, SledsagaError, Unparsable
from sledsaga.hosts.disks import Disk
from sledsaga.hosts.host import Completed
from sledsaga.hosts.linux.disks import FileDisks
from sledsaga.hosts.linux.labels import Label, judge, parse_ids, parse_labels, parse_signature
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.names import DiskIdentity, PoolName
from tests.hosts.told import Told

POOL = PoolName("oxp_10fec275-f937-40f7-9c25-616079ef3816")

BLANK = "".join(
    f"{'-' * 44}\nLABEL {number}\n{'-' * 44}\nfailed to unpack label {number}\n" for number in range(4)
)
OPEN_BLANK = "".join(f"failed to unpack label {number}\n" for number in range(4))
OPEN_LABEL = f"""------------------------------------
LABEL 0 
------------------------------------
    version: 5000
    name: '{POOL}'
    state: 1
    txg: 42
    pool_guid: 77
    errata: 0
    hostid: 8323328
    hostname: 'sled'
    top_guid: 88
    guid: 88
    vdev_children: 1
    vdev_tree:
        type: 'disk'
        id: 0
        guid: 88
        path: '/dev/vda1'
        create_txg: 4
    features_for_read:
        com.delphix:hole_birth
        com.delphix:embedded_data
    labels = 0 1 2 3 
"""  # noqa: W291 - as it is printed


def label(number: int, *, name: str = POOL, state: int = 0, txg: int = 4, pool: int = 77) -> str:
    """Print one label as zfs-fuse's zdb does."""
    return (
        f"{'-' * 44}\nLABEL {number}\n{'-' * 44}\n    version: 23\n    name: '{name}'\n    state: {state}\n"
        f"    txg: {txg}\n    pool_guid: {pool}\n    hostid: 8323328\n    hostname: 'vm'\n    top_guid: 5\n"
        "    guid: 5\n    vdev_tree:\n        type: 'file'\n        guid: 5\n        path: '/d'\n"
    )


OURS = Label(POOL, 0, 4, 77, "vm")


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (0, BLANK, ()),
        (2, OPEN_BLANK, ()),
        (0, OPEN_LABEL, (Label(POOL, 1, 42, 77, "sled"),)),
        (0, "".join(label(number) for number in range(4)), (OURS,)),
        (0, label(0, txg=9) + label(1), (replace(OURS, txg=9),)),
        (1, label(0) + "failed to unpack label 1\n", (OURS,)),
        (
            0,
            label(0, txg=0, pool=78) + label(1, state=2),
            (Label(POOL, 0, 0, 78, "vm"), replace(OURS, state=2)),
        ),
    ],
)
def test_labels(code: int, text: str, expected: tuple[Label, ...]) -> None:
    """The newest label of each pool; none when all four places hold none, whatever the exit code."""
    assert parse_labels(Completed(("zdb", "-l", "/d"), code, text)) == expected


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (1, "", CommandFailed),
        (0, "", Unparsable),
        (0, "failed to unpack label 0\n", Unparsable),
        (0, label(0).replace("state: 0", "state: x"), Unparsable),
        (0, label(0).replace("    name:", "    nome:"), Unparsable),
    ],
)
def test_labels_that_cannot_be(code: int, text: str, kind: type[SledsagaError]) -> None:
    """A disk that could not be read, or an output that is not zdb's, is never blank."""
    with pytest.raises(kind):
        parse_labels(Completed(("zdb", "-l", "/d"), code, text))


@pytest.mark.parametrize(
    ("code", "out", "err", "expected"),
    [
        (2, "", "", None),
        (0, "DEVNAME=/d\nVERSION=23\nLABEL=x\nTYPE=zfs_member\nUSAGE=filesystem\n", "", "zfs_member"),
        (0, "DEVNAME=/d\nUUID=u\nTYPE=ext4\n", "", "ext4"),
        (0, "DEVNAME=/d\nPTUUID=u\nPTTYPE=gpt\n", "", "gpt"),
        (0, "DEVNAME=/d\nPART_ENTRY_SCHEME=dos\nPART_ENTRY_TYPE=0xbf\n", "", None),
    ],
)
def test_signatures(code: int, out: str, err: str, expected: str | None) -> None:
    """What blkid knows of a disk; exit code 2 without a word is nothing."""
    assert parse_signature(Completed(("blkid", "/d"), code, out, err)) == expected


@pytest.mark.parametrize(
    ("code", "out", "err", "kind"),
    [
        (8, "", "blkid: /d: ambivalent result (probably more filesystems on the device)", ForeignObject),
        (2, "", "blkid: error: /d: Permission denied", CommandFailed),
        (127, "", "blkid: No such file or directory", CommandFailed),
        (0, "DEVNAME=/d\nLABEL=x\n", "", Unparsable),
    ],
)
def test_signatures_that_are_no_answer(code: int, out: str, err: str, kind: type[SledsagaError]) -> None:
    """Several things at once are foreign; a failure is an error; neither is nothing."""
    with pytest.raises(kind):
        parse_signature(Completed(("blkid", "/d"), code, out, err))


@pytest.mark.parametrize(
    ("found", "signature", "expected"),
    [
        ((), None, None),
        ((OURS,), "zfs_member", OURS),
        ((OURS,), None, OURS),
        ((replace(OURS, txg=0),), None, None),
        ((replace(OURS, state=2),), "zfs_member", None),
        ((replace(OURS, state=2), replace(OURS, txg=0, pool=78)), "zfs_member", None),
        ((replace(OURS, txg=0, pool=78), OURS), "zfs_member", OURS),
    ],
)
def test_judgement(found: tuple[Label, ...], signature: str | None, expected: Label | None) -> None:
    """A living pool of ours is told; one that is over, or never came to be, leaves a blank disk."""
    assert judge("/d", found, signature) == expected


@pytest.mark.parametrize(
    ("found", "signature", "text"),
    [
        ((), "ext4", "holds ext4"),
        ((), "zfs_member", "holds zfs_member"),
        ((OURS,), "gpt", "holds gpt"),
        ((replace(OURS, name="tank", state=2),), "zfs_member", r"another pool \(destroyed\)"),
        ((replace(OURS, name="tank", state=9),), "zfs_member", r"another pool \(in state 9\)"),
        ((replace(OURS, state=3),), "zfs_member", "is a spare of"),
        ((OURS, replace(OURS, pool=78)), "zfs_member", "labels of several pools"),
    ],
)
def test_judgement_of_what_is_not_ours(found: tuple[Label, ...], signature: str, text: str) -> None:
    """Whatever is neither blank nor one pool of ours stays."""
    with pytest.raises(ForeignObject, match=text):
        judge("/d", found, signature)


def test_pool_numbers() -> None:
    """Pools by the number that is in their labels; anything else is told."""
    assert parse_ids("a\t5\nb\t7\n") == {5: "a", 7: "b"}
    with pytest.raises(Unparsable, match="expected a name and a number"):
        parse_ids("a\tx\n")


def test_disks_that_are_devices(tmp_path: Path) -> None:
    """The size of a block device is asked of it; a text that is no number is told."""
    device = tmp_path / "device"
    device.symlink_to("/dev/null")
    disk = Disk(DiskIdentity("v", "m", "s"), str(device), 0, 0, "U.2")
    size: dict[tuple[str, ...], tuple[int, str]] = {("blockdev", "--getsize64", str(device)): (0, "512000\n")}
    assert FileDisks(Told(size), Machine(disks=(disk,))).list() == (replace(disk, size=512_000),)
    wrong: dict[tuple[str, ...], tuple[int, str]] = {("blockdev", "--getsize64", str(device)): (0, "much\n")}
    with pytest.raises(Unparsable, match="expected its size in bytes"):
        FileDisks(Told(wrong), Machine(disks=(disk,))).list()
