"""A sled on files in a room, driven by the command line as a person would, and killed as nobody should."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sledsaga.core.define import Operation, Step
from sledsaga.core.view import SagaView
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.errors import CommandFailed
from sledsaga.hosts.host import HostCommand
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.step import StepHost
from sledsaga.store.memory import MemoryStore
from sledsaga.wiring import open_machine
from tests.real import config
from tests.real.conftest import run

SIZE = "128M"
KEPT = (
    *("name", "type", "id", "quota", "reservation", "compression", "mounted", "mountpoint", "zoned"),
    *("state", "path", "class", "over", "generation", "sha256", "health", "pool", "condition"),
)
"""What is compared: all that does not differ when the same work was done again."""
FOLDERS = ("/run/netns", "/sys/class/net", "/pool/ext", "/pool/int", "/run/sledsaga")
PATIENCE_S = 240.0
SOON_S = 200.0


@dataclass(frozen=True)
class Rig:
    """One sled in one folder, with a log of its own."""

    folder: Path

    @property
    def url(self) -> str:
        return f"local:{self.folder}/sled/sled.json"

    @property
    def env(self) -> dict[str, str]:
        plain = {name: text for name, text in os.environ.items() if not name.startswith("SLEDSAGA_")}
        return plain | {"SLEDSAGA_SLED": self.url, "SLEDSAGA_DB": f"{self.folder}/log.db"}

    def make(self, document: dict[str, Any]) -> None:
        """Make the disks that a config names, and store the artifacts that its zones are made from."""
        self.write(document)
        assert self.run("sled", "init", "--config", "config.json", "--size", SIZE, "--plain").returncode == 0
        for pool in Path("/pool/int").iterdir():
            for digest, data in config.artifacts().items():
                (pool / "update" / digest).write_bytes(data)

    def write(self, document: dict[str, Any]) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "config.json").write_text(json.dumps(document))

    def apply(self) -> dict[str, Any]:
        """Apply the config to its end, and return the saga."""
        return self.json("submit", "apply-sled-config", "-f", "config.json", "--wait")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sledsaga", *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )

    def json(self, *arguments: str) -> dict[str, Any]:
        done = self.run(*arguments, "--json")
        assert done.stdout, (arguments, done.returncode, done.stderr)
        return json.loads(done.stdout)

    def killed(self, after_s: float, *arguments: str) -> bool:
        """Run a command and kill it when this time has passed; False when it had ended before."""
        command = [sys.executable, "-m", "sledsaga", *arguments]
        with (self.folder / "out").open("ab") as out:
            running = subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=out, stderr=out)
            try:
                running.wait(after_s)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
                return True
        return False

    def seen(self) -> dict[str, Any]:
        """Return what the sled is, without what differs after the same work was done again."""
        found = self.json("sled", "show")
        return {
            kind: [{key: row[key] for key in KEPT if key in row} for row in rows]
            for kind, rows in found.items()
            if isinstance(rows, list)
        }

    def saga(self) -> dict[str, Any]:
        """Return the newest saga."""
        newest = self.json("list")["sagas"][0]
        return self.json("show", newest["id"])

    def remove(self) -> None:
        done = self.run("sled", "remove", "--yes")
        assert done.returncode == 0, done.stderr


def left_overs() -> Iterator[str]:
    """Yield all that zones, links and pools could leave in the room."""
    yield from (line.split()[4] for line in Path("/proc/thread-self/mountinfo").read_text().splitlines())
    for folder in FOLDERS:
        found = Path(folder).iterdir() if Path(folder).is_dir() else ()
        yield from (f"{folder}/{path.name}" for path in found)
    pools = subprocess.run(("zpool", "list", "-Ho", "name"), capture_output=True, text=True, check=True)
    yield from pools.stdout.split()


def wait_until_quiet(before: set[str]) -> set[str]:
    """Return what is left beyond what was there, when commands that outlived their process have ended."""
    ends_at = time.monotonic() + 10.0
    while (left := set(left_overs()) - before) and time.monotonic() < ends_at:
        time.sleep(0.1)
    return left


def driven(rig: Rig, params: dict[str, Any], operation: Operation) -> tuple[SagaView, Counter[str]]:
    """Run an operation from this process, and count the changes that it makes by their tool."""
    host, platform = open_machine(rig.url)
    changes: Counter[str] = Counter()

    def told(command: HostCommand) -> None:
        changes[command.argv[0]] += 1

    def sled(ctx: Context) -> Sled:
        seen = StepHost(host, ctx.cancelled, ctx.deadline, told)
        return Sled(seen, ctx.saga, ctx.pause, platform=platform)

    with Engine(MemoryStore(), Catalog([operation]), sled=sled) as engine:
        return engine.wait(engine.submit(operation.name, params).id, SOON_S), changes


def failing(operation: Operation, name: str, act: Callable[[], object] = bool) -> Operation:
    """Return the operation with one step that does this, if anything, and fails."""

    def change(step: Step) -> Step:
        if step.name != name:
            return step

        @functools.wraps(step.do)
        def fail(**_inputs: Any) -> None:
            act()
            raise CommandFailed("it fails because it shall")

        return replace(step, do=fail)

    def steps(params: Any) -> list[Any]:
        return [change(step) for step in operation.steps(params)]  # type: ignore[operator, arg-type] # it is one

    return replace(operation, steps=steps)


def reboot(pool: str, zone: str) -> None:
    """Do to the room what a reboot does: no process of the zone, no link, nothing in /run, no mount."""
    for pid in run("ip", "netns", "pids", zone).split():
        os.kill(int(pid), signal.SIGKILL)
    run("ip", "netns", "delete", zone)
    for link in json.loads(run("ip", "-j", "link", "show")):
        if link["ifname"] != "lo":
            subprocess.run(("ip", "link", "delete", link["ifname"]), capture_output=True, check=False)
    for folder in Path("/run/sledsaga").iterdir():
        shutil.rmtree(folder)
    unmount_pool(pool)


def unmount_pool(pool: str) -> None:
    """Have no dataset of a pool mounted, as after a reboot; what is busy for a moment is waited for."""
    ends_at = time.monotonic() + SOON_S
    for name in reversed(run("zfs", "list", "-rHo", "name", pool).split()):
        while run("zfs", "get", "-Ho", "value", "mounted", name).strip() == "yes":
            subprocess.run(("zfs", "unmount", name), capture_output=True, check=False)
            assert time.monotonic() < ends_at, f"{name} stays mounted"
            time.sleep(0.05)


def why(view: SagaView) -> str:
    return "; ".join(f"{step.path}: {step.error}" for step in view.steps if step.error)
