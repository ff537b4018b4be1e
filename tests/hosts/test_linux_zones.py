"""Zones of Linux without a machine: what is parsed, what is built, and what is told by which state."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from sledsaga.errors import InvalidParams, NotFound, Unparsable
from sledsaga.hosts.linux import launch
from sledsaga.hosts.linux.bundle import Ground, bundle, etc_files, folders
from sledsaga.hosts.linux.cgroups import Cgroups, parse_mounts, parse_pids
from sledsaga.hosts.linux.image import ZoneImage, filled, image_words, parse_image, shipped
from sledsaga.hosts.linux.machine import Machine
from sledsaga.hosts.linux.profiles import parse_profile, render_profile
from sledsaga.hosts.linux.records import ZoneDocument, fingerprint, parse_document, render_document
from sledsaga.hosts.linux.roots import Roots
from sledsaga.hosts.linux.runtime import Container, Runtime, parse_state
from sledsaga.hosts.linux.zones import OciZones
from sledsaga.hosts.local import LocalHost
from sledsaga.hosts.names import LinkName, ZoneName
from sledsaga.hosts.zone import (
    Profile,
    SecurityFlags,
    ServiceProfile,
    ZoneFilesystem,
    ZoneNetwork,
    ZoneSpec,
)
from tests.hosts.told import Told

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("linux_bundle.json")
LINK = LinkName("oxControl0123456789abcdefn0")
ADDRESS = "fd00:1122:3344:101::5"
LISTEN = (("listen_addr", ADDRESS), ("listen_port", "32221"), ("store", "/data"))
PROFILE = Profile(
    ZoneNetwork(LINK, "fd00:1122:3344:101::1", ADDRESS),
    (
        ServiceProfile("oxide/off", (("listen_port", "1"),), is_enabled=False),
        ServiceProfile("oxide/db", LISTEN),
        ServiceProfile("oxide/admin", (("listen_port", "2"),)),
    ),
)
SPEC = ZoneSpec(
    name=ZoneName.of("cockroachdb", UUID(int=7)),
    path="/pool/ext/x/crypt/zone/z",
    image="/opt/oxide/cockroachdb.tar.gz",
    image_hash="00" * 32,
    datasets=("oxp_x/crypt/cockroachdb",),
    links=(LINK,),
    filesystems=(ZoneFilesystem("/opt/more", "/srv/more", options=("ro",)),),
    security_flags=SecurityFlags(default=("aslr",)),
    profile=PROFILE,
)
AUTOBOOT = (
    "asks for autoboot; a Linux sled boots no zone with the machine: leave it out, and apply again after"
    " a reboot"
)
MINIMAL = {"name": "x", "command": ["/usr/bin/x"], "health": {"run": ["/usr/bin/y"]}}


def image(name: str) -> ZoneImage:
    return filled(parse_image(shipped(name)), image_words(SPEC.name, PROFILE))


def test_the_bundle_of_a_database() -> None:
    """The bundle of a zone is what it always was, byte for byte."""
    ground = Ground(
        saga="saga-1",
        fingerprint="f00d",
        shared=("/bin", "/lib"),
        data="/pool/ext/x/crypt/cockroachdb",
        netns=f"/run/netns/{SPEC.name}",
        group=f"sledsaga/{SPEC.name}",
        controllers=frozenset({"memory", "pids", "cpu"}),
    )
    assert bundle(SPEC, image("postgresql"), ground).decode() == GOLDEN.read_text()


def document(changed: ZoneImage, **ground: Any) -> dict[str, Any]:
    given = {"saga": "s", "fingerprint": "f", "shared": ()} | ground
    made: dict[str, Any] = json.loads(bundle(SPEC, changed, Ground(**given)))
    return made


def test_limits_only_where_they_hold() -> None:
    """A limit is set only with a controller for it, and no group without control groups."""
    database = image("postgresql")
    assert "resources" not in document(database)["linux"]
    some = document(database, group="g/z", controllers=frozenset({"pids"}))["linux"]
    assert (some["cgroupsPath"], some["resources"]) == ("/g/z", {"pids": {"limit": 512}})


def test_a_low_port_needs_no_rights() -> None:
    """A port below 1024 is opened in the zone's own network; others change nothing there."""
    low = image("responder").model_copy(update={"ports": ("8080", "53")})
    assert document(low)["linux"]["sysctl"] == {"net.ipv4.ip_unprivileged_port_start": "53"}
    assert "sysctl" not in document(image("responder"))["linux"]


