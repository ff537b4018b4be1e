"""`zfs create` and `zfs snapshot`."""

from __future__ import annotations

import secrets
from dataclasses import replace

from sledsaga.hosts.sim.argv import Call, Options, Refusal, Reply, assignments, count, options, size_of, wrong
from sledsaga.hosts.sim.things import Dataset, Pool
from sledsaga.hosts.sim.zfs_keys import sealed
from sledsaga.hosts.sim.zfs_mount import family, mount, mounts_by_itself
from sledsaga.hosts.sim.zfs_names import check_name, check_snapshot_name, fault_of
from sledsaga.hosts.sim.zfs_props import LIMITS, checked, encryption_root, key_loaded, lineage
from sledsaga.hosts.sim.zfs_show import opened
from sledsaga.hosts.sim.zfs_space import EMPTY_FILESYSTEM, Space

USAGE = (
    "create [-p] [-o property=value] ... <filesystem>\n"
    "\tcreate [-ps] [-b blocksize] [-o property=value] ... -V <size> <volume>"
)
SNAPSHOT_USAGE = "snapshot [-r] [-o property=value] ... <filesystem@snapname|volume@snapname> ..."
BLOCKS = tuple(512 << power for power in range(9))


def zfs_create(call: Call, args: list[str]) -> Reply:
    """Make a filesystem, and mount it; or make a volume (-V)."""
    opts = options(args, "pso:V:b:", USAGE)
    raw = assignments(opts.every("o"))
    if "V" not in opts and ("s" in opts or "b" in opts):
        wrong("'-s' and '-b' can only be used when creating a volume", USAGE)
    count(opts.operands, 1, 1, USAGE, what="volume" if "V" in opts else "filesystem")
    name = opts.operands[0]
    if "p" in opts and not fault_of(name):
        if call.tx.get(Dataset, name) is not None:
            return Reply()
        if said := make_parents(call, name):
            return Reply(1, "", said)
        try:
            return _made(call, opts, raw)
        except Refusal as refusal:
            return refusal.reply
    return _made(call, opts, raw)


def _made(call: Call, opts: Options, raw: dict[str, str]) -> Reply:
    """Make the dataset that a create names. What -p made above it stays, whether or not this is refused."""
    name = opts.operands[0]
    refusal = f"cannot create '{name}'"
    check_name(name, refusal, modifying=True, snapshots=False)
    check_parent(call, name)
    if call.tx.get(Dataset, name) is not None:
        raise Refusal(f"{refusal}: dataset already exists")
    dataset = _described(call, opts, raw, refusal)
    _check_space(call, name, dataset, refusal)
    call.tx.put(name, dataset)
    return _mounted(call, name)


def zfs_snapshot(call: Call, args: list[str]) -> Reply:
    """Snapshot datasets, all at once; -r takes all below them too."""
    opts = options(args, "ro:", SNAPSHOT_USAGE)
    props = assignments(opts.every("o"))
    count(opts.operands, 1, None, SNAPSHOT_USAGE, what="snapshot")
    wanted = [each for operand in opts.operands for each in _to_snap(call, operand, deep="r" in opts)]
    for each in wanted:
        check_snapshot_name(each, f"cannot create snapshot '{each}'")
    checked(props, kind="snapshot", creating=True, refusal="cannot create snapshots ")
    taken = [each for each in wanted if call.tx.get(Dataset, each) is not None]
    if taken:
        said = "".join(f"cannot create snapshot '{each}': dataset already exists\n" for each in taken)
        raise Refusal(said + ("no snapshots were created\n" if "r" in opts or len(opts.operands) > 1 else ""))
    for each in wanted:
        name = each.partition("@")[0]
        size = Space(call, lineage(each)[-1]).referenced(name)
        files = call.tree.files(opened(call, name).guid)
        call.tx.put(each, replace(fresh(call, "snapshot", dict(props)), used=size, files=files))
    return Reply()


def fresh(call: Call, kind: str, props: dict[str, str]) -> Dataset:
    """Return a new dataset, with an id of its own."""
    return Dataset(secrets.token_hex(8), kind, props, born=int(call.now * 1_000_000))


def check_parent(call: Call, name: str) -> None:
    """Refuse a new name whose parent cannot have it, as create, rename and their -p do."""
    refusal = f"cannot create '{name}'"
    parent = name.rpartition("/")[0]
    if not parent:
        raise Refusal(f"{refusal}: missing dataset name")
    pool = name.partition("/")[0]
    if call.tx.get(Pool, pool) is None:
        raise Refusal(f"{refusal}: no such pool '{pool}'")
    above = call.tx.get(Dataset, parent)
    if above is None:
        raise Refusal(f"{refusal}: parent does not exist")
    if above.type != "filesystem":
        raise Refusal(f"{refusal}: parent is not a filesystem")
    if key_loaded(call, parent) is False:
        raise Refusal(f"{refusal}: encryption root's key is not loaded or provided")


def make_parents(call: Call, name: str) -> str:
    """Make the filesystems above a new name that are not there, and mount them, up to one that cannot be.

    Returns what is to be said of that one; it is there, and nothing below it.
    """
    pool = name.partition("/")[0]
    if "/" in name and call.tx.get(Pool, pool) is None:
        raise Refusal(f"cannot create '{name}': no such pool '{pool}'")
    for each in reversed(lineage(name)[1:]):
        if call.tx.get(Dataset, each) is None:
            check_name(each, f"cannot create '{each}'", modifying=True, snapshots=False)
            check_parent(call, each)
            call.tx.put(each, fresh(call, "filesystem", {}))
            reply = _mounted(call, each)
            if reply.code:
                return reply.err.partition("filesystem successfully")[0]
    return ""


def _to_snap(call: Call, operand: str, *, deep: bool) -> list[str]:
    """Return the snapshots that a word asks for; a dataset that is not there is a wrong command line."""
    name, at, label = operand.partition("@")
    if not at:
        wrong("", SNAPSHOT_USAGE)
    try:
        opened(call, name)
    except Refusal as refusal:
        wrong(refusal.reply.err.rstrip(), SNAPSHOT_USAGE)
    return [f"{each}@{label}" for each in (family(call, name) if deep else [name])]


def _described(call: Call, opts: Options, raw: dict[str, str], refusal: str) -> Dataset:
    """Return the dataset that the options ask for. Refuses bad properties and keys."""
    name = opts.operands[0]
    kind = "volume" if "V" in opts else "filesystem"
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
    limits = {key: int(dataset.props.get(key, "0")) for key in LIMITS}
    needed = max(EMPTY_FILESYSTEM, limits["reservation"], limits["refreservation"])
    least = {"quota": max(EMPTY_FILESYSTEM, limits["reservation"]), "refquota": EMPTY_FILESYSTEM}
    # A quota that cannot hold even the metadata fails at create (omicron#5260).
    if needed > free or any(0 < limits[key] < size for key, size in least.items()):
        raise Refusal(f"{refusal}: out of space")


def _mounted(call: Call, name: str) -> Reply:
    if mounts_by_itself(call, name):
        try:
            mount(call, name)
        except Refusal as refusal:
            return Reply(1, "", refusal.reply.err + "filesystem successfully created, but not mounted\n")
    return Reply()
