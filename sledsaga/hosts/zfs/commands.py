"""Command lines of `zfs`: facts in, argv out.

A dataset gets its id, its tag and all its properties in the command that creates it, so a crash leaves
either no dataset or a whole one that says whose it is. There is no recursive destroy here.
"""

from __future__ import annotations

from collections.abc import Sequence

from sledsaga.hosts.answer import changes, looks
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.names import zfs_name
from sledsaga.hosts.zfs.abilities import ILLUMOS_ZFS, Abilities
from sledsaga.hosts.zfs.spec import AGENT, EPOCH, ID, PLAIN, ZONED, DatasetSpec, Settings, wanted_settings
from sledsaga.hosts.zpool.commands import TAG

CIPHER = "aes-256-gcm"
OBSERVED = (
    *(ID, EPOCH, AGENT, TAG),
    *("type", "mounted", "mountpoint", "canmount", "zoned", "available", "used", "referenced"),
    *("quota", "reservation", "compression"),
)
"""What is read of each dataset, in one command for all of them, on every ZFS."""


def get_properties(names: Sequence[str], *, zfs: Abilities = ILLUMOS_ZFS) -> HostCommand:
    """Read the properties of many datasets at once; none that this ZFS does not know."""
    key = "keystatus" if zfs.has_encryption else PLAIN[0]
    bound = (ZONED[0],) if zfs.delegation == "bind" else ()
    columns = ("-Hpo", "name,property,value,source")
    return looks("zfs", "get", *columns, ",".join((*OBSERVED, key, *bound)), *map(zfs_name, names))


def get_own(name: str) -> HostCommand:
    """List the properties that were set on a dataset itself."""
    return looks("zfs", "get", "-s", "local", "-Ho", "property", "all", zfs_name(name))


def list_below(name: str) -> HostCommand:
    """List a dataset, its children and its snapshots."""
    return looks("zfs", "list", "-d", "1", "-rHo", "name", "-t", "filesystem,volume,snapshot", zfs_name(name))


def list_mounts() -> HostCommand:
    """List every dataset with its mountpoint and whether it is mounted."""
    return looks("zfs", "list", "-Ho", "name,mountpoint,mounted")


def create_dataset(spec: DatasetSpec, *, saga: str) -> HostCommand:
    """Create a filesystem with all that it should have."""
    settings = [*_fixed_settings(spec), *wanted_settings(spec), (TAG, saga)]
    options = [part for name, value in settings for part in ("-o", f"{name}={value}")]
    return changes("zfs", "create", *options, zfs_name(spec.name))


def _fixed_settings(spec: DatasetSpec) -> Settings:
    zoned = (ZONED if spec.delegation == "bind" else ("zoned", "on"),) if spec.is_zoned else ()
    return (*zoned, *_encryption(spec), ("canmount", spec.canmount), ("mountpoint", spec.mountpoint))


def _encryption(spec: DatasetSpec) -> Settings:
    if spec.encryption is None:
        return ()
    if spec.is_plain:
        return (PLAIN,)
    location = f"file://{spec.encryption.key_path}"
    cipher = (("encryption", CIPHER), ("keyformat", "raw"), ("keylocation", location))
    return (*cipher, (EPOCH, str(spec.encryption.epoch)))


def set_properties(name: str, settings: Settings) -> HostCommand:
    """Set several properties in one command."""
    return changes("zfs", "set", *(f"{key}={value}" for key, value in settings), zfs_name(name))


def inherit_property(name: str, key: str) -> HostCommand:
    """Take away a dataset's own value of a property."""
    return changes("zfs", "inherit", key, zfs_name(name))


def mount_dataset(name: str, *, load_key: bool = False) -> HostCommand:
    """Mount a dataset, loading its key from the key file first when asked to."""
    return changes("zfs", "mount", *(("-l",) if load_key else ()), zfs_name(name))


def unmount_dataset(name: str) -> HostCommand:
    """Unmount a dataset."""
    return changes("zfs", "unmount", zfs_name(name))


def forget_mount(path: str) -> HostCommand:
    """Let go of a mount whose server has gone (Linux), and of all that is mounted below it."""
    return changes("umount", "-l", path)


def find_holders(path: str) -> HostCommand:
    """Find which processes have a file, folder or root below a path (Linux)."""
    places = ("-lname", path, "-o", "-lname", f"{path}/*")
    return looks("find", "/proc", "-mindepth", "2", "-maxdepth", "3", "(", *places, ")")


def load_key(name: str) -> HostCommand:
    """Load the key of an encryption root from its key file."""
    return changes("zfs", "load-key", zfs_name(name))


def give_key(name: str, key: bytes) -> HostCommand:
    """Load the key of an encryption root from the command's input; it is in no file."""
    return changes("zfs", "load-key", "-L", "prompt", zfs_name(name), stdin=key)


def try_key(name: str) -> HostCommand:
    """Ask whether the key in the key file is the one of an encryption root; nothing is loaded."""
    return looks("zfs", "load-key", "-n", zfs_name(name))


def unload_key(name: str) -> HostCommand:
    """Unload the key of an encryption root."""
    return changes("zfs", "unload-key", zfs_name(name))


def change_key(name: str, *, epoch: int | None) -> HostCommand:
    """Wrap the data key by the key file's key; record its epoch in the same command, unless it is None."""
    record = () if epoch is None else ("-o", f"{EPOCH}={epoch}")
    return changes("zfs", "change-key", *record, zfs_name(name))


def destroy_dataset(name: str) -> HostCommand:
    """Destroy one dataset, never what is below it. Only the guarded driver call may run this."""
    return changes("zfs", "destroy", zfs_name(name))
