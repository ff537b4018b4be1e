"""Virtual hardware: a sled's disks as sparse files in one folder, with the document that names them.

- The folder must be empty or absent when it is made; nothing outside of it is written but the pools of the
  M.2s and, when there is none, the file with the rack's secret.
- Serials and pool ids follow from the folder's path, so the same folder always gives the same sled, and two
  folders never the same pools.
- `remove_virtual` lets go of the pools that are on its own disk files (told by the number in their labels),
  and removes the files that it made. Whatever else is in the folder stays, and so does the folder then.
"""

from __future__ import annotations

import hashlib
import secrets as random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sledsaga.errors import HostError, UsageError
from sledsaga.hosts import files
from sledsaga.hosts.answer import require
from sledsaga.hosts.disks import Disk
from sledsaga.hosts.host import Host
from sledsaga.hosts.internal import M2_DATASETS, M2_SLOTS, steady_uuid
from sledsaga.hosts.keys import KEY_BYTES, SECRET_FILE, Secrets, secrets_document
from sledsaga.hosts.linux import labels
from sledsaga.hosts.linux.abilities import find_abilities
from sledsaga.hosts.linux.disks import FileDisks
from sledsaga.hosts.linux.machine import Machine, machine_document, parse_machine
from sledsaga.hosts.names import Compression, DiskIdentity, PoolName
from sledsaga.hosts.zfs.datasets import Datasets
from sledsaga.hosts.zfs.spec import DatasetSpec
from sledsaga.hosts.zpool.pools import Pools

DOCUMENT = "sled.json"
SECRET_MADE = "secret-made"  # noqa: S105 - the name of a mark, not a secret
"""Holds the digest of the secrets file that was made for this sled: that one, and no other, goes with it."""
TAG = "virtual"
"""The tag of the pools and datasets that `prepare_m2` makes."""
LEAST_BYTES = 64 * 2**20
"""The smallest disk that ZFS takes."""


def make_virtual(
    folder: Path,
    *,
    u2: int,
    m2: int = 2,
    size_bytes: int,
    plain: bool,
    disks: Sequence[DiskIdentity] = (),
    like: Machine | None = None,
) -> Machine:
    """Make disk files and a machine document in an empty folder. Raises UsageError, HostError.

    `disks` are the identities of the first U.2s; the others get some. `like` gives all but disks and plain.
    """
    if size_bytes < LEAST_BYTES:
        raise UsageError(
            f"a disk of {size_bytes} bytes is too small for ZFS; it takes {LEAST_BYTES} at least"
        )
    if not 0 <= m2 <= len(M2_SLOTS) or not len(disks) <= u2 <= M2_SLOTS[0]:
        raise UsageError(
            f"{u2} U.2s and {m2} M.2s, {len(disks)} of them named: expected no more named than there are, "
            f"up to {M2_SLOTS[0]} U.2s and up to {len(M2_SLOTS)} M.2s"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is not an empty folder: choose another one for the new sled, or remove what is there"
        )
    folder.mkdir(parents=True, exist_ok=True)
    made = tuple(_all_disks(folder.resolve(), u2, m2, disks))
    machine = replace(like or Machine(), disks=made, is_plain_allowed=plain)
    # The document comes first: whoever is killed between it and the disks can still remove them.
    files.write(folder / DOCUMENT, machine_document(machine), 0o644)
    _make_files(folder, made, size_bytes)
    return machine


def _make_files(folder: Path, disks: Sequence[Disk], size_bytes: int) -> None:
    """Make the disk files; when one cannot be made, none stays, nor the document. Raises HostError."""
    try:
        for disk in disks:
            with Path(disk.path).open("xb") as stream:
                stream.truncate(size_bytes)
    except (OSError, OverflowError) as error:
        for path in (*(Path(disk.path) for disk in disks), folder / DOCUMENT):
            path.unlink(missing_ok=True)
        why = error.strerror if isinstance(error, OSError) else error
        raise HostError(
            f"{folder} cannot hold a disk of {size_bytes} bytes: {why}; ask for smaller ones, or elsewhere"
        ) from error


