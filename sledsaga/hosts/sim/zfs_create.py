"""`zfs create` and `zfs snapshot`."""

from __future__ import annotations

import secrets
from dataclasses import replace

from sledsaga.hosts.sim.argv import Call, Options, Refusal, Reply, assignments, count, options, size_of, wrong
from sledsaga.hosts.sim.things import Dataset, Pool
from sledsaga.hosts.sim.zfs_keys import sealed
from sledsaga.hosts.sim.zfs_mount import family, mount, mounts_by_itself
from sledsaga.hosts.sim.zfs_props import checked, encryption_root, key_loaded, lineage
from sledsaga.hosts.sim.zfs_show import DATASET, opened
from sledsaga.hosts.sim.zfs_space import EMPTY_FILESYSTEM, Space

USAGE = (
    "create [-p] [-o property=value] ... <filesystem>\n"
    "\tcreate [-ps] [-b blocksize] [-o property=value] ... -V <size> <volume>"
)
SNAPSHOT_USAGE = "snapshot [-r] [-o property=value] ... <filesystem@snapname|volume@snapname> ..."
NAME_BYTES = 255
BLOCKS = tuple(512 << power for power in range(9))


def zfs_create(call: Call, args: list[str]) -> Reply:
    """Make a filesystem, and mount it; or make a volume (-V)."""
    opts = options(args, "pso:V:b:", USAGE)
    count(opts.operands, 1, 1, USAGE)
    name = opts.operands[0]
    if "V" not in opts and ("s" in opts or "b" in opts):
        wrong("'-s' and '-b' can only be used when creating a volume", USAGE)
    refusal = f"cannot create '{name}'"
    if "p" in opts:
        _make_parents(call, name, refusal)
        if call.tx.get(Dataset, name) is not None:
            return Reply()
    _check_name(call, name, refusal)
    dataset = _described(call, opts, refusal)
    _check_space(call, name, dataset, refusal)
    call.tx.put(name, dataset)
    return _mounted(call, name)


def zfs_snapshot(call: Call, args: list[str]) -> Reply:
    """Snapshot datasets, all at once; -r takes all below them too."""
    opts = options(args, "ro:", SNAPSHOT_USAGE)
    count(opts.operands, 1, None, SNAPSHOT_USAGE)
    props = assignments(opts.every("o"), SNAPSHOT_USAGE)
    for each in opts.operands:
        name, at, label = each.partition("@")
        if not at or not label or not DATASET.fullmatch(each):
            raise Refusal(f"cannot create snapshot '{each}': invalid snapshot name")
        opened(call, name)
        for one in family(call, name) if "r" in opts else [name]:
            _snap(call, one, label, props)
    return Reply()


def fresh(call: Call, kind: str, props: dict[str, str]) -> Dataset:
    """Return a new dataset, with an id of its own."""
    return Dataset(secrets.token_hex(8), kind, props, born=int(call.now * 1_000_000))


def _snap(call: Call, name: str, label: str, props: dict[str, str]) -> None:
    full = f"{name}@{label}"
    if call.tx.get(Dataset, full) is not None:
        raise Refusal(f"cannot create snapshot '{full}': dataset already exists")
    for key in props:
        if ":" not in key:
            raise Refusal(f"cannot create snapshot '{full}': property '{key}' cannot be set on snapshots")
    size = Space(call, lineage(name)[-1]).referenced(name)
    call.tx.put(full, replace(fresh(call, "snapshot", dict(props)), used=size))


def _check_name(call: Call, name: str, refusal: str) -> None:
    if not DATASET.fullmatch(name) or "@" in name:
        raise Refusal(f"{refusal}: invalid dataset name")
    if len(name) > NAME_BYTES:
        raise Refusal(f"{refusal}: name is too long")
    if call.tx.get(Dataset, name) is not None:
        raise Refusal(f"{refusal}: dataset already exists")
    parent, _, last = name.rpartition("/")
    pool = name.partition("/")[0]
    if call.tx.get(Pool, pool) is None:
        raise Refusal(
            f"{refusal}: no such pool '{pool}'" if last != name else f"{refusal}: missing dataset name"
        )
    above = call.tx.get(Dataset, parent)
    if above is None:
        raise Refusal(f"{refusal}: parent does not exist")
    if above.type != "filesystem":
        raise Refusal(f"{refusal}: parent is not a filesystem")
    if key_loaded(call, parent) is False:
        raise Refusal(f"{refusal}: encryption root's key is not loaded or provided")


def _make_parents(call: Call, name: str, refusal: str) -> None:
    for each in reversed(lineage(name)[1:]):
        if call.tx.get(Dataset, each) is None:
            _check_name(call, each, refusal)
            call.tx.put(each, fresh(call, "filesystem", {}))
            _mounted(call, each)


def _described(call: Call, opts: Options, refusal: str) -> Dataset:
    """Return the dataset that the options ask for. Refuses bad properties and keys."""
    name = opts.operands[0]
    kind = "volume" if "V" in opts else "filesystem"
    raw = assignments(opts.every("o"), USAGE)
    if kind == "volume":
        raw |= {"volsize": opts.last("V")} | ({"volblocksize": opts.last("b")} if "b" in opts else {})
    props = checked(raw, kind=kind, creating=True, refusal=refusal)
    if kind == "volume":
        _check_volume(props, raw, refusal)
        if "s" not in opts:
            props.setdefault("refreservation", props["volsize"])
    if props.get("encryption", "off") != "off" and _encryption_is_off(call, name):
        raise Refusal(f"{refusal}: pool must be upgraded to set this property or value")
    if props.get("encryption") == "off" and encryption_root(call, name.rpartition("/")[0]) != "-":
        raise Refusal(f"{refusal}: encryption cannot be turned off below an encrypted dataset")
    return sealed(call, fresh(call, kind, props), refusal)


def _encryption_is_off(call: Call, name: str) -> bool:
    pool = call.tx.get(Pool, name.partition("/")[0])
    return pool is None or pool.props.get("feature@encryption", "disabled") == "disabled"


def _check_volume(props: dict[str, str], raw: dict[str, str], refusal: str) -> None:
    size, block = int(props["volsize"]), int(props.get("volblocksize", "8192"))
    if size_of(raw["volsize"]) == 0:
        raise Refusal(f"{refusal}: volume size must be greater than zero")
    if block not in BLOCKS:
        raise Refusal(f"{refusal}: 'volblocksize' must be power of 2 from 512B to 128KB")
    if size % block:
        raise Refusal(f"{refusal}: volume size must be a multiple of volume block size")


def _check_space(call: Call, name: str, dataset: Dataset, refusal: str) -> None:
    free = Space(call, name.partition("/")[0]).available(name.rpartition("/")[0])
    limits = {key: int(dataset.props.get(key, "0")) for key in ("quota", "reservation", "refreservation")}
    needed = max(EMPTY_FILESYSTEM, limits["reservation"], limits["refreservation"])
    # A quota that cannot hold even the metadata fails at create (omicron#5260).
    if needed > free or 0 < limits["quota"] < EMPTY_FILESYSTEM:
        raise Refusal(f"{refusal}: out of space")


def _mounted(call: Call, name: str) -> Reply:
    if mounts_by_itself(call, name):
        try:
            mount(call, name)
        except Refusal as refusal:
            return Reply(1, "", refusal.reply.err + "filesystem successfully created, but not mounted\n")
    return Reply()
