"""`zfs set`, `inherit`, `rename` and `destroy`.

A `set` of several properties is all or nothing. A change of mountpoint, canmount or zoned unmounts what it
concerns and mounts it again where it now belongs.
"""

from __future__ import annotations

from dataclasses import replace

from sledsaga.hosts.sim.argv import Call, Options, Refusal, Reply, assignments, count, options, wrong
from sledsaga.hosts.sim.things import Dataset, Mount
from sledsaga.hosts.sim.zfs_mount import family, mount, mounts_by_itself, unmount, used_by_zone
from sledsaga.hosts.sim.zfs_props import (
    LIMITS,
    NATIVE,
    checked,
    encryption_root,
    is_mounted,
    lineage,
    mountpoint,
    named,
    setting,
)
from sledsaga.hosts.sim.zfs_show import opened
from sledsaga.hosts.sim.zfs_space import Space

SET_USAGE = "set <property=value> ... <filesystem|volume|snapshot> ..."
INHERIT_USAGE = "inherit [-rS] <property> <filesystem|volume|snapshot> ..."
RENAME_USAGE = "rename [-fp] <filesystem|volume> <filesystem|volume>"
DESTROY_USAGE = "destroy [-fnpRrv] <filesystem|volume>\n\tdestroy [-dnpRrv] <filesystem|volume>@<snap>"
MOVING = ("mountpoint", "canmount", "zoned")
QUOTAS = ("quota", "refquota")


def zfs_set(call: Call, args: list[str]) -> Reply:
    """Set properties of datasets."""
    opts = options(args, "", SET_USAGE)
    pairs = [each for each in opts.operands if "=" in each]
    names = opts.operands[len(pairs) :]
    if not pairs or opts.operands[: len(pairs)] != pairs:
        wrong("missing property=value argument(s)", SET_USAGE)
    count(names, 1, None, SET_USAGE)
    raw = assignments(pairs, SET_USAGE)
    replies = [_set_one(call, name, raw) for name in names]
    return Reply(max(reply.code for reply in replies), "", "".join(reply.err for reply in replies))


def zfs_inherit(call: Call, args: list[str]) -> Reply:
    """Forget a local setting, of all below too with -r."""
    opts = options(args, "rS", INHERIT_USAGE)
    count(opts.operands, 2, None, INHERIT_USAGE)
    key = named(opts.operands[0])
    if key is None:
        wrong(f"invalid property '{opts.operands[0]}'", INHERIT_USAGE)
    native = NATIVE.get(key)
    if native is not None and native.setting != "yes":
        wrong(f"'{key}' property is read-only", INHERIT_USAGE)
    if native is not None and not native.inherits and key not in LIMITS:
        wrong(f"'{key}' property cannot be inherited", INHERIT_USAGE)
    for name in opts.operands[1:]:
        opened(call, name)
        for each in family(call, name) if "r" in opts else [name]:
            dataset = opened(call, each)
            _apply(
                call,
                each,
                {one: value for one, value in dataset.props.items() if one != key},
                moving=key in MOVING,
            )
    return Reply()


def zfs_rename(call: Call, args: list[str]) -> Reply:
    """Give a dataset and all below it another name in the same pool."""
    opts = options(args, "fpru", RENAME_USAGE)
    count(opts.operands, 2, 2, RENAME_USAGE)
    old, new = opts.operands
    opened(call, old)
    refusal = f"cannot rename '{old}'"
    if call.tx.get(Dataset, new) is not None:
        raise Refusal(f"{refusal}: dataset already exists")
    if lineage(old)[-1] != lineage(new)[-1]:
        raise Refusal(f"{refusal}: datasets must be within same pool")
    if call.tx.get(Dataset, new.rpartition("@" if "@" in new else "/")[0]) is None:
        raise Refusal(f"{refusal}: parent does not exist")
    if "@" not in old and setting(call, old, "zoned")[0] == "on":
        raise Refusal(f"{refusal}: dataset is used in a non-global zone")
    mounted = [] if "@" in old else unmount(call, old)
    for each in [old, *call.tx.under(Dataset, f"{old}/"), *call.tx.under(Dataset, f"{old}@")]:
        dataset = opened(call, each)
        call.tx.drop(Dataset, each)
        call.tx.put(new + each[len(old) :], dataset)
    return _remount(call, [new + each[len(old) :] for each in mounted])


def zfs_destroy(call: Call, args: list[str]) -> Reply:
    """Destroy a dataset; without -r only one that has neither children nor snapshots. Unmounts it first."""
    opts = options(args, "dfnpRrv", DESTROY_USAGE)
    count(opts.operands, 1, 1, DESTROY_USAGE)
    name = opts.operands[0]
    opened(call, name)
    deep = "r" in opts or "R" in opts
    if "/" not in name and "@" not in name and not deep:
        raise Refusal(
            f"cannot destroy '{name}': operation does not apply to pools\n"
            f"use 'zfs destroy -r {name}' to destroy all datasets in the pool\n"
            f"use 'zpool destroy {name}' to destroy the pool itself"
        )
    doomed = _doomed(call, name, deep=deep)
    if "n" in opts:
        return Reply(0, "".join(f"would destroy {each}\n" for each in doomed) if "v" in opts else "")
    return _destroyed(call, doomed, opts)


