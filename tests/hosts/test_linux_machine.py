"""A Linux machine's own document: what its drivers cannot take is refused in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sledsaga.errors import Unparsable
from sledsaga.hosts.linux.machine import Machine, machine_document, parse_machine


def disk(**changes: Any) -> dict[str, Any]:
    plain = {"vendor": "v", "model": "m", "serial": "s0", "path": "/d/0", "slot": 0, "variant": "U.2"}
    return plain | changes


def parsed(**document: Any) -> Machine:
    return parse_machine(json.dumps(document).encode())


@pytest.mark.parametrize("group", ["sledsaga", "machine.slice/sledsaga", "a/b/c", "sledsaga-0f", "_x.1"])
def test_groups_that_zones_can_be_in(group: str) -> None:
    """A path of plain names is the group of zones, and comes back from the document that is made of it."""
    machine = parsed(cgroup=group)
    assert machine.cgroup == group
    assert parse_machine(machine_document(machine)) == machine


@pytest.mark.parametrize(
    "group",
    [
        *("", " ", "a b", "/", "/sledsaga", "a/", "a//b", ".", "..", "../x", "a/../b", "a/..", ".hidden"),
        *("-x", "a/-b", "a\nb", "a\x00b", "ä", "a:b", "*", "x" * 64, "/".join("a" * 9), None, 5, ["a"]),
    ],
)
def test_groups_that_lead_elsewhere(group: object) -> None:
    """A group that is no such path is refused with what came and what is expected, in one line."""
    with pytest.raises(Unparsable, match=r"^cgroup is .*; expected a path below the root") as refused:
        parsed(cgroup=group)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (disk(path="/d/1"), r"identity \(v-s0-m\)"),
        (disk(serial="s1"), r"path \(/d/0\)"),
        (disk(serial="s1", path="/d/x/..//0"), r"path \(/d/0\)"),
    ],
)
def test_a_disk_is_named_once(second: dict[str, Any], what: str) -> None:
    """Two rows for one disk are refused: which, what they share, and what to do."""
    other = disk(serial="s2", path="/d/2")
    with pytest.raises(
        Unparsable, match=rf"^disks\[0\] and disks\[2\] have the same {what}; .*take the other"
    ):
        parsed(disks=[disk(), other, second])
    assert [one.path for one in parsed(disks=[disk(), other]).disks] == ["/d/0", "/d/2"]


def test_serials_are_of_their_makers() -> None:
    """Two makers may give the same serial."""
    assert len(parsed(disks=[disk(), disk(vendor="w", path="/d/1")]).disks) == 2
