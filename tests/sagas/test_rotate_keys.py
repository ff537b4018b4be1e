"""The keys of pools are changed, some or all, and changed back; where that takes one command, and several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sagas.rotate_keys import OPERATION as ROTATE_KEYS
from sledsaga.core.define import Step
from sledsaga.core.plan import plan
from sledsaga.errors import CommandFailed, InvalidParams
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.illumos.platform import ILLUMOS
from sledsaga.hosts.keys import KEY_DIR, Keys, SecretFile
from sledsaga.hosts.names import DiskIdentity
from sledsaga.hosts.sim import Fault
from sledsaga.hosts.zfs.datasets import Datasets

Labs = Callable[[str], Any]
POOL = "oxp_11111111-1111-4111-8111-111111111111"
OTHER = "oxp_22222222-2222-4222-8222-222222222222"
DISKS = {POOL: DiskIdentity("1b96", "WUS4", "A0"), OTHER: DiskIdentity("1b96", "WUS4", "A1")}
OPENZFS = replace(ILLUMOS, abilities=replace(ILLUMOS.abilities, sets_epoch_with_key=False))
"""A sled whose `change-key` takes no user property, as that of OpenZFS does not."""


@pytest.fixture(params=[ILLUMOS, OPENZFS], ids=["at once", "in steps"])
def lab(labs: Labs, request: pytest.FixtureRequest) -> Any:
    made = labs("two epochs")
    made.platform = request.param
    return made


@pytest.fixture
def stepwise(labs: Labs) -> Any:
    made = labs("two epochs")
    made.platform = OPENZFS
    return made


def why(view: Any) -> str:
    return "; ".join(f"{step.path}: {step.error}" for step in view.steps if step.error)


def key_of(lab: Any, pool: str = POOL) -> tuple[str | None, list[int]]:
    """Return the epoch that is recorded, and those whose keys fit."""
    keys, datasets = Keys(lab.sim.host, SecretFile(lab.sim.host)), Datasets(lab.sim.host, "looking", print)
    crypt = next(one for one in lab.sim.describe()["datasets"] if one["name"] == f"{pool}/crypt")
    fitting = []
    for epoch in keys.epochs():
        with keys.file(DISKS[pool], epoch=epoch):
            if datasets.fits_key(f"{pool}/crypt"):
                fitting.append(epoch)
    return crypt["user"].get("oxide:epoch"), fitting


def refuse(lab: Any, *words: str, pattern: str = "") -> None:
    """Have a command refused each time."""
    lab.sim.inject(Fault("error", words, pattern=pattern, times=0, text="planted\n"))


def strictly(library: dict[str, Any], *pools: str) -> dict[str, Any]:
    return library["rotate"] | {"pools": list(pools or [POOL]), "policy": "all-or-nothing"}


def test_a_key_is_changed_while_its_data_is_in_use(lab: Any, library: dict[str, Any]) -> None:
    """The key is that of the latest epoch, which is recorded; data stays mounted, no key stays in a file."""
    assert key_of(lab) == ("0", [0])
    view = lab.run("rotate-keys", library["rotate"])
    assert view.state == "succeeded", why(view)
    assert view.steps[-1].output["counts"] == {"changed": 1}
    assert key_of(lab) == ("1", [1])
    assert lab.sim.host.list_dir(KEY_DIR) == ()
    mounted = {one["name"]: one["mounted"] for one in lab.sim.describe()["datasets"]}
    assert (mounted[f"{POOL}/crypt"], mounted[f"{POOL}/crypt/zone"]) == (True, True)


def test_an_epoch_that_is_there_is_not_changed(lab: Any, library: dict[str, Any]) -> None:
    """Again, nothing is run; and an older epoch can be asked for by number."""
    lab.run("rotate-keys", library["rotate"])
    count = lab.sim.changes()
    assert lab.run("rotate-keys", library["rotate"]).steps[-1].output["counts"] == {"present": 1}
    assert lab.sim.changes() == count
    assert lab.run("rotate-keys", library["rotate"] | {"epoch": 0}).state == "succeeded"
    assert key_of(lab) == ("0", [0])


@pytest.fixture
def two_pools(labs: Labs, library: dict[str, Any]) -> Any:
    lab = labs("applied")
    library["give_secrets"](lab.sim.path, 0, 1)
    return lab


def test_a_pool_that_fails_keeps_its_key(two_pools: Any, library: dict[str, Any]) -> None:
    """With best-effort the others are changed, and the report says what is wrong with the one."""
    refuse(two_pools, "zfs", "change-key", pattern=OTHER)
    view = two_pools.run("rotate-keys", {"pools": [POOL, OTHER]})
    assert view.state == "succeeded"
    told = view.steps[-1].output
    assert told["counts"] == {"changed": 1, "failed": 1}
    assert [item["state"] for item in told["items"]] == ["changed", "failed"]
    assert "planted" in told["items"][1]["why"]
    assert (key_of(two_pools), key_of(two_pools, OTHER)) == (("1", [1]), ("0", [0]))


def test_one_failure_changes_all_back(two_pools: Any, library: dict[str, Any]) -> None:
    """With all-or-nothing the pools that were changed get their old keys again."""
    before = two_pools.seen()
    refuse(two_pools, "zfs", "change-key", pattern=OTHER)
    view = two_pools.run("rotate-keys", strictly(library, POOL, OTHER))
    assert (view.state, two_pools.seen()) == ("undone", before), why(view)
    assert (key_of(two_pools), key_of(two_pools, OTHER)) == (("0", [0]), ("0", [0]))


def leaving_a_key(
    lab: Any, library: dict[str, Any], path: str, then: Callable[[], None]
) -> Callable[[Step], Step]:
    """Return the change by which a look leaves its key, as when it is killed, and then this happens."""

    def leave(look: Callable[[], Any]) -> Any:
        look()
        lab.sim.host.make_dir(KEY_DIR)
        lab.sim.host.write_file(path, b"k" * 32)
        then()
        raise CommandFailed("planted")

    def change(step: Step) -> Step:
        once: Step = library["once_only"](step)
        return replace(once, do=library["wrapped"](once.do, leave)) if once.name[:6] == "before" else once

    return change


def test_a_key_that_a_killed_look_left_is_erased(lab: Any, library: dict[str, Any]) -> None:
    """When a look is lost while a key is in its file, and the saga is undone, the file is erased."""
    path = Keys(lab.sim.host, SecretFile(lab.sim.host)).path(DISKS[POOL])
    change = leaving_a_key(lab, library, path, lambda: None)
    view = lab.run("rotate-keys", strictly(library), change=change)
    assert view.state == "undone", why(view)
    assert lab.sim.host.list_dir(KEY_DIR) == ()


def test_a_key_is_asked_about_when_its_disk_cannot_be_found(lab: Any, library: dict[str, Any]) -> None:
    """A key that a killed look left is not forgotten when the pool's disk cannot be read any more."""
    path = Keys(lab.sim.host, SecretFile(lab.sim.host)).path(DISKS[POOL])
    change = leaving_a_key(lab, library, path, lambda: lab.sim.set_disk("A0", "failing"))
    view = lab.run("rotate-keys", strictly(library), change=change)
    assert view.state == "stuck", why(view)
    assert f"the key in {path} may be its key" in why(view)