def test_the_root_has_what_is_mounted_on() -> None:
    """Each mount of the bundle has a folder in the root, and each file one to be in, parents first."""
    responder = image("responder")
    made = folders(SPEC, responder, ("/bin",))
    mounts = {mount["destination"] for mount in document(responder, shared=("/bin",), data="/d")["mounts"]}
    assert mounts - {"/dev/shm"} <= set(made)  # noqa: S108 - a mount of a zone, below its /dev
    assert {path.rpartition("/")[0] for path in etc_files(responder)} <= set(made)
    assert all(path.rpartition("/")[0] in ("", *made[:place]) for place, path in enumerate(made))


def test_users_of_a_zone() -> None:
    """A zone knows root and the user of its service by name."""
    files = etc_files(image("postgresql"))
    assert [line.split(":")[::2][:2] for line in files["/etc/passwd"].splitlines()] == [
        ["root", "0"],
        ["postgres", "5432"],
    ]
    assert files["/etc/group"] == "root:x:0:\npostgres:x:5432:\n"
    assert files["/etc/pg_hba.conf"].splitlines()[1] == "host all all fd00:1122:3344:101::/64 trust"


@pytest.mark.parametrize("name", ["chrony", "cockroach", "postgresql", "responder"])
def test_shipped_images(name: str) -> None:
    """Each shipped image can be read, and the properties of a zone of ours give all its words."""
    found = image(name)
    assert found.name == name
    assert "{" not in json.dumps([found.command, found.health.run, found.ports])


@pytest.mark.parametrize("name", ["chrony", "clickhouse", "postgresql"])
def test_ci_brings_what_an_image_runs(name: str) -> None:
    """CI installs the package of each service that Debian has, so no test of its zone is skipped there."""
    path, package = next(iter(parse_image(shipped(name)).needs.items()))
    lines = {*(ROOT / ".ci/run").read_text().splitlines()}
    assert lines & {f"lacks {path} {package}", f"lacks {Path(path).name} {package}"}


def test_cockroach_joins_itself() -> None:
    """A CockroachDB node listens on its zone's address and waits, with itself to join, for `init`."""
    assert image("cockroach").command == (
        *("/usr/local/bin/cockroach", "start", "--insecure"),
        *(f"--listen-addr=[{ADDRESS}]:32221", f"--http-addr=[{ADDRESS}]:8080", "--store=path=/data"),
        f"--join=[{ADDRESS}]:32221",
    )


