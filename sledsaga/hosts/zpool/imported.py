"""Which pools are imported, and open: all that ZFS says of a dataset rests on that.

Of a pool that is not imported, and of one that it could not open, ZFS says that its datasets do not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sledsaga.errors import CommandFailed
from sledsaga.hosts.answer import require
from sledsaga.hosts.host import Host
from sledsaga.hosts.names import PoolName
from sledsaga.hosts.zfs.abilities import Abilities
from sledsaga.hosts.zpool import commands, parse
from sledsaga.hosts.zpool.parse import Pool


def imported(host: Host, zfs: Abilities) -> tuple[Pool, ...]:
    """Return the imported pools that are named as ours are. Raises CommandFailed, Unparsable."""
    return parse.parse_pools(require(host, commands.list_pools(zfs)))


def refuse_shut(pool: Pool) -> None:
    """Raise CommandFailed for a pool that ZFS could not open: what is on it cannot be told."""
    if why := _shut(pool):
        raise CommandFailed(why)


def untold(host: Host, zfs: Abilities, datasets: Iterable[str]) -> dict[str, str]:
    """Say of datasets that seem to be gone why that cannot be told: their pool is not imported, or shut."""
    pools = {str(pool.name): pool for pool in imported(host, zfs)}
    return {name: why for name in datasets if (why := _away(pools, name))}


def refuse_away_at(host: Host, zfs: Abilities, place: str) -> None:
    """Raise CommandFailed when a place is on a pool that is away: what belongs there cannot be told."""
    name = PoolName.at(place)
    away = {} if name is None else untold(host, zfs, [f"{name}{place.removeprefix(name.mountpoint)}"])
    if away:
        raise CommandFailed(next(iter(away.values())))


def _away(pools: Mapping[str, Pool], dataset: str) -> str:
    name = dataset.partition("/")[0]
    if name in pools:
        return _shut(pools[name])
    return (
        f"{name} is not imported, so whether it holds {dataset} cannot be told; import it, "
        f"or skip this when the pool is gone for good"
    )


def _shut(pool: Pool) -> str:
    if not pool.is_shut:
        return ""
    return (
        f"{pool.name} is {pool.health}, its disk could not be opened when ZFS started; "
        f"bring the disk back, then `zpool clear {pool.name}`"
    )
