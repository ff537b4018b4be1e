"""Applying sled configs: the end state, generations, zones that go and change, time, and what is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from sledsaga.core.define import Step
from sledsaga.errors import CommandFailed, HostError
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.illumos.profile import SITE
from sledsaga.hosts.sim import DiskSpec, Fault, SimSled

Labs = Callable[[str], Any]
CRDB = "oxz_cockroachdb_a0000000-0000-4000-8000-000000000003"
NEXUS = "oxz_nexus_a0000000-0000-4000-8000-000000000004"
POOL = "oxp_11111111-1111-4111-8111-111111111111"
DATA = f"{POOL}/crypt/cockroachdb"
LEDGER = "omicron-sled-config.json"


def why(view: Any) -> str:
    return "; ".join(f"{step.path}: {step.error}" for step in view.steps if step.error)


def sh(lab: Any, line: str) -> None:
    assert lab.sim.host.run(HostCommand(tuple(line.split()), mutates=True)).code == 0, line


def names(lab: Any, part: str) -> set[str]:
    return {one["name"] for one in lab.sim.describe()[part]}


@pytest.fixture
def applied(labs: Labs) -> Any:
    return labs("applied")


@pytest.fixture
def real(labs: Labs, production: dict[str, Any]) -> Any:
    """Make a lab on a sled with the blank disks of the production document, and its artifacts."""
    lab = labs("blank")
    disks = [DiskSpec(**each["identity"]) for each in production["disks"].values()]
    hashes = {zone["image_source"]["hash"] for zone in production["zones"].values()}
    place = lab.sim.path.parent / "real"
    lab.move_to(SimSled.init_from_disks(place, disks, artifacts=dict.fromkeys(hashes, b"image")))
    return lab


def test_a_production_document_is_applied(real: Any, production: dict[str, Any]) -> None:
    """A production sled comes to be from blank disks: pools, datasets with ids and limits, running zones."""
    assert real.run("apply-sled-config", production).state == "succeeded"
    sled = real.sim.describe()
    datasets = {one["id"]: one for one in sled["datasets"] if one["id"] is not None}
    assert sorted(pool["name"][:3] for pool in sled["pools"]) == ["oxi"] * 2 + ["oxp"] * 10
    assert set(datasets) == set(production["datasets"])
    for key, wanted in production["datasets"].items():
        plain = wanted["name"]["kind"] == "crucible"
        assert datasets[key]["quota"] == wanted["quota"]
        assert datasets[key]["encryption"] == ("off" if plain else "aes-256-gcm")
        assert datasets[key]["mounted"] is (wanted["name"]["kind"] not in ("crucible", "external_dns"))
    assert {zone["name"][-36:]: zone["state"] for zone in sled["zones"]} == dict.fromkeys(
        production["zones"], "running"
    )
    assert [one["generation"] for one in sled["ledgers"]] == [production["generation"]] * 2


def test_a_production_document_is_applied_once(real: Any, production: dict[str, Any]) -> None:
    """Applied again, in another order too, it runs no mutating command; lower or changed, it is refused."""
    real.run("apply-sled-config", production)
    count = real.sim.changes()
    shuffled = {key: production[key] for key in reversed(production)}
    shuffled["zones"] = dict(reversed(production["zones"].items()))
    assert real.run("apply-sled-config", shuffled).state == "succeeded"
    lower = real.run("apply-sled-config", production | {"generation": production["generation"] - 1})
    other = real.run("apply-sled-config", production | {"measurements": [{"hash": "new"}]})
    assert real.sim.changes() == count
    assert (lower.state, other.state) == ("undone", "undone")
    assert "generation 350 is outdated: the sled has 351" in why(lower)
    assert "another content (measurements differ)" in why(other)


def test_a_production_document_is_undone(real: Any, production: dict[str, Any]) -> None:
    """When its very end fails, a production sled is blank again, byte for byte."""
    before = real.seen()
    real.sim.inject(Fault("error", ("write_file",), pattern=LEDGER, times=0))
    view = real.run("apply-sled-config", production)
    assert (view.state, real.seen()) == ("undone", before), why(view)
    assert "failed to write any copy" in why(view)


def test_an_older_document_is_applied(labs: Labs, older: dict[str, Any]) -> None:
    """The older format runs its zones on pools that are there, each with a dataset of its own kind."""
    lab = labs("blank")
    pools = sorted(
        {
            zone["zone_type"]["dataset"]["pool_name"]
            for zone in older["zones"]
            if "dataset" in zone["zone_type"]
        }
    )
    disks = [DiskSpec("1b96", "WUS4", f"D{number}", pool=pool) for number, pool in enumerate(pools)]
    images = ("clickhouse", "cockroachdb", "crucible", "internal_dns", "nexus", "ntp")
    place = lab.sim.path.parent / "older"
    lab.move_to(SimSled.init_from_disks(place, disks, images=dict.fromkeys(images, b"image")))
    before = lab.seen()
    lab.sim.inject(Fault("error", ("write_file",), pattern=LEDGER, times=0))
    assert lab.run("apply-sled-config", older).state == "undone"
    assert lab.seen() == before
    lab.sim.clear_faults()
    view = lab.run("apply-sled-config", older)
    assert view.state == "succeeded", why(view)
    sled = lab.sim.describe()
    assert {zone["state"] for zone in sled["zones"]} == {"running"}
    assert len(sled["zones"]) == 15
    assert [one["address"] for one in sled["addresses"]] == ["fd00:1122:3344:2::2/64"]
    count = lab.sim.changes()
    assert lab.run("apply-sled-config", older).state == "succeeded"
    assert lab.sim.changes() == count


def test_the_ledger_keeps_the_document(applied: Any, library: dict[str, Any]) -> None:
    """Each internal disk has the whole document, unknown fields too, in the same bytes."""
    paths = [one["path"] for one in applied.sim.describe()["ledgers"] if one["path"].endswith(LEDGER)]
    copies = {applied.sim.host.read_file(path) for path in paths}
    assert (len(paths), len(copies)) == (2, 1)
    assert json.loads(copies.pop()) == library["document"]()


def test_a_missing_ledger_copy_is_repaired(applied: Any, library: dict[str, Any]) -> None:
    """The same document again writes the copy that an internal disk lost, and nothing else."""
    path = next(one["path"] for one in applied.sim.describe()["ledgers"] if one["path"].endswith(LEDGER))
    before = applied.seen()
    applied.sim.host.remove_file(path)
    count = applied.sim.changes()
    assert applied.run("apply-sled-config", library["document"]()).state == "succeeded"
    assert [entry.argv for entry in applied.sim.journal(after=count)] == [("write_file", path)]
    assert applied.seen() == before


def test_a_corrupt_ledger_is_never_taken_for_none(applied: Any, library: dict[str, Any]) -> None:
    """When no copy can be read, the config is refused, for it cannot be told what the sled has."""
    for one in applied.sim.describe()["ledgers"]:
        applied.sim.host.write_file(one["path"], b"{ torn")
    before = applied.seen()
    view = applied.run("apply-sled-config", library["document"](2))
    assert view.state == "undone"
    assert "no copy can be read" in why(view)
    assert applied.seen() == before


def test_a_zone_that_is_no_longer_named_goes(applied: Any, library: dict[str, Any]) -> None:
    """A newer generation without a zone takes the zone, its root and its link away, and keeps its data."""
    assert applied.run("apply-sled-config", library["document"](2)).state == "succeeded"
    assert CRDB not in names(applied, "zones")
    assert not any(name.endswith(CRDB) for name in names(applied, "datasets"))
    assert DATA in names(applied, "datasets")
    assert len([link for link in names(applied, "links") if link.startswith("oxControl")]) == 3
    gone = applied.sim.changes()
    assert applied.run("apply-sled-config", library["document"](2)).state == "succeeded"
    assert applied.sim.changes() == gone


def test_an_address_passes_to_the_zone_that_comes_in_anothers_place(
    applied: Any, library: dict[str, Any]
) -> None:
    """A new zone of internal DNS has the address of the one that it replaces; the last to go takes it."""
    addresses = applied.sim.describe()["addresses"]
    old, new = "a0000000-0000-4000-8000-000000000002", "a0000000-0000-4000-8000-00000000000a"
    wanted = library["document"]() | {"generation": 2}
    wanted["zones"][new] = wanted["zones"].pop(old) | {"id": new}
    for one in wanted["datasets"].values():
        one["name"]["kind"] = one["name"]["kind"].replace(old, new)
        one["id"] = one["id"].replace("d0", "d1") if new in one["name"]["kind"] else one["id"]
    wanted["datasets"] = {one["id"]: one for one in wanted["datasets"].values()}
    view = applied.run("apply-sled-config", wanted)
    assert view.state == "succeeded", why(view)
    assert {f"oxz_internal_dns_{new}"} == {each for each in names(applied, "zones") if "_dns_" in each}
    assert applied.sim.describe()["addresses"] == addresses != []
    del wanted["zones"][new]
    view = applied.run("apply-sled-config", wanted | {"generation": 3})
    assert view.state == "succeeded", why(view)
    assert applied.sim.describe()["addresses"] == []


def test_a_zone_with_another_image_is_built_anew(applied: Any, library: dict[str, Any]) -> None:
    """Only the zone whose image changed is halted and installed again; the others are left alone."""
    document = library["document"]() | {"generation": 2}
    document["zones"] = library["document"](2)["zones"] | {CRDB[-36:]: document["zones"][CRDB[-36:]]}
    probes = applied.probed("apply-sled-config", document)
    assert {one: probes[f"configure:{one}"] for one in (NEXUS, CRDB)} == {NEXUS: "absent", CRDB: "present"}
    count = applied.sim.changes()
    assert applied.run("apply-sled-config", document).state == "succeeded"
    touched = {
        each for entry in applied.sim.journal(after=count) for each in entry.argv if each.startswith("oxz_")
    }
    assert touched == {NEXUS}


def test_the_same_image_from_elsewhere_is_no_change(labs: Labs, library: dict[str, Any]) -> None:
    """An image that comes as an artifact, with the hash that the installed one has, restarts nothing."""
    lab = labs("applied")
    document = copy.deepcopy(library["document"]()) | {"generation": 2}
    digest = "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"
    lab.sim.put_artifact(digest, b"image")
    document["zones"][CRDB[-36:]]["image_source"] = {"type": "artifact", "hash": digest}
    count = lab.sim.changes()
    assert lab.run("apply-sled-config", document).state == "succeeded"
    assert {entry.argv[0] for entry in lab.sim.journal(after=count)} == {"write_file"}


def test_nothing_starts_while_a_zone_does_not_go_down(applied: Any, library: dict[str, Any]) -> None:
    """When a zone that has to go cannot be halted, nothing new is booted, and all is as before."""
    before, count = applied.seen(), applied.sim.changes()
    applied.sim.inject(Fault("error", ("zoneadm", "-z", CRDB, "halt"), times=0))
    view = applied.run("apply-sled-config", library["document"](2))
    assert (view.state, applied.seen()) == ("undone", before), why(view)
    assert not [
        entry
        for entry in applied.sim.journal(after=count)
        if entry.argv[-1:] == ("boot",) and NEXUS in entry.argv
    ]


def test_after_a_reboot_the_same_document_brings_all_back(applied: Any, library: dict[str, Any]) -> None:
    """After a reboot keys are loaded, datasets mounted, links made, zones booted: all is as before."""
    before = applied.seen()
    applied.sim.reboot()
    assert applied.seen() != before
    view = applied.run("apply-sled-config", library["document"]())
    assert view.state == "succeeded", why(view)
    assert applied.seen() == before


def test_a_failure_after_a_reboot_leaves_the_sled_rebooted(applied: Any, library: dict[str, Any]) -> None:
    """Undone after a reboot, keys are unloaded, datasets unmounted and zones down, as they were."""
    applied.sim.reboot()
    before = applied.seen()
    applied.sim.inject(Fault("error", ("zoneadm", "-z", NEXUS, "boot"), times=0))
    view = applied.run("apply-sled-config", library["document"]())
    assert (view.state, applied.seen()) == ("undone", before), why(view)


def test_only_what_time_needs_starts_before_time(labs: Labs, library: dict[str, Any]) -> None:
    """Before the clock is in step only NTP and internal DNS boot; the others boot after it was asked for."""
    lab = labs("blank")
    booted: list[str] = []
    lab.before = lambda command: booted.append(command.argv[2]) if command.argv[-1] == "boot" else None
    assert lab.run("apply-sled-config", library["document"]()).state == "succeeded"
    assert {name[:8] for name in booted[:2]} == {"oxz_ntp_", "oxz_inte"}
    assert {name[:8] for name in booted[2:]} == {"oxz_cock", "oxz_nexu"}


def test_zones_that_boot_slowly_are_waited_for(labs: Labs, library: dict[str, Any]) -> None:
    """While services of zones are still offline nothing that needs them starts, and the saga succeeds."""
    lab = labs("blank")
    lab.sim.set_boot_delay(0.2)
    times: dict[str, float] = {}
    lab.before = lambda command: (
        times.update({command.argv[2]: monotonic()}) if command.argv[-1] == "boot" else None
    )
    assert lab.run("apply-sled-config", library["document"]()).state == "succeeded"
    ntp = next(at for name, at in times.items() if name.startswith("oxz_ntp_"))
    assert times[CRDB] - ntp >= 0.2


def test_without_ntp_no_other_zone_starts(labs: Labs, library: dict[str, Any]) -> None:
    """A document whose zones need time, but which has no NTP zone, comes to nothing, with one line why."""
    lab = labs("blank")
    before, document = lab.seen(), copy.deepcopy(library["document"]())
    document["zones"].pop("a0000000-0000-4000-8000-000000000001")
    view = lab.run("apply-sled-config", document)
    assert (view.state, lab.seen()) == ("undone", before)
    assert "the config has no NTP zone" in why(view)


def test_a_missing_image_is_told_before_anything_is_done(labs: Labs, library: dict[str, Any]) -> None:
    """When an artifact is not on the sled, no disk is formatted."""
    lab = labs("blank")
    document = copy.deepcopy(library["document"]())
    document["zones"][NEXUS[-36:]]["image_source"]["hash"] = "cc" * 32
    count = lab.sim.changes()
    view = lab.run("apply-sled-config", document)
    assert view.state == "undone"
    assert f"artifact {'cc' * 32} (nexus) is not on this sled; looked at /pool/int/" in why(view)
    assert lab.sim.changes() == count


def test_a_dataset_with_another_id_is_refused(applied: Any, library: dict[str, Any]) -> None:
    """A dataset that is there with another id is another one's data: nothing is changed."""
    before = applied.seen()
    document = copy.deepcopy(library["document"]()) | {"generation": 2}
    key = next(key for key, one in document["datasets"].items() if one["name"]["kind"] == "cockroachdb")
    other = "e0000000-0000-4000-8000-000000000009"
    document["datasets"][other] = document["datasets"].pop(key) | {"id": other}
    view = applied.run("apply-sled-config", document)
    assert (view.state, applied.seen()) == ("undone", before)
    assert "is another dataset: oxide:uuid is" in why(view)


