"""A pool whose disk did not answer when the sled booted: listed without sizes, its datasets out of sight.

It opens at the next boot, or by `zpool clear`, once its disk answers. To let it go leaves it on its disk.
"""

from __future__ import annotations

import dataclasses
from dataclasses import replace

from sledsaga.hosts.sim.argv import Call, Refusal, Reply, count, options
from sledsaga.hosts.sim.disks import is_reachable
from sledsaga.hosts.sim.things import Exported, Pool
from sledsaga.hosts.sim.zfs_mount import mount_imported
from sledsaga.hosts.sim.zpool_show import opened

CLEAR_USAGE = "clear [-nF] <pool> [device]"


def open_pools(call: Call) -> None:
    """Open what answers as the sled boots, and shut what does not; nothing is mounted yet."""
    for name, pool in call.tx.under(Pool).items():
        answers = is_reachable(call.tx, name)
        if answers and pool.is_shut:
            _open(call, name, pool)
        elif not answers and not pool.is_shut:
            call.tx.put(name, replace(pool, is_shut=True))
            call.tx.shelve(name, pool.guid)


def zpool_clear(call: Call, args: list[str]) -> Reply:
    """Forget a pool's errors; one that is shut is opened, and mounts what an import mounts."""
    opts = options(args, "nF", CLEAR_USAGE)
    count(opts.operands, 1, 2, CLEAR_USAGE, what="pool")
    name = opts.operands[0]
    pool = opened(call, name)
    if not is_reachable(call.tx, name):
        raise Refusal(f"cannot clear errors for {name}: I/O error")
    if not pool.is_shut:
        return Reply()
    _open(call, name, pool)
    said = mount_imported(call, name)
    return Reply(1 if said else 0, "", said)


def let_go(call: Call, name: str, pool: Pool) -> None:
    """Have a pool on its disk only, its datasets out of sight."""
    call.tx.drop(Pool, name)
    call.tx.put(pool.guid, Exported(name, dataclasses.asdict(replace(pool, is_shut=False))))
    if not pool.is_shut:
        call.tx.shelve(name, pool.guid)


def _open(call: Call, name: str, pool: Pool) -> None:
    call.tx.put(name, replace(pool, is_shut=False))
    call.tx.unshelve(name, pool.guid)
