"""`zfs set`, `inherit` and `destroy`.

A `set` of several properties is all or nothing. A change of mountpoint, canmount or zoned unmounts what it
concerns and mounts it again where it now belongs.
"""

from __future__ import annotations

from dataclasses import replace

from sledsaga.hosts.sim.argv import Call, Options, Refusal, Reply, assignments, count, options, wrong
from sledsaga.hosts.sim.things import Dataset
from sledsaga.hosts.sim.zfs_mount import (
    family,
    followers,
    is_from_nowhere,
    mount_each,
    remove_mountpoint,
    unmount,
    used_by_zone,
)
from sledsaga.hosts.sim.zfs_props import (
    LIMITS,
    NATIVE,
    QUOTAS,
    checked,
    encryption_root,
    is_mounted,
    lineage,
    named,
    setting,
)
from sledsaga.hosts.sim.zfs_show import opened
from sledsaga.hosts.sim.zfs_space import Space

SET_USAGE = "set <property=value> ... <filesystem|volume|snapshot> ..."
INHERIT_USAGE = "inherit [-rS] <property> <filesystem|volume|snapshot> ..."
DESTROY_USAGE = "destroy [-fnpRrv] <filesystem|volume>\n\tdestroy [-dnpRrv] <filesystem|volume>@<snap>"
MOVING = ("mountpoint", "canmount", "zoned")


def zfs_set(call: Call, args: list[str]) -> Reply:
    """Set properties of datasets."""
    opts = options(args, "", SET_USAGE)
    pairs = [each for each in opts.operands if "=" in each]
    names = opts.operands[len(pairs) :]
    if not opts.operands:
        wrong("missing arguments", SET_USAGE)
    if not pairs or opts.operands[: len(pairs)] != pairs:
        wrong("missing property=value argument(s)", SET_USAGE)
    if not names:
        wrong("missing dataset name(s)", SET_USAGE)
    raw = assignments(pairs)
    replies = [_set_one(call, name, raw) for name in names]
    return Reply(max(reply.code for reply in replies), "", "".join(reply.err for reply in replies))


def zfs_inherit(call: Call, args: list[str]) -> Reply:
    """Forget a local setting, of all below too with -r."""
    opts = options(args, "rS", INHERIT_USAGE)
    count(opts.operands, 2, None, INHERIT_USAGE, what="property,dataset")
    key = named(opts.operands[0])
    if key is None:
        wrong(f"invalid property '{opts.operands[0]}'", INHERIT_USAGE)
    _check_inheritable(key)
    said = ""
    for name in opts.operands[1:]:
        opened(call, name)
        below = [*call.tx.under(Dataset, f"{name}/"), *call.tx.under(Dataset, f"{name}@")]
        for each in [name, *below] if "r" in opts else [name]:
            dataset = opened(call, each)
            if _applies(key, dataset.type):
                kept = {one: value for one, value in dataset.props.items() if one != key}
                said += _apply(call, each, kept, moving=key if key in MOVING else "")
            elif "r" not in opts:
                raise Refusal(
                    f"cannot inherit {key} for '{each}': property doesn't apply to datasets of this type"
                )
    return Reply(1 if said else 0, "", said)


def zfs_destroy(call: Call, args: list[str]) -> Reply:
    """Destroy a dataset; without -r only one that has neither children nor snapshots. Unmounts it first."""
    opts = options(args, "dfnpRrv", DESTROY_USAGE)
    count(opts.operands, 1, 1, DESTROY_USAGE, what="dataset")
    name = opts.operands[0]
    deep = "r" in opts or "R" in opts
    if "@" in name:
        return _destroyed(call, _snapshots(call, name, deep=deep), opts)
    opened(call, name)
    if "/" not in name and "@" not in name and not deep:
        raise Refusal(
            f"cannot destroy '{name}': operation does not apply to pools\n"
            f"use 'zfs destroy -r {name}' to destroy all datasets in the pool\n"
            f"use 'zpool destroy {name}' to destroy the pool itself"
        )
    return _destroyed(call, _doomed(call, name, deep=deep), opts)


def destroy(call: Call, name: str) -> None:
    """Destroy one dataset that has no children: unmount it, forget it, remove its files after the commit."""
    dataset = opened(call, name)
    if "@" in name:
        call.tx.drop(Dataset, name)
        return
    if used_by_zone(call, name):
        raise Refusal(f"cannot destroy '{name}': dataset is busy")
    if is_mounted(call, name):
        unmount(call, name)
    remove_mountpoint(call, name)
    call.tx.drop(Dataset, name)
    call.tx.later.append(lambda: call.tree.discard(dataset.guid))