def test_a_pool_that_is_not_there_is_only_told(lab: Any, library: dict[str, Any]) -> None:
    """Where no disk carries the pool there is nothing to be erased, and the saga is undone."""
    view = lab.run("rotate-keys", strictly(library, OTHER))
    assert view.state == "undone", why(view)


def test_no_way_back_without_the_old_secret(lab: Any, library: dict[str, Any]) -> None:
    """When the old secret was thrown away meanwhile, the undo is stuck and says which; the new key stays."""

    def retire(call: Callable[[], Any]) -> Any:
        call()
        library["give_secrets"](lab.sim.path, 1)
        raise CommandFailed("planted")

    def change(step: Step) -> Step:
        step = library["once_only"](step)
        return replace(step, do=library["wrapped"](step.do, retire)) if step.name == "report" else step

    view = lab.run("rotate-keys", strictly(library), change=change)
    assert view.state == "stuck"
    assert "there is no secret of epoch 0; known epochs: [1]" in why(view)
    assert key_of(lab) == ("1", [1])


def test_a_crash_between_key_and_record_leaves_no_wrong_record(
    stepwise: Any, library: dict[str, Any]
) -> None:
    """When the key is changed and nothing more, no epoch is recorded; the next start of the disk finds it."""
    refuse(stepwise, "zfs", "set", pattern="oxide:epoch")
    view = stepwise.run("rotate-keys", library["rotate"])
    assert view.steps[-1].output["counts"] == {"failed": 1}
    assert key_of(stepwise) == (None, [1])
    stepwise.sim.clear_faults()
    for name in ("crypt/zone", "crypt/debug", "crypt"):
        done = stepwise.sim.host.run(HostCommand(("zfs", "unmount", f"{POOL}/{name}"), mutates=True))
        assert done.code == 0
    stepwise.sim.host.run(HostCommand(("zfs", "unload-key", f"{POOL}/crypt"), mutates=True))
    assert stepwise.run("format-u2", library["format"]).state == "succeeded"
    assert key_of(stepwise) == ("1", [1])


def test_an_unrecorded_key_is_changed_too(stepwise: Any, library: dict[str, Any]) -> None:
    """Without a record the key that fits is found, so it is known what to change back to."""
    argv = ("zfs", "inherit", "oxide:epoch", f"{POOL}/crypt")
    assert stepwise.sim.host.run(HostCommand(argv, mutates=True)).code == 0
    view = stepwise.run("rotate-keys", library["rotate"])
    assert next(step.output["epoch"] for step in view.steps if step.path.startswith("before:")) == 0
    assert key_of(stepwise) == ("1", [1])


def test_a_half_changed_key_is_changed_back(stepwise: Any, library: dict[str, Any]) -> None:
    """Undone when the key is changed but not recorded, the old key and the old record are there again."""
    before = stepwise.seen()
    stepwise.sim.inject(Fault("error", ("zfs", "set"), pattern="oxide:epoch=1", times=0, text="planted\n"))
    view = stepwise.run("rotate-keys", strictly(library), change=library["once_only"])
    assert (view.state, stepwise.seen()) == ("undone", before), why(view)
    assert key_of(stepwise) == ("0", [0])


def test_a_key_that_is_not_loaded_cannot_be_changed(lab: Any, library: dict[str, Any]) -> None:
    """A locked pool, one that is not encrypted and one that is not there are told; nothing is changed."""
    for name in ("crypt/zone", "crypt/debug", "crypt"):
        lab.sim.host.run(HostCommand(("zfs", "unmount", f"{POOL}/{name}"), mutates=True))
    assert lab.sim.host.run(HostCommand(("zfs", "unload-key", f"{POOL}/crypt"), mutates=True)).code == 0
    count = lab.sim.changes()
    view = lab.run("rotate-keys", library["rotate"] | {"pools": [POOL, OTHER]})
    locked, absent = view.steps[-1].output["items"]
    assert "is not loaded, and only then can it change: run format-u2" in locked["why"]
    assert f"no disk of this sled carries {OTHER}" in absent["why"]
    assert lab.sim.changes() == count


def test_an_epoch_without_a_secret_is_refused(lab: Any, library: dict[str, Any]) -> None:
    """A target that has no secret is refused before any pool is looked at."""
    count = lab.sim.changes()
    view = lab.run("rotate-keys", library["rotate"] | {"epoch": 7}, change=library["once_only"])
    assert view.state == "undone"
    assert "there is no secret of epoch 7; known epochs: [0, 1]" in why(view)
    assert lab.sim.changes() == count


@pytest.mark.parametrize("pools", [[], [POOL, POOL], ["rpool"]])
def test_pools_are_named_once(pools: list[str]) -> None:
    """No pool, one that is named twice, and a name that no pool has, are refused."""
    with pytest.raises(InvalidParams):
        plan(ROTATE_KEYS, {"pools": pools})
