"""`provision-crdb` on real ZFS with a real PostgreSQL: what it refuses, and what it never destroys."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagas.format_u2 import OPERATION as FORMAT
from sagas.provision_clickhouse import OPERATION as CLICKHOUSE
from sagas.provision_crdb import OPERATION
from sledsaga.check.room import Room
from tests.real.conftest import file_disk, let_go, run
from tests.real.rig import (
    Rig,
    driven,
    failing,
    left_overs,
    reboot,
    unmount_pool,
    wait_until_quiet,
    why,
)
from tests.tiers import skip_tier

ZONE = "4f3c1e0a-7d7b-4c8e-9a55-0d2f6b1c9e31"
POOL = "oxp_6340805e-c5af-418d-8bd1-fc0085667f33"
DATA = f"{POOL}/crypt/cockroachdb"


@pytest.fixture
def rig(room: Room, tmp_path: Path) -> Iterator[Rig]:
    """Have a sled with one blank disk; nothing of it is left at the end."""
    before = set(left_overs())
    made = Rig(tmp_path / "rig")
    made.folder.mkdir()
    done = made.run("sled", "init", "--disks", "1", "--size", "512M", "--plain")
    assert done.returncode == 0, done.stderr
    yield made
    made.remove()
    assert wait_until_quiet(before) == set()


def params(rig: Rig, **changed: Any) -> dict[str, Any]:
    (blank,) = (disk for disk in rig.json("sled", "show")["disks"] if disk["variant"] == "U.2")
    disk = {key: blank[key] for key in ("vendor", "model", "serial")}
    where = {"pool": POOL, "zone_id": ZONE, "address": "fd00:1122:3344:101::3", "image": "postgresql"}
    return {**where, "disk": disk, **changed}


def test_data_outlive_an_undo(rig: Rig) -> None:
    """When the last step fails, the zone goes, but the database is kept, and a person is asked."""
    view, _ = driven(rig, params(rig), failing(OPERATION, "record"))
    assert view.state == "stuck", why(view)
    assert [step.path for step in view.steps if step.state == "undo_failed"] == ["dataset"]
    assert "holds files" in why(view)
    seen = rig.seen()
    assert seen["zones"] == []
    assert DATA in {one["name"] for one in seen["datasets"]}


def test_a_node_is_undone_after_a_reboot(rig: Rig) -> None:
    """When the machine reboots before the last step, and that fails, nothing is left: no root, no dataset."""
    before = rig.seen()
    act = functools.partial(reboot, POOL, f"oxz_cockroachdb_{ZONE}")
    view, _ = driven(rig, params(rig, image="responder"), failing(OPERATION, "record", act))
    assert view.state == "undone", why(view)
    assert rig.seen() == before


def test_a_node_that_was_there_outlives_an_undo_after_a_reboot(rig: Rig) -> None:
    """A zone that a reboot has stopped, its root not mounted, is installed as before after an undo."""
    zone = f"oxz_cockroachdb_{ZONE}"
    root = Path("/pool/ext", POOL.removeprefix("oxp_"), "crypt/zone", zone)
    view, _ = driven(rig, params(rig, image="responder"), OPERATION)
    assert view.state == "succeeded", why(view)
    before = sorted(root.iterdir())
    reboot(POOL, zone)
    view, _ = driven(rig, params(rig, image="responder"), failing(OPERATION, "record"))
    assert view.state == "undone", why(view)
    assert not root.is_mount()
    for name in (f"{POOL}/crypt", f"{POOL}/crypt/zone", f"{POOL}/crypt/zone/{zone}"):
        run("zfs", "mount", name)
    assert sorted(root.iterdir()) == before
    assert [one["state"] for one in rig.seen()["zones"]] == ["installed"]


def test_a_sled_stays_while_a_pool_of_its_zones_is_away(rig: Rig) -> None:
    """A sled is not removed while a zone's pool is not imported: the zone would be left without its disk."""
    view, _ = driven(rig, params(rig, image="responder"), OPERATION)
    assert view.state == "succeeded", why(view)
    reboot(POOL, f"oxz_cockroachdb_{ZONE}")
    run("zpool", "export", POOL)
    done = rig.run("sled", "remove", "--yes")
    assert done.returncode != 0
    assert f"{POOL} is not imported" in done.stderr
    run("zpool", "import", "-d", str(rig.folder / "sled"), POOL)
    rig.remove()
    assert rig.run("sled", "init", "--disks", "1", "--size", "512M", "--plain").returncode == 0
    assert rig.seen()["zones"] == []


