"""`zpool`: pools of one disk each.

- A new pool has `feature@encryption` disabled until it is set (or given with -o), so that a create which
  was cut short can be told from a finished one.
- -f takes a disk whose label belongs to a pool that is not imported; never one of an imported pool.
- An export hides the datasets; an import brings them back, keys unloaded. Both names and ids live on the
  disk.
"""

from __future__ import annotations

import functools
import posixpath
import secrets
from dataclasses import replace

from sledsaga.hosts.sim.argv import Call, Command, Options, Refusal, Reply, assignments, count, options, wrong
from sledsaga.hosts.sim.disks import disk_at, is_reachable
from sledsaga.hosts.sim.things import Dataset, Disk, Exported, Pool
from sledsaga.hosts.sim.zfs_create import fresh
from sledsaga.hosts.sim.zfs_mount import is_mountable, mount, mount_imported, unmount_pool, used_by_zone
from sledsaga.hosts.sim.zfs_names import check_pool_name
from sledsaga.hosts.sim.zfs_props import LIMITS, QUOTAS, checked
from sledsaga.hosts.sim.zfs_space import Space
from sledsaga.hosts.sim.zpool_show import (
    FACTS,
    SETTABLE,
    is_pool_property,
    opened,
    zpool_get,
    zpool_list,
    zpool_status,
)
from sledsaga.hosts.sim.zpool_shut import let_go, zpool_clear

CREATE_USAGE = (
    "create [-fnd] [-o property=value] ... [-O file-system-property=value] ... [-m mountpoint] <pool> <vdev>"
)
DESTROY_USAGE = "destroy [-f] <pool>"
EXPORT_USAGE = "export [-f] <pool> ..."
IMPORT_USAGE = "import [-fNd] [-o property=value] ... [pool | id]"
SET_USAGE = "set <property=value> <pool>"


def zpool_create(call: Call, args: list[str]) -> Reply:
    """Make a pool on one disk, with its root filesystem."""
    opts = options(args, "fnde:o:O:m:R:t:", CREATE_USAGE)
    raw = assignments(opts.every("o"), "-o option")
    for key in raw:
        if not is_pool_property(key):
            raise Refusal(f"property '{key}' is not a valid pool property")
    root = assignments(opts.every("O"), "-O option")
    name, vdev = _pool_and_disk(opts)
    refusal = f"cannot create '{name}'"
    disk = _free_disk(call, vdev, forced="f" in opts)
    place = opts.last("m") if "m" in opts else root.get("mountpoint", f"/{name}")
    _check_place(call, place)
    if "n" in opts:
        return Reply(0, f"would create '{name}' with the following layout:\n\n\t{name}\n\t  {vdev}\n")
    try:
        check_pool_name(name, refusal, creating=True)
    except Refusal as refused:
        raise Refusal(f"{refused.reply.err}pool name may have been omitted") from refused
    props = _pool_props(raw, refusal, creating=True)
    root = checked(root, kind="filesystem", creating=True, refusal=refusal)
    if "m" in opts:
        root |= {"mountpoint": place}
    if call.tx.get(Pool, name) is not None:
        raise Refusal(f"{refusal}: pool already exists")
    return _make(call, name, disk, props, root=root)


def _pool_and_disk(opts: Options) -> tuple[str, str]:
    """Return the two operands of a create; a pool has one disk here."""
    if not opts.operands:
        wrong("missing pool name argument", CREATE_USAGE)
    if len(opts.operands) == 1:
        wrong("missing vdev specification", CREATE_USAGE)
    count(opts.operands, 2, 2, CREATE_USAGE)
    name, vdev = opts.operands
    if "/" in name:
        why = "invalid character '/' in pool name\nuse 'zfs create' to create a dataset"
        raise Refusal(f"cannot create '{name}': {why}")
    return name, vdev


def _make(call: Call, name: str, disk: Disk, props: dict[str, str], *, root: dict[str, str]) -> Reply:
    """Write a new pool onto a disk, and mount its root filesystem; destroy it when its limits do not fit."""
    _overwrite(call, disk)
    guid = secrets.token_hex(8)
    call.tx.put(name, Pool(guid, disk.serial, disk.size, props))
    if not _fits(call, name, root):
        call.tx.drop(Dataset, name)
        call.tx.drop(Pool, name)
        call.tx.put(disk.serial, replace(disk, label="", guid=""))
        return Reply(1, "", f"cannot create '{name}': one or more devices is out of space\n")
    call.tx.put(disk.serial, replace(disk, label=name, guid=guid))
    call.tx.put(name, fresh(call, "filesystem", root))
    if is_mountable(call, name):
        mount(call, name)
    return Reply()


