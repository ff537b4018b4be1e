"""Zones by a real container runtime on real ZFS: what they may, how they heal, and that nothing is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from sledsaga.check.room import Room
from sledsaga.errors import CommandFailed, ForeignObject, HostError, Mutates, Transient
from sledsaga.hosts.linux.clear import clear_sagas, sweep
from sledsaga.hosts.linux.machine import Runtime
from sledsaga.hosts.linux.platform import linux
from sledsaga.hosts.linux.runtime import Container
from sledsaga.hosts.readonly import ReadOnlyHost
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.zone import ZoneSpec
from tests.real.conftest import run
from tests.real.zone_ground import (
    NETNS,
    PORT,
    RUN,
    SUBNET,
    Ground,
    crash_network,
    fork,
    killed,
    laid,
    remount_all,
    standing,
    until,
)
from tests.tiers import skip_tier

STEP = 7
"""Changes between two kills: each of a dozen moments costs half a second."""
OPEN = ("/tmp", "/run", "/dev/shm")  # noqa: S108 - a zone's own, in memory


@pytest.fixture(scope="module")
def ground(room: Room) -> Iterator[Ground]:
    if shutil.which("crun") is None:
        skip_tier("native", "install crun")
    with laid(room) as ground:
        yield ground


@pytest.fixture(autouse=True)
def nothing_left(ground: Ground) -> Iterator[None]:
    """Whatever a test does with zones, nothing of one is left when it was taken away."""
    yield
    assert ground.left() == {}


@pytest.fixture
def spec(ground: Ground) -> Iterator[ZoneSpec]:
    """Describe a zone that answers with its name, and have what it needs."""
    with standing(ground, ground.spec(ground.image())) as spec:
        yield spec


def answer(spec: ZoneSpec) -> str:
    """Ask a zone from outside, over its network."""
    assert spec.profile is not None
    return run("curl", "-gsSf", "--max-time", "2", f"http://[{spec.profile.network.address}]:{PORT}/zone")


def with_runtime(ground: Ground, runtime: Runtime) -> Ground:
    if shutil.which(runtime) is None:
        skip_tier("native", f"install {runtime}")
    return replace(ground, machine=replace(ground.machine, runtime=runtime))


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_a_zone_lives_and_goes(ground: Ground, spec: ZoneSpec, runtime: Runtime) -> None:
    """A zone is configured, installed, booted, halted, booted again and removed, by either runtime."""
    ground = with_runtime(ground, runtime)
    zones = ground.zones
    seen = []
    for act in (zones.configure, zones.install, zones.boot):
        assert act(spec), "it was not so before"
        assert not act(spec), "twice is once"
        seen.append(ground.state(spec))
    ground.services.wait_ready(spec.name, timeout_s=20)
    assert answer(spec) == f"{spec.name}\n"
    assert not zones.ensure(spec)
    assert zones.halt(spec.name)
    assert not zones.halt(spec.name)
    seen.append(ground.state(spec))
    zones.reboot(spec.name)
    ground.services.wait_ready(spec.name, timeout_s=20)
    assert [zone.name for zone in zones.list()] == [spec.name]
    assert zones.remove(spec.name)
    assert not zones.remove(spec.name)
    assert seen == ["configured", "installed", "running", "installed"]
    assert zones.observe(spec.name) is None


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_a_zone_may_little(ground: Ground, spec: ZoneSpec, runtime: Runtime) -> None:
    """A zone's processes have no rights, a read-only root, a host name of their own, and limits."""
    ground = with_runtime(ground, runtime)
    ground.boot(spec)
    status = inside(ground, spec, "cat", "/proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {fields[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    assert fields["Uid"].split() == ["65534"] * 4
    modes = inside(ground, spec, "stat", "-c", "%a", *OPEN, "/").split()
    assert modes == ["1777", "1777", "1777", "755"]
    for path in ("/", "/etc", "/usr", "/var"):
        assert "Read-only file system" in refused(ground, spec, "touch", f"{path}/x")
    assert inside(ground, spec, "hostname").strip() == spec.name
    assert inside(ground, spec, "ls", "/data") == ""
    assert "sys" not in inside(ground, spec, "ls", "/").split()
    group = Path("/sys/fs/cgroup/pids") / ground.machine.cgroup / spec.name
    if group.exists():
        assert (group / "pids.max").read_text().strip() == "32"
        memory = Path("/sys/fs/cgroup/memory") / ground.machine.cgroup / spec.name
        assert (memory / "memory.limit_in_bytes").read_text().strip() == "134217728"


def inside(ground: Ground, spec: ZoneSpec, *argv: str) -> str:
    command = ground.containers.runtime.inside(spec.name, *argv, uid=65534, gid=65534)
    done = ground.host.run(command)
    assert done.code == 0, done
    return done.stdout


def refused(ground: Ground, spec: ZoneSpec, *argv: str) -> str:
    done = ground.host.run(ground.containers.runtime.inside(spec.name, *argv, uid=0, gid=0))
    assert done.code != 0, done
    return done.stderr


def test_a_zone_outlives_its_maker(ground: Ground, spec: ZoneSpec) -> None:
    """A zone goes on when the process that booted it is killed, and another finds it as it should be."""
    assert killed(ground, lambda mine: (mine.boot(spec), die()), after=10_000)
    assert answer(spec) == f"{spec.name}\n"
    assert not ground.zones.ensure(spec)


def test_killed_at_any_change(ground: Ground, spec: ZoneSpec) -> None:
    """A saga process that is killed after any of its changes leaves what the next one makes whole."""
    points = [0]
    while killed(ground, lambda mine: mine.zones.ensure(spec), after=points[-1] + STEP):
        points.append(points[-1] + STEP)
        ground.boot(spec)
        assert answer(spec) == f"{spec.name}\n"
        killed(ground, lambda mine: mine.zones.remove(spec.name), after=points[-1])
        ground.zones.remove(spec.name)
        assert ground.left() == {}
    assert len(points) > 5, "there are many changes to be killed at"


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_a_killed_runtime(ground: Ground, spec: ZoneSpec, runtime: Runtime) -> None:
    """A runtime that is killed inside create leaves half a container, which is cleared away."""
    ground = with_runtime(ground, runtime)
    leave_half_made(ground, spec)
    assert ground.containers.observe(spec.name) == Container("broken")
    assert ground.state(spec) == "installed"
    assert ground.boot(spec)
    assert answer(spec) == f"{spec.name}\n"
    ground.zones.halt(spec.name)
    leave_half_made(ground, spec)
    assert ground.zones.remove(spec.name)


def leave_half_made(ground: Ground, spec: ZoneSpec) -> None:
    """Kill the runtime after it made the container's folder and before it wrote its state, for real."""
    ground.boot(spec)
    ground.zones.halt(spec.name)
    folder = RUN / "zones" / spec.name
    document = ground.zones._document(spec.name)
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at:
        Path(f"{RUN}/zones").mkdir(exist_ok=True)
        ground.zones._ground.make(document)
        ground.containers.clear(spec.name)
        command = ground.containers.runtime.create(spec.name, bundle=spec.path, log=f"{spec.path}/log")
        with subprocess.Popen(command.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while not folder.exists() and process.poll() is None:
                pass
            process.kill()
        if folder.exists() and not {"status", "state.json"} & {each.name for each in folder.iterdir()}:
            return
        ground.zones.halt(spec.name)
    raise AssertionError("the runtime was never killed inside create")


def test_created_and_not_started(ground: Ground, spec: ZoneSpec) -> None:
    """A zone that was created and not started is started as it is; one that is not wanted goes as well."""

    def create_and_die(mine: Ground) -> None:
        mine.zones._ground.make(mine.zones._document(spec.name))
        die()

    ground.zones.configure(spec)
    ground.zones.install(spec)
    assert killed(ground, create_and_die, after=10_000)
    assert ground.state(spec) == "ready"
    pid = ground.init(spec.name)
    assert ground.boot(spec)
    assert ground.init(spec.name) == pid
    ground.zones.halt(spec.name)
    assert killed(ground, create_and_die, after=10_000)
    assert ground.zones.remove(spec.name)
    assert ground.left() == {}


def die() -> bool:
    os.kill(os.getpid(), signal.SIGKILL)
    return True


def test_a_process_that_was_lost(ground: Ground, spec: ZoneSpec) -> None:
    """A process in a zone's control group that the runtime has lost sight of ends with the zone."""
    ground.boot(spec)
    ground.zones.halt(spec.name)
    group = Path("/sys/fs/cgroup/pids", ground.containers.group(spec.name))
    if not group.parent.parent.is_dir():
        skip_tier("native", "no control groups of the first kind")
    for act in (ground.boot, lambda other: ground.zones.remove(other.name)):
        ground.zones.halt(spec.name)
        group.mkdir(parents=True)
        with subprocess.Popen(("sleep", "60")) as lost:
            (group / "cgroup.procs").write_text(str(lost.pid))
            assert act(spec)
            assert lost.wait(timeout=5) == -signal.SIGKILL


def test_a_zone_whose_service_died(ground: Ground, spec: ZoneSpec) -> None:
    """A zone whose service died says so with its log, is installed, and is booted by the next ensure."""
    ground.boot(spec)
    os.kill(ground.init(spec.name), signal.SIGKILL)
    until(lambda: ground.state(spec) == "installed")
    with pytest.raises(CommandFailed, match="is stopped, its service has ended; the last lines of its log: "):
        ground.services.wait_ready(spec.name, timeout_s=5)
    assert ground.boot(spec)
    assert answer(spec) == f"{spec.name}\n"


def test_a_service_that_cannot_start(ground: Ground) -> None:
    """Waiting for a service that ends at once is an error with what it said, not a long wait."""
    image = ground.image(command=["/usr/bin/python3", "-c", "raise SystemExit('no such thing as a start')"])
    with standing(ground, ground.spec(image)) as spec:
        ground.zones.ensure(spec)
        until(lambda: ground.state(spec) == "installed")
        with pytest.raises(CommandFailed, match="no such thing as a start"):
            ground.services.wait_ready(spec.name, timeout_s=30)


def test_a_service_that_is_slow(ground: Ground) -> None:
    """A service that does not answer in time can be waited for again; one that ignores TERM is ended."""
    image = ground.image(
        command=["/usr/bin/python3", "-c", "import signal; signal.pause()"],
        stop={"signal": "TERM", "wait_s": 0.2},
    )
    with standing(ground, ground.spec(image)) as spec:
        ground.zones.ensure(spec)
        with pytest.raises(Transient, match=r"is not ready after .* s: `/usr/bin/curl` ended with 7"):
            ground.services.wait_ready(spec.name, timeout_s=0.5)
        assert ground.zones.halt(spec.name)
        assert ground.containers.observe(spec.name) is None


def test_after_a_reboot(ground: Ground, spec: ZoneSpec) -> None:
    """After a reboot nothing of a zone runs, its network is a file that is none, and it boots as it was."""
    ground.boot(spec)
    os.kill(ground.init(spec.name), signal.SIGKILL)
    until(lambda: ground.state(spec) == "installed")
    crash_network(ground, spec)
    shutil.rmtree(RUN / "zones")
    assert ground.state(spec) == "installed"
    ground.stand(spec)
    assert ground.boot(spec)
    assert answer(spec) == f"{spec.name}\n"


def test_a_root_that_a_reboot_unmounted(ground: Ground, spec: ZoneSpec) -> None:
    """A zone whose root is not mounted is told as what it is; its root is mounted for the look only."""
    ground.zones.configure(spec)
    assert ground.zones.recall(spec.name) == ground.zones.observe(spec.name)
    ground.zones.install(spec)
    root = f"{ground.pool}/crypt/zone/{spec.name}"
    run("zfs", "unmount", root)
    assert ground.state(spec) == "configured"
    seen = ground.zones.recall(spec.name)
    assert seen is not None
    assert seen.state == "installed"
    assert not Path(spec.path).is_mount()
    assert ground.zones.recall("oxz_none") is None
    run("zfs", "mount", root)
    assert ground.zones.recall(spec.name) == ground.zones.observe(spec.name) == seen


def test_zfs_died_under_a_zone(ground: Ground, spec: ZoneSpec) -> None:
    """A zone whose ZFS died under it is down, though its process lives; it is booted on new mounts."""
    ground.boot(spec)
    pid = ground.init(spec.name)
    ground.room.restart_zfs()
    assert ground.state(spec) == "down"
    assert ground.boot(spec)
    assert ground.init(spec.name) != pid
    assert answer(spec) == f"{spec.name}\n"
    ground.zones.halt(spec.name)
    ground.room.restart_zfs()
    assert ground.state(spec) == "incomplete"
    assert ground.boot(spec)
    ground.room.restart_zfs()
    assert ground.zones.remove(spec.name)
    remount_all()


@pytest.mark.parametrize("is_apart", [False, True])
def test_zfs_died_under_two_zones(ground: Ground, spec: ZoneSpec, *, is_apart: bool) -> None:
    """When their ZFS dies, each of two zones is booted anew, on one pool or two, halted before or not."""
    place = ground.on_another_pool() if is_apart else ground
    with standing(place, place.spec(ground.image(), last=3)) as other:
        for each in (spec, other):
            ground.boot(each)
            assert each.profile is not None
            ground.zones.write_profile(each.path, each.profile)
        ground.room.restart_zfs()
        for each in (spec, other):
            assert ground.boot(each)
            assert answer(each) == f"{each.name}\n"
        for each in (spec, other):
            ground.zones.halt(each.name)
        ground.room.restart_zfs()
        for each in (spec, other):
            ground.zones.reboot(each.name)
            ground.services.wait_ready(each.name, timeout_s=20)
        for each in (spec, other):
            assert ground.zones.remove(each.name)
        remount_all()


def test_another_configuration(ground: Ground, spec: ZoneSpec) -> None:
    """A zone that runs with another configuration is refused and goes on; one that is halted is rebuilt."""
    ground.boot(spec)
    other = replace(spec, attributes=(("generation", "2"),))
    pid = ground.init(spec.name)
    with pytest.raises(ForeignObject, match="is running with another configuration; retire it"):
        ground.zones.ensure(other)
    assert ground.init(spec.name) == pid
    assert answer(spec) == f"{spec.name}\n"
    ground.zones.halt(spec.name)
    assert ground.as_saga("saga-2").boot(other)
    seen = ground.zones.observe(spec.name)
    assert seen is not None
    assert (seen.saga, seen.fingerprint) == ("saga-2", ground.zones.fingerprint(other))


def test_another_saga(ground: Ground, spec: ZoneSpec) -> None:
    """Undo leaves another saga's zone as it is; going forward may retire it."""
    ground.boot(spec)
    others = ground.as_saga("saga-2").zones
    for act in (others.remove, others.uninstall):
        with pytest.raises(ForeignObject, match="carries the tag saga-1, not saga-2; it was kept"):
            act(spec.name)
    assert answer(spec) == f"{spec.name}\n"
    assert others.retire(spec.name)
    assert not others.retire(spec.name)


def test_a_container_of_nobody(ground: Ground, spec: ZoneSpec) -> None:
    """A container that no saga made is shown, and refused by whatever would change it."""
    ground.boot(spec)
    document = Path(ground.machine.state) / "zones" / f"{spec.name}.json"
    kept = document.read_bytes()
    document.unlink()
    seen = ground.zones.observe(spec.name)
    assert seen is not None
    assert (seen.state, seen.saga) == ("running", None)
    zones = ground.zones
    with pytest.raises(ForeignObject, match="was made by no saga"):
        zones.configure(replace(spec, attributes=(("generation", "2"),)))
    for act in (zones.halt, zones.retire, zones.remove, zones.uninstall):
        with pytest.raises(ForeignObject):
            act(spec.name)
    assert answer(spec) == f"{spec.name}\n"
    document.write_bytes(kept)


def test_an_address_that_is_taken(ground: Ground, spec: ZoneSpec) -> None:
    """A zone is not booted with an address that another zone has, or the machine; nothing of it is left."""
    ground.boot(spec)
    with standing(ground, ground.spec(spec.image, last=3)) as other:
        assert other.profile is not None
        for address, why in (
            (f"{SUBNET}2", f"of zone {spec.name}, which is running"),
            (f"{SUBNET}1", "own, on"),
        ):
            network = replace(other.profile.network, address=address)
            taken = replace(other, profile=replace(other.profile, network=network))
            with pytest.raises(ForeignObject, match=why):
                ground.zones.ensure(taken)
            assert ground.state(other) == "installed"
            assert not (NETNS / other.name).exists()
        assert answer(spec) == f"{spec.name}\n"
        assert ground.boot(other)
        assert {answer(spec), answer(other)} == {f"{spec.name}\n", f"{other.name}\n"}


def test_what_others_put_in_a_root(ground: Ground, spec: ZoneSpec) -> None:
    """What somebody else put into a zone's root is never removed: it is named, and stays."""
    ground.zones.configure(spec)
    ground.zones.install(spec)
    foreign = Path(spec.path, "root", "var", "notes")
    foreign.write_text("not yours")
    with pytest.raises(ForeignObject, match="root/var is not empty"):
        ground.zones.remove(spec.name)
    assert foreign.read_text() == "not yours"
    foreign.unlink()
    assert ground.zones.remove(spec.name)


def test_what_an_image_needs(ground: Ground, spec: ZoneSpec) -> None:
    """An image whose programs are not on the machine is refused with the package to install."""
    image = ground.image(needs={"/usr/bin/no-such-program": "no-such-package"})
    wanted = replace(ground.spec(image), name=spec.name)
    with pytest.raises(
        HostError, match="needs /usr/bin/no-such-program, which this machine has not; install no-such-package"
    ):
        ground.zones.ensure(wanted)
    assert ground.state(wanted) == "configured"
    with pytest.raises(HostError, match=r"has the sha256 .*, expected 00"):
        ground.zones.ensure(replace(wanted, image_hash="00"))


def test_many_at_once(ground: Ground) -> None:
    """Thirteen zones are booted at one moment, and taken away at one moment; each answers for itself."""
    image = ground.image()
    specs = [ground.spec(image, last=last) for last in range(2, 15)]
    with ThreadPoolExecutor(len(specs)) as threads:
        assert [*threads.map(ground.stand, specs)] == specs
        assert all(threads.map(ground.boot, specs))
        assert [answer(spec) for spec in specs] == [f"{spec.name}\n" for spec in specs]
        assert len(ground.zones.list()) == len(specs)
        assert all(threads.map(ground.zones.remove, [spec.name for spec in specs]))
        assert ground.left() == {}
        assert [*threads.map(ground.leave, specs)] == [None] * len(specs)


def test_no_root_rights(ground: Ground, spec: ZoneSpec) -> None:
    """Whoever has no root rights is told so by the first change, and nothing has changed."""
    child = fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            ground.zones.configure(spec)
        except HostError as error:
            os._exit(7 if "Permission denied" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_run_folder_of_its_own(ground: Ground, tmp_path: Path) -> None:
    """What a reboot ends is kept where the document says, and clearing a sled finds its links by it."""
    own = replace(ground, machine=replace(ground.machine, run=str(tmp_path)))
    with standing(own, own.spec(own.image())) as spec:
        own.boot(spec)
        assert {path.name for path in tmp_path.iterdir()} == {"gateways", "netns", "owners", "zones"}
        assert "holders" not in own.left()
        sled = Sled(own.host, own.saga, platform=linux(own.host, own.machine))
        gone = [*clear_sagas(sled, own.machine, (own.pool,))]
        assert gone == [f"zone {spec.name}", f"link {spec.links[0]}"]
    sweep(own.host, own.machine)
    assert list(tmp_path.iterdir()) == []


def test_a_look_changes_nothing(ground: Ground, spec: ZoneSpec) -> None:
    """A zone is looked at without a change, in every state."""
    looking = replace(ground, host=ReadOnlyHost(ground.host))
    acts = (ground.zones.configure, ground.zones.install, ground.boot)
    for act, state in zip(acts, ("configured", "installed", "running"), strict=True):
        act(spec)
        assert [zone.state for zone in looking.zones.list()] == [state]
        assert not looking.zones.configure(spec)
    looking.services.wait_ready(spec.name, timeout_s=5)
    with pytest.raises(Mutates):
        looking.zones.halt(spec.name)
    assert answer(spec) == f"{spec.name}\n"
