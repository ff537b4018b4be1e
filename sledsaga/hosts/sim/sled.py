"""SimSled: making a simulated sled, looking at it from outside, and doing to it what no command can.

    SLED/sled.db      the state (see state.py)
    SLED/root/        files outside of datasets; SLED/datasets/  files in them (see tree.py)

A sled is built beside its place and then renamed, so there is never half of one.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sledsaga.errors import HostError, NotFound, UsageError
from sledsaga.hosts import files
from sledsaga.hosts.sim import faults, smf
from sledsaga.hosts.sim.argv import Call
from sledsaga.hosts.sim.boot import reboot
from sledsaga.hosts.sim.describe import describe
from sledsaga.hosts.sim.faults import Fault
from sledsaga.hosts.sim.host import SimHost
from sledsaga.hosts.sim.layout import DiskSpec, format_disk, make_ground, two_m2
from sledsaga.hosts.sim.state import State
from sledsaga.hosts.sim.things import Dataset, Disk, Service
from sledsaga.hosts.sim.tree import Tree

CONDITIONS = ("ok", "failing", "pulled")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal: `kind` is `command` or `file`, `at` is in seconds since the epoch."""

    id: int
    at: float
    kind: str
    argv: tuple[str, ...]
    code: int


class SimSled:
    """A simulated sled, seen by the one who owns it; steps see it as a SimHost."""

    def __init__(self, path: str | Path) -> None:
        """Open the sled in a folder. Raises HostError when there is none."""
        self.host = SimHost(path)
        self.path = self.host.path
        self._state = self.host.state
        self._tree = self.host.tree

    @classmethod
    def open(cls, path: str | Path) -> SimSled:
        """Open the sled in a folder. Raises HostError when there is none."""
        return cls(path)

    @classmethod
    def create(cls, path: str | Path, disks: Sequence[DiskSpec] = ()) -> SimSled:
        """Make a sled with these disks; those with a pool are formatted. Raises UsageError, HostError."""
        place = Path(path).absolute()
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise UsageError(f"{place} is not empty: choose another folder for the new sled, or remove it")
        site = place.with_name(f".{place.name}.new")
        shutil.rmtree(site, ignore_errors=True)
        for folder in ("root", "datasets"):
            (site / folder).mkdir(parents=True)
        _build(site, disks)
        if place.is_dir():
            place.rmdir()
        site.rename(place)
        files.sync_dir(place.parent)
        return cls(place)

    @classmethod
    def init_from_disks(
        cls,
        path: str | Path,
        disks: Sequence[DiskSpec],
        *,
        images: Mapping[str, bytes] | None = None,
        artifacts: Mapping[str, bytes] | None = None,
    ) -> SimSled:
        """Make a sled with these U.2 disks and two formatted M.2s.

        `images` maps zone image names to bytes (`install/NAME.tar.gz` on both M.2s), `artifacts` maps
        sha256 to bytes (`update/SHA256` on both). Raises UsageError, HostError.
        """
        sled = cls.create(path, [*disks, *two_m2()])
        for name, data in (images or {}).items():
            sled.put_image(name, data)
        for digest, data in (artifacts or {}).items():
            sled.put_artifact(digest, data)
        return sled

    def close(self) -> None:
        """Close the sled's file."""
        self.host.close()

    def disks(self) -> list[Disk]:
        """Return all disks, those that were pulled too, by slot."""
        with self._state.reading() as tx:
            return sorted(tx.under(Disk).values(), key=lambda each: (each.slot, each.serial))

    def describe(self) -> dict[str, Any]:
        """Return the whole sled as one JSON document; equal documents mean equal sleds."""
        with self._state.reading() as tx:
            return describe(Call(tx, self._tree, b"", time.time()))

    def reboot(self) -> None:
        """Lose what a reboot loses, and come up again."""
        with self._calling() as call:
            reboot(call)

    def journal(self, *, after: int = 0) -> list[Entry]:
        """Return the mutating commands and file changes since entry `after`, in order."""
        with self._state.reading() as tx:
            rows = tx.db.execute(
                "SELECT id, at, kind, argv, code FROM journal WHERE id > ? ORDER BY id", (after,)
            )
            return [Entry(each[0], each[1], each[2], tuple(json.loads(each[3])), each[4]) for each in rows]

    def changes(self) -> int:
        """Return the id of the journal's last entry: how many commands and files changed so far."""
        with self._state.reading() as tx:
            return int(tx.db.execute("SELECT coalesce(max(id), 0) FROM journal").fetchone()[0])

    def inject(self, fault: Fault) -> int:
        """Keep a fault; return its id."""
        with self._state.writing() as tx:
            return faults.add(tx, fault)

    def matches(self, fault: int) -> int:
        """Return how many commands a fault, known by its id, has counted so far."""
        with self._state.reading() as tx:
            return faults.seen(tx, fault)

    def clear_faults(self) -> None:
        """Forget all faults."""
        with self._state.writing() as tx:
            faults.clear(tx)

    def set_boot_delay(self, delay_s: float) -> None:
        """Say how long services of a zone stay offline after its boot."""
        with self._state.writing() as tx:
            tx.set_option("boot_delay_s", str(delay_s))

    def set_service(self, zone: str, fmri: str, state: str) -> None:
        """Put a service into a state, such as `maintenance`; `zone` may be `global`. Raises NotFound."""
        with self._state.writing() as tx:
            key = f"{zone} {smf.full_name(fmri)}"
            found = tx.get(Service, key)
            if found is None:
                raise NotFound(f"zone {zone} has no service {fmri}: is it running?")
            tx.put(key, replace(found, state=state, usual=found.usual or found.state))

    def set_disk(self, serial: str, condition: str) -> None:
        """Make a disk `ok`, `failing` or `pulled`. Raises NotFound, UsageError."""
        if condition not in CONDITIONS:
            raise UsageError(f"a disk cannot be {condition!r}: choose one of {', '.join(CONDITIONS)}")
        with self._state.writing() as tx:
            disk = tx.get(Disk, serial)
            if disk is None:
                raise NotFound(f"there is no disk with serial {serial} in this sled")
            tx.put(serial, replace(disk, condition=condition))

    def put_file(self, dataset: str, name: str, data: bytes) -> None:
        """Write into a dataset from inside, whether or not it is mounted, as a zone does. Raises NotFound."""
        with self._state.writing() as tx:
            found = tx.get(Dataset, dataset)
            if found is None:
                raise NotFound(f"there is no dataset {dataset} in this sled")
            real = self._tree.folder(found.guid) / name.lstrip("/")
            files.make_dir(real.parent, 0o755)
            files.write(real, data, 0o644)

    def put_image(self, name: str, data: bytes) -> None:
        """Put a zone image `NAME.tar.gz` into the install dataset of each M.2. Raises HostError."""
        for pool in self._m2_pools():
            self.put_file(f"{pool}/install", f"{name.removesuffix('.tar.gz')}.tar.gz", data)

    def put_artifact(self, digest: str, data: bytes) -> None:
        """Put an artifact under its sha256 into the update dataset of each M.2. Raises HostError."""
        for pool in self._m2_pools():
            self.put_file(f"{pool}/update", digest, data)

    def _m2_pools(self) -> list[str]:
        pools = [each.label for each in self.disks() if each.variant == "M.2" and each.label]
        if not pools:
            raise HostError("this sled has no formatted M.2 disk: make it with sled init")
        return pools

    @contextlib.contextmanager
    def _calling(self) -> Iterator[Call]:
        with self._state.writing() as tx:
            yield Call(tx, self._tree, b"", time.time())


def _build(site: Path, disks: Sequence[DiskSpec]) -> None:
    """Make the state of a new sled, all in one transaction."""
    state = State(site / "sled.db")
    state.create()
    try:
        with state.writing() as tx:
            call = Call(tx, Tree(site), b"", time.time())
            make_ground(call)
            for slot, spec in enumerate(disks):
                format_disk(call, spec, slot)
    finally:
        state.close()