def test_an_image_that_is_not_shipped() -> None:
    """An unknown name is refused with those that there are."""
    with pytest.raises(
        NotFound, match=r"'oracle' comes .*; there are chrony, clickhouse, cockroach, postgresql, responder"
    ):
        shipped("oracle")
    with pytest.raises(NotFound):
        shipped("../image")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"comand": ["/x"]}, "comand: Extra inputs are not permitted"),
        ({"stop": {"wait_s": 61}}, "stop.wait_s: Input should be less than or equal to 60"),
        ({"command": None}, "command: Input should be a valid array"),
        ({"command": []}, "command: Tuple should have at least 1 item"),
        ({"command": [""]}, "command.0: String should have at least 1 character"),
        ({"health": {}}, "health.run: Field required"),
        ({"uid": "0"}, "uid: Input should be a valid integer"),
        ({"uid": -1}, "uid: Input should be greater than or equal to 0"),
        ({"files": {"/usr/x": ""}}, "files./usr/x.[key]: String should match pattern"),
        ({"files": {"/etc/../x": ""}}, "files./etc/../x.[key]: String should match pattern"),
        ({"prepare": {"unless": "/etc/x", "run": [["/x"]]}}, "prepare.unless: String should match pattern"),
        ({"prepare": {"unless": "/data/../x", "run": [["/x"]]}}, "prepare.unless: String should match"),
        ({"ports": ["http"]}, "ports.0: String should match pattern"),
        ({"limits": {"memory": 0}}, "limits.memory: Input should be greater than 0"),
        ({"stop": {"signal": "KILL"}}, "stop.signal: Input should be"),
        ({"name": "A b"}, "name: String should match pattern"),
    ],
)
def test_a_wrong_image(changes: dict[str, object], said: str) -> None:
    """A wrong image is refused in one line that says where and what."""
    with pytest.raises(Unparsable) as caught:
        parse_image(json.dumps(MINIMAL | changes).encode())
    assert str(caught.value).startswith(f"this is no zone image for Linux: {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_no_image_at_all(data: bytes) -> None:
    """What is no JSON object is refused like any wrong image."""
    with pytest.raises(Unparsable, match="this is no zone image for Linux: the document: "):
        parse_image(data)


def test_words_are_put_in() -> None:
    """A word is a property of the first enabled service, or of the zone; an unknown one is an error."""
    words = image_words("z", PROFILE)
    assert words["listen_port"] == "32221"
    assert (words["listen_host"], words["network"]) == (f"[{ADDRESS}]", "fd00:1122:3344:101::/64")
    assert image_words("z", None) == {"zone": "z", "store": "/data"}
    wanted = parse_image(json.dumps(MINIMAL | {"command": ["/x", "--to={join}"]}).encode())
    with pytest.raises(Unparsable, match=r"nothing gives \{join\} of '--to=\{join\}'; there are address, "):
        filled(wanted, words)


def test_words_that_do_not_fit() -> None:
    """What is put in must fit like what was written; a zone's address must be one."""
    wanted = parse_image(json.dumps(MINIMAL | {"ports": ["{listen_port}"]}).encode())
    with pytest.raises(Unparsable, match=r"ports.0: String should match pattern"):
        filled(wanted, {"listen_port": "http"})
    network = replace(PROFILE.network, address="fd00::5/64")
    with pytest.raises(InvalidParams, match="'fd00::5/64' is no address for a zone"):
        image_words("z", replace(PROFILE, network=network))


def test_ipv4_words() -> None:
    """An IPv4 address needs no brackets, and its network is a /24."""
    four = replace(
        PROFILE,
        network=ZoneNetwork(LINK, "10.0.0.1", "10.0.0.9"),
        services=(ServiceProfile("x", (("listen_addr", "10.0.0.9"),)),),
    )
    words = image_words("z", four)
    assert (words["listen_host"], words["network"]) == ("10.0.0.9", "10.0.0.0/24")


def test_a_root_goes_with_what_killed_writes_left_in_it(tmp_path: Path) -> None:
    """Whoever is killed while it writes leaves a file beside each; none keeps a root from going."""
    zonepath, from_file = tmp_path / "zone", tmp_path / "image.json"
    zonepath.mkdir()
    from_file.write_text(json.dumps(MINIMAL))
    spec = replace(SPEC, path=str(zonepath), image=str(from_file), image_hash="")
    roots = Roots(LocalHost())
    roots.install(spec, "f00d")
    for name in ("made.json", "installed", "image.json", "config.json", "root/etc/passwd"):
        whole = zonepath / name
        whole.with_name(f".{whole.name}.new").write_bytes(b"half")
    roots.uninstall(spec.path)
    assert list(zonepath.iterdir()) == []


def test_what_makes_a_zone_what_it_is() -> None:
    """The fingerprint changes with all but the image's path, and with its hash."""
    same = replace(SPEC, image="/elsewhere/image")
    others = (
        replace(SPEC, image_hash="11" * 32),
        replace(SPEC, path="/else"),
        replace(SPEC, links=()),
        replace(SPEC, datasets=()),
        replace(SPEC, profile=replace(PROFILE, services=())),
        replace(SPEC, filesystems=()),
    )
    assert fingerprint(same) == fingerprint(SPEC)
    assert len({fingerprint(SPEC), *map(fingerprint, others)}) == 1 + len(others)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"is_autoboot": True}, AUTOBOOT),
        (
            {"datasets": ("p/a", "p/b")},
            "has 2 datasets; expected one at most, at /data: leave the others out",
        ),
    ],
)
def test_what_no_zone_here_can_be(asked: dict[str, Any], said: str) -> None:
    """What a Linux sled cannot give a zone is refused in one line, before anything is run or written."""
    zones = OciZones(Told({}), "s1", cast("Any", None), Machine())
    with pytest.raises(InvalidParams) as refused:
        zones.configure(replace(SPEC, **asked))
    assert str(refused.value) == f"zone {SPEC.name} {said}"


