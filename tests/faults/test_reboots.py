"""The sled reboots in the middle of a saga: keys, mounts, links and running zones are lost."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sledsaga.check.kills import Kill, Trial, drive
from sledsaga.hosts.sim import SimSled
from tests.faults.ground import Ground, mended
from tests.faults.scenarios import SCENARIOS
from tests.faults.variants import FAILING


def reboot(trial: Trial) -> None:
    sim = SimSled.open(trial.sled.removeprefix("sim:"))
    sim.reboot()
    sim.close()


def rebooted(ground: Ground) -> tuple[str, str]:
    """Return how it ends when the sled reboots after all is over."""
    trial = ground.trial()
    assert not drive(trial)
    reboot(trial)
    try:
        return ground.end(trial)
    finally:
        ground.clear(trial)


def ends_of(ground: Ground, point: str) -> tuple[bool, tuple[str, str], list[str]]:
    """Kill at a point, reboot, recover, reboot once more; say whether the kill came, and how it ended."""
    trial = ground.trial()
    try:
        hit = drive(trial, Kill(point))
        reboot(trial)
        drive(trial)
        reboot(trial)
        return hit, ground.end(trial), ground.keys_left(trial)
    finally:
        ground.clear(trial)


def walk(ground: Ground, step: int) -> None:
    good = rebooted(ground)
    trial = ground.trial()
    reboot(trial)
    sim = SimSled.open(trial.sled.removeprefix("sim:"))
    before = json.dumps(sim.describe(), sort_keys=True, indent=1)
    sim.close()
    ground.clear(trial)
    number, hit = 1, True
    while hit:
        hit, end, keys = ends_of(ground, f"after-command:{number}")
        wanted = json.loads(before if end[0] == "undone" else good[1])
        assert end[0] in (good[0], "undone")
        seen = mended(json.loads(end[1]), wanted, json.loads(before), ground.params)
        assert seen == wanted, f"{ground.operation} {number}: {end[0]}"
        assert keys == []
        number += step
    assert number > 1 + step


@pytest.mark.parametrize("name", ["format", "crdb-on-blank-disk", "datasets"])
def test_a_reboot_in_the_middle(grounds: Callable[[str], Ground], name: str) -> None:
    """After a reboot in its middle a saga succeeds or is undone, and the sled is as if rebooted then."""
    walk(grounds(name), 3)


@pytest.mark.campaign
@pytest.mark.parametrize("variant", ["", FAILING])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_reboot_anywhere(grounds: Callable[[str], Ground], name: str, variant: str) -> None:
    """The same at every change, also while all is undone."""
    from dataclasses import replace

    ground = grounds(name)
    walk(replace(ground, operation=f"{ground.operation}{variant}"), 1)