def _doomed(call: Call, name: str, *, deep: bool) -> list[str]:
    """Return what a destroy takes, children first. Refuses children when it is not deep."""
    below = _children_first(call, name)[:-1]
    if below and not deep:
        kind = "volume" if opened(call, name).type == "volume" else "filesystem"
        raise Refusal(
            f"cannot destroy '{name}': {kind} has children\n"
            f"use '-r' to destroy the following datasets:\n" + "\n".join(below)
        )
    return [each for each in _children_first(call, name) if "/" in each or "@" in each]


def _children_first(call: Call, name: str) -> list[str]:
    """Return a dataset after all below it: its filesystems, each after its own, then its snapshots."""
    below = call.tx.under(Dataset, f"{name}/")
    children = [each for each in below if "@" not in each and each.rpartition("/")[0] == name]
    found = [one for each in children for one in _children_first(call, each)]
    return [*found, *call.tx.under(Dataset, f"{name}@"), name]


def _snapshots(call: Call, name: str, *, deep: bool) -> list[str]:
    """Return the snapshots that a destroy takes. Refuses when there is none."""
    top, _, label = name.partition("@")
    opened(call, top)
    names = [f"{each}@{label}" for each in (family(call, top) if deep else [top])]
    found = [each for each in names if call.tx.get(Dataset, each) is not None]
    if not found:
        raise Refusal("could not find any snapshots to destroy; check snapshot names.")
    return found


def _destroyed(call: Call, doomed: list[str], opts: Options) -> Reply:
    """Destroy in order, and stop at the first that refuses: what is gone stays gone, as on a real pool."""
    if "n" in opts:
        return Reply(0, "".join(f"would destroy {each}\n" for each in doomed) if "v" in opts else "")
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
    said = _apply(call, name, merged, moving=_moving(call, name, props))
    return Reply(1, "", f"{said}property may be set but unable to remount filesystem\n") if said else Reply()


def _moving(call: Call, name: str, props: dict[str, str]) -> str:
    """Return the property that moves a dataset, if any; canmount only takes away, it never mounts."""
    if "canmount" in props and (props["canmount"] != "off" or not is_mounted(call, name)):
        props = {key: value for key, value in props.items() if key != "canmount"}
    return next((key for key in MOVING if key in props), "")


def _check_limits(call: Call, name: str, props: dict[str, str], refusal: str) -> None:
    if not any(key in props for key in LIMITS):
        return
    space = Space(call, lineage(name)[-1])
    for key in LIMITS:
        value = int(props.get(key, "0"))
        if value and key in QUOTAS and value < space.least(name, key):
            raise Refusal(f"{refusal}: size is less than current used or reserved space")
        if value and key not in QUOTAS and not space.reserves(name, key, value):
            raise Refusal(f"{refusal}: size is greater than available space")


def _apply(call: Call, name: str, props: dict[str, str], *, moving: str) -> str:
    """Write a dataset's properties; when one moves it, unmount it before and mount it after.

    Returns what is to be said of what could not be mounted again.
    """
    dataset = opened(call, name)
    if not moving or dataset.type != "filesystem":
        call.tx.put(name, replace(dataset, props=props))
        return ""
    comes = moving == "mountpoint" and is_from_nowhere(call, name)
    mounted = unmount(call, name, every=moving == "zoned")
    remove_mountpoint(call, name)
    call.tx.put(name, replace(dataset, props=props))
    back = (
        [each for each in followers(call, name) if setting(call, each, "canmount")[0] == "on"]
        if comes
        else []
    )
    return mount_each(call, sorted({*mounted, *back}))


def _check_inheritable(key: str) -> None:
    native = NATIVE.get(key)
    if native is not None and native.setting == "no":
        raise Refusal(f"{key} property is read-only")
    if native is not None and not native.inherits:
        clear = f"\nuse 'zfs set {key}=none' to clear\nuse 'zfs inherit -S {key}' to revert to received value"
        raise Refusal(f"'{key}' property cannot be inherited" + (clear if key in LIMITS else ""))


def _applies(key: str, kind: str) -> bool:
    return key not in NATIVE or kind in NATIVE[key].types