def _all_disks(folder: Path, u2: int, m2: int, named: Sequence[DiskIdentity]) -> Iterator[Disk]:
    mark = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    for slot in range(u2):
        identity = named[slot] if slot < len(named) else DiskIdentity("virtual", "U2", f"{mark}-U{slot}")
        yield Disk(identity, str(folder / f"u2-{slot}.img"), 0, slot, "U.2")
    for place, slot in enumerate(M2_SLOTS[:m2]):
        identity = DiskIdentity("virtual", "M2", f"{mark}-M{place}")
        yield Disk(identity, str(folder / f"m2-{place}.img"), 0, slot, "M.2")


def m2_pool(disk: Disk) -> PoolName:
    """Name the pool of an internal disk."""
    return PoolName.of("internal", steady_uuid(f"{disk.identity}"))


def prepare_m2(host: Host, machine: Machine, *, folder: Path | None = None) -> tuple[PoolName, ...]:
    """Make the pools and datasets of the M.2s, and a secret when there is none; again changes nothing.

    With `folder`, it is noted there that the secret was made. Raises HostError, ForeignObject.
    """
    pools = _pools(host, machine)
    internal = [disk for disk in pools.disks.list() if disk.variant == "M.2"]
    for disk in internal:
        name = m2_pool(disk)
        pools.create(name, disk, was_blank=pools.disks.identify(disk.path) is None)
        pools.configure(name)
        for dataset, settings in M2_DATASETS:
            pools.datasets.ensure(_m2_dataset(name, dataset, settings, size=disk.size))
    if host.stat(SECRET_FILE) is None:
        _make_secret(host, folder)
    return tuple(m2_pool(disk) for disk in internal)


def _m2_dataset(pool: PoolName, name: str, settings: dict[str, str], *, size: int) -> DatasetSpec:
    """Describe a dataset of an M.2; a quota above the disk's size would promise what is not there."""
    quota = int(settings.get("quota", "0"))
    compression = settings.get("compression")
    return DatasetSpec(
        f"{pool}/{name}",
        f"{pool.mountpoint}/{name}",
        quota=quota if 0 < quota < size else None,
        compression=None if compression is None else Compression(compression),
    )


def _make_secret(host: Host, folder: Path | None) -> None:
    data = secrets_document(Secrets("virtual rack", {0: random.token_bytes(KEY_BYTES)}))
    if folder is not None:
        files.write(folder / SECRET_MADE, hashlib.sha256(data).hexdigest().encode(), 0o600)
    host.make_dir(str(Path(SECRET_FILE).parent), mode=0o700)
    host.write_file(SECRET_FILE, data, mode=0o600)


def remove_virtual(host: Host, folder: Path) -> tuple[str, ...]:
    """Let go of the pools on the disk files of a folder, and remove all that was made there.

    Returns what stays in the folder: it was not made here. Raises HostError, and Transient while it is used.
    """
    document = folder / DOCUMENT
    machine = parse_machine(document.read_bytes()) if document.is_file() else Machine()
    own = [disk for disk in machine.disks if Path(disk.path).parent == folder.resolve()]
    there = [disk for disk in own if Path(disk.path).is_file()]
    for name in _imported_from(host, there):
        _let_go(_pools(host, machine), name)
    for disk in there:
        Path(disk.path).unlink()
    _remove_secret(host, folder)
    document.unlink(missing_ok=True)
    left = tuple(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else ()
    if folder.is_dir() and not left:
        folder.rmdir()
    return left


def _pools(host: Host, machine: Machine) -> Pools:
    zfs = find_abilities(host, machine)
    return Pools(host, TAG, FileDisks(host, machine), Datasets(host, TAG, time.sleep, zfs))


def _imported_from(host: Host, disks: Sequence[Disk]) -> Iterator[PoolName]:
    """Return the imported pools whose number is in the label of one of these disks."""
    if not disks:
        return
    imported = labels.parse_ids(require(host, labels.list_ids()))
    for disk in disks:
        for label in labels.parse_labels(host.run(labels.read_label(disk.path))):
            if imported.get(label.pool) == label.name:
                yield PoolName(label.name)


def _let_go(pools: Pools, name: PoolName) -> None:
    pools.export(name)
    pools.datasets.release(name.mountpoint)


def _remove_secret(host: Host, folder: Path) -> None:
    mark = folder / SECRET_MADE
    if not mark.is_file():
        return
    data = host.read_file(SECRET_FILE)
    if data is not None and hashlib.sha256(data).hexdigest() == mark.read_text():
        host.erase_file(SECRET_FILE)
    mark.unlink()
