"""The sled reboots in the middle of a saga: keys, mounts, links and running zones are lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest

from sledsaga.check.kills.child import Kill
from sledsaga.check.kills.ground import End, Ground, Trial
from sledsaga.hosts.sim import SimSled
from tests.faults.scenarios import SCENARIOS, mended

Grounding = Callable[[str], AbstractContextManager[Ground]]


def reboot(trial: Trial) -> None:
    sim = SimSled.open(trial.sled)
    sim.reboot()
    sim.close()


def rebooted(ground: Ground, *, unwinds: bool) -> End:
    """Return how it ends when the sled reboots after all is over."""
    with ground.trial(unwinds=unwinds) as trial:
        ran = trial.run()
        reboot(trial)
        return trial.now(ran)


def rebooted_before(ground: Ground) -> dict[str, Any]:
    """Return the sled that was rebooted before anything was done."""
    with ground.trial() as trial:
        reboot(trial)
        return sled_of(trial.now())


def sled_of(end: End) -> dict[str, Any]:
    return dict(json.loads(end.seen)["sled"])


def ends_of(ground: Ground, point: str, number: int, *, unwinds: bool) -> tuple[bool, End]:
    """Kill at a point, reboot, recover, reboot once more; say whether the kill came, and how it ended."""
    with ground.trial(unwinds=unwinds) as trial:
        hit = trial.run(Kill(point, number)).killed
        reboot(trial)
        ran = trial.run()
        reboot(trial)
        return hit, trial.now(ran)


def walk(ground: Ground, *, step: int, unwinds: bool = False) -> None:
    good = rebooted(ground, unwinds=unwinds)
    before = rebooted_before(ground)
    number, hit = 1, True
    while hit:
        hit, end = ends_of(ground, "after-command", number, unwinds=unwinds)
        wanted = before if end.state == "undone" else sled_of(good)
        assert end.state in (good.state, "undone"), end.why
        assert isinstance(ground.subject.params, Mapping)
        seen = mended(sled_of(end), wanted, before, ground.subject.params)
        assert seen == wanted, f"{ground.subject.operation.name} {number}: {end.state}"
        assert seen["keys"] == []
        number += step
    assert number > 1 + step


@pytest.mark.parametrize("name", ["format", "crdb-on-blank-disk", "datasets", "rotate"])
def test_a_reboot_in_the_middle(ground_of: Grounding, name: str) -> None:
    """After a reboot in its middle a saga succeeds or is undone, and the sled is as if rebooted then."""
    with ground_of(name) as ground:
        walk(ground, step=3)


@pytest.mark.campaign
@pytest.mark.parametrize("unwinds", [False, True])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_reboot_anywhere(ground_of: Grounding, name: str, *, unwinds: bool) -> None:
    """The same at every change, also while all is undone."""
    with ground_of(name) as ground:
        walk(ground, step=1, unwinds=unwinds)
