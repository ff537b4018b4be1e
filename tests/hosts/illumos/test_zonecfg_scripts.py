"""Scripts for zonecfg: what a driver builds means what was meant; broken ones are told from whole ones."""

from __future__ import annotations

import string
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sledsaga.errors import InvalidName
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.illumos import zonecfg
from sledsaga.hosts.names import LinkName, ZoneName
from sledsaga.hosts.sim import SimSled
from sledsaga.hosts.zone import SecurityFlags, ZoneFilesystem, ZoneSpec
from tests.hosts.illumos.golden import SCRIPT, SPEC, ZONE
from tests.hosts.illumos.grammar import GLOBALS, KINDS, Broken, Configuration, commands, parse

FEW = settings(max_examples=80, deadline=None)
HOSTILE = "".join(sorted(set(string.printable) - set('"\\\r\n\t\x0b\x0c'))) + "äß漢"
TEXT = st.text(HOSTILE, min_size=1, max_size=24) | st.sampled_from((*GLOBALS, *KINDS, "end", "a;b", "a=b"))
PATH = TEXT.map(lambda text: f"/p{text}")
LINK = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}[0-9]", fullmatch=True).map(LinkName)
DATASET = st.from_regex(r"[a-z][a-z0-9_.:-]{0,8}(/[a-z0-9][a-z0-9_.:-]{0,8}){0,2}", fullmatch=True)
FLAGS = st.lists(st.sampled_from(("aslr", "noexecstack", "forbidnullmap")), max_size=3, unique=True).map(
    tuple
)
SPECS = st.builds(
    ZoneSpec,
    name=st.just(ZoneName(ZONE)),
    path=PATH,
    image=st.just("/image"),
    brand=st.sampled_from(("omicron1", "lipkg", "default", "brand")),
    is_autoboot=st.booleans(),
    privileges=st.lists(
        st.sampled_from(("default", "dtrace_proc", "!sys_time")), min_size=1, unique=True
    ).map(tuple),
    datasets=st.lists(DATASET, max_size=3, unique=True).map(tuple),
    filesystems=st.lists(
        st.builds(ZoneFilesystem, PATH, PATH, st.just("lofs"), st.lists(TEXT, max_size=3).map(tuple)),
        max_size=3,
        unique_by=lambda each: each.dir,
    ).map(tuple),
    devices=st.lists(PATH, max_size=2, unique=True).map(tuple),
    links=st.lists(LINK, max_size=3, unique=True).map(tuple),
    attributes=st.lists(
        st.tuples(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.-]{0,8}", fullmatch=True), TEXT),
        max_size=3,
        unique_by=lambda each: each[0],
    ).map(tuple),
    security_flags=st.none() | st.builds(SecurityFlags, FLAGS, FLAGS, FLAGS),
)


def built(spec: ZoneSpec) -> str:
    return zonecfg.configure_zone(spec, saga="s1").argv[3]


def meant(spec: ZoneSpec) -> tuple[dict[str, str], dict[str, list[dict[str, object]]]]:
    """Say what a spec means, without the words of any script."""
    flags = spec.security_flags
    marks = (("sledsaga-saga", "s1"), ("sledsaga-config", zonecfg.fingerprint(spec)))
    return {
        "brand": spec.brand,
        "zonepath": spec.path,
        "autoboot": "true" if spec.is_autoboot else "false",
        "ip-type": "exclusive",
        "limitpriv": ",".join(spec.privileges),
    }, {
        "dataset": [{"name": name} for name in spec.datasets],
        "fs": [
            {"type": each.type, "dir": each.dir, "special": each.special}
            | ({"options": list(each.options)} if each.options else {})
            for each in spec.filesystems
        ],
        "device": [{"match": match} for match in spec.devices],
        "net": [{"physical": link} for link in spec.links],
        "security-flags": []
        if flags is None
        else [
            {
                name: ",".join(words)
                for name, words in (
                    ("default", flags.default),
                    ("lower", flags.lower),
                    ("upper", flags.upper),
                )
                if words
            }
        ],
        "attr": [
            {"name": name, "type": "string", "value": value} for name, value in (*spec.attributes, *marks)
        ],
    }


def read(zone: Configuration) -> tuple[object, object]:
    kinds = ("dataset", "fs", "device", "net", "security-flags", "attr")
    return zone.values, {kind: zone.of_kind(kind) for kind in kinds}


@FEW
@given(spec=SPECS)
def test_a_script_means_what_was_meant(spec: ZoneSpec) -> None:
    """Whatever stands in a zone's spec, zonecfg reads exactly that out of the script, and nothing beside."""
    assert read(parse(built(spec))) == meant(spec)


@FEW
@given(spec=SPECS)
def test_commands_may_be_parted_by_line_ends(spec: ZoneSpec) -> None:
    """A script on lines of its own is the same script, and a comment is none of it."""
    lines = "# made by hand\n" + "\n".join((*zonecfg.script(spec), "commit", "exit"))
    assert read(parse(lines))[0] == meant(spec)[0]


def test_the_written_out_script_is_whole() -> None:
    """The script of the docs is read without an error, with every resource in it."""
    zone = parse(" ; ".join(SCRIPT))
    assert read(zone) == meant(SPEC)
    assert {each.kind for each in zone.resources} == {
        "dataset",
        "fs",
        "device",
        "net",
        "attr",
        "security-flags",
    }


