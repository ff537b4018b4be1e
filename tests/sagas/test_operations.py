"""The smaller operations: what they leave behind, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sagas.ensure_datasets import OPERATION as ENSURE_DATASETS
from sagas.provision_crdb import Params
from sagas.steps import datasets, pools
from sagas.steps.pools import PoolWanted
from sledsaga.core.define import Absent, Conflicting, Present
from sledsaga.core.plan import plan
from sledsaga.engine.context import Context
from sledsaga.errors import InvalidParams, Unparsable
from sledsaga.hosts.chrony import is_in_step
from sledsaga.hosts.sim import Fault

Labs = Callable[[str], Any]
POOL = "oxp_11111111-1111-4111-8111-111111111111"
ZONE = "oxz_cockroachdb_a0000000-0000-4000-8000-000000000003"


def why(view: Any) -> str:
    return "; ".join(f"{step.path}: {step.error}" for step in view.steps if step.error)


def dataset(lab: Any, name: str) -> dict[str, Any]:
    return next(one for one in lab.sim.describe()["datasets"] if one["name"] == name)


@pytest.fixture
def formatted(labs: Labs) -> Any:
    return labs("formatted")


def test_a_formatted_disk_has_what_zones_need(formatted: Any) -> None:
    """A formatted disk has an encryption root with its epoch, `zone` with a mark, `debug` with its limits."""
    crypt, zone, debug = (dataset(formatted, f"{POOL}/crypt{end}") for end in ("", "/zone", "/debug"))
    assert (crypt["encryption"], crypt["user"]) == ("aes-256-gcm", {"oxide:epoch": "0"})
    assert (zone["mounted"], list(zone["user"])) == (True, ["oxide:agent"])
    assert (debug["quota"], debug["compression"]) == (100 * 2**30, "gzip-9")


@pytest.mark.parametrize(
    ("disk", "expected"),
    [
        ({"vendor": "1b96", "model": "WUS4", "serial": "NONE"}, "is not plugged in"),
        ({"vendor": "1344", "model": "Micron_7300_MTFDHBG960TDF", "serial": "M2A"}, "is external, but"),
    ],
)
def test_a_disk_that_will_not_do_is_refused(
    labs: Labs, library: dict[str, Any], disk: dict[str, str], expected: str
) -> None:
    """A disk that is absent, or is an internal one, is refused before anything is done."""
    lab = labs("blank")
    count = lab.sim.changes()
    view = lab.run("format-u2", library["format"] | {"disk": disk}, change=library["once_only"])
    assert view.state == "undone"
    assert expected in why(view)
    assert lab.sim.changes() == count


def test_a_disk_with_another_pool_is_refused(formatted: Any, library: dict[str, Any]) -> None:
    """A disk that carries another pool than the one asked for keeps it."""
    before = formatted.seen()
    other = library["format"] | {"pool_id": "22222222-2222-4222-8222-222222222222"}
    view = formatted.run("format-u2", other)
    assert (view.state, formatted.seen()) == ("undone", before)
    assert f"holds {POOL}, not oxp_22222222" in why(view)


def test_a_disk_that_cannot_be_read_is_never_blank(labs: Labs, library: dict[str, Any]) -> None:
    """When it cannot be told what is on a disk, it is not formatted."""
    lab = labs("blank")
    lab.sim.set_disk("A0", "failing")
    view = lab.run("format-u2", library["format"], change=library["once_only"])
    assert view.state == "undone"
    assert "I/O error" in why(view)


def test_an_exported_pool_is_adopted_and_given_back(formatted: Any, library: dict[str, Any]) -> None:
    """A disk whose pool is not imported is adopted as it is; undone, it is exported again."""
    whole = formatted.seen()
    from sledsaga.hosts.host import HostCommand

    for name in ("crypt/zone", "crypt/debug", "crypt"):
        formatted.sim.host.run(HostCommand(("zfs", "unmount", f"{POOL}/{name}"), mutates=True))
    assert formatted.sim.host.run(HostCommand(("zpool", "export", POOL), mutates=True)).code == 0
    before = formatted.seen()
    formatted.sim.inject(Fault("error", ("zfs", "mount"), pattern="debug", times=0))
    view = formatted.run("format-u2", library["format"])
    assert (view.state, formatted.seen()) == ("undone", before), why(view)
    formatted.sim.clear_faults()
    assert formatted.run("format-u2", library["format"]).state == "succeeded"
    assert formatted.seen() == whole


def test_a_node_is_provisioned(formatted: Any, library: dict[str, Any]) -> None:
    """A node has a running zone with its data delegated, and a record on both internal disks."""
    view = formatted.run("provision-crdb", library["provision"])
    assert view.state == "succeeded", why(view)
    sled = formatted.sim.describe()
    zone = next(one for one in sled["zones"] if one["name"] == ZONE)
    assert (zone["state"], zone["path"]) == ("running", f"/pool/ext/{POOL[4:]}/crypt/zone/{ZONE}")
    assert {"kind": "dataset", "name": f"{POOL}/crypt/cockroachdb"} in zone["resources"]
    data = dataset(formatted, f"{POOL}/crypt/cockroachdb")
    assert (data["zoned"], data["mountpoint"], data["quota"]) == ("on", "/data", 10 * 2**30)
    assert data["id"] not in (None, library["provision"]["zone_id"])
    assert [one["path"].rsplit("/")[-1] for one in sled["ledgers"]] == [f"{ZONE}.json"] * 2


def test_a_node_never_takes_the_data_of_another(formatted: Any, library: dict[str, Any]) -> None:
    """A dataset with another id is refused; the first node goes on untouched."""
    formatted.run("provision-crdb", library["provision"])
    before = formatted.seen()
    other = library["provision"] | {"zone_id": "a0000000-0000-4000-8000-00000000000f"}
    view = formatted.run("provision-crdb", other)
    assert (view.state, formatted.seen()) == ("undone", before)
    assert "is another dataset: oxide:uuid is" in why(view)


def test_a_plan_says_what_is_there_already(formatted: Any, library: dict[str, Any]) -> None:
    """Probes tell absent, present and conflicting apart, without changing anything."""
    params = Params.model_validate(library["provision"])
    sled = formatted.sled(Context("other", "provision-crdb", "dataset", direction="probe"))
    count = formatted.sim.changes()
    assert datasets.probe(sled, params.dataset) == Absent()
    pool = pools.probe(sled, PoolWanted(name=params.pool))
    assert isinstance(pool, Present)
    assert not pool.ours
    assert formatted.sim.changes() == count
    other = library["provision"] | {"dataset_id": "e0000000-0000-4000-8000-000000000009"}
    formatted.run("provision-crdb", other)
    assert isinstance(datasets.probe(sled, params.dataset), Conflicting)


def test_datasets_are_reported_one_by_one(formatted: Any, library: dict[str, Any]) -> None:
    """The report has a result for each dataset, in the order asked for."""
    view = formatted.run("ensure-datasets", library["ensure"])
    report = view.step("report").output
    assert [item["state"] for item in report["items"]] == [
        "created",
        "created",
        "created",
        "adjusted",
        "present",
    ]
    assert report["counts"] == {"adjusted": 1, "created": 3, "present": 1}


def test_best_effort_makes_what_it_can(formatted: Any, library: dict[str, Any]) -> None:
    """With best-effort one bad dataset is reported with its reason, and the others are made."""
    bad = {"pool": f"oxp_{'3' * 8}-3333-4333-8333-{'3' * 12}", "kind": "crucible"}
    orphan = bad | {"kind": "zone/oxz_nexus_a0000000-0000-4000-8000-000000000004"}
    params = {"datasets": [*library["ensure"]["datasets"], bad, orphan], "policy": "best-effort"}
    view = formatted.run("ensure-datasets", params)
    assert view.state == "succeeded", why(view)
    items = view.step("report").output["items"]
    assert [item["state"] for item in items[-2:]] == ["failed", "failed"]
    assert all(item["why"] for item in items[-2:])
    assert view.step("report").output["counts"]["created"] == 3


def test_best_effort_tells_of_a_failed_root(formatted: Any) -> None:
    """A zone's root whose parent failed is reported with the parent's reason."""
    formatted.sim.inject(Fault("error", ("zfs", "set"), pattern="/crypt/zone$", text="no luck\n", times=0))
    items = [
        {"pool": POOL, "kind": "zone", "quota": 2**40},
        {"pool": POOL, "kind": "zone/oxz_nexus_a0000000-0000-4000-8000-000000000004"},
    ]
    view = formatted.run("ensure-datasets", {"datasets": items, "policy": "best-effort"})
    reported = view.step("report").output["items"]
    assert [item["state"] for item in reported] == ["failed", "failed"]
    assert f"its root {POOL}/crypt/zone failed" in reported[1]["why"]


def test_best_effort_outlives_a_machine_that_says_nothing(formatted: Any) -> None:
    """A dataset whose replies are lost each time is tried as often as others, then reported as failed."""
    formatted.sim.inject(Fault("reply_lost", ("zfs", "create"), pattern="crucible$", times=0))
    formatted.sim.inject(
        Fault("error", ("zfs", "create"), pattern="local", text="dataset is busy\n", times=0)
    )
    items = [{"pool": POOL, "kind": kind} for kind in ("crucible", "local_storage", "debug")]
    view = formatted.run("ensure-datasets", {"datasets": items, "policy": "best-effort"})
    assert view.state == "succeeded", why(view)
    states = [item["state"] for item in view.step("report").output["items"]]
    assert states == ["created", "failed", "adjusted"]


def test_all_or_nothing_undoes_adjustments(formatted: Any, library: dict[str, Any]) -> None:
    """With all-or-nothing one bad dataset undoes what was made and gives back what was adjusted."""
    before = formatted.seen()
    formatted.sim.inject(Fault("error", ("zfs", "create"), pattern="local_storage$", times=0))
    view = formatted.run("ensure-datasets", library["ensure"])
    assert (view.state, formatted.seen()) == ("undone", before), why(view)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"pool": POOL, "kind": "crucible"}] * 2, f"dataset {POOL}/crucible is named twice"),
        ([{"pool": "rpool", "kind": "crucible"}], "'rpool' is not a pool name"),
        ([{"pool": POOL, "kind": "attic"}], "'attic' is not a dataset kind"),
    ],
)
def test_datasets_that_cannot_be_are_refused(items: list[dict[str, str]], expected: str) -> None:
    """Names out of the grammar, and the same dataset twice, are refused before anything runs."""
    with pytest.raises(InvalidParams, match=expected):
        plan(ENSURE_DATASETS, {"datasets": items})


def test_a_busy_dataset_is_tried_again(formatted: Any, library: dict[str, Any]) -> None:
    """A command that says `dataset is busy` is tried again by the step's policy."""
    formatted.sim.inject(Fault("error", ("zfs", "create"), text="cannot create: dataset is busy\n"))
    assert formatted.run("ensure-datasets", library["ensure"]).state == "succeeded"


def test_a_lost_reply_is_looked_into(formatted: Any, library: dict[str, Any]) -> None:
    """When the reply to a create is lost, the next try finds the dataset and takes it for its own."""
    formatted.sim.inject(Fault("reply_lost", ("zfs", "create"), times=3))
    view = formatted.run("ensure-datasets", library["ensure"])
    assert view.state == "succeeded", why(view)
    assert view.step("report").output["counts"]["created"] == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FD00,ntp,3,1.0,0,0,0,0,0,0,0,0,64.0,Normal\n", True),
        ("00000000,,0,0.0,0,0,0,0,0,0,0,0,0.0,Not synchronised\n", False),
    ],
)
def test_the_time_daemon_is_read(text: str, *, expected: bool) -> None:
    """A clock is in step when its daemon says a leap state other than `Not synchronised`."""
    assert is_in_step(text) is expected


def test_what_the_time_daemon_never_says_is_an_error() -> None:
    """Output of another shape is never taken for an answer."""
    with pytest.raises(Unparsable, match="expected 14 values"):
        is_in_step("506 Cannot talk to daemon\n")
