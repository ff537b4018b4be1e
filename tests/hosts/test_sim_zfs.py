"""zfs on the simulated sled: each row is a command, its exit code, and what its output must hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sledsaga.hosts.host import Completed
from sledsaga.hosts.sim import SimSled

Run = Callable[..., Completed]
Row = tuple[str, int, str]
KEY = "-o encryption=aes-256-gcm -o keyformat=raw -o keylocation=file:///var/run/k"

TRANSCRIPTS: dict[str, list[Row]] = {
    "a new filesystem is mounted below its parent": [
        ("zfs create p/a", 0, ""),
        ("zfs get -Hpo value atime,encryption,zoned,mountpoint,mounted p/a", 0, "on\noff\noff\n/p/a\nyes\n"),
    ],
    "options may be grouped in any legal way": [
        ("zfs create -p p/a/b", 0, ""),
        ("zfs get -Hrpd10 -o name,value mounted p", 0, "p\tyes\np/a\tyes\np/a/b\tyes\n"),
        ("zfs list -d 1 -rHpo name p", 0, "p\np/a\n"),
        ("zfs list -rHpd1 -oname p", 0, "p\np/a\n"),
        ("zfs get -d 1 -rHpo value mountpoint p", 0, "/p\n/p/a\n"),
        ("zfs list -Hpo name,type", 0, "p\tfilesystem\np/a\tfilesystem\np/a/b\tfilesystem\n"),
    ],
    "wrong command lines are refused with 2 and the usage": [
        ("zfs", 2, "usage:"),
        ("zfs frobnicate", 2, "unrecognized command 'frobnicate'"),
        ("zfs destroy -x p/a", 2, "invalid option 'x'"),
        ("zfs create -s -b 512 p/v", 2, "can only be used when creating a volume"),
        ("zfs create -V", 2, "missing argument for 'V' option"),
        ("zfs create", 2, "missing filesystem argument"),
        ("zfs create p/a p/b", 2, "too many arguments"),
        ("zfs list -d x -H p", 2, "bad depth"),
        ("zfs list", 2, "say -H"),
        ("zfs get -pH nosuch p", 2, "invalid property 'nosuch'"),
        ("zfs set p/a", 2, "missing property=value"),
    ],
    "creates that cannot be are refused and leave nothing": [
        ("zfs create p/a", 0, ""),
        ("zfs create p/a", 1, "cannot create 'p/a': dataset already exists"),
        ("zfs create p/x/y", 1, "cannot create 'p/x/y': parent does not exist"),
        ("zfs create q/y", 1, "cannot create 'q/y': no such pool 'q'"),
        ("zfs create p/b@c", 1, "snapshot delimiter '@' is not expected here"),
        ("zfs create -o used=1 p/b", 1, "'used' is readonly"),
        ("zfs create -o volsize=1G p/b", 1, "'volsize' does not apply to datasets of this type"),
        ("zfs create -o compression=best p/b", 1, "'compression' must be one of"),
        ("zfs create -o mountpoint=data p/b", 1, "'mountpoint' must be an absolute path"),
        ("zfs create -o quota=lots p/b", 1, "bad numeric value 'lots'"),
        ("zfs create -o quota=4096 p/b", 1, "out of space"),
        ("zfs create -o reservation=9T p/b", 1, "out of space"),
        ("zfs list -Hpo name", 0, "p\np/a\n"),
    ],
    "volumes have a size, a block size and no mountpoint": [
        ("zfs create -s -V 1024 -b 512 -o logbias=throughput p/v", 0, ""),
        ("zfs create -V 2G p/w", 0, ""),
        ("zfs get -Hpo value volsize,volblocksize,type p/v", 0, "1024\n512\nvolume\n"),
        ("zfs get -Hpo value volsize,refreservation p/w", 0, "2147483648\n2147483648\n"),
        ("zfs get -Hpo value,source mountpoint p/v", 0, "-\t-\n"),
        ("zfs create -V 1000 p/x", 1, "must be a multiple of volume block size"),
        ("zfs create -V 9T p/x", 1, "out of space"),
        ("zfs create p/v/sub", 1, "parent is not a filesystem"),
    ],
    "mount and unmount say what is so": [
        ("zfs create -o mountpoint=none p/n", 0, ""),
        ("zfs mount p/n", 1, "cannot mount 'p/n': no mountpoint set"),
        ("zfs create -o canmount=noauto p/a", 0, ""),
        ("zfs get -Hpo value mounted p/a", 0, "no\n"),
        ("zfs mount p/a", 0, ""),
        ("zfs mount p/a", 1, "cannot mount 'p/a': filesystem already mounted"),
        ("zfs unmount p/a", 0, ""),
        ("zfs unmount p/a", 1, "cannot unmount 'p/a': not currently mounted"),
        ("zfs set canmount=off p/a", 0, ""),
        ("zfs mount p/a", 1, "'canmount' property is set to 'off'"),
        ("zfs create -o zoned=on -o mountpoint=/data p/z", 0, ""),
        ("zfs mount p/z", 1, "dataset is exported to a local zone"),
    ],
    "destroy refuses children and snapshots unless it is told": [
        ("zfs create -p p/a/b", 0, ""),
        ("zfs create p/c", 0, ""),
        ("zfs snapshot -o x:y=1 p/c@s", 0, ""),
        ("zfs destroy p/a", 1, "filesystem has children\nuse '-r' to destroy the following datasets:\np/a/b"),
        ("zfs destroy p/c", 1, "p/c@s"),
        ("zfs list -H -o name -t snapshot", 0, "p/c@s\n"),
        ("zfs destroy p/c@s", 0, ""),
        ("zfs destroy p/c", 0, ""),
        ("zfs destroy -r p/a", 0, ""),
        ("zfs list -Hpo name", 0, "p\n"),
        ("zfs destroy p/a", 1, "cannot open 'p/a': dataset does not exist"),
        ("zfs destroy p", 1, "operation does not apply to pools"),
        ("zfs destroy -rf p", 0, ""),
    ],
    "properties have sources, and user properties are inherited": [
        ("zfs create -o oxide:uuid=1 -o compression=gzip-9 p/a", 0, ""),
        ("zfs create p/a/b", 0, ""),
        (
            "zfs get -Hpo value,source oxide:uuid,compression,quota p/a",
            0,
            "1\tlocal\ngzip-9\tlocal\n0\tdefault\n",
        ),
        (
            "zfs get -Hpo value,source oxide:uuid,compression p/a/b",
            0,
            "1\tinherited from p/a\ngzip-9\tinherited",
        ),
        ("zfs get -Hpo value -s local oxide:uuid p/a/b", 0, ""),
        ("zfs get -Hpo value,source oxide:none p/a", 0, "-\t-\n"),
        ("zfs set quota=1G reservation=1M oxide:uuid=2 p/a/b", 0, ""),
        ("zfs get -Hpo value quota,reservation,oxide:uuid p/a/b", 0, "1073741824\n1048576\n2\n"),
        ("zfs set quota=none p/a/b", 0, ""),
        ("zfs get -Hpo value,source quota p/a/b", 0, "0\tdefault\n"),
        ("zfs inherit oxide:uuid p/a/b", 0, ""),
        ("zfs get -Hpo value,source oxide:uuid p/a/b", 0, "1\tinherited from p/a\n"),
        ("zfs set used=3 p/a", 1, "cannot set property for 'p/a': 'used' is readonly"),
        ("zfs set nosuch=3 p/a", 1, "invalid property 'nosuch'"),
        ("zfs set volsize=3 p/a", 1, "does not apply"),
        ("zfs set quota=96K p/a", 1, "size is less than current used or reserved space"),
        ("zfs set reservation=9T p/a", 1, "size is greater than available space"),
        ("zfs get -Hpo name,value name,avail nosuch p/a", 1, "p/a\tp/a\np/a\t"),
    ],
    "a dataset moves with its mountpoint and its name": [
        ("zfs create -p p/a/b", 0, ""),
        ("zfs set mountpoint=/x p/a", 0, ""),
        ("zfs get -Hpo value mountpoint,mounted p/a/b", 0, "/x/b\nyes\n"),
        ("zfs rename p/a p/c", 0, ""),
        ("zfs list -Hpo name,mountpoint,mounted", 0, "p\t/p\tyes\np/c\t/x\tyes\np/c/b\t/x/b\tyes\n"),
        ("zfs rename p/c p", 1, "missing dataset name"),
        ("zfs rename p/c p/c/d", 1, "cannot be a descendant"),
        ("zfs rename p/c p/c", 0, ""),
    ],
}


@pytest.mark.parametrize("title", TRANSCRIPTS)
def test_zfs_answers_as_the_real_tool(pool: Run, title: str) -> None:
    """Each transcript of zfs commands gets the codes and texts of the real tool."""
    for line, code, text in TRANSCRIPTS[title]:
        done = pool(line)
        assert (done.code, text in done.stdout + done.stderr) == (code, True), (line, done)


def test_create_on_a_folder_with_content_makes_but_does_not_mount(pool: Run, sled: SimSled) -> None:
    """A create below a folder that holds something exits with 1 although the dataset is there, until -O."""
    sled.host.write_file("/p/stray", b"")
    sled.host.make_dir("/p/a")
    sled.host.write_file("/p/a/under", b"old")
    done = pool("zfs create p/a")
    assert done.code == 1
    assert "cannot mount '/p/a': directory is not empty" in done.stderr
    assert "filesystem successfully created, but not mounted" in done.stderr
    assert pool("zfs get -Hpo value mounted p/a").stdout == "no\n"
    assert pool("zfs mount -O p/a").code == 0
    assert sled.host.read_file("/p/a/under") is None
    assert pool("zfs unmount p/a").code == 0
    assert sled.host.read_file("/p/a/under") == b"old"


def test_keys_open_and_close_an_encryption_root(pool: Run, sled: SimSled) -> None:
    """An encrypted dataset wants 32 bytes, refuses wrong ones with 255, and closes when unmounted."""
    host = sled.host
    assert "Failed to open key material file" in pool(f"zfs create {KEY} p/c").stderr
    host.write_file("/var/run/k", b"short")
    assert "Raw key too short (expected 32)" in pool(f"zfs create {KEY} p/c").stderr
    host.write_file("/var/run/k", b"k" * 32)
    assert pool(f"zfs create {KEY} -o oxide:epoch=0 p/c").code == 0
    assert pool("zfs create p/c/d").code == 0
    wanted = "aes-256-gcm\np/c\navailable\n"
    assert pool("zfs get -Hpo value encryption,encryptionroot,keystatus p/c/d").stdout == wanted
    assert pool("zfs unload-key p/c").code == 255
    assert pool("zfs load-key p/c").stderr == "Key load error: Key already loaded for 'p/c'.\n"
    assert pool("zfs unmount p/c").code == 0
    assert pool("zfs unload-key p/c").code == 0
    assert "encryption key not loaded" in pool("zfs mount p/c").stderr
    host.write_file("/var/run/k", b"x" * 32)
    wrong = pool("zfs mount -l p/c")
    assert (wrong.code, wrong.stderr) == (255, "Key load error: Incorrect key provided for 'p/c'.\n")
    host.erase_file("/var/run/k")
    assert "Failed to open key material file" in pool("zfs mount -l p/c").stderr
    host.write_file("/var/run/k", b"k" * 32)
    assert pool("zfs load-key -n p/c").code == 0
    assert pool("zfs get -Hpo value keystatus p/c").stdout == "unavailable\n"
    assert pool("zfs mount -l p/c").code == 0
    host.write_file("/var/run/k", b"n" * 32)
    assert pool("zfs change-key -o oxide:epoch=1 p/c").code == 0
    assert pool("zfs get -Hpo value -s local oxide:epoch p/c").stdout == "1\n"


def test_swap_volume_takes_its_key_from_stdin(pool: Run) -> None:
    """A volume whose key location is stdin is refused without 32 bytes there, and made with them."""
    line = f"zfs create -V 1G -s -b 4096 {KEY.replace('/var/run/k', '/dev/stdin')} p/s"
    assert pool(line, stdin=b"no").code == 1
    assert pool(line, stdin=b"s" * 32).code == 0


def test_encryption_needs_the_feature_of_the_pool(run: Run, sled: SimSled) -> None:
    """On a pool whose encryption feature was never enabled no encrypted dataset can be made."""
    sled.host.write_file("/var/run/k", b"k" * 32)
    run("zpool create p /dev/dsk/c1tA0d0")
    assert "pool must be upgraded" in run(f"zfs create {KEY} p/c").stderr
    run("zpool set feature@encryption=enabled p")
    assert run(f"zfs create {KEY} p/c").code == 0


def test_files_count_as_use_and_a_quota_holds(pool: Run, sled: SimSled) -> None:
    """Bytes written into a dataset show in used and written, and a write above its quota is refused."""
    pool("zfs create -o quota=1M p/a")
    empty = int(pool("zfs get -Hpo value used p/a").stdout)
    sled.host.write_file("/p/a/f", b"x" * 100_000)
    assert int(pool("zfs get -Hpo value used p/a").stdout) >= empty + 100_000
    assert int(pool("zfs get -Hpo value written p/a").stdout) >= 100_000
    with pytest.raises(Exception, match="Disk quota exceeded"):
        sled.host.write_file("/p/a/g", b"x" * 1_000_000)
