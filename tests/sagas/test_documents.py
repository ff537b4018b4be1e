"""Sled config documents: two formats are read, everything else is refused with one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from sagas.apply_sled_config import OPERATION, Params
from sagas.steps.ledger import is_same, sorted_keys
from sagas.steps.sled_config import read_config
from sledsaga.core.plan import plan
from sledsaga.errors import InvalidParams

Change = Callable[[dict[str, Any]], Any]


def first(document: dict[str, Any], part: str) -> dict[str, Any]:
    return next(iter(document[part].values()))


def dataset_of(document: dict[str, Any], kind: str) -> str:
    return next(key for key, one in document["datasets"].items() if one["name"]["kind"] == kind)


def zone_of(document: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(one for one in document["zones"].values() if one["zone_type"]["type"] == kind)


BAD: dict[str, tuple[Change, str]] = {
    "no generation": (lambda d: d.pop("generation"), "top-level keys datasets (dict), disks"),
    "no disks": (lambda d: d.pop("disks"), "unknown sled config format"),
    "zones as a list beside disks": (lambda d: d.update(zones=[]), "zones (list)"),
    "a version that nobody knows": (lambda d: d.update(version=15), "and no version"),
    "a generation as text": (
        lambda d: d.update(generation="7"),
        "generation: Input should be a valid integer",
    ),
    "a generation below zero": (lambda d: d.update(generation=-1), "generation: Input should be greater"),
    "a generation that is true": (lambda d: d.update(generation=True), "generation: Input should be a valid"),
    "a disk under another id": (
        lambda d: first(d, "disks").update(id="c" * 8 + "-0000-4000-8000-0000000000ff"),
        "stands under the key",
    ),
    "a pool on two disks": (
        lambda d: [
            disk.update(pool_id="11111111-1111-4111-8111-111111111111") for disk in d["disks"].values()
        ],
        "pool oxp_11111111-1111-4111-8111-111111111111 is in the sled config twice",
    ),
    "a disk without a serial": (lambda d: first(d, "disks")["identity"].pop("serial"), "identity"),
    "a dataset twice": (
        lambda d: d["datasets"][dataset_of(d, "crucible")]["name"].update(kind="debug"),
        "crypt/debug is in the sled config twice",
    ),
    "a dataset on another sled's pool": (
        lambda d: first(d, "datasets")["name"].update(pool_name="oxp_33333333-3333-4333-8333-333333333333"),
        "on a pool that no disk of the config carries",
    ),
    "a kind that nobody knows": (
        lambda d: first(d, "datasets")["name"].update(kind="attic"),
        "'attic' is not a dataset kind",
    ),
    "a quota below zero": (lambda d: first(d, "datasets").update(quota=-5), "quota: Input should be greater"),
    "zone roots without their parent": (lambda d: d["datasets"].pop(dataset_of(d, "zone")), "which holds it"),
    "a zone type that nobody knows": (
        lambda d: zone_of(d, "nexus")["zone_type"].update(type="attic"),
        "'attic' is not known; expected one of boundary_ntp",
    ),
    "a zone without its dataset": (
        lambda d: d["datasets"].pop(dataset_of(d, "cockroachdb")),
        "needs dataset oxp_11111111-1111-4111-8111-111111111111/crypt/cockroachdb",
    ),
    "a zone that should name a dataset": (
        lambda d: zone_of(d, "cockroach_db")["zone_type"].pop("dataset"),
        "has no dataset; needs one, of kind cockroachdb",
    ),
    "a zone that should not": (
        lambda d: zone_of(d, "nexus")["zone_type"].update(
            dataset=zone_of(d, "cockroach_db")["zone_type"]["dataset"]
        ),
        "has dataset; needs none",
    ),
    "a zone without an address": (
        lambda d: zone_of(d, "nexus")["zone_type"].pop("internal_address"),
        "'' is no address",
    ),
    "an address without a port": (
        lambda d: zone_of(d, "nexus")["zone_type"].update(internal_address="fd00::1"),
        "is no address with a port",
    ),
    "an artifact without its hash": (
        lambda d: zone_of(d, "nexus")["image_source"].pop("hash"),
        "only artifacts have one",
    ),
    "a hash that is none": (
        lambda d: zone_of(d, "nexus")["image_source"].update(hash="zz"),
        "hash: String should match",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_document_is_refused(name: str, library: dict[str, Any]) -> None:
    """A document that contradicts itself, or is of no known shape, is refused with one line."""
    change, expected = BAD[name]
    document = copy.deepcopy(library["document"]())
    change(document)
    with pytest.raises(InvalidParams) as refused:
        plan(OPERATION, document)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("document", [{}, {"generation": 1}, {"generation": 1, "services": []}, {"v": 1}])
def test_a_document_of_no_known_shape_is_refused(document: dict[str, Any]) -> None:
    """What has the keys of neither format is refused, and the message names the keys that came."""
    with pytest.raises(InvalidParams, match="unknown sled config format: top-level keys"):
        read_config(document)


def test_fields_that_nobody_knows_are_kept(library: dict[str, Any]) -> None:
    """A document comes out of the params as it went in, unknown fields and all."""
    document = library["document"]() | {"from_the_future": {"deep": [1, None, {"x": 2.5}]}}
    held = Params.model_validate(document)
    assert held.document == document
    assert held.model_dump(mode="json") == document
    assert Params.model_validate(json.loads(held.model_dump_json())) == held


def test_one_document_has_one_form() -> None:
    """Documents with the same content have the same bytes, whatever the order of their keys was."""
    one, other = {"b": [{"y": 1, "x": 2}], "a": 1}, {"a": 1, "b": [{"x": 2, "y": 1}]}
    assert json.dumps(sorted_keys(one)) == json.dumps(sorted_keys(other))


def test_order_makes_no_difference_between_documents() -> None:
    """Lists in another order say the same; another item, or one more, does not."""
    assert is_same({"zones": [{"id": 1}, {"id": 2}]}, {"zones": [{"id": 2}, {"id": 1}]})
    assert not is_same({"zones": [{"id": 1}, {"id": 2}]}, {"zones": [{"id": 1}]})
    assert not is_same({"zones": [1, 1, 2]}, {"zones": [1, 2, 2]})


def test_every_data_pool_has_zone_and_debug(library: dict[str, Any]) -> None:
    """A pool for which the document names neither gets `crypt/zone` and `crypt/debug` all the same."""
    names = {one.name for one in read_config(library["document"]()).datasets}
    bare = "oxp_22222222-2222-4222-8222-222222222222"
    assert {f"{bare}/crypt/zone", f"{bare}/crypt/debug"} <= names


def test_the_current_format_is_read(production: dict[str, Any]) -> None:
    """A production sled's document gives its disks, datasets and zones."""
    config = read_config(production)
    assert (len(config.pools), len(config.datasets), len(config.zones)) == (10, 54, 13)
    assert {zone.type for zone in config.zones} == {"crucible", "external_dns", "internal_ntp", "nexus"}
    assert all(zone.root.pool == zone.pool and zone.image.sha256 for zone in config.zones)
    assert Params.model_validate(production).model_dump(mode="json") == production


def test_the_older_format_is_read(older: dict[str, Any]) -> None:
    """An older document gives its zones, and the pools and datasets that follow from them."""
    config = read_config(older)
    assert len(config.zones) == 15
    assert {pool.disk for pool in config.pools} == {None}
    assert len([one for one in config.datasets if one.name.kind == "crucible"]) == 10
    assert {zone.image.sha256 for zone in config.zones} == {None}
    assert {one.name.kind.transient_zone for one in config.datasets} >= {zone.name for zone in config.zones}
