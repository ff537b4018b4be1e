"""`make demo-real`: a real database in a real zone on a real pool, killed midway, and nothing left behind.

Runs in a room of its own (mounts, network and ZFS daemon that nobody else sees), on disks that are files.
Everything is done by the command line, as a person would; every claim is checked, and the demo fails when
one does not hold. It needs Linux, root rights, and the Debian packages zfs-fuse, crun, iproute2, postgresql.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from telling import NotAsItShouldBeError, Shell, check, heading, painted, state_of

from sledsaga.check.room import MADE, missing, open_room

ZONE = "4f3c1e0a-7d7b-4c8e-9a55-0d2f6b1c9e31"
NAME = f"oxz_cockroachdb_{ZONE}"
POOL = "oxp_6340805e-c5af-418d-8bd1-fc0085667f33"
ADDRESS, PORT = "fd00:1122:3344:101::3", 32221
PARAMS = f"""\
pool: {POOL}
zone_id: {ZONE}
address: {ADDRESS}
port: {PORT}
image: postgresql
disk: {{vendor: %(vendor)s, model: %(model)s, serial: %(serial)s}}
"""
CRASH = "after-do:boot"
CANARY = "canary"
WAIT_S = 20.0
PLACES = ("/pool/ext", "/pool/int", "/run/netns", "/run/sledsaga")
CANNOT = 77


def main() -> int:
    """Tell the story; return 1 when something is not as it should be, 77 when it cannot be told here."""
    if why := missing():
        print(f"this machine cannot show it: {why}", file=sys.stderr)
        return CANNOT
    before = set(left_overs())
    try:
        with tempfile.TemporaryDirectory(prefix="sledsaga-demo-real-") as folder:
            with open_room(Path(folder)):
                story = Story(Path(folder))
                story.tell()
            left = set(left_overs(story.cgroup)) - before
            check(not left, f"nothing is left: {left}")
    except NotAsItShouldBeError as error:
        print(painted("bad", f"\nThis is not as it should be: {error}"), file=sys.stderr)
        return 1
    print("No pool, mount, network, cgroup, process or file is left.")
    return 0


class Story:
    """The demo, in one folder of a room."""

    def __init__(self, folder: Path) -> None:
        """Have somebody else's pool beside what is to come."""
        self.folder = folder
        self.shell = Shell(folder, {"SLEDSAGA_SLED": f"local:{folder}/sled/sled.json"})
        with (folder / "canary.img").open("wb") as disk:
            disk.truncate(64 * 2**20)
        real("zpool", "create", "-m", f"{folder}/canary", CANARY, f"{folder}/canary.img")
        (folder / "canary" / "file").write_text("not ours")
        self.before, self.cgroup = set(left_overs()), ""
        self.history = real("zpool", "history", CANARY)

    def tell(self) -> None:
        """Tell it from blank disks to a database that outlives three deaths, and back to nothing."""
        self._begin()
        saga = self._be_killed()
        self._recover(saga)
        self._kill_the_zone()
        self._take_away()

    def _begin(self) -> None:
        heading("1. Two internal disks and a blank one, all of them files; the ZFS below is real")
        self.shell.show("sled init --disks 1 --size 1G --plain", keep=r"DISKS|\w{12}-[UM]\d")
        self.cgroup = json.loads((self.folder / "sled" / "sled.json").read_text())["cgroup"]
        (blank,) = (disk for disk in self.shell.json("sled show")["disks"] if disk["variant"] == "U.2")
        (self.folder / "crdb.yaml").write_text(PARAMS % blank)
        self.shell.show("doctor", keep="zfs|encryption|crun|ip ")
        heading("2. What provisioning would do, asked of a host that refuses every change")
        self.shell.show("plan provision-crdb -f crdb.yaml", keep=".")

    def _be_killed(self) -> str:
        heading("3. Do it, and die by SIGKILL: the zone has been booted, but nobody has recorded that")
        line, env = "submit provision-crdb -f crdb.yaml --wait", {"SLEDSAGA_CRASH": CRASH}
        killed = self.shell.run(line, env=env, shown=f"SLEDSAGA_CRASH={CRASH} ")
        check(killed.returncode == -signal.SIGKILL, f"it was killed: {killed.returncode} {killed.stderr}")
        print("Killed\n")
        (saga,) = self.shell.json("list")["sagas"]
        self.shell.show(f"show {saga['id'][:13]}", keep="▶")
        view = self.shell.json(f"show {saga['id']}")
        check(state_of(view, "boot") == "running", "the log says that boot was started, and no more")
        check(self._zone_states() == ["running"], "the zone outlives the process that booted it")
        return str(saga["id"])

    def _recover(self, saga: str) -> None:
        heading("4. Another process finds the saga in the log and goes on until the database answers")
        self.shell.show("recover", keep=r"\d\d:\d\d:\d\dZ")
        view = self.shell.json(f"show {saga}")
        check(view["state"] == "succeeded", f"the saga succeeded: {view['state']}")
        heading("5. Asked from outside the zone, it keeps what it is told")
        sql("create table kept (what text)")
        sql("insert into kept values ('written before the zone was killed')")
        print(sql("select what from kept"))

    def _kill_the_zone(self) -> None:
        heading("6. Kill every process of the zone, and submit again: it runs again, the data is there")
        for pid in real("ip", "netns", "pids", NAME).split():
            with contextlib.suppress(ProcessLookupError):  # the zone's first process took it along
                os.kill(int(pid), signal.SIGKILL)
        wait_until(lambda: self._zone_states() != ["running"], "the zone is down")
        view = self.shell.json("submit provision-crdb -f crdb.yaml --wait")
        check(view["state"] == "succeeded", f"the second saga succeeded: {view}")
        print(sql("select what from kept"))
        self.shell.show("sled show", keep=r"ZONES|oxz_|LINKS|oxControl|LEDGERS|/pool/int.*json")

    def _take_away(self) -> None:
        heading("7. Take it all away; somebody else's pool stood beside it all the time")
        self.shell.show("sled remove --yes", keep=".")
        after = set(left_overs(self.cgroup))
        check(after <= self.before, f"nothing is left in the room: {after - self.before}")
        check(real("zpool", "list", "-Ho", "name").split() == [CANARY], "there is one pool, the other one")
        check(real("zpool", "history", CANARY) == self.history, "nobody has touched it")
        names = {path.name for path in self.folder.iterdir()} - {".sledsaga"}
        check(names == {"canary", "canary.img", "crdb.yaml"}, f"no file is left: {names}")

    def _zone_states(self) -> list[str]:
        return [zone["state"] for zone in self.shell.json("sled show")["zones"]]


