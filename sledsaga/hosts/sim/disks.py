"""`diskinfo` and `fstyp`: which disks the sled has, and what is on them.

Format of `diskinfo -cHp` (the one way a driver lists disks): one line a disk, eight columns parted by one tab

    type  device            vendor  model            serial    size           flags  chassis,slot
    NVME  c1tA084A5E3d0     1b96    WUS4C6432DSP3X3  A084A5E3  3200631791616  ---S   0,0

- The pool of a U.2 (slots 0-9) is in its first slice, which `zpool create` makes; that of an
  M.2 (slots 17 and 18) is in `s5`. Every slice of a disk is one and the same thing here.
- Without `-c` there are the seven columns of the real tool: type, device, vendor, model, size, RMV, SSD.
- Sorted by slot. A disk that was pulled is not listed. Exit 0; no disks is empty output.

`fstyp -a PATH`, three answers that must not be mixed up:
- a pool is there: exit 0, first line `zfs`, then attributes, among them `name: 'oxp_...'`;
- blank, or its pool was destroyed: exit 1, stderr `unknown_fstyp (no matches)`;
- not readable: exit 1, stderr `fstyp: cannot open device "PATH": No such file or directory` (pulled disk)
  or `... I/O error` (failing disk). Only the second answer means blank.
"""

from __future__ import annotations

import re

from sledsaga.hosts.sim.argv import Call, Refusal, Reply, count, options, table
from sledsaga.hosts.sim.state import Tx
from sledsaga.hosts.sim.things import Disk, Pool

DISKINFO_USAGE = "diskinfo -Hp [-c]"
FSTYP_USAGE = "fstyp [-av] special"
DEVICE = re.compile(r"(?:/dev/r?dsk/)?(c1t(.+)d0)(?:[sp]\d+|:wd,raw)?")


def disk_at(call: Call, path: str) -> Disk | None:
    """Return the disk of a device path, whatever slice of it is named; None when there is none."""
    match = DEVICE.fullmatch(path)
    return None if match is None else call.tx.get(Disk, match[2])


def is_reachable(tx: Tx, dataset: str) -> bool:
    """Say whether the disk of a dataset's pool answers; a pool that is not imported is not judged."""
    pool = tx.get(Pool, dataset.partition("/")[0].partition("@")[0])
    disk = None if pool is None else tx.get(Disk, pool.disk)
    return disk is None or disk.condition == "ok"


def diskinfo(call: Call, args: list[str]) -> Reply:
    """List the disks that are in their slots."""
    try:
        opts = options(args, "Hpc", DISKINFO_USAGE)
    except Refusal as refusal:
        raise Refusal(refusal.reply.err, 1) from refusal
    count(opts.operands, 0, 0, DISKINFO_USAGE)
    if "H" not in opts or "p" not in opts:
        raise Refusal(f"Usage: {DISKINFO_USAGE}\ndiskinfo: this sled prints in script mode only: say -Hp")
    disks = sorted((each for each in call.tx.under(Disk).values() if each.condition != "pulled"), key=_place)
    return Reply(0, table([_condensed(each) if "c" in opts else _row(each) for each in disks]))


def fstyp(call: Call, args: list[str]) -> Reply:
    """Say what is on a disk."""
    opts = options(args, "av", FSTYP_USAGE)
    count(opts.operands, 1, 1, FSTYP_USAGE)
    path = opts.operands[0]
    disk = disk_at(call, path)
    if disk is None or disk.condition == "pulled":
        raise Refusal(f'fstyp: cannot open device "{path}": No such file or directory')
    if disk.condition == "failing":
        raise Refusal(f'fstyp: cannot read device "{path}": I/O error')
    if not disk.guid:
        raise Refusal("unknown_fstyp (no matches)")
    number = int(disk.guid, 16)
    told = (
        f"version: 5000\nname: '{disk.label}'\nstate: 0\n"
        f"pool_guid: {number}\ntop_guid: {number}\nguid: {number}\n"
        f"gen_clean: true\ngen_guid: '{number}'\ngen_version: '5000'\ngen_volume_label: '{disk.label}'\n"
    )
    return Reply(0, "zfs\n" + (told if "a" in opts or "v" in opts else ""))


def _place(disk: Disk) -> tuple[int, str]:
    return disk.slot, disk.serial


def _row(disk: Disk) -> list[str]:
    return ["NVME", disk.device, disk.vendor, disk.model, str(disk.size), "no", "yes"]


def _condensed(disk: Disk) -> list[str]:
    return [
        "NVME",
        disk.device,
        disk.vendor,
        disk.model,
        disk.serial,
        str(disk.size),
        "---S",
        f"0,{disk.slot}",
    ]
