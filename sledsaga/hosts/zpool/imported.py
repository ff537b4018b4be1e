"""Which pools are imported, and open: all that ZFS says of a dataset rests on that.

Of a pool that is not imported, and of one that it could not open, ZFS says that its datasets do not exist.
"""

from __future__ import annotations

from sledsaga.errors import CommandFailed
from sledsaga.hosts.answer import require
from sledsaga.hosts.host import Host
from sledsaga.hosts.zfs.abilities import Abilities
from sledsaga.hosts.zpool import commands, parse
from sledsaga.hosts.zpool.parse import Pool


def imported(host: Host, zfs: Abilities) -> tuple[Pool, ...]:
    """Return the imported pools that are named as ours are. Raises CommandFailed, Unparsable."""
    return parse.parse_pools(require(host, commands.list_pools(zfs)))


def refuse_shut(pool: Pool) -> None:
    """Raise CommandFailed for a pool that ZFS could not open: what is on it cannot be told."""
    if pool.is_shut:
        raise CommandFailed(
            f"{pool.name} is {pool.health}, its disk could not be opened when ZFS started; "
            f"bring the disk back, then `zpool clear {pool.name}`"
        )


def require_open(host: Host, zfs: Abilities, dataset: str) -> None:
    """Raise CommandFailed unless a dataset's pool is imported and open: only then can it be known as gone."""
    name = dataset.partition("/")[0]
    found = next((pool for pool in imported(host, zfs) if pool.name == name), None)
    if found is None:
        raise CommandFailed(
            f"{name} is not imported, so whether it holds {dataset} cannot be told; import it, "
            f"or skip this when the pool is gone for good"
        )
    refuse_shut(found)


def refuse_shut_at(host: Host, zfs: Abilities, place: str) -> None:
    """Raise CommandFailed when a place is on a pool that is shut: what belongs there cannot be told."""
    for pool in imported(host, zfs):
        if place.startswith(f"{pool.name.mountpoint}/"):
            refuse_shut(pool)
