"""A sled in a room, for tests of zones: a pool with what zones need on it, links, and the drivers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sledsaga.check.room import Room
from sledsaga.hosts.host import Host, HostCommand
from sledsaga.hosts.link import VnicSpec
from sledsaga.hosts.linux.abilities import find_abilities
from sledsaga.hosts.linux.containers import Containers
from sledsaga.hosts.linux.image import shipped
from sledsaga.hosts.linux.links import IpLinks
from sledsaga.hosts.linux.machine import Machine, Runtime
from sledsaga.hosts.linux.services import ZoneServices
from sledsaga.hosts.linux.zones import OciZones
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.names import DatasetKind, DatasetName, LinkName, PoolName, ZoneName
from sledsaga.hosts.step import StepHost
from sledsaga.hosts.zfs.abilities import Abilities
from sledsaga.hosts.zfs.datasets import Datasets
from sledsaga.hosts.zfs.spec import DatasetSpec
from sledsaga.hosts.zone import Profile, ServiceProfile, ZoneNetwork, ZoneSpec
from tests.real.conftest import file_disk, run

STUB = LinkName("underlay_stub0")
SUBNET = "fd00:1122:3344:101::"
PORT = 32221
KIND = DatasetKind("cockroachdb")
RUN, NETNS = Path("/run/sledsaga"), Path("/run/netns")


@dataclass(frozen=True)
class Ground:
    """The sled, as the saga `saga` sees it."""

    room: Room
    machine: Machine
    pool: PoolName
    abilities: Abilities
    host: Host
    saga: str = "saga-1"

    @property
    def datasets(self) -> Datasets:
        return Datasets(self.host, self.saga, time.sleep, self.abilities)

    @property
    def zones(self) -> OciZones:
        return OciZones(self.host, self.saga, self.datasets, self.machine)

    @property
    def services(self) -> ZoneServices:
        return ZoneServices(self.host, time.sleep, self.machine)

    @property
    def containers(self) -> Containers:
        return Containers(self.host, self.machine, time.sleep)

    @property
    def links(self) -> IpLinks:
        return IpLinks(self.host, self.saga, time.sleep, self.machine)

    @property
    def data(self) -> DatasetName:
        """The dataset of a zone that keeps data."""
        return DatasetName.of(self.pool, KIND)

    def as_saga(self, saga: str) -> Ground:
        return replace(self, saga=saga)

    def image(self, name: str = "responder", **changes: Any) -> str:
        """Have a shipped image, changed, in a file; returns its path."""
        document = json.loads(shipped(name)) | changes
        path = self.room.folder / f"{uuid4()}.json"
        path.write_text(json.dumps(document))
        return str(path)

    def spec(self, image: str, *, last: int = 2, dataset: str | None = None) -> ZoneSpec:
        """Describe a zone with this image; `last` is the end of its address."""
        name, address = ZoneName.of("test", UUID(int=last)), f"{SUBNET}{last:x}"
        link = LinkName(f"oxTest{last}n0")
        listen = (("listen_addr", address), ("listen_port", str(PORT)), ("store", "/data"))
        return ZoneSpec(
            name=name,
            path=DatasetName.of(self.pool, DatasetKind(f"zone/{name}")).mountpoint,
            image=image,
            image_hash=hashlib.sha256(Path(image).read_bytes()).hexdigest(),
            datasets=() if dataset is None else (dataset,),
            links=(link,),
            profile=Profile(ZoneNetwork(link, f"{SUBNET}1", address), (ServiceProfile("test", listen),)),
        )

    def make_pool(self) -> Ground:
        """Make the pool, with the datasets above those of zones."""
        disk = file_disk(self.room.folder / f"{self.pool}.img", 512)
        run("zpool", "create", "-m", self.pool.mountpoint, self.pool, disk)
        run("zfs", "create", "-o", "sledsaga:plain=yes", f"{self.pool}/crypt")
        self.datasets.ensure(DatasetSpec.of(DatasetName.of(self.pool, DatasetKind("zone")), None))
        return self

    def on_another_pool(self) -> Ground:
        """Return the same sled, with another pool for zones to be on."""
        return replace(self, pool=PoolName(f"oxp_{uuid4()}")).make_pool()

    def stand(self, spec: ZoneSpec) -> ZoneSpec:
        """Have what a zone needs: its root dataset and its link."""
        root = DatasetName.of(self.pool, DatasetKind(f"zone/{spec.name}"))
        self.datasets.ensure(DatasetSpec.of(root, None))
        self.links.ensure_vnic(VnicSpec(spec.links[0], STUB, 9000))
        return spec

    def leave(self, spec: ZoneSpec) -> None:
        """Take back what `stand` had; the zone must have left nothing in its root."""
        root = DatasetName.of(self.pool, DatasetKind(f"zone/{spec.name}"))
        assert list(Path(spec.path).iterdir()) == [], "a zone leaves nothing in its root"
        self.datasets.destroy(root, mountpoint=root.mountpoint)
        self.links.delete_vnic(spec.links[0])

    def boot(self, spec: ZoneSpec) -> bool:
        """Have a zone booted and ready."""
        has_changed = self.zones.ensure(spec)
        self.services.wait_ready(spec.name, timeout_s=20)
        return has_changed

    def init(self, name: str) -> int:
        """Return the pid of a zone's first process."""
        state = json.loads(run(self.machine.runtime, "--root", f"{RUN}/zones", "state", name))
        return int(state["pid"])

    def state(self, spec: ZoneSpec) -> str | None:
        seen = self.zones.observe(spec.name)
        return None if seen is None else seen.state

    def left(self) -> dict[str, list[str]]:
        """Return whatever is there of any zone: containers, networks, groups, processes, records, mounts."""
        mounts = [line.split()[1] for line in Path("/proc/thread-self/mounts").read_text().splitlines()]
        found = {
            "containers": _names(RUN / "zones"),
            "records": _names(Path(self.machine.state) / "zones"),
            "networks": _names(NETNS),
            "groups": [str(one) for one in Path("/sys/fs/cgroup").glob(f"*/{self.machine.cgroup}")],
            "mounts": [one for one in mounts if one.startswith(("/run/netns/", "/data"))],
            "holders": _names(RUN / "netns") + _names(RUN / "gateways"),
        }
        return {what: names for what, names in found.items() if names}


