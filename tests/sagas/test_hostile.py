"""What a hostile sled does to the smaller operations: data in the way, others at work, disks that go."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sagas.apply_sled_config import OPERATION as APPLY
from sagas.ensure_datasets import OPERATION as ENSURE_DATASETS
from sagas.format_u2 import OPERATION as FORMAT_U2
from sagas.provision_crdb import OPERATION as PROVISION_CRDB
from sagas.steps import pools
from sagas.steps.pools import PoolWanted
from sledsaga.core.commands import Command
from sledsaga.core.define import Step
from sledsaga.core.plan import plan
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.errors import CommandFailed, InvalidParams, SledsagaError
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.names import DiskIdentity, PoolName
from sledsaga.hosts.sim import Fault
from sledsaga.store.memory import MemoryStore

Labs = Callable[[str], Any]
SOON_S = 60.0
POOL = "oxp_11111111-1111-4111-8111-111111111111"
DATA = f"{POOL}/crypt/cockroachdb"
ZONE = "oxz_cockroachdb_a0000000-0000-4000-8000-000000000003"
OTHER_ID = "e0000000-0000-4000-8000-00000000000e"
BYTES = 2**20
"""More than an empty dataset refers to."""


def why(view: Any) -> str:
    return "; ".join(f"{step.path}: {step.error}" for step in view.steps if step.error)


def sh(lab: Any, line: str) -> None:
    assert lab.sim.host.run(HostCommand(tuple(line.split()), mutates=True)).code == 0, line


def names(lab: Any) -> list[str]:
    return [one["name"] for one in lab.sim.describe()["datasets"]]


def failing_at(name: str, library: dict[str, Any], act: Callable[[], object]) -> Callable[[Step], Step]:
    """Return the change by which one step does its work, then `act`, then fails; nothing waits long."""

    def fail(call: Callable[[], Any]) -> Any:
        call()
        act()
        raise CommandFailed("planted")

    def change(step: Step) -> Step:
        step = library["once_only"](step)
        return replace(step, do=library["wrapped"](step.do, fail)) if step.name == name else step

    return change


def at_first(lab: Any, words: tuple[str, ...], act: Callable[[], object], *, of: str = "") -> None:
    """Have something happen just before the first command that begins so, and ends with a name, if any."""
    waiting = [act]

    def tell(command: HostCommand) -> None:
        if command.argv[: len(words)] == words and command.argv[-1].endswith(of) and waiting:
            waiting.pop()()

    lab.before = tell


def ruled(
    lab: Any, library: dict[str, Any], name: str, change: Any, rule: Callable[[Engine, str], Any]
) -> Any:
    """Run an operation to rest, then let a person rule; return the view after that."""
    operation = library["operation_of"](name)
    params = library["provision"] if name == "provision-crdb" else library["format"]

    def steps(made: Any) -> list[Any]:
        return [change(step) for step in operation.steps(made)]

    with Engine(MemoryStore(), Catalog([replace(operation, steps=steps)]), sled=lab.sled) as engine:
        saga = engine.submit(name, params).id
        lab.views.append(engine.wait(saga, SOON_S))
        rule(engine, saga)
        return engine.wait(saga, SOON_S)


@pytest.fixture
def formatted(labs: Labs) -> Any:
    return labs("formatted")


def test_data_is_never_undone(formatted: Any, library: dict[str, Any]) -> None:
    """A dataset that got data is kept by the undo: stuck, until a person says to leave it."""
    before = set(names(formatted))
    change = failing_at("record", library, lambda: formatted.sim.put_file(DATA, "rows", b"r" * BYTES))

    def rule(engine: Engine, saga: str) -> None:
        engine.command(saga, Command("skip-undo", "test", "the data is wanted", step="dataset"))

    view = ruled(formatted, library, "provision-crdb", change, rule)
    stuck = formatted.views[-1]
    assert (stuck.state, [one.step for one in stuck.stuck]) == ("stuck", ["dataset"])
    assert "it was kept" in stuck.stuck[0].error
    assert view.state == "undone"
    assert set(names(formatted)) - before == {DATA}
    assert formatted.sim.describe()["zones"] == []


def test_what_came_meanwhile_stays(formatted: Any, library: dict[str, Any]) -> None:
    """A dataset that another made between look and create is refused, and undoing leaves it there."""
    line = f"zfs create -o zoned=on -o mountpoint=/data -o oxide:uuid={OTHER_ID} {DATA}"
    at_first(formatted, ("zfs", "create"), lambda: sh(formatted, line), of=DATA)
    view = formatted.run("provision-crdb", library["provision"], change=library["once_only"])
    assert view.state == "undone", why(view)
    assert "already exists" in why(view)
    assert DATA in names(formatted)


@pytest.mark.parametrize("is_running", [True, False])
def test_a_zone_of_another_kind_is_not_replaced(
    formatted: Any, library: dict[str, Any], *, is_running: bool
) -> None:
    """A zone of that name with another configuration, running or not, is refused and left as it is."""
    assert formatted.run("provision-crdb", library["provision"]).state == "succeeded"
    if not is_running:
        sh(formatted, f"zoneadm -z {ZONE} halt")
    before = formatted.seen()
    other = library["provision"] | {"address": "fd00:1122:3344:101::9"}
    view = formatted.run("provision-crdb", other)
    assert (view.state, formatted.seen()) == ("undone", before), why(view)
    assert "with another configuration" in why(view)
    (refused,) = (step.error for step in view.steps if step.path == "zones-before")
    told = str(refused).removeprefix("ForeignObject: ")
    assert formatted.probed("provision-crdb", other)["configure"] == f"conflict: {told}"


def test_a_pool_on_another_disk_is_left_there(formatted: Any, library: dict[str, Any]) -> None:
    """A blank disk gets no second pool of a name that is imported, and undoing leaves the first."""
    before = formatted.seen()
    other = library["format"] | {"disk": library["format"]["disk"] | {"serial": "A1"}}
    view = formatted.run("format-u2", other)
    assert (view.state, formatted.seen()) == ("undone", before), why(view)
    assert "is imported from another disk" in why(view)


@pytest.mark.parametrize("condition", ["failing", "pulled"])
@pytest.mark.parametrize("serial", ["M2A", "M2B"])
def test_one_internal_disk_is_enough(
    formatted: Any, library: dict[str, Any], serial: str, condition: str
) -> None:
    """With one internal disk away a node is provisioned all the same, and its record says what is missing."""
    formatted.sim.set_disk(serial, condition)
    view = formatted.run("provision-crdb", library["provision"])
    assert view.state == "succeeded", why(view)
    written = view.step("record").output
    assert (len(written["copies"]), len(written["missing"])) == (1, 1)
    assert "I/O error" in written["missing"][0]


def test_no_internal_disk_is_too_few(formatted: Any, library: dict[str, Any]) -> None:
    """With both internal disks away nothing is done: neither image nor ledger can be read."""
    for serial in ("M2A", "M2B"):
        formatted.sim.set_disk(serial, "failing")
    count = formatted.sim.changes()
    view = formatted.run("provision-crdb", library["provision"], change=library["once_only"])
    assert view.state == "undone"
    assert "not all could be read" in why(view)
    assert formatted.sim.changes() == count


def test_a_record_on_a_disk_that_went_is_not_forgotten(formatted: Any, library: dict[str, Any]) -> None:
    """An undo that cannot look at a copy of the record is stuck, and goes on when the disk is back."""
    before = formatted.seen()
    change = failing_at("record", library, lambda: formatted.sim.set_disk("M2B", "pulled"))

    def rule(engine: Engine, saga: str) -> None:
        formatted.sim.set_disk("M2B", "ok")
        engine.command(saga, Command("retry-undo", "test", "the disk is back"))

    view = ruled(formatted, library, "provision-crdb", change, rule)
    assert formatted.views[-1].state == "stuck"
    assert "it may hold what is undone" in why(formatted.views[-1])
    assert (view.state, formatted.seen()) == ("undone", before), why(view)


def test_a_disk_that_is_pulled_midway(labs: Labs, library: dict[str, Any]) -> None:
    """When the disk goes while it is formatted the saga is stuck; when it is back, all of it is undone."""
    lab = labs("blank")
    before = lab.seen()
    change = failing_at("zone", library, lambda: lab.sim.set_disk("A0", "pulled"))

    def rule(engine: Engine, saga: str) -> None:
        lab.sim.set_disk("A0", "ok")
        engine.command(saga, Command("retry-undo", "test", "the disk is back"))

    view = ruled(lab, library, "format-u2", change, rule)
    assert (lab.views[-1].state, view.state, lab.seen()) == ("stuck", "undone", before), why(view)


def test_a_disk_that_is_away_may_hold_the_pool(labs: Labs, library: dict[str, Any]) -> None:
    """A pool is not taken for gone because its disk is: the saga is stuck until the disk is back."""
    lab = labs("blank")
    before = lab.seen()

    def let_go() -> None:
        sh(lab, f"zpool export {POOL}")
        lab.sim.set_disk("A0", "pulled")

    def rule(engine: Engine, saga: str) -> None:
        lab.sim.set_disk("A0", "ok")
        engine.command(saga, Command("retry-undo", "test", "the disk is back"))

    view = ruled(lab, library, "format-u2", failing_at("pool", library, let_go), rule)
    assert lab.views[-1].state == "stuck"
    assert "A0-WUS4 is not plugged in, so whether it holds" in why(lab.views[-1])
    assert (view.state, lab.seen()) == ("undone", before), why(view)


@pytest.mark.parametrize("policy", ["all-or-nothing", "best-effort"])
def test_what_came_with_its_pool_is_not_changed(formatted: Any, library: dict[str, Any], policy: str) -> None:
    """Of a pool that is away it is not known what is on it: when it comes, all on it stays as it was."""
    before = formatted.seen()
    sh(formatted, f"zpool export {POOL}")
    debug = {"pool": POOL, "kind": "debug", "quota": 2**31}

    def bring(call: Callable[[], Any]) -> Any:
        seen = call()
        sh(formatted, f"zpool import {POOL}")
        sled = formatted.sled(Context("a person", "none", "none"))
        with sled.keys.file(DiskIdentity(**library["format"]["disk"]), epoch=0):
            sh(formatted, f"zfs load-key {POOL}/crypt")
        sh(formatted, "zfs mount -a")
        return seen

    def fail(call: Callable[[], Any]) -> Any:
        call()
        raise CommandFailed("planted")

    def change(step: Step) -> Step:
        step = library["once_only"](step)
        act = bring if step.name.startswith("before") else fail if step.name == "report" else None
        return step if act is None else replace(step, do=library["wrapped"](step.do, act))

    view = formatted.run("ensure-datasets", {"datasets": [debug], "policy": policy}, change=change)
    assert (view.state, formatted.seen()) == ("undone", before), why(view)


@pytest.mark.parametrize(("quota", "state"), [(BYTES * 4, "succeeded"), (BYTES, "undone")])
def test_a_quota_below_what_is_used(formatted: Any, quota: int, state: str) -> None:
    """A quota that fits is set, one below what is used is refused, and an equal one is no change."""
    formatted.sim.put_file(f"{POOL}/crypt/debug", "core", b"c" * BYTES * 2)
    params = {"datasets": [{"pool": POOL, "kind": "debug", "quota": quota, "compression": "gzip-9"}]}
    view = formatted.run("ensure-datasets", params)
    assert view.state == state, why(view)
    if state == "undone":
        assert "less than current used" in why(view)
        return
    formatted.sim.put_file(f"{POOL}/crypt/debug", "core", b"c" * BYTES * 8)
    count = formatted.sim.changes()
    assert formatted.run("ensure-datasets", params).state == "succeeded"
    assert formatted.sim.changes() == count


@pytest.mark.parametrize("words", [("zoneadm",), ("zfs", "create"), ("zpool", "create"), ("write_file",)])
def test_no_space_left(labs: Labs, library: dict[str, Any], words: tuple[str, ...]) -> None:
    """When there is no room for the pool, a dataset, a zone or a file, all is undone."""
    lab = labs("blank")
    before = lab.seen()
    lab.sim.inject(Fault("error", words, text="No space left on device\n", times=0))
    params = library["provision"] | {"disk": library["format"]["disk"]}
    view = lab.run("provision-crdb", params, change=library["once_only"])
    assert (view.state, lab.seen()) == ("undone", before), why(view)
    assert "No space left" in why(view)
    assert lab.sim.host.list_dir("/var/run/oxide") == ()


ODD = ("../../etc", "a/b", "a b", "a\nb", "A0\n", "", ".", "-rf", "a\0b", "x" * 300)


@pytest.mark.parametrize("text", ODD)
def test_odd_names_are_refused(library: dict[str, Any], text: str) -> None:
    """Names that could leave their place in a path, a command or a line are refused before anything runs."""
    for part in ("vendor", "model", "serial"):
        disk = library["format"]["disk"] | {part: text}
        refused(FORMAT_U2, library["format"] | {"disk": disk})
        refused(PROVISION_CRDB, library["provision"] | {"disk": disk})
    for kind in (text, f"zone/{text}", f"zone/oxz_nexus_1/{text}"):
        refused(ENSURE_DATASETS, {"datasets": [{"pool": POOL, "kind": kind}]})
    refused(ENSURE_DATASETS, {"datasets": [{"pool": POOL + text, "kind": "debug"}] if text else [{}]})
    refused(PROVISION_CRDB, library["provision"] | {"pool": text})
    refused(PROVISION_CRDB, library["provision"] | {"image_sha256": "a" * 64 + text if text else ""})
    refused(PROVISION_CRDB, library["provision"] | {"address": text})


def refused(operation: Any, params: dict[str, Any]) -> None:
    with pytest.raises((InvalidParams, SledsagaError)):
        plan(operation, params)


def test_two_nodes_at_once(labs: Labs, library: dict[str, Any]) -> None:
    """Two nodes share nothing but the etherstub: when one of them is undone, the other one runs."""
    lab = labs("blank")
    second = "22222222-2222-4222-8222-222222222222"
    disks = [library["format"]["disk"] | {"serial": serial} for serial in ("A0", "A1")]
    both = [
        library["provision"] | {"disk": disks[0]},
        library["provision"] | {"disk": disks[1], "pool": f"oxp_{second}", "zone_id": OTHER_ID},
    ]
    lab.sim.inject(Fault("error", ("zoneadm", "-z", ZONE, "boot"), times=0))
    meet = threading.Barrier(2, timeout=10)
    lab.before = lambda command: meet.wait() if command.argv[:2] == ("zpool", "create") else None
    operation = library["operation_of"]("provision-crdb")
    with Engine(MemoryStore(), Catalog([operation]), sled=lab.sled) as engine:
        ids = [engine.submit("provision-crdb", params).id for params in both]
        states = [engine.wait(saga, SOON_S).state for saga in ids]
    assert states == ["undone", "succeeded"]
    seen = lab.sim.describe()
    assert [(zone["name"][-36:], zone["state"]) for zone in seen["zones"]] == [(OTHER_ID, "running")]
    assert [pool["name"] for pool in seen["pools"] if pool["name"].startswith("oxp")] == [f"oxp_{second}"]


def test_who_may_share_a_pool(library: dict[str, Any]) -> None:
    """What may make a pool's own datasets has the pool alone; a zone's root keeps its parent from others."""
    root = {"pool": POOL, "kind": f"zone/{ZONE}"}
    locks = {lock.resource: lock.mode for lock in plan(ENSURE_DATASETS, {"datasets": [root]}).locks}
    assert locks == {
        f"pool:{POOL}": "shared",
        f"dataset:{POOL}/crypt/zone": "shared",
        f"dataset:{POOL}/crypt/zone/{ZONE}": "exclusive",
    }
    held = {lock.resource: lock.mode for lock in plan(PROVISION_CRDB, library["provision"]).locks}
    assert held[f"pool:{POOL}"] == "exclusive"


def test_a_zone_is_not_made_while_a_config_takes_zones_away(library: dict[str, Any]) -> None:
    """Which zones a config takes away is known from the ledger only, so no node is provisioned meanwhile."""
    node = {lock.resource: lock.mode for lock in plan(PROVISION_CRDB, library["provision"]).locks}
    config = {lock.resource: lock.mode for lock in plan(APPLY, library["document"](2)).locks}
    assert (node["sled:config"], config["sled:config"]) == ("shared", "exclusive")


def test_nothing_is_destroyed_by_force(labs: Labs, library: dict[str, Any]) -> None:
    """Each destroy of an undo names one thing that the same saga created, and has no option at all."""
    lab = labs("blank")
    count = lab.sim.changes()
    params = library["provision"] | {"disk": library["format"]["disk"]}
    view = lab.run("provision-crdb", params, change=failing_at("record", library, lambda: None))
    assert view.state == "undone", why(view)
    ran = [entry.argv for entry in lab.sim.journal(after=count)]
    created = {argv[-1] for argv in ran if argv[:2] == ("zfs", "create")} | {POOL}
    destroyed = [argv[2:] for argv in ran if argv[1:2] == ("destroy",)]
    assert sorted(destroyed) == sorted((name,) for name in created)


def test_a_disk_that_is_at_another_path_now_is_known_by_its_identity(labs: Labs) -> None:
    """A reboot may give a disk another path: its pool is made on it, and undone, not on what is there now."""
    lab = labs("blank")
    before = lab.seen()
    sled = lab.sled(Context("saga", "none", "none"))
    wanted = PoolWanted(name=PoolName(POOL), disk=DiskIdentity("1b96", "WUS4", "A0"))
    found = pools.find(sled=sled, wanted=wanted)
    moved = found.model_copy(update={"path": found.path.replace("A0", "A1")})
    assert pools.ensure(sled=sled, wanted=wanted, disk=moved).is_ours
    assert sled.disks.identify(found.path) == POOL
    sh(lab, f"zpool export {POOL}")
    pools.undo_ensure(sled=sled, wanted=wanted, disk=moved)
    assert (sled.disks.identify(found.path), lab.seen()) == (None, before)
