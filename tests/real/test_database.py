"""A real database in a real zone on real ZFS: what was acknowledged is there whatever was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sledsaga.check.room import Room
from sledsaga.errors import InvalidParams
from sledsaga.hosts.linux.image import parse_image, shipped
from sledsaga.hosts.zfs.spec import DatasetSpec
from sledsaga.hosts.zone import ZoneSpec
from tests.real.conftest import run
from tests.real.zone_ground import (
    PORT,
    RUN,
    Ground,
    crash_network,
    fork,
    killed,
    laid,
    remount_all,
    standing,
    until,
)
from tests.tiers import skip_tier

ROWS = 100


@pytest.fixture(scope="module")
def ground(room: Room) -> Iterator[Ground]:
    needs = {"/usr/bin/crun": "crun", **parse_image(shipped("postgresql")).needs}
    if missing := [package for path, package in needs.items() if not Path(path).exists()]:
        skip_tier("native", f"install {' '.join(missing)}")
    with laid(room) as ground:
        yield ground


@pytest.fixture
def spec(ground: Ground) -> Iterator[ZoneSpec]:
    """Describe a database's zone, and have what it needs; its dataset is destroyed with what is in it."""
    ground.datasets.ensure(DatasetSpec.of(ground.data, None))
    with standing(ground, ground.spec(ground.image("postgresql"), dataset=ground.data)) as spec:
        yield spec
    assert ground.left() == {}
    run("zfs", "destroy", ground.data)


def query(spec: ZoneSpec, sql: str) -> str:
    """Ask the database from outside its zone, over the network."""
    assert spec.profile is not None
    where = f"host={spec.profile.network.address} port={PORT} user=postgres dbname=postgres connect_timeout=5"
    return run("psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-d", where, "-c", sql).strip()


def write_rows(spec: ZoneSpec) -> None:
    query(spec, "create table kept as select n from generate_series(1, 100) n")


def kept(spec: ZoneSpec) -> int:
    return int(query(spec, "select count(*) from kept"))


def test_a_database_lives_on(ground: Ground, spec: ZoneSpec) -> None:
    """Data written before are there after kill -9 of the saga, of the database, and after a reboot."""
    assert ground.boot(spec)
    write_rows(spec)

    def reboot_and_die(mine: Ground) -> None:
        mine.zones.halt(spec.name)
        mine.zones.reboot(spec.name)
        os.kill(os.getpid(), signal.SIGKILL)

    assert killed(ground, reboot_and_die, after=10_000)
    ground.boot(spec)
    assert kept(spec) == ROWS

    os.kill(ground.init(spec.name), signal.SIGKILL)
    until(lambda: ground.state(spec) == "installed")
    assert ground.boot(spec)
    assert kept(spec) == ROWS

    restart_machine(ground, spec)
    assert ground.boot(spec)
    assert kept(spec) == ROWS
    assert query(spec, "show data_checksums") == "on"


def restart_machine(ground: Ground, spec: ZoneSpec) -> None:
    """Do to the room what a reboot does: no process, no mount, nothing that is kept in memory."""
    os.kill(ground.init(spec.name), signal.SIGKILL)
    until(lambda: ground.state(spec) == "installed")
    crash_network(ground, spec)
    shutil.rmtree(RUN / "zones")
    ground.room.restart_zfs()
    remount_all()
    ground.stand(spec)


def test_killed_while_the_data_are_prepared(ground: Ground, spec: ZoneSpec) -> None:
    """A first boot that is killed while initdb runs is taken away, or begun anew, with no process left."""
    place = die_while_preparing(ground, spec)
    assert ground.zones.remove(spec.name)
    assert ground.left() == {}
    assert running(ground) == []
    die_while_preparing(ground, spec)
    assert ground.boot(spec)
    assert query(spec, "select 1") == "1"
    assert not (place / "new").exists()


def die_while_preparing(ground: Ground, spec: ZoneSpec) -> Path:
    """Boot a zone in a process that is killed in the midst of initdb; returns where the data are."""
    ground.zones.configure(spec)
    ground.zones.install(spec)
    child = fork()
    if child == 0:
        ground.zones.boot(spec)
        os._exit(0)
    place = Path(zone_data(ground))
    until(lambda: any("initdb" in name for name in running(ground)) and (place / "new" / "base").exists())
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert not (place / "db").exists()
    return place


def running(ground: Ground) -> list[str]:
    """Return the command lines of all processes in zones of this ground."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"/{ground.machine.cgroup}/" in (entry / "cgroup").read_text():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def zone_data(ground: Ground) -> str:
    """Return where the database's dataset is mounted for its zone."""
    return run("zfs", "get", "-H", "-o", "value", "mountpoint", ground.data).strip()


def test_data_outlast_their_zone(ground: Ground, spec: ZoneSpec) -> None:
    """Unmounted outside is not unused: the database goes on; what it wrote is there for the next zone."""
    ground.boot(spec)
    write_rows(spec)
    run("zfs", "unmount", ground.data)
    query(spec, "insert into kept values (0)")
    refused = subprocess.run(("zfs", "destroy", ground.data), capture_output=True, text=True, check=False)
    assert "busy" in refused.stderr
    assert ground.zones.remove(spec.name)
    assert ground.left() == {}
    with standing(ground, ground.spec(spec.image, last=3, dataset=ground.data)) as other:
        ground.boot(other)
        assert kept(other) == ROWS + 1


def test_a_database_without_a_dataset(ground: Ground, spec: ZoneSpec) -> None:
    """An image that keeps data is not booted in a zone that has nowhere to keep them."""
    bare = replace(spec, datasets=())
    with pytest.raises(InvalidParams, match="has no dataset for it"):
        ground.zones.ensure(bare)
    assert ground.state(bare) == "installed"
