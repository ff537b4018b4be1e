"""Links and addresses by a real iproute2: twice is once, a crash costs nothing, what is not ours is kept."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from sledsaga.errors import (
    CommandFailed,
    ForeignObject,
    HostUnreachable,
    InvalidParams,
    Mutates,
    Transient,
)
from sledsaga.hosts.link import VnicSpec
from sledsaga.hosts.linux import ip
from sledsaga.hosts.linux.links import IpLinks
from sledsaga.hosts.linux.netns import Netns
from sledsaga.hosts.names import LinkName
from sledsaga.hosts.readonly import ReadOnlyHost
from tests.real.conftest import run
from tests.real.linkrig import (
    GZ,
    HOST,
    LONG_STUB,
    MACHINE,
    OBJECT,
    OTHER,
    RUN,
    SPEC,
    STUB,
    V6,
    VNIC,
    ZONE,
    Before,
    Dying,
    Late,
    Lying,
    at_once,
    becomes,
    deaths,
    ensure,
    everything,
    have,
    have_vnic,
    leave_nothing,
    links,
    remove,
    seen,
)

pytestmark = pytest.mark.usefixtures("clean")
clean = pytest.fixture(leave_nothing)
vnic = pytest.fixture(have_vnic)


@pytest.mark.parametrize("stub", [STUB, LONG_STUB])
def test_links_twice_are_once(stub: LinkName) -> None:
    """What is as wanted is not changed again, a plan can tell, and the whole names can be read."""
    spec, made = VnicSpec(VNIC, stub, 9000), links()
    assert made.ensure_etherstub(stub)
    assert made.ensure_vnic(spec)
    before, again = everything(), links(host=ReadOnlyHost(HOST))
    assert again.ensure_etherstub(stub)
    assert again.ensure_vnic(spec)
    assert everything() == before
    assert (again.etherstubs(), again.vnics()[VNIC].over) == (frozenset({stub}), stub)
    assert f'"ifalias":"{VNIC}"' in run("ip", "-j", "link", "show", "dev", ip.outer_name(VNIC))
    assert made.delete_vnic(VNIC)
    assert made.delete_etherstub(stub)
    assert not made.delete_vnic(VNIC)
    assert not made.delete_etherstub(stub)


def test_a_plan_changes_nothing() -> None:
    """On a host that may only look, nothing is made."""
    planned = links(host=ReadOnlyHost(HOST))
    with pytest.raises(Mutates):
        planned.ensure_etherstub(STUB)
    with pytest.raises(Mutates):
        planned.ensure_vnic(SPEC)
    with pytest.raises(Mutates):
        Netns(ReadOnlyHost(HOST), "s1", MACHINE).ensure(ZONE, (VNIC,), V6)
    Netns(ReadOnlyHost(HOST), "s1", MACHINE).remove(ZONE, (VNIC,))


def do_links(host: Dying) -> None:
    made = links(host=host)
    made.ensure_etherstub(LONG_STUB)
    made.ensure_vnic(VnicSpec(GZ, LONG_STUB, 9000))
    made.ensure_address(OBJECT, "fd00:1122:3344:101::9/64")
    made.ensure_address("underlay0/v4", "10.7.0.9/24")
    made.ensure_address("underlay0/ll", None)


def undo_links(host: Any = HOST) -> None:
    made = links(host=host)
    for name in ("underlay0/ll", "underlay0/v4", OBJECT):
        made.delete_address(name)
    made.delete_vnic(GZ)
    made.delete_etherstub(LONG_STUB)


def test_a_crash_between_any_two_changes_of_links() -> None:
    """Wherever links die, they can be undone at once, and made again; an undo that dies is done again."""
    do_links(Dying(100))
    wanted = everything()
    undo_links()
    nothing = everything()
    for made in deaths(do_links):
        undo_links()
        assert everything() == nothing, f"after {made} changes"
        with pytest.raises(HostUnreachable):
            do_links(Dying(made))
        do_links(Dying(100))
        assert everything() == wanted, f"after {made} changes"
        with pytest.raises(HostUnreachable):
            undo_links(Dying(min(made, 8)))
        undo_links()
        assert everything() == nothing, f"after {made} changes"
    undo_links()


def test_what_is_awry_is_put_right(vnic: IpLinks) -> None:
    """An MTU, a port that is in no bridge, and an end that is down are read back and healed."""
    before, outer, inner = everything(), ip.outer_name(VNIC), ip.interface_name(VNIC)
    for line in (
        f"ip link set dev {outer} mtu 1500",
        f"ip link set dev {inner} mtu 1400",
        f"ip link set dev {outer} nomaster",
        f"ip link set dev {inner} down",
        f"ip link set dev {STUB} down",
    ):
        run(*line.split())
        assert everything() != before
        assert vnic.ensure_etherstub(STUB)
        assert vnic.ensure_vnic(SPEC)
        assert everything() == before, line


def test_of_two_sagas_one_is_the_owner() -> None:
    """A saga that comes second in a race for a link uses the other's, and undoes nothing of it."""
    winner = links("winner")
    loser = links("loser", Before(lambda: winner.ensure_etherstub(STUB)))
    assert not loser.ensure_etherstub(STUB)
    loser = links("loser", Before(lambda: winner.ensure_vnic(SPEC)))
    assert not loser.ensure_vnic(SPEC)
    with pytest.raises(ForeignObject, match="was made by winner, not loser; it was kept"):
        loser.delete_vnic(VNIC)
    assert winner.delete_vnic(VNIC)
    assert winner.delete_etherstub(STUB)


