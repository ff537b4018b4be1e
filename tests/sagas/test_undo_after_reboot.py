"""The sled reboots, and then a saga is undone: what holds a file is kept and asked about, all else goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sledsaga.core.commands import Command
from sledsaga.core.define import Step
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.errors import CommandFailed
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.keys import SECRET_FILE
from sledsaga.store.memory import MemoryStore

Labs = Callable[[str], Any]
POOL = "oxp_11111111-1111-4111-8111-111111111111"
FOLDER = f"/pool/ext/{POOL[4:]}/crypt"
SOON_S = 60.0
LOOKING = Context("looking", "none", "none")
LAST = {
    "format-u2": "formatted",
    "provision-crdb": "record",
    "ensure-datasets": "report",
    "apply-sled-config": "record",
}
"""The last step of each operation, when all is there; it is the one that fails."""
STUCK = {"format-u2": "debug", "ensure-datasets": f"dataset:{POOL}:crypt:local_storage"}


def why(view: Any) -> str:
    return "; ".join(f"{step.path}: {step.error}" for step in view.steps if step.error)


def failing(name: str, act: Callable[[], None], library: dict[str, Any]) -> Callable[[Step], Step]:
    """Return what makes the last step of an operation do this, then fail; nothing is tried twice."""

    def fail(_call: Callable[[], Any]) -> None:
        act()
        raise CommandFailed("it fails because it shall")

    def change(step: Step) -> Step:
        once: Step = library["once_only"](step)
        return once if step.name != LAST[name] else replace(once, do=library["wrapped"](step.do, fail))

    return change


def params_of(name: str, library: dict[str, Any]) -> dict[str, Any]:
    disk = {"disk": library["format"]["disk"]} if name == "provision-crdb" else {}
    if name == "apply-sled-config":
        document: dict[str, Any] = library["document"]()
        return document
    kinds = {"format-u2": "format", "provision-crdb": "provision", "ensure-datasets": "ensure"}
    return library[kinds[name]] | disk


@pytest.mark.parametrize("name", LAST)
def test_all_that_is_empty_is_undone(labs: Labs, library: dict[str, Any], name: str) -> None:
    """After a reboot nothing is left of a saga that is undone: no dataset, zone, folder or key."""
    kind = "formatted" if name == "ensure-datasets" else "blank"
    untouched = labs(kind)
    untouched.sim.reboot()
    lab = labs(kind)
    change = failing(name, lab.sim.reboot, library)
    view = lab.run(name, params_of(name, library), change=change)
    assert view.state == "undone", why(view)
    lab.sim.reboot()
    assert lab.seen() == untouched.seen()
    for folder in ("/pool/ext", *(f"/pool/ext/{each}" for each in lab.sim.host.list_dir("/pool/ext"))):
        assert lab.sim.host.list_dir(folder) == untouched.sim.host.list_dir(folder)


@pytest.mark.parametrize("name", STUCK)
def test_a_file_keeps_its_dataset(labs: Labs, library: dict[str, Any], name: str) -> None:
    """A file that was written before the reboot keeps its dataset; a person is asked, and can go on."""
    lab = labs("formatted" if name == "ensure-datasets" else "blank")
    kind = STUCK[name].rpartition(":")[2]
    path = f"{FOLDER}/{kind}/file"

    def write_and_reboot() -> None:
        lab.sim.host.write_file(path, b"kept")
        lab.sim.reboot()

    change = failing(name, write_and_reboot, library)
    view = lab.run(name, params_of(name, library), change=change)
    assert view.state == "stuck", why(view)
    assert [step.path for step in view.steps if step.state == "undo_failed"] == [STUCK[name]]
    assert f"{POOL}/crypt/{kind} holds files (file)" in why(view)
    found = next(one for one in lab.sim.describe()["datasets"] if one["name"] == f"{POOL}/crypt/{kind}")
    assert not found["mounted"]
    lab.sled(LOOKING).datasets.mount(f"{POOL}/crypt/{kind}")
    assert lab.sim.host.read_file(path) == b"kept"


def test_what_stays_locked_is_asked_about(labs: Labs, library: dict[str, Any]) -> None:
    """When the secrets are gone, too, nothing that is locked is destroyed, and the question says why."""
    lab = labs("blank")

    def lose() -> None:
        lab.sim.reboot()
        lab.sim.host.remove_file(SECRET_FILE)

    view = lab.run("format-u2", params_of("format-u2", library), change=failing("format-u2", lose, library))
    assert view.state == "stuck", why(view)
    assert f"load the key of {POOL}/crypt" in why(view)
    names = {one["name"] for one in lab.sim.describe()["datasets"]}
    assert {POOL, f"{POOL}/crypt", f"{POOL}/crypt/debug", f"{POOL}/crypt/zone"} <= names


@pytest.mark.parametrize("name", LAST)
def test_a_disk_that_is_away_after_a_reboot(labs: Labs, library: dict[str, Any], name: str) -> None:
    """What is on a pool that cannot be opened is asked about, not forgotten; with the disk back all goes."""
    kind = "formatted" if name == "ensure-datasets" else "blank"
    untouched, lab = labs(kind), labs(kind)
    disk = library["format"]["disk"]["serial"]

    def pull_and_reboot() -> None:
        lab.sim.set_disk(disk, "pulled")
        lab.sim.reboot()

    change = failing(name, pull_and_reboot, library)
    operation = library["operation_of"](name)

    def steps(made: Any) -> list[Any]:
        return [change(step) for step in operation.steps(made)]

    with Engine(MemoryStore(), Catalog([replace(operation, steps=steps)]), sled=lab.sled) as engine:
        saga = engine.submit(name, params_of(name, library)).id
        asked = engine.wait(saga, SOON_S)
        assert asked.state == "stuck", why(asked)
        assert f"`zpool clear {POOL}`" in why(asked)
        lab.sim.set_disk(disk, "ok")
        assert lab.sim.host.run(HostCommand(("zpool", "clear", POOL), mutates=True)).code == 0
        engine.command(saga, Command("retry-undo", "test", "the disk is back"))
        view = engine.wait(saga, SOON_S)
    assert view.state == "undone", why(view)
    for each in (lab, untouched):
        each.sim.reboot()
    assert lab.seen() == untouched.seen()


def test_a_zone_that_goes_after_a_reboot(labs: Labs, library: dict[str, Any]) -> None:
    """A zone that the config no longer names is taken away from its root, which is not mounted any more."""
    lab = labs("applied")
    wanted = labs("applied")
    assert wanted.run("apply-sled-config", library["document"](2)).state == "succeeded"

    def late(call: Callable[[], Any]) -> Any:
        lab.sim.reboot()
        return call()

    def change(step: Step) -> Step:
        return step if step.name != "retire" else replace(step, do=library["wrapped"](step.do, late))

    view = lab.run("apply-sled-config", library["document"](2), change=change)
    assert view.state == "succeeded", why(view)
    for each in (lab, wanted):
        each.sim.reboot()
    assert [one["name"] for one in lab.sim.describe()["datasets"]] == [
        one["name"] for one in wanted.sim.describe()["datasets"]
    ]
