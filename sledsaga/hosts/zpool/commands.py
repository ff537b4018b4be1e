"""Command lines of `zpool`: facts in, argv out.

A pool gets its tag, its mountpoint and all its properties in the command that creates it, so a crash
leaves either no pool or a whole one that says whose it is. Never `-f`: a stale label needs a person;
but for the label of a pool that never came to be, which this saga's own create wrote on a blank disk.
"""

from __future__ import annotations

from sledsaga.hosts.answer import changes, looks
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.names import PoolName
from sledsaga.hosts.zfs.abilities import ILLUMOS_ZFS, Abilities

TAG = "sledsaga:saga"
"""The user property that says which saga made a pool or dataset."""
SETTINGS = (("feature@encryption", "enabled"), ("failmode", "continue"))
"""What each pool must have; `failmode=continue` keeps a lost disk from hanging the whole sled."""
_FEATURE = "feature@"
LIST_FIELDS = ("name", "size", "allocated", "free", "health")


def settings_of(zfs: Abilities) -> tuple[tuple[str, str], ...]:
    """Return what each pool must have, as far as this ZFS knows it."""
    return tuple(row for row in SETTINGS if zfs.has_features or not row[0].startswith(_FEATURE))


def list_pools(zfs: Abilities = ILLUMOS_ZFS) -> HostCommand:
    """List the imported pools with sizes and health."""
    return looks("zpool", "list", "-Hpo" if zfs.has_exact_sizes else "-Ho", ",".join(LIST_FIELDS))


def get_settings(pool: PoolName, zfs: Abilities = ILLUMOS_ZFS) -> HostCommand:
    """Read the settings that each pool must have."""
    wanted = ",".join(name for name, _ in settings_of(zfs))
    columns = ("-Hpo", "property,value") if zfs.has_exact_sizes else ()
    return looks("zpool", "get", *columns, wanted, pool)


def create_pool(
    pool: PoolName, path: str, *, saga: str, zfs: Abilities = ILLUMOS_ZFS, is_again: bool = False
) -> HostCommand:
    """Create a pool on a disk that `identify` called blank.

    `is_again`: over the label that a first create, which was cut short, wrote there.
    """
    force = ("-f",) if is_again else ()
    settings = [part for name, value in settings_of(zfs) for part in ("-o", f"{name}={value}")]
    root = ("-O", f"mountpoint={pool.mountpoint}", "-O", f"{TAG}={saga}")
    return changes("zpool", "create", *force, "-o", "ashift=12", *settings, *root, pool, path)


def set_setting(pool: PoolName, name: str, value: str) -> HostCommand:
    """Set one pool property."""
    return changes("zpool", "set", f"{name}={value}", pool)


def import_pool(pool: PoolName, *, folder: str = "") -> HostCommand:
    """Import a pool, also one that was last used by another sled or before a crash.

    `folder` is where its disk is, for a ZFS that does not find disks by itself.
    """
    return changes("zpool", "import", "-f", *(("-d", folder) if folder else ()), pool)


def export_pool(pool: PoolName) -> HostCommand:
    """Export a pool: unmount its datasets and let go of its disk."""
    return changes("zpool", "export", pool)


def destroy_pool(pool: PoolName) -> HostCommand:
    """Destroy a pool. Only the guarded driver call may run this."""
    return changes("zpool", "destroy", pool)