def test_sagas_at_one_moment() -> None:
    """Of many sagas that make one link at one moment exactly one owns it."""
    for _ in range(5):
        sagas = [links(f"s{number}") for number in range(4)]
        made = at_once(*(partial(one.ensure_etherstub, STUB) for one in sagas))
        assert made.count(True) == 1
        for saga in sagas:
            if saga.owner(STUB) == saga.saga:
                assert saga.delete_etherstub(STUB)
        assert seen().keys() == {"lo"}


def test_a_link_goes_with_its_last_record(vnic: IpLinks) -> None:
    """When a killed saga may have made the link as well, it stays until both have taken it back."""
    other = links("other")
    HOST.write_file(f"{RUN}/owners/{VNIC}=other", b"other")
    assert other.delete_vnic(VNIC)
    assert VNIC in vnic.vnics()


def test_a_link_that_two_give_up_at_one_moment() -> None:
    """Of two that take their records back at one moment, each before the other's has gone, one deletes it."""
    one = links("one")
    assert one.ensure_etherstub(STUB)
    HOST.write_file(f"{RUN}/owners/{STUB}=other", b"other")
    other = links("other", Late(f"{STUB}=other", lambda: one.delete_etherstub(STUB)))
    assert other.delete_etherstub(STUB)
    assert STUB not in one.etherstubs()


def test_failed_but_done() -> None:
    """A create that failed and yet did it leaves this saga's link; one that did nothing leaves no record."""
    for word, text in (("add", "No buffer space available"), ("delete", "Cannot find device")):
        made = links(host=Lying(word, text))
        assert made.ensure_etherstub(STUB)
        assert made.ensure_vnic(SPEC)
        assert made.ensure_address(f"{STUB}/x", "10.7.0.9/24")
        assert made.delete_address(f"{STUB}/x")
        assert made.delete_vnic(VNIC)
        assert made.delete_etherstub(STUB)
    with pytest.raises(CommandFailed, match="Device does not exist"):
        links().ensure_vnic(SPEC)
    with pytest.raises(CommandFailed, match="Cannot find device"):
        links().ensure_address(OBJECT, "10.7.0.9/24")
    with pytest.raises(CommandFailed, match="Cannot find device"):
        links().ensure_address(OBJECT, None)


def test_a_busy_link_stays() -> None:
    """A link that a zone has, a bridge with ports, and what has an address are busy, and are kept."""
    made = links()
    have(made)
    with pytest.raises(Transient, match="underlay_stub0 is busy: tried 3 times"):
        made.delete_etherstub(STUB)
    ensure()
    with pytest.raises(Transient, match="is busy"):
        made.delete_vnic(VNIC)
    assert made.vnics()[VNIC].over == STUB
    remove()
    run("ip", "addr", "add", "10.7.0.9/24", "dev", ip.interface_name(VNIC))
    with pytest.raises(Transient, match="is busy"):
        made.delete_vnic(VNIC)
    run("ip", "addr", "delete", "10.7.0.9/24", "dev", ip.interface_name(VNIC))
    assert made.delete_vnic(VNIC)
    assert made.delete_etherstub(STUB)


FOREIGN = [
    (f"ip link add {STUB} type veth peer name x0", "underlay_stub0 is veth, expected a bridge"),
    (f"ip link add {STUB} type bridge", "underlay_stub0 is down, and was made by no saga"),
    (f"ip link add {GZ} type bridge", "underlay0 is there, and is no VNIC"),
    (f"ip link add {GZ} type veth peer name x0", "underlay0 is there, and is no VNIC"),
    (f"ip link add {ip.outer_name(GZ)} type bridge", "is no end of a pair with underlay0"),
    (f"ip link add {ip.outer_name(GZ)} type veth peer name x0", "is no end of a pair with underlay0"),
    (f"ip link add {ip.outer_name(GZ)} type veth peer name {GZ}", "and was made by no saga; it was left"),
]