def _fits(call: Call, name: str, root: dict[str, str]) -> bool:
    """Say whether the root of a new pool can have its limits; puts one without what it reserves."""
    limits = {key: int(root.get(key, "0")) for key in LIMITS}
    quotas = {key: value for key, value in limits.items() if value and key in QUOTAS}
    call.tx.put(name, fresh(call, "filesystem", {key: str(value) for key, value in quotas.items()}))
    space = Space(call, name)
    return all(value >= space.least(name, key) for key, value in quotas.items()) and all(
        space.reserves(name, key, value) for key, value in limits.items() if value and key not in QUOTAS
    )


def zpool_destroy(call: Call, args: list[str]) -> Reply:
    """Destroy a pool and all in it; its disk is blank to fstyp afterwards."""
    opts = options(args, "f", DESTROY_USAGE)
    count(opts.operands, 1, 1, DESTROY_USAGE, what="pool")
    name = opts.operands[0]
    try:
        pool = opened(call, name)
    except Refusal as refusal:
        hint = "use 'zfs destroy' to destroy a dataset" if "/" in name else ""
        raise Refusal(f"{refusal.reply.err}{hint}") from refusal
    if pool.is_shut:
        let_go(call, name, pool)
        return Reply()
    if busy := _busy(call, name):
        return Reply(1, "", f"{busy}could not destroy '{name}': could not unmount datasets\n")
    for each, dataset in _datasets(call, name).items():
        call.tx.drop(Dataset, each)
        call.tx.later.append(functools.partial(call.tree.discard, dataset.guid))
    call.tx.drop(Pool, name)
    _relabel(call, pool, "", "")
    return Reply()


def zpool_export(call: Call, args: list[str]) -> Reply:
    """Unmount all of each pool and let it go; those that cannot be are told, and the others go."""
    opts = options(args, "f", EXPORT_USAGE)
    count(opts.operands, 1, None, EXPORT_USAGE, what="pool")
    said = "".join(_exported(call, name) for name in opts.operands)
    return Reply(1 if said else 0, "", said)


def _exported(call: Call, name: str) -> str:
    """Let a pool go; return what was refused."""
    try:
        pool = opened(call, name)
    except Refusal as refusal:
        return refusal.reply.err
    if pool.is_shut:
        let_go(call, name, pool)
        return ""
    if busy := _busy(call, name):
        return busy
    for each, dataset in _datasets(call, name).items():
        if dataset.loaded:
            call.tx.put(each, replace(dataset, loaded=False))
    let_go(call, name, pool)
    return ""


def zpool_import(call: Call, args: list[str]) -> Reply:
    """Take a pool by name or id, and mount what mounts by itself; without a name, list the choice."""
    opts = options(args, "fNaD:d:o:R:lm", IMPORT_USAGE)
    count(opts.operands, 0, 1, IMPORT_USAGE)
    if not opts.operands and "a" not in opts:
        offers = "".join(_offer(each) for each in call.tx.under(Exported).values())
        return Reply(0 if offers else 1, offers)
    wanted = opts.operands[0] if opts.operands else ""
    if call.tx.get(Pool, wanted) is not None:
        if any(each.name == wanted for each in call.tx.under(Exported).values()):
            raise Refusal(
                f"cannot import '{wanted}': a pool with that name already exists\n"
                "use the form 'zpool import <pool | id> <newpool>' to give it a new name"
            )
        raise Refusal(
            f"cannot import '{wanted}': a pool with that name is already created/imported,\n"
            "and no additional pools with that name were found"
        )
    found = {
        guid: each
        for guid, each in call.tx.under(Exported).items()
        if "a" in opts or wanted in (_id(guid), each.name)
    }
    if not found and "a" not in opts:
        raise Refusal(f"cannot import '{wanted}': no such pool available")
    if len(found) > 1 and "a" not in opts:
        raise Refusal(f"cannot import '{wanted}': more than one matching pool\nimport by numeric ID instead")
    said = "".join(_take(call, guid, each, opts) for guid, each in found.items())
    return Reply(1 if said else 0, "", said)


def zpool_set(call: Call, args: list[str]) -> Reply:
    """Set one property of a pool."""
    opts = options(args, "", SET_USAGE)
    if len(opts.operands) < 2:  # noqa: PLR2004 - a property and a pool
        wrong("missing pool name" if opts.operands else "missing property=value argument", SET_USAGE)
    if len(opts.operands) > 2:  # noqa: PLR2004 - the same
        wrong("too many pool names", SET_USAGE)
    pair, name = opts.operands
    if "=" not in pair:
        wrong("missing value in property=value argument", SET_USAGE)
    pool = opened(call, name)
    if pool.is_shut:
        raise Refusal(f"cannot set property for '{name}': I/O error")
    props = _pool_props(assignments([pair]), f"cannot set property for '{name}'", creating=False)
    call.tx.put(name, replace(pool, props={**pool.props, **props}))
    return Reply()