def destroy(call: Call, name: str) -> None:
    """Destroy one dataset that has no children: unmount it, forget it, remove its files after the commit."""
    dataset = opened(call, name)
    if "@" in name:
        call.tx.drop(Dataset, name)
        return
    if used_by_zone(call, name):
        raise Refusal(f"cannot destroy '{name}': dataset is busy")
    path, source = mountpoint(call, name) if dataset.type == "filesystem" else ("none", "-")
    if is_mounted(call, name):
        unmount(call, name)
    call.tx.drop(Dataset, name)
    call.tx.later.append(lambda: call.tree.discard(dataset.guid))
    if source != "local" and path not in ("none", "legacy") and call.tx.get(Mount, path) is None:
        real = call.tree.real(call.tx, path)
        if real.is_dir() and call.tree.is_empty(call.tx, path):
            real.rmdir()


def _doomed(call: Call, name: str, *, deep: bool) -> list[str]:
    """Return what a destroy takes, children first. Refuses children when it is not deep."""
    below = [*call.tx.under(Dataset, f"{name}@"), *call.tx.under(Dataset, f"{name}/")]
    if "@" in name:
        return [name]
    if below and not deep:
        kind = "volume" if opened(call, name).type == "volume" else "filesystem"
        raise Refusal(
            f"cannot destroy '{name}': {kind} has children\n"
            f"use '-r' to destroy the following datasets:\n" + "\n".join(below)
        )
    top = [name] if "/" in name else []
    return [*sorted(below, key=lambda each: (each.count("/"), "@" in each, each), reverse=True), *top]


def _destroyed(call: Call, doomed: list[str], opts: Options) -> Reply:
    """Destroy in order, and stop at the first that refuses: what is gone stays gone, as on a real pool."""
    out = ""
    for done, each in enumerate(doomed):
        try:
            destroy(call, each)
        except Refusal as refusal:
            if not done:
                raise
            return Reply(1, out, refusal.reply.err)
        out += f"will destroy {each}\n" if "v" in opts else ""
    return Reply(0, out)


def _set_one(call: Call, name: str, raw: dict[str, str]) -> Reply:
    dataset = opened(call, name)
    refusal = f"cannot set property for '{name}'"
    props = checked(raw, kind=dataset.type, creating=False, refusal=refusal)
    if "mountpoint" in props and {**dataset.props, **props}.get("zoned") == "on" and "zoned" not in props:
        raise Refusal(f"{refusal}: 'mountpoint' cannot be set on dataset in a non-global zone")
    if "keylocation" in props and encryption_root(call, name) != name:
        raise Refusal(f"{refusal}: keylocation may only be set on encryption roots")
    if "zoned" in props and used_by_zone(call, name):
        raise Refusal(f"{refusal}: dataset is busy")
    _check_limits(call, name, props, refusal)
    merged = {**dataset.props, **props}
    for key in LIMITS:
        if merged.get(key) == "0":
            del merged[key]
    moving = any(key in MOVING and dataset.props.get(key) != value for key, value in props.items())
    return _apply(call, name, merged, moving=moving)


def _check_limits(call: Call, name: str, props: dict[str, str], refusal: str) -> None:
    if not any(key in props for key in LIMITS):
        return
    space = Space(call, lineage(name)[-1])
    for key in LIMITS:
        value = int(props.get(key, "0"))
        if value and key in QUOTAS and value <= space.used(name):
            raise Refusal(f"{refusal}: size is less than current used or reserved space")
        if value and key not in QUOTAS and value > space.available(name) + space.used(name):
            raise Refusal(f"{refusal}: size is greater than available space")


def _apply(call: Call, name: str, props: dict[str, str], *, moving: bool) -> Reply:
    """Write a dataset's properties; when they move it, unmount it before and mount it after."""
    dataset = opened(call, name)
    if not moving or dataset.type != "filesystem":
        call.tx.put(name, replace(dataset, props=props))
        return Reply()
    was_nowhere = mountpoint(call, name)[0] in ("none", "legacy")
    mounted = unmount(call, name)
    call.tx.put(name, replace(dataset, props=props))
    if was_nowhere and name not in mounted:
        mounted = [name, *mounted]
    return _remount(call, mounted)


def _remount(call: Call, names: list[str]) -> Reply:
    said = ""
    for each in names:
        if mounts_by_itself(call, each) or (
            setting(call, each, "canmount")[0] == "noauto" and _goes_somewhere(call, each)
        ):
            try:
                mount(call, each)
            except Refusal as refusal:
                said += refusal.reply.err + "property may be set but unable to remount filesystem\n"
    return Reply(1 if said else 0, "", said)


def _goes_somewhere(call: Call, name: str) -> bool:
    return mountpoint(call, name)[0] not in ("none", "legacy") and setting(call, name, "zoned")[0] == "off"