def test_documents_come_back() -> None:
    """A zone's document and its profile are read back as they were written."""
    for saga in ("saga-1", None):
        written = ZoneDocument(saga, fingerprint(SPEC), SPEC)
        assert parse_document(render_document(written)) == written
    assert parse_profile(render_profile(PROFILE)) == PROFILE


@pytest.mark.parametrize("data", [b"", b"{}", b'{"saga":1,"fingerprint":"","spec":{}}', b"\x00"])
def test_a_wrong_document(data: bytes) -> None:
    """A document that is none is an error in one line, and never read as no zone."""
    for parse in (parse_document, parse_profile):
        with pytest.raises(Unparsable) as caught:
            parse(data)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"status":"created","pid":4,"annotations":{"c":"f"}}', Container("created", 4, "f")),
        ('{"status":"running","pid":4,"annotations":{}}', Container("running", 4)),
        ('{"status":"stopped","pid":0}', Container("stopped")),
        ('{"status":"paused","pid":4,"annotations":null}', Container("paused", 4)),
    ],
)
def test_states(text: str, expected: Container) -> None:
    """What a runtime prints of a container is read, with the mark that it carries."""
    assert parse_state(text, fingerprint_key="c") == expected


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"status":"asleep"}', '{"status":"created","pid":"x"}'])
def test_wrong_states(text: str) -> None:
    """What is no state is an error, and never read as a container that is not there."""
    with pytest.raises(Unparsable, match="the runtime printed"):
        parse_state(text, fingerprint_key="c")


HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:7 master:2 - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""


def test_mounts_tell_the_control_groups() -> None:
    """Which control groups a machine has is read off its mounts, whatever stands before the dash."""
    first, second, controllers = parse_mounts(HYBRID)
    assert first == ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids")
    assert second == ("/sys/fs/cgroup/unified",)
    assert controllers >= {"memory", "pids"}
    assert parse_mounts("") == ((), (), frozenset())
    with pytest.raises(Unparsable, match="mountinfo has the line 'x'"):
        parse_mounts("x\n")
    assert parse_pids("12\n0\n7\n") == (12, 7)


HYBRID_GROUPS = Cgroups(("/g/pids", "/g/unified"), frozenset({"pids"}), hidden="/g/unified")


def test_command_lines() -> None:
    """Only what makes a container is launched; only crun is spared the second kind of control groups."""
    crun = Runtime(Machine(run="/r"), HYBRID_GROUPS)
    runc = Runtime(Machine(run="/r", runtime="runc"), HYBRID_GROUPS)
    bare = Runtime(Machine(run="/r"), Cgroups())
    assert crun.create("z", bundle="/b", log="/l").argv[3:] == (
        *(launch.__file__, "/l", "/g/unified", "crun", "--root", "/r/zones", "--log", "/proc/self/fd/9"),
        *("create", "--no-new-keyring", "--bundle", "/b", "z"),
    )
    assert runc.run("z", bundle="/b", log="/l").argv[4:7] == ("/l", "", "runc")
    assert bare.state("z").argv == ("crun", "--root", "/r/zones", "--cgroup-manager=disabled", "state", "z")
    assert runc.kill("z", "TERM").argv == ("runc", "--root", "/r/zones", "kill", "z", "TERM")
    assert crun.delete("z").argv == ("crun", "--root", "/r/zones", "delete", "--force", "z")
    assert crun.start("z").argv == ("crun", "--root", "/r/zones", "start", "z")
    looks = crun.inside("z", "/bin/x", uid=5, gid=6)
    assert looks.argv[3:] == ("exec", "--user", "5:6", "z", "/bin/x")
    changes = [crun.create("z", bundle="", log=""), crun.start("z"), crun.kill("z", "INT"), crun.delete("z")]
    assert [one.mutates for one in (*changes, looks, crun.state("z"))] == [True] * 4 + [False] * 2