START = "create -F -b ; set brand=b ; set zonepath=/z"
FS = f"{START} ; add fs ; set dir=/a ; set special=/b ; set type=lofs"
ATTR = f"{START} ; add attr ; set name=a"
WHOLE = {
    "nothing but the least": START,
    "blanks anywhere": "create  -F -b;set\tbrand = b ;; set zonepath= /z\n\n",
    "a comment": f"# a zone\n{START}\n# the end",
    "a list": f"{FS} ; set options=[ro, nodevices] ; end",
    "an empty list": f"{FS} ; set options=[] ; end",
    "a quoted `;`": f'{ATTR} ; set type=string ; set value="x;y # z" ; end',
    "a value that is a name": f"{START} ; add attr ; set name=name ; set type=string ; set value=fs ; end",
    "a number": f"{ATTR} ; set type=uint ; set value=3 ; end",
    "a resource that is cancelled": f"{START} ; add net ; cancel",
    "verified and committed": f"{START} ; verify ; commit ; exit",
}
BROKEN = {
    "a scope that is not ended": f"{START} ; add net ; set physical=net0",
    "an end outside a scope": f"{START} ; end",
    "a cancel outside a scope": f"{START} ; cancel",
    "a scope in a scope": f"{START} ; add net ; add attr ; end ; end",
    "an unknown command": f"{START} ; frobnicate",
    "an unknown property": f"{START} ; set colour=red",
    "a property of another resource": f"{START} ; add net ; set match=/dev/x ; end",
    "a resource's property outside it": f"{START} ; set physical=net0",
    "an unknown resource": f"{START} ; add wheel ; end",
    "an unquoted text with blanks": f"{ATTR} ; set type=string ; set value=a b ; end",
    "a quote that is not closed": f'{ATTR} ; set type=string ; set value="a ; end',
    "a missing value": f"{START} ; set brand=",
    "no equals sign": f"{START} ; set autoboot true",
    "a required property that is missing": f"{ATTR} ; set type=string ; end",
    "a list that is not closed": f"{START} ; add fs ; set options=[ro ; end",
    "a list for a text": f"{START} ; add net ; set physical=[net0,net1] ; end",
    "a resource twice": f"{START} ; add net ; set physical=net0 ; end ; add net ; set physical=net0 ; end",
    "an attribute with a bad name": f"{START} ; add attr ; set name=_ ; set type=int ; set value=1 ; end",
    "an attribute of no type": f"{ATTR} ; set type=text ; set value=x ; end",
    "an attribute that is no number": f"{ATTR} ; set type=int ; set value=x ; end",
    "a folder that is relative": f"{START} ; add fs ; set dir=a ; set special=/b ; set type=lofs ; end",
    "a zonepath that is no absolute path": "create -F -b ; set brand=b ; set zonepath=z",
    "a choice that is none": f"{START} ; set autoboot=perhaps",
    "no brand": "create -F -b ; set zonepath=/z",
    "no zonepath": "create -F -b ; set brand=b",
    "no create": "set brand=b ; set zonepath=/z",
    "an address in a zone with its own IP stack": (
        f"{START} ; set ip-type=exclusive ; add net ; set physical=net0 ; set address=10.0.0.1 ; end"
    ),
    "a flag that create does not take": "create -X ; set brand=b ; set zonepath=/z",
}
STRICTER = {
    "a property twice": "create -F -b ; set brand=a ; set brand=b ; set zonepath=/z",
    "a resource's property twice": f"{START} ; add net ; set physical=net0 ; set physical=net1 ; end",
}
"""Scripts that zonecfg takes (the last value wins), the simulator too, and that are never ours."""


@pytest.mark.parametrize("script", WHOLE.values(), ids=WHOLE)
def test_whole_scripts(script: str) -> None:
    """A script that zonecfg takes is read."""
    assert parse(script).values["brand"] == "b"


@pytest.mark.parametrize("script", (BROKEN | STRICTER).values(), ids=BROKEN | STRICTER)
def test_broken_scripts(script: str) -> None:
    """A script that zonecfg would not save, or that nobody can mean, is told from a whole one."""
    with pytest.raises(Broken):
        parse(script)


@pytest.fixture(scope="module")
def takes() -> Iterator[Callable[[str], bool]]:
    """Whether the simulated sled's own zonecfg takes the script of a new zone."""
    with tempfile.TemporaryDirectory() as folder:
        sled = SimSled.create(Path(folder) / "sled", [])

        def run(script: str) -> bool:
            done = sled.host.run(HostCommand(("zonecfg", "-z", "z", script), mutates=True))
            sled.host.run(HostCommand(("zonecfg", "-z", "z", "delete", "-F"), mutates=True))
            return done.code == 0

        yield run
        sled.close()


@pytest.mark.parametrize("script", WHOLE.values(), ids=WHOLE)
def test_the_simulated_sled_takes_whole_scripts(takes: Callable[[str], bool], script: str) -> None:
    """What zonecfg takes, the simulator takes."""
    assert takes(script)


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_the_simulated_sled_refuses_broken_scripts(takes: Callable[[str], bool], script: str) -> None:
    """What zonecfg would not save, the simulator does not save."""
    assert not takes(script)


@settings(max_examples=40, deadline=None)
@given(
    spec=SPECS,
    cut=st.integers(0, 400),
    put=st.sampled_from(("", " end ;", " x", '"', "=", " ; set a=b", "]")),
)
def test_both_take_or_both_refuse(takes: Callable[[str], bool], spec: ZoneSpec, cut: int, put: str) -> None:
    """A script that was built, and one that was spoilt somewhere, is one thing to both readers."""
    whole = built(spec)
    at = min(cut, len(whole))
    for script in (whole, whole[:at] + put + whole[at + 1 :]):
        try:
            parse(script)
            is_whole = True
        except Broken as error:
            is_whole = "set twice" in str(error)
        assert takes(script) == is_whole, script


def test_no_spec_is_half_built() -> None:
    """A text that cannot stand in a script is refused before there is one."""
    with pytest.raises(InvalidName):
        built(ZoneSpec(ZoneName(ZONE), '/a"b', "/image"))
    assert commands("") == []