def _take(call: Call, guid: str, found: Exported, opts: Options) -> str:
    pool = Pool(**found.pool)
    disk = call.tx.get(Disk, pool.disk)
    if disk is None or disk.condition != "ok":
        raise Refusal(f"cannot import '{found.name}': one or more devices is currently unavailable")
    call.tx.drop(Exported, guid)
    call.tx.put(found.name, replace(pool, props={**pool.props, **assignments(opts.every("o"))}))
    call.tx.unshelve(found.name, guid)
    return "" if "N" in opts else mount_imported(call, found.name)


def _id(guid: str) -> str:
    """Return a pool's id as people see it."""
    return str(int(guid, 16))


def _offer(found: Exported) -> str:
    return (
        f"   pool: {found.name}\n     id: {_id(found.pool['guid'])}\n  state: ONLINE\n"
        " action: The pool can be imported using its name.\n"
    )


def _free_disk(call: Call, vdev: str, *, forced: bool) -> Disk:
    disk = disk_at(call, vdev)
    if disk is None or disk.condition == "pulled":
        raise Refusal(
            f"cannot open '{vdev}': no such device in /dev/dsk\nmust be a full path or shorthand device name"
        )
    if disk.condition == "failing":
        raise Refusal(f"cannot open '{vdev}': I/O error")
    if not disk.guid:
        return disk
    found = call.tx.get(Pool, disk.label)
    is_active = found is not None and found.guid == disk.guid
    if forced and not is_active:
        return disk
    state = "active" if is_active else "exported or potentially active"
    remedy = (
        "the following errors must be manually repaired"
        if forced
        else "use '-f' to override the following errors"
    )
    how = f"{vdev} is part of {state} ZFS pool {disk.label}. Please see zpool(8)."
    raise Refusal(f"invalid vdev specification\n{remedy}:\n{how}")


def _overwrite(call: Call, disk: Disk) -> None:
    """Forget the pool whose label a disk carries."""
    if disk.guid:
        call.tx.drop(Exported, disk.guid)
        call.tx.db.execute("DELETE FROM things WHERE kind = ?", (f"dataset@{disk.guid}",))


def _check_place(call: Call, path: str) -> None:
    """Refuse a mountpoint for a new pool that is no path, or that holds anything."""
    if path in ("none", "legacy"):
        return
    if not path.startswith("/"):
        raise Refusal(f"invalid mountpoint '{path}': must be an absolute path, 'legacy', or 'none'")
    if not call.tree.is_empty(call.tx, path):
        raise Refusal(
            f"mountpoint '{path}' exists and is not empty\nuse '-m' option to provide a different default"
        )


def _pool_props(raw: dict[str, str], refusal: str, *, creating: bool) -> dict[str, str]:
    for key, value in raw.items():
        allowed = SETTABLE.get(key)
        if key.startswith("feature@"):
            allowed = ("enabled", "disabled") if creating else ("enabled",)
        if key in FACTS:
            raise Refusal(f"{refusal}: '{key}' is readonly")
        if allowed is None and ":" not in key:
            raise Refusal(f"{refusal}: invalid property '{key}'")
        if allowed and value not in allowed:
            raise Refusal(f"{refusal}: '{key}' must be one of '{' | '.join(allowed)}'")
    return raw


def _busy(call: Call, name: str) -> str:
    """Unmount all of a pool; return what is to be said when a zone or another mount uses it."""
    if used_by_zone(call, name):
        return f"cannot unmount '/{name}': Device busy\n"
    return unmount_pool(call, name)


def _datasets(call: Call, name: str) -> dict[str, Dataset]:
    root = call.tx.get(Dataset, name)
    assert root is not None, "a pool has a root filesystem"
    return {name: root, **call.tx.under(Dataset, f"{name}/"), **call.tx.under(Dataset, f"{name}@")}


def _relabel(call: Call, pool: Pool, label: str, guid: str) -> None:
    disk = call.tx.get(Disk, pool.disk)
    if disk is not None:
        call.tx.put(disk.serial, replace(disk, label=label, guid=guid))


SUBCOMMANDS: dict[str, Command] = {
    "clear": zpool_clear,
    "create": zpool_create,
    "destroy": zpool_destroy,
    "export": zpool_export,
    "import": zpool_import,
    "list": zpool_list,
    "get": zpool_get,
    "set": zpool_set,
    "status": zpool_status,
}

WRITING = frozenset({"destroy", "export", "set"})
"""Subcommands that cannot end well on a disk that does not answer."""


def zpool(call: Call, args: list[str]) -> Reply:
    """Run one zpool subcommand."""
    usage = "zpool command args ..., where 'command' is one of: " + " ".join(SUBCOMMANDS)
    if not args:
        wrong("missing command", usage)
    if args[0] not in SUBCOMMANDS:
        wrong(f"unrecognized command '{posixpath.basename(args[0])}'", usage)
    if args[0] in WRITING and args[1:] and not is_reachable(call.tx, args[-1]):
        raise Refusal(f"cannot {args[0]} '{args[-1]}': pool I/O is currently suspended")
    return SUBCOMMANDS[args[0]](call, args[1:])
