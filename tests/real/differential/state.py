"""All that can be observed of a machine after a line, as one document that both sides can be compared by.

- Sizes that are facts (used, available, referenced) are kept apart: they are compared as relations only.
- Pools that were there before (`FOREIGN`) are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.real.differential.fuse import FOREIGN
from tests.real.differential.side import Side, from_side

SHOWN: Final = (
    *("type", "mounted", "mountpoint", "canmount", "zoned", "quota", "reservation", "refquota"),
    *("compression", "recordsize", "atime", "readonly", "exec", "checksum", "copies"),
)
SIZES: Final = ("used", "available", "referenced")
POOL_SETTINGS: Final = ("failmode", "autoreplace", "delegation", "listsnapshots")

Values = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class State:
    """What is there. `settings` are those of pools, `sizes` are bytes."""

    pools: Mapping[str, str]
    settings: Mapping[str, tuple[str, str]]
    datasets: Mapping[str, Values]
    files: Mapping[str, int]
    sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def observe(side: Side) -> State:
    """Look at a side."""
    lines = side.run(("zpool", "list", "-H", "-o", "name,health")).stdout.splitlines()
    pools = {line.split()[0]: line.split()[1] for line in lines if "\t" in line}
    pools = {name: health for name, health in pools.items() if name not in FOREIGN}
    rows = _rows(side) if pools else []
    datasets: dict[str, dict[str, tuple[str, str]]] = {}
    sizes: dict[str, dict[str, int]] = {}
    for name, key, value, source in rows:
        if key in SHOWN or ":" in key:
            datasets.setdefault(name, {})[key] = (from_side(side, value), source)
        elif key in SIZES and value.isdigit():
            sizes.setdefault(name, {})[key] = int(value)
    return State(pools, _settings(side, sorted(pools)), datasets, side.names(side.root), sizes)


def differing(one: State, other: State) -> list[str]:
    """Say where two states differ, sizes not counted."""
    found = []
    for part in ("pools", "settings", "datasets", "files"):
        left, right = getattr(one, part), getattr(other, part)
        for key in sorted({*left, *right}):
            mine, theirs = left.get(key), right.get(key)
            if mine != theirs and part == "datasets" and mine and theirs:
                keys = sorted(each for each in {*mine, *theirs} if mine.get(each) != theirs.get(each))
                found += [f"{key} {each}: {mine.get(each)} | {theirs.get(each)}" for each in keys]
            elif mine != theirs:
                found.append(f"{part} {key}: {_brief(mine)} | {_brief(theirs)}")
    return found


def _brief(value: object) -> object:
    return "there" if isinstance(value, dict) else "absent" if value is None else value


def _rows(side: Side) -> list[tuple[str, str, str, str]]:
    text = side.run(("zfs", "get", "-Hp", "-o", "name,property,value,source", "all")).stdout
    rows = []
    for line in text.splitlines():
        name, key, value, source = line.split("\t")
        if name.partition("/")[0].partition("@")[0] not in FOREIGN:
            rows.append((name, key, value, source))
    return rows


def _settings(side: Side, pools: list[str]) -> dict[str, tuple[str, str]]:
    if not pools:
        return {}
    form = () if side.name == "zfs-fuse" else ("-H",)
    lines = side.run(("zpool", "get", *form, ",".join(POOL_SETTINGS), *pools)).stdout.splitlines()
    rows = [line.split(maxsplit=3) for line in lines]
    return {f"{row[0]} {row[1]}": (row[2], row[3].strip()) for row in rows if row[1] in POOL_SETTINGS}
