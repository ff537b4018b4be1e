"""`zfs list` and `zfs get`: script mode only (-H), exact numbers with -p.

Each dataset that is not there gets a line on stderr and makes the exit code 1; the others are printed all
the same.
"""

from __future__ import annotations

import re

from sledsaga.hosts.sim.argv import Call, Options, Refusal, Reply, options, short, table, wrong
from sledsaga.hosts.sim.things import Dataset
from sledsaga.hosts.sim.zfs_names import fault_of
from sledsaga.hosts.sim.zfs_props import FACTS, NATIVE, fact, lineage, named, setting, shown
from sledsaga.hosts.sim.zfs_space import Space, size_fact

LIST_USAGE = "list -H [-rp] [-d max] [-o property[,...]] [-t type[,...]] [filesystem|volume|snapshot] ..."
GET_USAGE = (
    "get -H [-rp] [-d max] [-o all | field[,...]] [-t type[,...]] [-s source[,...]] "
    '<"all" | property[,...]> [filesystem|volume|snapshot] ...'
)
TYPES = ("filesystem", "volume", "snapshot")
SIZES = ("used", "available", "referenced", "written")
FIELDS = ("name", "property", "value", "source")
SOURCES = ("local", "default", "inherited", "temporary", "received", "none")


class Values:
    """Reads properties of many datasets, each pool's sizes measured once."""

    def __init__(self, call: Call, *, exact: bool) -> None:
        self._call = call
        self._exact = exact
        self._spaces: dict[str, Space] = {}

    def of(self, name: str, key: str) -> tuple[str, str]:
        """Return (value, source) of a property as it is printed; `-` when it does not apply."""
        native = NATIVE.get(key)
        dataset = self._call.tx.get(Dataset, name)
        if dataset is None or (native is not None and dataset.type not in native.types):
            return "-", "-"
        if key in SIZES:
            return self._size(name, key, dataset), "-"
        if key in FACTS:
            return fact(self._call, name, key), "-"
        value, source = setting(self._call, name, key)
        return shown(key, value, exact=self._exact), source

    def _size(self, name: str, key: str, dataset: Dataset) -> str:
        if dataset.type == "snapshot" and key == "available":
            return "-"
        pool = lineage(name)[-1]
        if pool not in self._spaces:
            self._spaces[pool] = Space(self._call, pool)
        size = size_fact(self._spaces[pool], name, key)
        return str(size) if self._exact else short(size)


def opened(call: Call, name: str) -> Dataset:
    """Return a dataset. Refuses a name that is none, and one that is not there."""
    if fault_of(name):
        raise Refusal(f"cannot open '{name}': invalid dataset name")
    dataset = call.tx.get(Dataset, name)
    if dataset is None:
        raise Refusal(f"cannot open '{name}': dataset does not exist")
    return dataset


def zfs_list(call: Call, args: list[str]) -> Reply:
    """Print one row a dataset."""
    opts = options(args, "Hprd:o:t:s:S:", LIST_USAGE)
    if "H" not in opts:
        wrong("this sled prints in script mode only: say -H", LIST_USAGE)
    keys = [
        _named(key, LIST_USAGE)
        for key in (opts.last("o") or "name,used,available,referenced,mountpoint").split(",")
    ]
    names, errors = _chosen(call, opts, LIST_USAGE, all_types=False)
    values = Values(call, exact="p" in opts)
    rows = [[values.of(name, key)[0] for key in keys] for name in names]
    return Reply(1 if errors else 0, table(rows), errors)


def zfs_get(call: Call, args: list[str]) -> Reply:
    """Print one row a dataset and property."""
    opts = options(args, "Hprd:o:t:s:", GET_USAGE)
    if "H" not in opts:
        wrong("this sled prints in script mode only: say -H", GET_USAGE)
    if not opts.operands:
        wrong("missing property argument", GET_USAGE)
    fields = _some_of(opts.last("o", "all").replace("all", ",".join(FIELDS)), FIELDS, GET_USAGE)
    sources = _some_of(opts.last("s", ",".join(SOURCES)), SOURCES, GET_USAGE)
    wanted = opts.operands[0]
    for each in wanted.split(",") if wanted != "all" else ():
        _named(each, GET_USAGE)
    names, errors = _chosen(call, Options(opts.pairs, opts.operands[1:]), GET_USAGE, all_types=True)
    values = Values(call, exact="p" in opts)
    rows = []
    for name in names:
        for key in _keys(call, name, wanted):
            value, source = values.of(name, key)
            if _source_kind(source) in sources:
                row = {"name": name, "property": key, "value": value, "source": source}
                rows.append([row[field] for field in fields])
    return Reply(1 if errors else 0, table(rows), errors)


