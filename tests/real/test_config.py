"""`apply-sled-config` on real ZFS with real zones: ten disks, all datasets, thirteen zones that answer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagas.apply_sled_config import OPERATION
from sledsaga.check.room import Room
from tests.real import config
from tests.real.rig import Rig, driven, failing, left_overs, wait_until_quiet, why
from tests.real.zfs_ground import Daemon

KILLS = 5
FIRST_S, LATEST_S = 1.5, 4.0
"""The first kill comes before a quick machine is done; a process needs 0.5 s before it does anything."""

SIZES = pytest.mark.parametrize("disks", [3, pytest.param(config.DISKS, marks=pytest.mark.campaign)])


@pytest.fixture
def rig(room: Room, tmp_path: Path) -> Iterator[Rig]:
    """Have a folder for a sled; whatever a test made of it is gone at the end, and nothing else is left."""
    before = set(left_overs())
    made = Rig(tmp_path / "rig")
    yield made
    if (made.folder / "sled").exists():
        made.remove()
    assert wait_until_quiet(before) == set()
    assert not (made.folder / "sled").exists()


@SIZES
def test_a_config_is_applied_once(rig: Rig, disks: int) -> None:
    """Every zone runs; applied again, nothing is changed; a later one without a zone keeps its data."""
    document = config.document(disks=disks)
    rig.make(document)
    view, changes = driven(rig, document, OPERATION)
    assert view.state == "succeeded", why(view)
    print(f"applied with {changes.total()} changes: {dict(changes)}")  # noqa: T201 - the figure is wanted
    applied = rig.seen()
    assert [zone["state"] for zone in applied["zones"]] == ["running"] * (disks + 3)
    view, changes = driven(rig, document, OPERATION)
    assert (view.state, changes.total()) == ("succeeded", 0), (why(view), changes)
    later = config.document(disks=disks, generation=2)
    view, _ = driven(rig, later, OPERATION)
    assert view.state == "succeeded", why(view)
    gone = {zone["name"] for zone in applied["zones"]} - {zone["name"] for zone in rig.seen()["zones"]}
    assert len(gone) == 1
    data = {one["name"] for one in rig.seen()["datasets"] if one["name"].endswith("/crucible")}
    assert len(data) == disks


@SIZES
def test_a_config_is_unwound(rig: Rig, disks: int) -> None:
    """When the last thing fails, the sled is what it was: blank disks, no zone, no link, no ledger."""
    document = config.document(disks=disks)
    rig.make(document)
    before = rig.seen()
    view, changes = driven(rig, document, failing(OPERATION, "record"))
    assert view.state == "undone", why(view)
    assert changes["zpool"] > 0
    assert rig.seen() == before


def test_a_config_brings_all_back_after_the_daemon_died(rig: Rig, room: Room) -> None:
    """After the ZFS daemon was killed and started again, the same config mounts and boots all."""
    document = config.document(disks=2)
    rig.make(document)
    assert rig.apply()["state"] == "succeeded"
    before = rig.seen()
    Daemon(room).restart()
    assert {zone["state"] for zone in rig.seen()["zones"]} == {"down"}
    view, _ = driven(rig, document, OPERATION)
    assert view.state == "succeeded", why(view)
    assert rig.seen() == before
    view, changes = driven(rig, document, OPERATION)
    assert (view.state, changes.total()) == ("succeeded", 0), (why(view), changes)


def test_a_config_survives_kills(rig: Rig) -> None:
    """Killed at three random moments, it comes to the same end as without."""
    _survives(rig, config.document(disks=2), seed=0, kills=3)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(1, 7))
def test_a_whole_config_survives_kills(rig: Rig, seed: int) -> None:
    """Ten disks and thirteen zones, killed at five random moments: the same end as without."""
    _survives(rig, config.document(), seed=seed, kills=KILLS)


@pytest.mark.campaign
def test_the_production_config_is_applied(rig: Rig) -> None:
    """The real document of a production sled, its disks 128 MiB each, is applied, and once more."""
    document = config.production()
    if document is None:
        pytest.skip("the production document is not at hand")
    rig.make(document)
    view, _ = driven(rig, document, OPERATION)
    assert view.state == "succeeded", why(view)
    assert [zone["state"] for zone in rig.seen()["zones"]] == ["running"] * 13
    view, changes = driven(rig, document, OPERATION)
    assert (view.state, changes.total()) == ("succeeded", 0), (why(view), changes)


def _survives(rig: Rig, document: dict[str, Any], *, seed: int, kills: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - dice, not keys
    rig.make(document)
    line = ["submit", "apply-sled-config", "-f", "config.json", "--key", "one", "--wait"]
    came = 0
    for number in range(kills):
        came += rig.killed(dice.uniform(0.7, LATEST_S if number else FIRST_S), *line)
    assert came, "no kill came"
    rig.run(*line)
    saga = rig.saga()
    assert saga["state"] == "succeeded", [step for step in saga["steps"] if step.get("error")]
    killed = rig.seen()
    assert {zone["state"] for zone in killed["zones"]} == {"running"}
    assert len(killed["zones"]) == len(document["zones"])
    view, changes = driven(rig, document, OPERATION)
    assert (view.state, changes.total()) == ("succeeded", 0), (why(view), changes)
    assert rig.seen() == killed
