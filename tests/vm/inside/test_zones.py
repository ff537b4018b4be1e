"""Zones in pure second cgroups, on encrypted datasets of OpenZFS: their life, their limits, their data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from sledsaga.check.room import Room
from sledsaga.errors import ForeignObject
from sledsaga.hosts.host import Completed
from sledsaga.hosts.linux.abilities import find_abilities
from sledsaga.hosts.linux.machine import Runtime
from sledsaga.hosts.linux.platform import linux
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zfs.spec import DatasetSpec
from sledsaga.hosts.zone import ZoneSpec
from tests.real.zone_ground import PORT, STUB, killed, standing
from tests.real.zone_ground import Ground as Zones
from tests.vm.inside.ground import POOL, Ground, lock, sh, value

GROUPS = Path("/sys/fs/cgroup")
SLOW_S = 90.0
MIB = 2**20
EAT = "held = []\nwhile True: held.append(b'x' * 2**20)"
"""A program that takes all the memory that it can get."""
FORK = "import os, time\nfor _ in range(100):\n    if os.fork() == 0: time.sleep(5); os._exit(0)"
"""A program that begins a hundred processes."""


@pytest.fixture(params=["crun", "runc"])
def zones(ground: Ground, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Zones]:
    """Give what zones need: an encrypted pool, and the switch that they are on."""
    ground.formatted()
    runtime: Runtime = request.param
    machine = replace(ground.machine, runtime=runtime, cgroup="zones-here")
    host = LocalHost()
    room = Room(tmp_path, None)  # type: ignore[arg-type] # the guest is the room, and has no daemon
    made = Zones(room, machine, POOL, find_abilities(host, machine), host)
    made.links.ensure_etherstub(STUB)
    yield made
    made.links.delete_etherstub(STUB)


def with_data(zones: Zones) -> ZoneSpec:
    """Have a dataset, and describe a zone that keeps its data there."""
    zones.datasets.ensure(DatasetSpec.of(zones.data, UUID(int=1)))
    return zones.spec(zones.image(), dataset=zones.data)


def booted(zones: Zones, spec: ZoneSpec) -> None:
    zones.zones.ensure(spec)
    zones.services.wait_ready(spec.name, timeout_s=SLOW_S)


def inside(zones: Zones, spec: ZoneSpec, *argv: str) -> Completed:
    asked = zones.containers.runtime.inside(spec.name, *argv, uid=65534, gid=65534)
    return zones.host.run(replace(asked, timeout_s=SLOW_S))


def group(zones: Zones, spec: ZoneSpec) -> Path:
    return GROUPS / zones.machine.cgroup / spec.name


def counted(path: Path, word: str) -> int:
    """Return one number of a file of counters."""
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.split()[0] == word)


def test_a_zone_lives_and_goes_with_its_data_kept(zones: Zones) -> None:
    """A zone boots, answers, writes its encrypted data, goes, comes back with it, and leaves nothing."""
    spec = with_data(zones)
    assert value(zones.data, "encryption") == "aes-256-gcm"
    with standing(zones, spec):
        booted(zones, spec)
        assert not zones.zones.ensure(spec)
        address = spec.profile.network.address if spec.profile else ""
        assert sh("curl", "-gsSf", f"http://[{address}]:{PORT}/zone") == f"{spec.name}\n"
        done = inside(zones, spec, "sh", "-c", "echo kept > /data/file; sync /data/file")
        assert done.code == 0, done
        assert zones.zones.halt(spec.name)
        zones.zones.reboot(spec.name)
        zones.services.wait_ready(spec.name, timeout_s=SLOW_S)
        assert inside(zones, spec, "cat", "/data/file").stdout == "kept\n"
        assert zones.zones.remove(spec.name)
        assert zones.zones.observe(spec.name) is None
    assert zones.left() == {}


def test_limits_of_memory_and_processes_hold(zones: Zones) -> None:
    """What takes more memory or processes than the image allows is stopped; the zone itself goes on."""
    spec = zones.spec(zones.image(limits={"memory": 64 * MIB, "pids": 16}))
    with standing(zones, spec):
        booted(zones, spec)
        place = group(zones, spec)
        assert (place / "memory.max").read_text() == f"{64 * MIB}\n"
        assert (place / "pids.max").read_text() == "16\n"
        assert inside(zones, spec, "/usr/bin/python3", "-I", "-c", EAT).code != 0
        assert counted(place / "memory.events", "oom_kill") >= 1
        assert "Resource temporarily" in inside(zones, spec, "/usr/bin/python3", "-I", "-c", FORK).stderr
        assert counted(place / "pids.events", "max") >= 1
        assert zones.zones.retire(spec.name)
        assert not place.exists()
    assert zones.left() == {}


@pytest.mark.parametrize("after", [2, 6, 10])
def test_a_killed_maker_is_carried_on(zones: Zones, after: int) -> None:
    """Killed after some changes, another process has the zone as it should be, with the same data."""
    spec = with_data(zones)
    act: Callable[[Zones], object] = lambda some: some.zones.ensure(spec)  # noqa: E731 - an act for a child
    with standing(zones, spec):
        killed(zones, act, after=after)
        booted(zones, spec)
        assert zones.state(spec) == "running"
    assert zones.left() == {}


def test_a_zone_comes_back_after_a_reboot(ground: Ground, zones: Zones) -> None:
    """When pool and key are back after a reboot, the zone boots again on the same data."""
    spec = with_data(zones)
    with standing(zones, spec):
        booted(zones, spec)
        assert inside(zones, spec, "sh", "-c", "echo kept > /data/file").code == 0
        assert zones.zones.retire(spec.name)
        lock()
        ground.formatted()
        zones.datasets.ensure(DatasetSpec.of(zones.data, UUID(int=1)))
        zones.datasets.mount(f"{POOL}/crypt/zone/{spec.name}")
        booted(zones, spec)
        assert inside(zones, spec, "cat", "/data/file").stdout == "kept\n"
    assert zones.left() == {}


def test_a_zone_is_undone_after_a_reboot(zones: Zones) -> None:
    """Locked and unmounted, the root of a zone is emptied and goes; its data hold a file, and are kept."""
    spec = zones.stand(with_data(zones))
    booted(zones, spec)
    assert inside(zones, spec, "sh", "-c", "echo kept > /data/file; sync /data/file").code == 0
    zones.zones.halt(spec.name)
    lock()
    sled = Sled(zones.host, zones.saga, platform=linux(zones.host, zones.machine))
    assert sled.zones.remove(spec.name)
    lock()
    root = f"{POOL}/crypt/zone/{spec.name}"
    assert sled.datasets.destroy(root, mountpoint=spec.path)
    with pytest.raises(ForeignObject, match=r"holds files \(file\)"):
        sled.datasets.destroy(zones.data)
    assert value(zones.data, "mounted") == "no"
    zones.links.delete_vnic(spec.links[0])
    assert zones.left() == {}
