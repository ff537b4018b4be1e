"""What a new sled has: its disks, the datasets of an M.2, its root file system, a physical link."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sledsaga.errors import InvalidName
from sledsaga.hosts.internal import M2_DATASETS, M2_SLOTS, steady_uuid
from sledsaga.hosts.keys import KEY_BYTES, SECRET_FILE, Secrets, secrets_document
from sledsaga.hosts.sim import smf
from sledsaga.hosts.sim.argv import Call, Refusal
from sledsaga.hosts.sim.commands import interpret
from sledsaga.hosts.sim.things import Disk, Link

SERIAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
POOL = re.compile(r"ox[ip]_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
U2_BYTES = 3_200_631_791_616
M2_BYTES = 960_197_124_096
FOLDERS = ("opt/oxide", "var/run", "var/svc/profile", "tmp", "etc", "zone")
OVERLAY = "opt/oxide/overlay.tar.gz"
PHYSICAL_LINK = "cxgbe0"


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A disk to put in. `pool` names the pool that it is formatted with; a disk without one is blank.

    `size` is in bytes; `slot` None takes the disk's place in the list.
    """

    vendor: str
    model: str
    serial: str
    size: int = U2_BYTES
    variant: str = "U.2"
    slot: int | None = None
    pool: str = ""


def two_m2() -> list[DiskSpec]:
    """Return the two M.2s of a sled, formatted, with pool ids that are the same each time."""
    return [
        DiskSpec(
            "1344", "Micron_7300_MTFDHBG960TDF", serial, M2_BYTES, "M.2", slot, f"oxi_{steady_uuid(serial)}"
        )
        for serial, slot in zip(("M2A", "M2B"), M2_SLOTS, strict=True)
    ]


def make_ground(call: Call) -> None:
    """Make the root file system with the rack's secret (no secret here), a physical link, the services."""
    root = call.tree.home / "root"
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / OVERLAY).write_bytes(b"overlay")
    secrets = root / SECRET_FILE.lstrip("/")
    secrets.parent.mkdir(parents=True, exist_ok=True)
    secrets.write_bytes(secrets_document(Secrets("simulated rack", {0: bytes(range(KEY_BYTES))})))
    call.tx.put(PHYSICAL_LINK, Link("phys", mac="a8:40:25:ff:0:1", props={"mtu": "9000"}))
    smf.start_global(call)


def format_disk(call: Call, spec: DiskSpec, place: int) -> None:
    """Put a disk in, and make its pool when it has one. Raises InvalidName."""
    if not SERIAL.fullmatch(spec.serial) or call.tx.get(Disk, spec.serial) is not None:
        raise InvalidName(
            f"the serial {spec.serial!r} is taken or no serial: use letters, digits, - and _, each once"
        )
    slot = place if spec.slot is None else spec.slot
    disk = Disk(spec.serial, spec.vendor, spec.model, spec.size, slot, spec.variant)
    call.tx.put(spec.serial, disk)
    if not spec.pool:
        return
    match = POOL.fullmatch(spec.pool)
    if match is None or spec.pool.startswith("oxi_") != (spec.variant == "M.2"):
        raise InvalidName(
            f"the pool {spec.pool!r} of a {spec.variant} disk must be oxp_UUID (U.2) or oxi_UUID (M.2)"
        )
    point = f"/pool/{'int' if spec.variant == 'M.2' else 'ext'}/{match[1]}"
    options = ("-o", "ashift=12", "-o", "failmode=continue", "-o", "feature@encryption=enabled")
    _must(call, ("zpool", "create", *options, "-O", f"mountpoint={point}", spec.pool, disk.path))
    for name, props in M2_DATASETS if spec.variant == "M.2" else ():
        settings = [word for key, value in props.items() for word in ("-o", f"{key}={value}")]
        _must(call, ("zfs", "create", *settings, f"{spec.pool}/{name}"))


def _must(call: Call, argv: tuple[str, ...]) -> None:
    try:
        reply = interpret(call, argv)
    except Refusal as refusal:
        reply = refusal.reply
    if reply.code:
        raise InvalidName(f"the new sled refused {' '.join(argv)}: {reply.err.strip()}")