def test_data_written_meanwhile_is_kept(labs: Labs, library: dict[str, Any]) -> None:
    """When a zone has written data before the saga fails, undo does not destroy it: the saga is stuck."""
    lab = labs("blank")

    def write(command: Any) -> None:
        if command.argv == ("zoneadm", "-z", CRDB, "boot"):
            lab.sim.put_file(DATA, "store/ranges", bytes(1024**2))

    lab.after = write
    lab.sim.inject(Fault("error", ("write_file",), pattern=LEDGER, times=0))
    view = lab.run("apply-sled-config", library["document"](), change=library["once_only"])
    assert view.state == "stuck"
    assert any("cockroachdb" in one.step and "holds" in one.error for one in view.stuck)
    assert DATA in names(lab, "datasets")


def test_no_zone_goes_while_its_pool_is_away(applied: Any, library: dict[str, Any]) -> None:
    """Zones whose roots are on a pool that is not imported are not taken away, and not halted either."""
    for zone in names(applied, "zones"):
        sh(applied, f"zoneadm -z {zone} halt")
    sh(applied, f"zpool export {POOL}")
    before = applied.seen()
    document = library["document"](2)
    disks = {key: disk for key, disk in document["disks"].items() if disk["identity"]["serial"] != "A0"}
    view = applied.run("apply-sled-config", document | {"disks": disks, "datasets": {}, "zones": {}})
    assert (view.state, applied.seen()) == ("undone", before), why(view)
    assert f"{POOL} is not imported" in why(view)


def test_an_undo_that_was_cut_short_still_writes_the_profile(applied: Any, library: dict[str, Any]) -> None:
    """A zone that is built anew has its profile, also when a crash came between install and profile."""
    path = f"/pool/ext/{POOL[4:]}/crypt/zone/{CRDB}/{SITE}"
    before = (applied.seen(), applied.sim.host.read_file(path))
    undone: list[str] = []

    def dies(command: Any) -> None:
        if command.argv == ("write_file", path) and not undone:
            undone.append(CRDB)
            raise HostError("planted")

    def fail(call: Callable[[], Any]) -> Any:
        call()
        applied.before = dies
        raise CommandFailed("planted")

    def change(step: Step) -> Step:
        return replace(step, do=library["wrapped"](step.do, fail)) if step.name == "retire" else step

    view = applied.run("apply-sled-config", library["document"](2), change=change)
    assert (view.state, undone) == ("undone", [CRDB]), why(view)
    assert (applied.seen(), applied.sim.host.read_file(path)) == before
