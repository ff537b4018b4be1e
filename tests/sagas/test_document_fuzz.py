"""Sled config documents that somebody has spoilt: read, or refused in one line; never another error."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sagas.apply_sled_config import OPERATION, Params
from sagas.steps.sled_config import SledConfig, read_config
from sledsaga.core.plan import plan
from sledsaga.errors import InvalidParams, SledsagaError

ODD: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        1.5,
        2**63,
        10**30,
        "",
        "x",
        "\x00",
        "é\u2028",
        "oxp_",
        "off",
        "[::1]:99999",
        ":",
        "[::1]:-5",
    ),
    *("10fec275-f937-40f7-9c25-616079ef3816", "crypt/zone", "zone/oxz_a", "cockroachdb", "a" * 300),
    *([], {}, [[]], {"type": "gzip_n", "level": 10}, {"": None}, {"type": []}, "fd00::1%x", "[10.0.0.1]:1"),
]
JSON = st.sampled_from(ODD) | st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
QUIET = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def places(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a document but the document itself."""
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [found for key, one in inner for found in ((*path, key), *places(one, (*path, key)))]


def spoil(data: st.DataObject, document: dict[str, Any]) -> None:
    """Change, drop, double, rename or move one value somewhere in the document."""
    found = places(document)
    path = data.draw(st.sampled_from(found))
    parent: Any = document
    for key in path[:-1]:
        parent = parent[key]
    match data.draw(st.sampled_from(["change", "change", "drop", "move", "rename"])):
        case "change":
            parent[path[-1]] = data.draw(JSON)
        case "drop":
            del parent[path[-1]]
        case "move":
            other: Any = document
            for key in data.draw(st.sampled_from(found)):
                other = other[key]
            parent[path[-1]] = copy.deepcopy(other)
        case "rename" if isinstance(parent, dict):
            name = data.draw(st.text(max_size=4) | st.sampled_from(list(parent)))
            parent[name] = parent.pop(path[-1])


def refused(error: Exception) -> None:
    assert "\n" not in str(error)
    assert isinstance(error, SledsagaError)


def judged(document: Any) -> None:
    """Read a document in each way in which one comes in; whatever comes of it is the same each time."""
    try:
        read = read_config(document)
    except InvalidParams as error:
        read = None
        refused(error)
    assert read is None or isinstance(read, SledConfig)
    try:
        params = Params.model_validate(document)
        assert read is not None
        assert params.config == read
        assert params.model_dump(mode="json") == document
    except ValidationError:
        assert read is None or not is_plain(document)
    try:
        planned = plan(OPERATION, document)
        assert planned.params == document
        assert read is not None
    except SledsagaError as error:
        refused(error)


def is_plain(document: dict[str, Any]) -> bool:
    return document == json.loads(json.dumps(document))


@QUIET
@given(data=st.data(), changes=st.integers(1, 4))
def test_a_spoilt_document_is_read_or_refused(
    library: dict[str, Any], data: st.DataObject, changes: int
) -> None:
    """A document with a few values changed is a config, or InvalidParams in one line."""
    document = copy.deepcopy(library["document"]())
    for _ in range(changes):
        spoil(data, document)
    judged(document)


@QUIET
@given(data=st.data())
def test_a_spoilt_older_document_is_read_or_refused(older: dict[str, Any], data: st.DataObject) -> None:
    """The same for the older format."""
    document = copy.deepcopy(older)
    spoil(data, document)
    judged(document)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["generation", "disks", "datasets", "zones", "version"]) | st.text(max_size=3), JSON
    )
)
@example({"generation": 1, "disks": {}, "datasets": {}, "zones": {}})
@example({"generation": 10**400, "zones": []})
@example({"generation": 1, "zones": [{"\ud800": 1}]})
def test_anything_is_read_or_refused(document: dict[str, Any]) -> None:
    """Any object at all is a config, or InvalidParams in one line."""
    judged(document)


@pytest.mark.parametrize("port", ["0", "-5", "99999", "1_0", "٣", "", "x"])
def test_a_port_is_a_number_that_can_be_one(library: dict[str, Any], port: str) -> None:
    """A zone at a port that no machine has is refused."""
    document = library["document"]()
    zone = next(iter(document["zones"].values()))["zone_type"]
    field = next(name for name in ("address", "internal_address", "http_address") if zone.get(name))
    zone[field] = f"[fd00::5]:{port}"
    with pytest.raises(InvalidParams, match="is no address with a port"):
        read_config(document)
