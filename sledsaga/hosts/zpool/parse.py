"""What `zpool` prints, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sledsaga.errors import InvalidName, Unparsable
from sledsaga.hosts.names import PoolName
from sledsaga.hosts.zpool.commands import LIST_FIELDS

Health = Literal["online", "degraded", "faulted", "offline", "removed", "unavailable"]
HEALTH: Mapping[str, Health] = {
    "ONLINE": "online",
    "DEGRADED": "degraded",
    "FAULTED": "faulted",
    "OFFLINE": "offline",
    "REMOVED": "removed",
    "UNAVAIL": "unavailable",
}


@dataclass(frozen=True, slots=True)
class Pool:
    """An imported pool; sizes in bytes."""

    name: PoolName
    size: int
    allocated: int
    free: int
    health: Health


def parse_pool(line: str) -> Pool:
    """Read one line of `zpool list`, parted by any white space. Raises Unparsable, InvalidName."""
    columns = line.split()
    if len(columns) != len(LIST_FIELDS):
        missing = ", ".join(LIST_FIELDS[len(columns) :]) or "nothing"
        raise Unparsable(f"zpool list printed {line!r}: missing {missing}; expected {', '.join(LIST_FIELDS)}")
    name, size, allocated, free, health = columns
    if health not in HEALTH:
        raise Unparsable(f"zpool list printed health {health!r}; expected one of {', '.join(HEALTH)}")
    try:
        return Pool(PoolName(name), int(size), int(allocated), int(free), HEALTH[health])
    except ValueError as error:
        raise Unparsable(f"zpool list printed {line!r}; expected sizes in bytes") from error


def parse_pools(text: str) -> tuple[Pool, ...]:
    """Read `zpool list`, leaving out pools that are not named as ours are (such as `rpool`)."""
    pools = []
    for line in text.splitlines():
        try:
            pools.append(parse_pool(line))
        except InvalidName:
            continue
    return tuple(pools)


def parse_settings(text: str) -> dict[str, str]:
    """Read `zpool get -Hpo property,value`. Raises Unparsable."""
    rows = [line.split("\t") for line in text.splitlines()]
    if any(len(row) != len(("property", "value")) for row in rows):
        raise Unparsable(f"zpool get printed {text!r}; expected a property and a value by tab in each line")
    return dict(rows)