@pytest.mark.parametrize("is_written", [True, False])
def test_a_formatted_disk_is_undone_after_a_reboot(rig: Rig, *, is_written: bool) -> None:
    """What a reboot has unmounted is undone when it is empty; a file in it is kept, and a person is asked."""
    before = rig.seen()
    file = Path("/pool/ext", POOL.removeprefix("oxp_"), "crypt/debug/file")

    def act() -> None:
        if is_written:
            file.write_bytes(b"kept")
        unmount_pool(POOL)

    wanted = {"disk": params(rig)["disk"], "pool_id": POOL.removeprefix("oxp_")}
    view, _ = driven(rig, wanted, failing(FORMAT, "formatted", act))
    if not is_written:
        assert view.state == "undone", why(view)
        assert rig.seen() == before
        return
    assert view.state == "stuck", why(view)
    assert [step.path for step in view.steps if step.state == "undo_failed"] == ["debug"]
    assert f"{POOL}/crypt/debug holds files (file)" in why(view)
    assert run("zfs", "get", "-Ho", "value", "mounted", f"{POOL}/crypt/debug").strip() == "no"
    run("zfs", "mount", f"{POOL}/crypt/debug")
    assert file.read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("disk", "reason"),
    [("ext4", "ext4"), ("foreign pool", "stranger"), ("swap", "swap")],
)
def test_what_is_on_a_disk_stays(rig: Rig, tmp_path: Path, disk: str, reason: str) -> None:
    """A disk that carries anything of others is refused, and not a byte of it is changed."""
    path = next(Path(each["path"]) for each in rig.json("sled", "show")["disks"] if each["variant"] == "U.2")
    if disk == "ext4":
        run("mkfs.ext4", "-q", "-F", str(path))
    elif disk == "foreign pool":
        run("zpool", "create", "-m", str(tmp_path / "stranger"), "stranger", str(path))
        let_go("export", "stranger")
    else:
        run("mkswap", str(path))
    before = path.read_bytes()
    view, changes = driven(rig, params(rig), OPERATION)
    assert view.state == "undone", why(view)
    assert reason in why(view).lower()
    assert changes["zpool"] == changes["zfs"] == 0
    assert path.read_bytes() == before
    assert rig.run("sled", "remove", "--yes").returncode == 1, "it may be somebody's"
    path.write_bytes(bytes(len(before)))


def test_a_pool_of_that_name_elsewhere_stays(rig: Rig, tmp_path: Path) -> None:
    """A pool that is imported under the wanted name from another disk is not taken, and not touched."""
    run("zpool", "create", "-m", str(tmp_path / "other"), POOL, file_disk(tmp_path / "other.img"))
    try:
        view, changes = driven(rig, params(rig), OPERATION)
        assert view.state == "undone", why(view)
        assert "imported from another disk" in why(view)
        assert changes["zpool"] == changes["zfs"] == 0
    finally:
        let_go("destroy", POOL)


def test_another_nodes_data_are_refused(rig: Rig) -> None:
    """A dataset with another id is another node's: the saga is undone and the dataset stays as it was."""
    view, _ = driven(rig, params(rig), OPERATION)
    assert view.state == "succeeded", why(view)
    before = rig.seen()
    other = params(rig, dataset_id="b0000000-0000-4000-8000-000000000001")
    view, _ = driven(rig, other, OPERATION)
    assert view.state == "undone", why(view)
    assert "oxide:uuid" in why(view)
    assert rig.seen() == before


def test_an_address_belongs_to_one_zone(rig: Rig) -> None:
    """A second node at the address of a running one is refused at boot, and the first runs on."""
    first = params(rig)
    view, _ = driven(rig, first, OPERATION)
    assert view.state == "succeeded", why(view)
    second = {**first, "zone_id": "4f3c1e0a-7d7b-4c8e-9a55-0d2f6b1c9e32"}
    second["dataset_id"] = str(next(one["id"] for one in rig.seen()["datasets"] if one["name"] == DATA))
    view, _ = driven(rig, second, OPERATION)
    assert view.state == "undone", why(view)
    assert first["address"] in why(view)
    assert [zone["state"] for zone in rig.seen()["zones"]] == ["running"]


def test_clickhouse_keeps_what_it_was_told(rig: Rig) -> None:
    """A real ClickHouse answers from outside its zone; when all of the zone is killed its data are there."""
    if not Path("/usr/sbin/clickhouse-server").exists():
        skip_tier("native", "install clickhouse-server")
    wanted = {name: text for name, text in params(rig).items() if name != "image"}
    view, _ = driven(rig, wanted, CLICKHOUSE)
    assert view.state == "succeeded", why(view)
    asked("CREATE TABLE kept (what String) ENGINE = Log")
    asked("INSERT INTO kept VALUES ('written before')")
    for pid in run("ip", "netns", "pids", f"oxz_clickhouse_{ZONE}").split():
        with contextlib.suppress(ProcessLookupError):  # the zone's first process took it along
            os.kill(int(pid), signal.SIGKILL)
    view, _ = driven(rig, wanted, CLICKHOUSE)
    assert view.state == "succeeded", why(view)
    assert asked("SELECT what FROM kept") == "written before\n"


def asked(query: str) -> str:
    return run(
        "curl", "-gsSf", "--max-time", "5", "--data-binary", query, "http://[fd00:1122:3344:101::3]:8123/"
    )
