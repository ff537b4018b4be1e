"""A sled on disks that are files: real pools, made for `sled init` and gone with `sled remove`."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sledsaga.cli.desk import Desk
from sledsaga.errors import ForeignObject, UsageError

if TYPE_CHECKING:
    from sledsaga.hosts.host import Host
    from sledsaga.hosts.names import DiskIdentity, PoolName
    from sledsaga.hosts.sled import Sled

LOCAL: Final = "local:"
SIZE: Final = re.compile(r"([1-9][0-9]*)([KMGT]?)")
UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
USUAL_SIZE: Final = "1G"
IMAGES: Final = {
    "clickhouse": "clickhouse",
    "cockroachdb": "cockroach",
    "ntp": "chrony",
    "postgresql": "postgresql",
    "responder": "responder",
}
"""Install images by the name that operations call them by, and the shipped one behind each."""


def document_of(desk: Desk) -> Path:
    """Return the path of the sled's document; raises UsageError when the sled is not one on files."""
    from sledsaga.hosts.linux.virtual import DOCUMENT

    setting = desk.settings.sled
    path = Path(setting.value.removeprefix(LOCAL))
    if not setting.value.startswith(LOCAL) or path.name != DOCUMENT or not path.is_absolute():
        raise UsageError(
            f"{setting.origin}: {setting.value!r} names no folder for disks: "
            f"local:/FOLDER/{DOCUMENT} is expected"
        )
    return path


def make_real(
    desk: Desk, config: dict[str, Any], disks: int | None, *, size: str | None, plain: bool
) -> None:
    """Make the disks, the pools of the M.2s and the images that come along; all of it, or nothing."""
    from sledsaga.hosts.linux.abilities import find_abilities
    from sledsaga.hosts.linux.machine import Machine
    from sledsaga.hosts.linux.virtual import make_virtual, prepare_m2, remove_virtual
    from sledsaga.hosts.local import LocalHost
    from sledsaga.wiring import open_host

    folder = document_of(desk).parent
    named = identities(config)
    size_bytes = _bytes(size or USUAL_SIZE)
    like = Machine(cgroup=f"sledsaga-{hashlib.sha256(bytes(folder)).hexdigest()[:8]}")
    count = disks or len(named)
    # Without a ZFS that answers, what is made could not be taken away again.
    find_abilities(LocalHost(), like)
    machine = make_virtual(folder, u2=count, size_bytes=size_bytes, plain=plain, disks=named, like=like)
    try:
        host = open_host(desk.settings.sled.value)
        for pool in prepare_m2(host, machine, folder=folder):
            _install_images(host, f"{pool.mountpoint}/install")
    except BaseException:
        remove_virtual(LocalHost(), folder)
        raise


def remove_real(desk: Desk) -> list[str]:
    """Take away all that sagas made on the sled's disks, their pools, and the files.

    Raises ForeignObject, and CommandFailed while a pool that has a zone is not imported.
    """
    from sledsaga.hosts.linux.clear import clear_sagas, sweep
    from sledsaga.hosts.linux.machine import read_machine
    from sledsaga.hosts.linux.virtual import DOCUMENT, remove_virtual
    from sledsaga.hosts.sled import Sled
    from sledsaga.wiring import open_machine

    folder = document_of(desk).parent
    host, platform = open_machine(desk.settings.sled.value)
    sled = Sled(host, saga="", platform=platform)
    on_disks = tuple(sorted(_on_disks(sled)))
    imported = {pool.name for pool in sled.pools.list()}
    machine = read_machine(host, str(folder / DOCUMENT))
    gone = [*clear_sagas(sled, machine, on_disks), *(f"pool {name}" for name in on_disks if name in imported)]
    left = remove_virtual(host, folder)
    sweep(host, machine)
    return [*gone, f"folder {folder}" if not left else f"files in {folder}, but for {', '.join(left)}"]


def _on_disks(sled: Sled) -> set[PoolName]:
    """Return the pools on the sled's disks, imported or not. Raises ForeignObject for any other on one."""
    try:
        found = {sled.disks.identify(disk.path) for disk in sled.disks.list()}
        return {name for name in found if name is not None}
    except ForeignObject as error:
        raise ForeignObject(
            f"{error}. Nothing was removed: let go of what is there, remove that file by hand, and ask again"
        ) from error


def seen_really(desk: Desk) -> dict[str, Any]:
    """Return what a real sled has, by its drivers."""
    from sledsaga.hosts.describe import describe
    from sledsaga.wiring import look_at_sled

    return describe(look_at_sled(desk.settings.sled.value))


def identities(config: dict[str, Any]) -> tuple[DiskIdentity, ...]:
    """Return the disks that a config document names. Raises UsageError when they are none."""
    from sledsaga.hosts.names import DiskIdentity

    try:
        disks = config.get("disks", {})
        parts = disks.values() if isinstance(disks, dict) else disks
        named = [part["identity"] for part in parts]
        return tuple(DiskIdentity(one["vendor"], one["model"], one["serial"]) for one in named)
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"this is no sled config: {type(error).__name__} {error} in its disks") from error


def _install_images(host: Host, folder: str) -> None:
    """Put the images that come with this program where zones are installed from."""
    from sledsaga.hosts.linux.image import shipped

    for name, file in IMAGES.items():
        host.write_file(f"{folder}/{name}.json", shipped(file))


def _bytes(text: str) -> int:
    found = SIZE.fullmatch(text)
    if found is None:
        raise UsageError(f"--size {text}: bytes are expected, such as 128M or 2G")
    return int(found[1]) * UNITS[found[2]]
