"""What somebody who has read nothing meets: empty folders, unknown params, a saga behind a stuck one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sledsaga.cli.follow import is_held_up
from sledsaga.store.open import open_store


@contextmanager
def serving(place: Any) -> Iterator[None]:
    """Have an executor for as long as this lasts."""
    process = place.start("serve")
    try:
        assert "drives" in process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_nothing_is_left_where_there_is_nothing_to_recover(line: Any, place: Any) -> None:
    """`recover` in a folder without a log says which log it means, and makes none."""
    done = line("recover")
    assert (done.code, done.err) == (0, "sledsaga: nothing is unfinished in sqlite:///.sledsaga/log.db\n")
    assert line("recover", "--json").json["sagas"] == []
    assert not (place.path / ".sledsaga").exists()


def test_all_that_is_wrong_with_params_is_told_at_once(line: Any) -> None:
    """Each field that is missing or wrong is named, so that nobody has to try again for each."""
    done = line("plan", "provision-crdb", "-p", "pool=oxp_1")
    assert done.code == 2
    assert "pool: 'oxp_1' is not a pool name: expected" in done.err
    assert "; zone_id: field required; address: field required" in done.err


def test_an_operation_explains_its_params(line: Any) -> None:
    """`operations NAME` shows meanings, defaults as JSON, and the fields of the objects that it takes."""
    shown = line("operations", "provision-crdb").out
    assert "may be formatted for the pool when it is blank" in shown
    disk = shown[shown.index("DiskIdentity  TYPE") :].splitlines()
    assert [row.split()[0] for row in disk[1:]] == ["vendor", "model", "serial"]
    gate = next(row for row in line("operations", "two").out.splitlines() if row.startswith("gate"))
    assert gate.split() == ["gate", "string", '""']


@pytest.mark.parametrize(
    "name", ["apply-sled-config", "ensure-datasets", "format-u2", "provision-crdb", "rotate-keys"]
)
def test_each_param_that_ships_has_a_meaning(line: Any, name: str) -> None:
    """No param of an operation in the catalog is left unexplained."""
    (one,) = line("operations", name, "--json").json["operations"]
    assert one["params"]["properties"]
    assert all(field.get("description") for field in one["params"]["properties"].values())


def test_what_a_saga_was_given_is_shown(line: Any) -> None:
    """`show` has the params, cut when they are long, so that a saga can be submitted again."""
    saga = line("submit", "two", "-p", "name=ann", "--json").json["id"]
    assert 'params  {"name": "ann"' in " ".join(line("show", saga).out.split()).replace("params ", "params  ")
    saga = line("submit", "two", "-p", f"blob={'x' * 5000}", "--json").json["id"]
    shown = "".join(line("show", saga).out.split())
    assert "x" * 500 in shown
    assert "x" * 700 not in shown
    assert "(allofit:--json)" in shown


def test_the_line_to_type_goes_on(line: Any, place: Any) -> None:
    """What `show` offers for a stuck step also drives the saga to its end, as it is typed."""
    saga = line("submit", "two", "-p", "fail=undo", "--json").json["id"]
    offered = next(row for row in line("show", saga).out.splitlines() if "sledsaga retry-undo" in row)
    (place.path / "mended").touch()
    words = offered.split()[1:]
    assert line(*words[:-1], "it is mended", "--yes").code == 6


def test_whoever_waits_behind_a_stuck_saga_is_told(place: Any) -> None:
    """`submit --wait` says which resource it waits for and what holds it, though it shows no progress."""
    stuck = place.run("submit", "two", "-p", "fail=undo", "--json").json["id"]
    done = place.run("submit", "two", "--wait", "--timeout", "2.5")
    assert done.code == 8
    assert "waits for name:x, held by one that is stuck" in done.err
    assert f"`sledsaga show {stuck}`" in done.err


def test_recover_ends_when_only_a_person_can_go_on(place: Any) -> None:
    """Also where another process drives: what waits behind a stuck saga is not waited for."""
    place.run("submit", "two", "-p", "fail=undo")
    place.run("submit", "two", "--detach")
    with serving(place):
        done = place.run("recover", "--json")
    assert done.code == 7
    assert {one["state"] for one in done.json["sagas"]} == {"stuck", "waiting"}


def test_who_is_held_up_is_known(place: Any) -> None:
    """Behind a stuck holder a saga is held up; the holder itself and who has what it needs are not."""
    stuck = place.run("submit", "two", "-p", "fail=undo", "--json").json["id"]
    behind = place.run("submit", "two", "--detach", "--json").json["id"]
    free = place.run("submit", "two", "-p", "name=other", "--detach", "--json").json["id"]
    store = open_store(f"sqlite:///{place.path}/.sledsaga/log.db", create=False, read_only=True)
    try:
        assert [is_held_up(store, one) for one in (stuck, behind, free)] == [False, True, False]
    finally:
        store.close()