@pytest.mark.parametrize(("line", "why"), FOREIGN)
def test_what_is_not_ours_is_kept(line: str, why: str) -> None:
    """A foreign interface that has a name of ours is refused, and left as it is."""
    run(*line.split())
    name = line.split()[3]
    before = seen()[name]
    with pytest.raises(ForeignObject, match=why):
        have(links(), STUB, GZ)
    assert seen()[name] == before
    run("ip", "link", "delete", "dev", name)
    if links().owner(STUB):
        assert links().delete_etherstub(STUB)


def test_a_foreign_bridge_is_used_and_kept() -> None:
    """A bridge that somebody else has, as it should be, is used, and no undo deletes it."""
    run("ip", "link", "add", STUB, "up", "type", "bridge")
    assert not links().ensure_etherstub(STUB)
    with pytest.raises(ForeignObject, match="was made by no saga, not s1; it was kept"):
        links().delete_etherstub(STUB)
    run("ip", "link", "delete", "dev", STUB)


def test_a_vnic_in_another_bridge_is_refused(vnic: IpLinks) -> None:
    """A VNIC that is over another link than wanted is not moved."""
    with pytest.raises(ForeignObject, match="is over underlay_stub0, expected other0"):
        vnic.ensure_vnic(VnicSpec(VNIC, LinkName("other0"), 9000))


def test_a_vlan_is_refused(vnic: IpLinks) -> None:
    """A VNIC that asks for a VLAN is refused with what to do, before anything is made or recorded."""
    before = everything()
    with pytest.raises(InvalidParams) as refused:
        vnic.ensure_vnic(VnicSpec(OTHER, STUB, 9000, vlan=7))
    assert str(refused.value) == (
        f"{OTHER} asks for VLAN 7; expected none, as no VNIC of a Linux sled has one: leave it out, and put"
        " the VNIC over an etherstub of its own"
    )
    assert everything() == before


@pytest.mark.parametrize(
    ("first", "second"),
    [("fd00:1122:3344:101::9/64", "fd00:1122:3344:101::a/64"), ("10.7.0.9/24", "10.7.0.10/24")],
)
def test_an_address_object(first: str, second: str) -> None:
    """An address object is known by its name, replaced when it is ours, and refused when it is not."""
    made, other = links(), links("s2")
    made.ensure_etherstub(STUB)
    made.ensure_vnic(VnicSpec(GZ, STUB, 9000))
    assert made.address(OBJECT) is None
    assert made.ensure_address(OBJECT, first)
    assert links(host=ReadOnlyHost(HOST)).ensure_address(OBJECT, first)
    assert not other.ensure_address(OBJECT, first)
    with pytest.raises(ForeignObject, match="was made by s1, not s2; it was kept"):
        other.ensure_address(OBJECT, second)
    with pytest.raises(ForeignObject, match="was made by s1, not s2; it was kept"):
        other.delete_address(OBJECT)
    assert made.ensure_address(OBJECT, second)
    assert (made.address(OBJECT), seen()[GZ][-1]) == (second, (second,))
    HOST.write_file(f"{RUN}/owners/underlay0@x=s2", first.encode())
    with pytest.raises(Transient, match=f"another saga is about to give underlay0/x {first}"):
        made.ensure_address("underlay0/x", second)
    assert not other.delete_address("underlay0/x")
    assert made.delete_address(OBJECT)
    assert not made.delete_address(OBJECT)
    made.delete_vnic(GZ)
    made.delete_etherstub(STUB)


def test_an_address_that_was_there_stays() -> None:
    """An address that somebody else gave a link is used under our name, and never taken away."""
    made = links()
    made.ensure_etherstub(STUB)
    run("ip", "addr", "add", "10.7.0.9/24", "dev", STUB)
    assert not made.ensure_address(f"{STUB}/x", "10.7.0.9/24")
    assert not made.delete_address(f"{STUB}/x")
    assert seen()[STUB][-1] == ("10.7.0.9/24",)
    run("ip", "addr", "delete", "10.7.0.9/24", "dev", STUB)
    made.delete_etherstub(STUB)


def test_a_link_local_object(vnic: IpLinks) -> None:
    """A link-local object is the address that the kernel gave; it can be told by name until it is deleted."""
    name = f"{STUB}/ll"
    assert becomes(lambda: vnic.ensure_address(name, None) and (vnic.address(name) or "").startswith("fe80:"))
    assert vnic.delete_address(name)
    assert vnic.address(name) is None
