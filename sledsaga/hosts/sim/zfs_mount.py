"""Mounting: `zfs mount` and `zfs unmount`, and what other commands need of them.

A mount is refused on a folder that holds something (illumos has no overlay by default; -O allows it), and one
path holds one mount. An unmount takes the children along, and is refused while anything else uses the path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sledsaga.hosts.sim.argv import Call, Refusal, Reply, count, options
from sledsaga.hosts.sim.things import Dataset, Mount, Zone
from sledsaga.hosts.sim.zfs_keys import load_for
from sledsaga.hosts.sim.zfs_props import encryption_root, is_mounted, key_loaded, mountpoint, setting
from sledsaga.hosts.sim.zfs_show import opened

if TYPE_CHECKING:
    from collections.abc import Iterable

MOUNT_USAGE = "mount [-lvO] [-o opts] <-a | filesystem>"
UNMOUNT_USAGE = "unmount [-f] <-a | filesystem|mountpoint>"
ALIVE = ("ready", "running", "shutting_down", "down")


def zfs_mount(call: Call, args: list[str]) -> Reply:
    """Mount one filesystem, all (-a), or list what is mounted."""
    opts = options(args, "alvOo:", MOUNT_USAGE)
    if "a" in opts:
        said = mount_all(call)
        return Reply(1 if said else 0, "", said)
    if not opts.operands:
        mounts = sorted(call.tx.under(Mount).items(), key=lambda item: item[1].dataset)
        return Reply(0, "".join(f"{mount.dataset:<30}  {path}\n" for path, mount in mounts))
    count(opts.operands, 1, 1, MOUNT_USAGE)
    name = opts.operands[0]
    dataset = opened(call, name)
    if dataset.type != "filesystem":
        raise Refusal(f"cannot open '{name}': operation not applicable to datasets of this type")
    if "l" in opts and key_loaded(call, name) is False:
        load_for(call, encryption_root(call, name))
    mount(call, name, overlay="O" in opts)
    return Reply()


def zfs_unmount(call: Call, args: list[str]) -> Reply:
    """Unmount a filesystem and its children, by name or by mountpoint."""
    opts = options(args, "af", UNMOUNT_USAGE)
    if "a" in opts:
        for each in sorted(call.tx.under(Mount), reverse=True):
            call.tx.drop(Mount, each)
        return Reply()
    count(opts.operands, 1, 1, UNMOUNT_USAGE, what="filesystem")
    name = _at(call, opts.operands[0]) if opts.operands[0].startswith("/") else opts.operands[0]
    if opened(call, name).type != "filesystem":
        raise Refusal(f"cannot open '{name}': operation not applicable to datasets of this type")
    if mountpoint(call, name)[0] == "legacy":
        raise Refusal(f"cannot unmount '{name}': legacy mountpoint\nuse umount(8) to unmount this filesystem")
    if is_mounted(call, name) is None:
        raise Refusal(f"cannot unmount '{name}': not currently mounted")
    unmount(call, name)
    return Reply()


def mount(call: Call, name: str, *, overlay: bool = False) -> None:
    """Mount a filesystem at its mountpoint. Refuses as `zfs mount` does."""
    if setting(call, name, "zoned")[0] == "on":
        raise Refusal(f"cannot mount '{name}': dataset is exported to a local zone")
    path = mountpoint(call, name)[0]
    if path == "legacy":
        raise Refusal(f"cannot mount '{name}': legacy mountpoint\nuse mount(8) to mount this filesystem")
    if path == "none":
        raise Refusal(f"cannot mount '{name}': no mountpoint set")
    if setting(call, name, "canmount")[0] == "off":
        raise Refusal(f"cannot mount '{name}': 'canmount' property is set to 'off'")
    if is_mounted(call, name):
        raise Refusal(f"cannot mount '{name}': filesystem already mounted")
    if key_loaded(call, name) is False:
        raise Refusal(f"cannot mount '{name}': encryption key not loaded")
    if not overlay and not call.tree.is_empty(call.tx, path):
        raise Refusal(f"cannot mount '{path}': directory is not empty")
    if call.tx.get(Mount, path) is not None:
        raise Refusal(f"cannot mount '{name}': mountpoint or dataset is busy")
    call.tree.real(call.tx, path).mkdir(parents=True, exist_ok=True)
    call.tx.put(path, Mount(name, opened(call, name).guid))


def mounts_by_itself(call: Call, name: str) -> bool:
    """Say whether a filesystem is mounted by create, import and boot."""
    dataset = opened(call, name)
    return (
        dataset.type == "filesystem"
        and setting(call, name, "zoned")[0] == "off"
        and setting(call, name, "canmount")[0] == "on"
        and mountpoint(call, name)[0] not in ("none", "legacy")
        and key_loaded(call, name) is not False
    )


def mount_all(call: Call) -> str:
    """Mount what is to be mounted by itself, parents first; return what was refused."""
    return _mount_in_order(call, [each for each in call.tx.under(Dataset) if mounts_by_itself(call, each)])


def mount_imported(call: Call, pool: str) -> str:
    """Mount what an import mounts, parents first; return what was refused.

    That is the root, even when it has canmount=noauto, but nothing at or below another that has it.
    """
    found = [pool]
    for each in family(call, pool)[1:]:
        if each.rpartition("/")[0] in found and setting(call, each, "canmount")[0] != "noauto":
            found.append(each)
    return _mount_in_order(call, [pool, *(each for each in found[1:] if mounts_by_itself(call, each))])


def _mount_in_order(call: Call, names: list[str]) -> str:
    """Mount those that are not mounted, in the order of their paths."""
    missing = [each for each in names if not is_mounted(call, each)]
    return mount_each(call, sorted(missing, key=lambda name: (mountpoint(call, name)[0], name)))


def family(call: Call, name: str) -> list[str]:
    """Return a filesystem or volume and all below it, snapshots not counted, parents first."""
    return [name, *(each for each in call.tx.under(Dataset, f"{name}/") if "@" not in each)]


def followers(call: Call, name: str) -> list[str]:
    """Return a filesystem and those below it whose place follows from its own, parents first."""
    found = [name]
    for each in family(call, name)[1:]:
        if each.rpartition("/")[0] in found and "mountpoint" not in opened(call, each).props:
            found.append(each)
    return found


def unmount(call: Call, name: str, *, every: bool = False) -> list[str]:
    """Unmount a filesystem and its followers, or every one below it; return what was mounted, parents first.

    Refuses when one is busy.
    """
    names = family(call, name) if every else followers(call, name)
    paths = {path: each for each in names if (path := is_mounted(call, each))}
    for path in sorted(paths, reverse=True):
        if _is_busy(call, path, paths):
            raise Refusal(f"cannot unmount '{path}': Device busy")
    for path in paths:
        call.tx.drop(Mount, path)
    return [paths[path] for path in sorted(paths)]


def unmount_pool(call: Call, name: str) -> str:
    """Unmount all of a pool, the deepest first, up to one that is busy; return what is to be said of that."""
    paths = {path: each for each in family(call, name) if (path := is_mounted(call, each))}
    for path in sorted(paths, reverse=True):
        if _is_busy(call, path, ()):
            return f"cannot unmount '{path}': Device busy\n"
        call.tx.drop(Mount, path)
    for each in paths.values():
        remove_mountpoint(call, each)
    return ""


def is_mountable(call: Call, name: str) -> bool:
    """Say whether a filesystem has a place at which it may be mounted here."""
    return (
        opened(call, name).type == "filesystem"
        and mountpoint(call, name)[0] not in ("none", "legacy")
        and setting(call, name, "canmount")[0] != "off"
        and setting(call, name, "zoned")[0] == "off"
    )


def is_from_nowhere(call: Call, name: str) -> bool:
    """Say whether a filesystem without a place, if it gets one, is mounted there with all that come along."""
    return mountpoint(call, name)[0] in ("none", "legacy") and setting(call, name, "canmount")[0] != "noauto"


def mount_each(call: Call, names: Iterable[str]) -> str:
    """Mount those that have a place here and no locked key, in this order; return what was refused."""
    said = ""
    for each in names:
        if is_mountable(call, each) and key_loaded(call, each) is not False:
            try:
                mount(call, each)
            except Refusal as refusal:
                said += refusal.reply.err
    return said


def remove_mountpoint(call: Call, name: str) -> None:
    """Remove the empty folder of a filesystem that is not mounted, unless its place was set on itself."""
    path, source = mountpoint(call, name)
    if source != "local" and is_mountable(call, name):
        remove_folder(call, path)


def remove_folder(call: Call, path: str) -> None:
    """Remove a folder that is empty and at which nothing is mounted; anything else stays."""
    real = call.tree.real(call.tx, path)
    if call.tx.get(Mount, path) is None and real.is_dir() and call.tree.is_empty(call.tx, path):
        real.rmdir()


def _at(call: Call, path: str) -> str:
    """Return the dataset that is mounted at a path."""
    found = call.tx.get(Mount, path.rstrip("/"))
    if found is not None:
        return found.dataset
    if not call.tree.real(call.tx, path).exists():
        raise Refusal(f"cannot unmount '{path}': No such file or directory")
    kind = "a ZFS filesystem" if call.tree.dataset_at(call.tx, path) is None else "a mountpoint"
    raise Refusal(f"cannot unmount '{path}': not {kind}")


def used_by_zone(call: Call, name: str) -> bool:
    """Say whether a living zone has the dataset delegated, or below a delegated one."""
    zones = [zone for zone in call.tx.under(Zone).values() if zone.state in ALIVE]
    datasets = {each["name"] for zone in zones for each in zone.resources if each["kind"] == "dataset"}
    return any(
        name == each or name.startswith(f"{each}/") or each.startswith(f"{name}/") for each in datasets
    )


def _is_busy(call: Call, path: str, leaving: Iterable[str]) -> bool:
    below = call.tx.under(Mount, f"{path}/")
    if any(each not in leaving for each in below):
        return True
    return any(
        zone.state in ALIVE and (zone.path == path or zone.path.startswith(f"{path}/"))
        for zone in call.tx.under(Zone).values()
    )