def sql(query: str) -> str:
    """Ask the database, from outside its zone."""
    where = ("-h", ADDRESS, "-p", str(PORT), "-U", "postgres", "-d", "postgres")
    print(painted("command", f"$ psql {query!r}"))
    return real("psql", *where, "-qAtc", query).strip()


def real(*argv: str) -> str:
    """Run a command of the machine and return what it printed."""
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - literals
    check(ran.returncode == 0, f"`{' '.join(argv)}` ended with {ran.returncode}: {ran.stderr.strip()}")
    return ran.stdout


def wait_until(holds: Callable[[], bool], claim: str) -> None:
    """Wait until something holds, but not for ever."""
    ends_at = time.monotonic() + WAIT_S
    while not holds():
        check(time.monotonic() < ends_at, claim)
        time.sleep(0.05)


def left_overs(cgroup: str = "sledsaga") -> Iterator[str]:
    """Yield what a zone or a pool could leave: mounts, networks, links, cgroups, processes, folders.

    The mark of a folder that a room stands on is no left-over: other rooms may be open beside this one.
    """
    for line in Path("/proc/thread-self/mountinfo").read_text().splitlines():
        if line.split()[4].startswith(PLACES) or "fuse.zfs" in line:
            yield f"mount {line.split()[4]}"
    for folder in (*PLACES, "/sys/class/net"):
        if (path := Path(folder)).is_dir():
            yield from (f"{folder}/{each.name}" for each in path.iterdir() if each.name != MADE)
    yield from (str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{cgroup}"))
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f":/{cgroup}/" in (entry / "cgroup").read_text():
                yield f"process {(entry / 'comm').read_text().strip()}"


if __name__ == "__main__":
    sys.exit(main())
