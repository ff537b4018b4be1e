"""What `zpool` prints, as values.

A size may come in bytes, or as people read it (`123M`, on a ZFS without `zpool list -p`): that is rounded to
three digits, so it is good for showing and no more.
"""

from __future__ import annotations

import re
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

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTPE]?)")
_SUFFIXES: Mapping[str, int] = {suffix: 1024**power for power, suffix in enumerate(("", *"KMGTPE"))}


@dataclass(frozen=True, slots=True)
class Pool:
    """An imported pool; sizes in bytes, all of them 0 when ZFS lists it but cannot open it."""

    name: PoolName
    size: int
    allocated: int
    free: int
    health: Health

    @property
    def is_shut(self) -> bool:
        """Whether ZFS lists it but could not open its disk; it says then that there is no such dataset."""
        return self.size == 0


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
        is_shut = health in ("FAULTED", "UNAVAIL") and (size, allocated, free) == ("-",) * 3
        exact = (0, 0, 0) if is_shut else (parse_size(size), parse_size(allocated), parse_size(free))
        return Pool(PoolName(name), *exact, HEALTH[health])
    except ValueError as error:
        raise Unparsable(f"zpool list printed {line!r}; expected sizes in bytes, or such as 1.5G") from error


def parse_size(text: str) -> int:
    """Read bytes (`1024`) or a rounded size (`1.5G`) as bytes. Raises ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no size")
    return int(found[1]) if not found[2] else int(float(found[1]) * _SUFFIXES[found[2]])


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
    """Read `zpool get`: `-Hpo property,value`, or the table for people. Raises Unparsable."""
    table = [line.split() for line in text.splitlines()]
    if table and table[0] == ["NAME", "PROPERTY", "VALUE", "SOURCE"]:
        return {row[1]: row[2] for row in table[1:]}
    rows = [line.split("\t") for line in text.splitlines()]
    if any(len(row) != len(("property", "value")) for row in rows):
        raise Unparsable(f"zpool get printed {text!r}; expected a property and a value by tab in each line")
    return dict(rows)
