"""Each command line that a driver builds on illumos, word for word, and what is refused before it is one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sledsaga.hosts.illumos
import sledsaga.hosts.zfs
import sledsaga.hosts.zpool
from sledsaga.errors import InvalidName
from sledsaga.hosts import chrony
from sledsaga.hosts.illumos import network, services, zonecfg
from sledsaga.hosts.zone import ZoneFilesystem, ZoneSpec
from tests.hosts.illumos.golden import CHANGES, DNS, INPUT, LOOKS, NOT_ON_ILLUMOS, VNIC, ZONE, Row, table

DOCS = Path(__file__).parents[3] / "docs" / "illumos.md"
BEGIN, END = "<!-- commands: begin -->\n", "<!-- commands: end -->"


def builders() -> Iterator[Callable[..., object]]:
    """Yield every public function of the drivers that builds a command."""
    packages = (sledsaga.hosts.illumos, sledsaga.hosts.zfs, sledsaga.hosts.zpool)
    found = [
        importlib.import_module(f"{package.__name__}.{each.name}")
        for package in packages
        for each in pkgutil.iter_modules(package.__path__)
    ]
    for module in (*found, chrony):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            is_own = function.__module__ == module.__name__ and not name.startswith("_")
            if is_own and function.__annotations__.get("return") == "HostCommand":
                yield function


def _id(row: Row) -> str:
    return " ".join(row.argv)[:60]


@pytest.mark.parametrize("row", LOOKS, ids=_id)
def test_commands_that_look(row: Row) -> None:
    """A command that looks has these words, and a plan may run it."""
    assert (row.command.argv, row.command.mutates, row.command.stdin) == (row.argv, False, None)


@pytest.mark.parametrize("row", CHANGES, ids=_id)
def test_commands_that_change(row: Row) -> None:
    """A command that changes the sled has these words, and a plan may not run it."""
    assert (row.command.argv, row.command.mutates) == (row.argv, True)
    assert row.command.stdin == INPUT.get(row.builder)


def test_every_command_has_a_row() -> None:
    """Whatever a driver can build on illumos is written out, and nothing else is."""
    rows = {row.builder for row in (*LOOKS, *CHANGES)}
    assert rows.isdisjoint(NOT_ON_ILLUMOS)
    assert {f.__qualname__ for f in (*rows, *NOT_ON_ILLUMOS)} == {f.__qualname__ for f in builders()}


def test_the_docs_have_every_command() -> None:
    """The table of the docs is the rows; print it anew by `python -m tests.hosts.illumos.golden`."""
    assert DOCS.read_text().partition(BEGIN)[2].partition(END)[0] == table()


REFUSED = {
    "a name with a blank": ZoneSpec(ZONE, "/z", "/img", attributes=(("two words", "x"),)),
    "a name that begins with a dash": ZoneSpec(ZONE, "/z", "/img", attributes=(("-x", "x"),)),
    "a value that is too long": ZoneSpec(ZONE, "/z", "/img", attributes=(("x", "x" * 256),)),
    "an attribute twice": ZoneSpec(ZONE, "/z", "/img", attributes=(("x", "1"), ("x", "2"))),
    "an attribute of ours": ZoneSpec(ZONE, "/z", "/img", attributes=(("sledsaga-saga", "1"),)),
    "a link twice": ZoneSpec(ZONE, "/z", "/img", links=(VNIC, VNIC)),
    "a folder twice": ZoneSpec(
        ZONE, "/z", "/img", filesystems=(ZoneFilesystem("/a", "/b"), ZoneFilesystem("/a", "/c"))
    ),
    "a folder that is no absolute path": ZoneSpec(
        ZONE, "/z", "/img", filesystems=(ZoneFilesystem("a", "/b"),)
    ),
    "the root as a zonepath": ZoneSpec(ZONE, "//", "/img"),
}


@pytest.mark.parametrize("spec", REFUSED.values(), ids=REFUSED)
def test_what_zonecfg_would_refuse_is_not_asked_of_it(spec: ZoneSpec) -> None:
    """A zone that zonecfg could not save whole is refused before any command is run."""
    with pytest.raises(InvalidName):
        zonecfg.configure_zone(spec, saga="s1")


@pytest.mark.parametrize("value", ['a"b', "a\nb", "", "back\\slash"])
def test_a_value_cannot_leave_its_place_in_the_script(value: str) -> None:
    """What zonecfg would read as more than one value is refused."""
    with pytest.raises(InvalidName, match="cannot stand in a zone's configuration"):
        zonecfg.script(ZoneSpec(ZONE, "/z", "/img", attributes=(("note", value),)))


def test_a_fingerprint_knows_the_image_by_its_hash_only() -> None:
    """Another image hash, root or link is another zone; the same image from another path is the same zone."""
    base = ZoneSpec(ZONE, "/z", "/a.tar.gz", image_hash="aa")
    others = (
        ZoneSpec(ZONE, "/z", "/a.tar.gz", image_hash="bb"),
        ZoneSpec(ZONE, "/y", "/a.tar.gz", image_hash="aa"),
        ZoneSpec(ZONE, "/z", "/a.tar.gz", image_hash="aa", links=(VNIC,)),
    )
    moved = ZoneSpec(ZONE, "/z", "/b.tar.gz", image_hash="aa")
    assert zonecfg.fingerprint(moved) == zonecfg.fingerprint(base)
    assert len({zonecfg.fingerprint(spec) for spec in (base, *others)}) == 4


def test_a_property_value_is_one_word() -> None:
    """A value with blanks or quotes is quoted for svccfg, which reads its arguments as one line."""
    command = services.set_service_property(DNS, "config/x", 'a "b"')
    assert command.argv[-2:] == ("astring:", r'"a \"b\""')


@pytest.mark.parametrize("text", ["-x", "a b", "", "svc:/a;b"])
def test_no_service_name_can_be_an_option(text: str) -> None:
    """What is no service name never reaches argv."""
    with pytest.raises(InvalidName, match="is not a service"):
        services.show_state(text)


@pytest.mark.parametrize("text", ["underlay0", "underlay0/", "-x/y", "underlay0/a b"])
def test_no_address_object_can_be_an_option(text: str) -> None:
    """What is no address object never reaches argv."""
    with pytest.raises(InvalidName, match="is not an address object"):
        network.show_address(text)