def _source_kind(source: str) -> str:
    return "none" if source == "-" else source.split(" ", maxsplit=1)[0]


def _keys(call: Call, name: str, wanted: str) -> list[str]:
    if wanted != "all":
        return [_named(key, GET_USAGE) for key in wanted.split(",")]
    dataset = opened(call, name)
    native = [key for key, each in NATIVE.items() if dataset.type in each.types and key != "name"]
    own = {key for each in lineage(name) for key in opened(call, each).props if ":" in key}
    return native + sorted(own)


def _named(key: str, usage: str) -> str:
    full = named(key)
    if full is None:
        wrong(f"bad property list: invalid property '{key}'", usage)
    return full


def _some_of(text: str, allowed: tuple[str, ...], usage: str) -> list[str]:
    chosen = text.split(",")
    for each in chosen:
        if each not in allowed:
            wrong(f"invalid column name '{each}'", usage)
    return chosen


def _chosen(call: Call, opts: Options, usage: str, *, all_types: bool) -> tuple[list[str], str]:
    """Return the names that the options and operands choose, and what is to be said of those not there."""
    types = _types(opts, usage, all_types=all_types)
    depth = _depth(opts, usage)
    if not opts.operands:
        return _in_order(call, _below(call, "", types, depth if "d" in opts else None)), ""
    names: list[str] = []
    errors = ""
    for each in opts.operands:
        try:
            found = _one(call, each, types, depth, told="t" in opts)
        except Refusal as refusal:
            errors += refusal.reply.err
        else:
            names += [name for name in found if name not in names]
    return _in_order(call, names), errors


def _in_order(call: Call, names: list[str]) -> list[str]:
    """Sort as the tools do: by name, the snapshots of a filesystem right after it, oldest first."""
    return sorted(
        names, key=lambda name: (name.partition("@")[0], opened(call, name).born if "@" in name else -1)
    )


def _one(call: Call, name: str, types: list[str], depth: int | None, *, told: bool) -> list[str]:
    dataset = opened(call, name)
    if depth == 0 and told and types == ["snapshot"] and dataset.type != "snapshot":
        depth = 1
    if depth == 0:
        if dataset.type in types or not told:
            return [name]
        raise Refusal(f"cannot open '{name}': operation not applicable to datasets of this type")
    return _below(call, name, types, depth)


def _below(call: Call, top: str, types: list[str], depth: int | None) -> list[str]:
    """Return datasets at and below `top` (all when empty) of these types, in tree order, to a depth."""
    if top:
        found = {
            top: opened(call, top),
            **call.tx.under(Dataset, f"{top}/"),
            **call.tx.under(Dataset, f"{top}@"),
        }
    else:
        found = dict(call.tx.under(Dataset))
    levels = len(re.split("[/@]", top)) if top else 1
    return sorted(
        name
        for name, each in found.items()
        if each.type in types and (depth is None or len(re.split("[/@]", name)) - levels <= depth)
    )


def _types(opts: Options, usage: str, *, all_types: bool) -> list[str]:
    usual = ",".join(TYPES if all_types else TYPES[:2])
    text = opts.last("t", usual).replace("all", ",".join(TYPES))
    chosen = ["snapshot" if each == "snap" else each for each in text.split(",")]
    for each in chosen:
        if each not in TYPES:
            wrong(f"invalid type '{each}'", usage)
    return chosen


def _depth(opts: Options, usage: str) -> int | None:
    """Return how deep to go: 0 the dataset alone, None everything below."""
    if "d" not in opts:
        return None if "r" in opts else 0
    text = opts.last("d")
    if not text.isdigit():
        wrong(f"bad depth '{text}'", usage)
    return int(text)
