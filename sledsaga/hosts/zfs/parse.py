"""What `zfs get` and `zfs list` print, as values.

Rules
- Four columns by tab: name, property, value, source. More or fewer is Unparsable, never skipped.
- `-` is no value. The id, tag, epoch and agent count only when they are the dataset's own; an inherited
  one belongs to its parent.
- Exit code 1 with nothing but "dataset does not exist" lines means that those are absent. Any other
  failure is an error, and absent is never concluded from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sledsaga.errors import Unparsable
from sledsaga.hosts.answer import failed
from sledsaga.hosts.host import Completed
from sledsaga.hosts.zfs.spec import AGENT, EPOCH, ID, PLAIN, ZONED, Dataset
from sledsaga.hosts.zpool.commands import TAG

ABSENT = "dataset does not exist"
_HOLDER = re.compile(r"/proc/(\d+)/")
_ABSENT_LINE = re.compile(rf"cannot open '[^']+': {ABSENT}")
OWN_SOURCES = ("local", "received")
"""Sources that make a property a dataset's own."""
LEGACY = "legacy"
"""What zfs prints as the mountpoint of a dataset that is mounted by /etc/fstab, or by hand."""
_REQUIRED = ("available", "used", "compression", "mounted")
_COLUMNS = 4

Rows = Mapping[str, tuple[str, str]]
"""The value and source of each property of one dataset."""


def read_observation(done: Completed) -> dict[str, Dataset]:
    """Read a bulk `zfs get`; datasets that are not there are left out. Raises CommandFailed, Unparsable."""
    complaints = [line for line in done.stderr.splitlines() if line.strip()]
    if done.code != 0 and not (complaints and all(_ABSENT_LINE.match(line) for line in complaints)):
        raise failed(done)
    return parse_properties(done.stdout)


def parse_properties(text: str) -> dict[str, Dataset]:
    """Read the rows of one or several datasets, sorted by name. Raises Unparsable."""
    rows: dict[str, dict[str, tuple[str, str]]] = {}
    for line in text.splitlines():
        name, key, value, source = _columns(line)
        rows.setdefault(name, {})[key] = (value, source)
    return {name: _dataset(name, rows[name]) for name in sorted(rows)}


def _columns(line: str) -> list[str]:
    columns = line.split("\t")
    if len(columns) > _COLUMNS:
        raise Unparsable(
            f"Unexpected column data: '{columns[_COLUMNS]}' in {line!r}; expected {_COLUMNS} columns"
        )
    if len(columns) < _COLUMNS:
        absent = ("name", "property", "value", "source")[len(columns)]
        raise Unparsable(f"Missing '{absent}' in {line!r}; expected {_COLUMNS} columns by tab")
    return columns


def _dataset(name: str, rows: Rows) -> Dataset:
    missing = next((key for key in _REQUIRED if key not in rows), None)
    if missing is not None:
        raise Unparsable(f"Missing '{missing}' of {name}: zfs get did not print what it was asked for")
    key_status = _value(rows, "keystatus")
    is_bound = _own(rows, ZONED[0]) == ZONED[1]
    try:
        is_mounted = _is_mounted(rows["mounted"][0])
        return Dataset(
            name=name,
            available=int(rows["available"][0]),
            used=int(rows["used"][0]),
            referenced=int(_value(rows, "referenced") or rows["used"][0]),
            compression=rows["compression"][0],
            is_mounted=is_mounted and not is_bound,
            id=UUID(text) if (text := _own(rows, ID)) else None,
            saga=_own(rows, TAG),
            epoch=int(text) if (text := _own(rows, EPOCH)) else None,
            agent=_own(rows, AGENT),
            quota=_size(rows, "quota"),
            reservation=_size(rows, "reservation"),
            type=_value(rows, "type") or "filesystem",
            mountpoint=_value(rows, "mountpoint") or "none",
            canmount=_value(rows, "canmount") or "on",
            is_zoned=is_bound or _value(rows, "zoned") == "on",
            is_key_loaded=None if key_status in (None, "none") else key_status == "available",
            is_plain=_value(rows, PLAIN[0]) == PLAIN[1],
            is_bound=is_mounted and is_bound,
        )
    except ValueError as error:
        raise Unparsable(f"zfs get printed a value of {name} that cannot be: {error}") from error


def _is_mounted(word: str) -> bool:
    """Say whether a dataset is mounted; a volume, `-`, never is."""
    if word not in ("yes", "no", "-"):
        raise ValueError(f"mounted is {word!r}")
    return word == "yes"


def _value(rows: Rows, key: str) -> str | None:
    value, _ = rows.get(key, ("-", "-"))
    return None if value == "-" else value


def _own(rows: Rows, key: str) -> str | None:
    _, source = rows.get(key, ("-", "-"))
    return _value(rows, key) if source in OWN_SOURCES else None


def _size(rows: Rows, key: str) -> int | None:
    return int(_value(rows, key) or 0) or None


def parse_below(text: str, name: str) -> tuple[str, ...]:
    """Read `zfs list` of names, leaving out the dataset itself."""
    return tuple(sorted(line for line in text.splitlines() if line and line != name))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a dataset belongs, and whether it is mounted there."""

    name: str
    mountpoint: str
    is_mounted: bool


def parse_places(text: str) -> tuple[Place, ...]:
    """Read `zfs list` as the place of each dataset. Raises Unparsable.

    Where a dataset with a legacy mountpoint is mounted, zfs does not say; it is left out.
    """
    rows = [line.split("\t") for line in text.splitlines()]
    if any(len(row) != len(("name", "mountpoint", "mounted")) for row in rows):
        raise Unparsable(
            f"zfs list printed {text!r}; expected name, mountpoint and mounted by tab in each line"
        )
    try:
        places = [Place(name, mountpoint, _is_mounted(mounted)) for name, mountpoint, mounted in rows]
    except ValueError as error:
        raise Unparsable(f"zfs list printed a line that cannot be: {error}; expected yes, no or -") from error
    return tuple(place for place in places if place.mountpoint != LEGACY)


def parse_mounts(text: str) -> dict[str, str]:
    """Read `zfs list` as {mountpoint: the dataset mounted there}. Raises Unparsable."""
    return {place.mountpoint: place.name for place in parse_places(text) if place.is_mounted}


def parse_holders(text: str) -> tuple[int, ...]:
    """Read paths such as /proc/12/cwd as the process numbers in them."""
    return tuple(sorted({int(found[1]) for line in text.splitlines() if (found := _HOLDER.match(line))}))