@contextlib.contextmanager
def laid(room: Room, runtime: Runtime = "crun") -> Iterator[Ground]:
    """Have a ground: a pool, the datasets above those of zones, the switch that zones are on."""
    machine = Machine(is_plain_allowed=True, cgroup=f"sledsaga-{uuid4().hex[:8]}", runtime=runtime)
    pool = PoolName(f"oxp_{uuid4()}")
    host = LocalHost()
    ground = Ground(room, machine, pool, find_abilities(host, machine), host).make_pool()
    ground.links.ensure_etherstub(STUB)
    try:
        yield ground
    finally:
        ground.links.delete_etherstub(STUB)


@contextlib.contextmanager
def standing(ground: Ground, spec: ZoneSpec) -> Iterator[ZoneSpec]:
    """Have what a zone needs; afterwards the zone is taken away, and nothing of it may be left."""
    ground.stand(spec)
    yield spec
    ground.zones.retire(spec.name)
    ground.leave(spec)


def crash_network(ground: Ground, spec: ZoneSpec) -> None:
    """Have a zone's network go as at a reboot: its links too, and what is left of it is a plain file."""
    run("umount", "-l", str(NETNS / spec.name))
    until(lambda: spec.links[0] not in ground.links.vnics())
    assert (NETNS / spec.name).is_file()


def remount_all() -> None:
    """Mount anew what died with the ZFS daemon, of other pools too; what lived may be busy for a moment."""
    for line in reversed(Path("/proc/thread-self/mounts").read_text().splitlines()):
        if line.split()[2].startswith("fuse"):
            run("umount", "-l", line.split()[1])
    until(lambda: subprocess.run(["zfs", "mount", "-a"], capture_output=True, check=False).returncode == 0)


def fork() -> int:
    """Fork; a child of ours only runs commands and ends at once, so threads of the tests do not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def killed(ground: Ground, act: Callable[[Ground], object], *, after: int) -> bool:
    """Run an act in a process that is killed after this many changes; False when it had fewer."""
    child = fork()
    if child == 0:
        left = iter(range(after, 0, -1))

        def die(_command: HostCommand) -> None:
            if next(left, 1) == 1:
                os.kill(os.getpid(), signal.SIGKILL)

        with contextlib.suppress(BaseException):
            act(replace(ground, host=StepHost(ground.host, after=die)))
            os._exit(0)
        os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code != 1, "it was to be killed, or to end well"
    return code == -signal.SIGKILL


def until(said: Callable[[], object], *, timeout_s: float = 10.0) -> None:
    """Look until something is so."""
    ends_at = time.monotonic() + timeout_s
    while not said():
        assert time.monotonic() < ends_at, "it did not come to be"
        time.sleep(0.01)


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []
