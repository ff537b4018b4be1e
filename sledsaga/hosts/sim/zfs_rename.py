"""`zfs rename`, and which folders and mounts it leaves.

- All filesystems at and below the old name are unmounted, and those that were mounted are mounted again at
  their new places; one that comes from nowhere is mounted with all that have canmount=on.
- The empty folders of all of them go, whether they were mounted or not, but not those of a place that was
  set on the filesystem itself.
- After that the folder goes at which, by the new name, the one would be whose path is the first in the order
  of paths; its settings are those from before. Most often this is the new place of the renamed one.
- A rename that is refused because of the new name has unmounted and mounted, too.

This is what illumos does; OpenZFS since 0.8 looks at the mounted ones below only.
"""

from __future__ import annotations

from dataclasses import dataclass

from sledsaga.hosts.sim.argv import Call, Refusal, Reply, count, options
from sledsaga.hosts.sim.things import Dataset
from sledsaga.hosts.sim.zfs_create import check_parent, make_parents
from sledsaga.hosts.sim.zfs_mount import (
    family,
    is_from_nowhere,
    is_mountable,
    mount_each,
    remove_folder,
    remove_mountpoint,
    unmount,
)
from sledsaga.hosts.sim.zfs_names import check_name, check_snapshot_name, fault_of
from sledsaga.hosts.sim.zfs_props import above, lineage, mountpoint, setting
from sledsaga.hosts.sim.zfs_show import opened

USAGE = "rename [-fp] <filesystem|volume> <filesystem|volume>"


def zfs_rename(call: Call, args: list[str]) -> Reply:
    """Give a dataset and all below it another name in the same pool."""
    opts = options(args, "fpru", USAGE)
    count(opts.operands, 2, 2, USAGE, what="source dataset,target dataset")
    old, new = opts.operands
    dataset = opened(call, old)
    if "p" not in opts or dataset.type == "snapshot" or fault_of(new):
        return _renamed(call, old, new)
    if said := make_parents(call, new):
        return Reply(1, "", said)
    try:
        return _renamed(call, old, new)
    except Refusal as refusal:
        return refusal.reply


def _renamed(call: Call, old: str, new: str) -> Reply:
    """Rename. What -p made above the new name stays, whether or not this is refused."""
    if old == new:
        return Reply()
    refusal = f"cannot rename '{old}'"
    if opened(call, old).type == "snapshot":
        new = _snapshot_target(old, new)
        if call.tx.get(Dataset, new) is not None:
            raise Refusal(f"{refusal}: dataset already exists")
        _move(call, old, new)
        return Reply()
    _check_target(call, old, new)
    if setting(call, old, "zoned")[0] == "on":
        raise Refusal(f"{refusal}: dataset is used in a non-global zone")
    leaving = _unmounted(call, old)
    if call.tx.get(Dataset, new) is not None:
        remove_mountpoint(call, leaving.first)
        return Reply(1, "", f"{refusal}: dataset already exists\n{mount_each(call, leaving.back)}")
    place = _stale_place(call, leaving.first, new + leaving.first[len(old) :])
    for each in leaving.names:
        remove_mountpoint(call, each)
    _move(call, old, new)
    if place is not None:
        remove_folder(call, place)
    said = mount_each(call, [new + each[len(old) :] for each in leaving.back])
    return Reply(1 if said else 0, "", said)


@dataclass(frozen=True, slots=True)
class _Leaving:
    """The filesystems that a rename has unmounted: all, the one with the first path, those to be mounted.

    The names are the old ones; the deepest paths come first in `names` and last in `back`.
    """

    names: list[str]
    first: str
    back: list[str]


def _unmounted(call: Call, name: str) -> _Leaving:
    """Unmount all at and below a name. Refuses when one is busy."""
    below = [each for each in family(call, name) if opened(call, each).type == "filesystem"]
    places = {each: mountpoint(call, each)[0] for each in below}
    names = sorted(below, key=places.__getitem__, reverse=True)
    back = unmount(call, name, every=True)
    if is_from_nowhere(call, name):
        on = (each for each in below if setting(call, each, "canmount")[0] == "on")
        back = sorted({*back, *on})
    is_placed = places.get(name, "none") not in ("none", "legacy")
    return _Leaving(names, names[-1] if is_placed else name, back)


def _stale_place(call: Call, name: str, new: str) -> str | None:
    """Return where a filesystem would be by a new name and the settings it has now, if it is mountable.

    None for a place that was set on itself.
    """
    if mountpoint(call, name)[1] == "local" or not is_mountable(call, name):
        return None
    origin, value = above(call, name, "mountpoint") or ("", "/")
    return f"{value.rstrip('/')}/{new[len(origin) :].lstrip('/')}".rstrip("/")


def _move(call: Call, old: str, new: str) -> None:
    for each in [old, *call.tx.under(Dataset, f"{old}/"), *call.tx.under(Dataset, f"{old}@")]:
        moved = opened(call, each)
        call.tx.drop(Dataset, each)
        call.tx.put(new + each[len(old) :], moved)


def _snapshot_target(old: str, new: str) -> str:
    """Return the full new name of a snapshot; refuses one of another dataset."""
    name = old.partition("@")[0]
    full = new if "@" in new[1:] else f"{name}@{new.removeprefix('@')}"
    refusal = f"cannot rename to '{full}'"
    if full.partition("@")[0] != name:
        raise Refusal(f"{refusal}: snapshots must be part of same dataset")
    check_snapshot_name(full, refusal)
    return full


def _check_target(call: Call, old: str, new: str) -> None:
    """Refuse a new name that a filesystem or volume cannot have."""
    refusal = f"cannot rename to '{new}'"
    check_name(new, refusal, modifying=True, snapshots=False)
    check_parent(call, new)
    if "/" not in old or lineage(old)[-1] != lineage(new)[-1]:
        raise Refusal(f"{refusal}: datasets must be within same pool")
    if new.startswith(f"{old}/"):
        raise Refusal(f"{refusal}: New dataset name cannot be a descendant of current dataset name")
