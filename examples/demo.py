"""`make demo`: CockroachDB on a simulated sled, by a process that is killed midway, and what becomes of it.

Everything is done by the command line, as a person would, in a temporary folder that is removed at the end.
Every claim is checked against the JSON that the commands print; the demo fails when one does not hold.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ZONE = "4f3c1e0a-7d7b-4c8e-9a55-0d2f6b1c9e31"
POOL = "oxp_6340805e-c5af-418d-8bd1-fc0085667f33"
PARAMS = f"""\
pool: {POOL}
zone_id: {ZONE}
address: fd00:1122:3344:101::3
disk: {{vendor: "1b96", model: WUS4C6432DSP3X3, serial: BLANK0}}
"""
CRASH = "after-do:install"
PAGE = 120
STYLES = {"heading": "1;36", "command": "1", "bad": "1;31"}


class NotAsItShouldBeError(Exception):
    """A claim of the demo does not hold."""


def main() -> int:
    """Tell the story; return 1 when something is not as it should be."""
    try:
        with tempfile.TemporaryDirectory(prefix="sledsaga-demo-") as folder:
            Story(Path(folder)).tell()
    except NotAsItShouldBeError as error:
        print(painted("bad", f"\nThis is not as it should be: {error}"), file=sys.stderr)
        return 1
    return 0


class Story:
    """The demo, in one folder."""

    def __init__(self, folder: Path) -> None:
        """Write down what shall be provisioned."""
        self.folder = folder
        (folder / "crdb.yaml").write_text(PARAMS)

    def tell(self) -> None:
        """Tell it from the blank disk to the running database."""
        self._begin()
        saga = self._be_killed()
        self._recover(saga)
        self._do_it_again()

    def _begin(self) -> None:
        heading("1. A simulated sled: one blank U.2 disk, two internal M.2s")
        self._show("sled init --disks 1", keep="DISKS|BLANK0|M2")
        check(self._json("sled show")["zones"] == [], "a new sled has no zones")
        heading("2. What provisioning would do, asked of a host that refuses every change")
        self._show("plan provision-crdb -f crdb.yaml", keep=".")

    def _be_killed(self) -> str:
        heading("3. Do it, and die by SIGKILL: the zone is installed, but nobody has written that down yet")
        env = {"SLEDSAGA_CRASH": CRASH}
        killed = self._run(
            "submit provision-crdb -f crdb.yaml --wait", env=env, shown=f"SLEDSAGA_CRASH={CRASH} "
        )
        check(killed.returncode == -signal.SIGKILL, f"the process was killed, not ended: {killed.returncode}")
        print("Killed\n")
        (saga,) = self._json("list")["sagas"]
        self._show(f"show {saga['id'][:13]}", keep="▶|├|└")
        view, sled = self._json(f"show {saga['id']}"), self._json("sled show")
        check(state_of(view, "install") == "running", "the log says that install was started, and no more")
        check([zone["state"] for zone in sled["zones"]] == ["installed"], "the sled has the zone installed")
        return str(saga["id"])

    def _recover(self, saga: str) -> None:
        heading(
            "4. Another process finds the saga in the log and goes on; what is in doubt is done once more"
        )
        self._show("recover", keep=r"\d\d:\d\d:\d\dZ")
        view = self._json(f"show {saga}")
        check(view["state"] == "succeeded", f"the saga succeeded: {view['state']}")
        check(view["epoch"] == 2, "it was claimed twice")  # noqa: PLR2004 - once by each process
        heading("5. What the sled has now: a running zone, its link, and a record on both internal disks")
        self._show("sled show", keep="ZONES|oxz_|LINKS|oxControl|underlay|LEDGERS|/pool/int.*json")
        self._check_sled(saga)

    def _check_sled(self, saga: str) -> None:
        sled = self._json("sled show")
        check([zone["state"] for zone in sled["zones"]] == ["running"], "there is one zone, and it runs")
        made = [one for one in sled["datasets"] if one["name"].startswith(POOL)]
        check({one["saga"] for one in made} == {saga}, "every dataset on the disk carries the saga's tag")
        check(f"{POOL}/crypt/cockroachdb" in {one["name"] for one in made}, "the node has its dataset")

    def _do_it_again(self) -> None:
        heading("6. Submitted again, it changes nothing")
        before = self._json("sled show")
        view = self._json("submit provision-crdb -f crdb.yaml")
        check(view["state"] == "succeeded", f"the second saga succeeded: {view['state']}")
        check(self._json("sled show") == before, "the sled is byte for byte what it was")
        print("succeeded, and `sled show --json` is byte for byte what it was")

    def _show(self, line: str, *, keep: str) -> None:
        """Run a command and print those of its lines that begin so, none wider than the page."""
        ran = self._run(line, shown="")
        check(ran.returncode == 0, f"`sledsaga {line}` ended with {ran.returncode}: {ran.stderr.strip()}")
        lines = [text.rstrip() for text in (ran.stdout + ran.stderr).splitlines() if re.match(keep, text)]
        print("\n".join(text if len(text) <= PAGE else f"{text[: PAGE - 1]}…" for text in lines))

    def _json(self, line: str) -> Any:  # noqa: ANN401 - any JSON value
        ran = self._run(f"{line} --json")
        check(ran.returncode == 0, f"`sledsaga {line}` ended with {ran.returncode}: {ran.stderr.strip()}")
        return json.loads(ran.stdout)

    def _run(
        self, line: str, *, env: dict[str, str] | None = None, shown: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        if shown is not None:
            print(painted("command", f"$ {shown}sledsaga {line}"), flush=True)
        plain = {name: text for name, text in os.environ.items() if not name.startswith("SLEDSAGA_")}
        return subprocess.run(  # noqa: S603 - our own command line
            [sys.executable, "-m", "sledsaga", *line.split()],
            cwd=self.folder,
            env=plain | (env or {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def state_of(view: dict[str, Any], path: str) -> str:
    """Return the state of one step."""
    return next(str(step["state"]) for step in view["steps"] if step["path"] == path)


def check(holds: bool, claim: str) -> None:  # noqa: FBT001 - reads like assert
    """End the demo when a claim does not hold."""
    if not holds:
        raise NotAsItShouldBeError(claim)


def heading(text: str) -> None:
    """Print what comes next."""
    print(painted("heading", f"\n{text}"))


def painted(style: str, text: str) -> str:
    """Colour a line, on a terminal that wants it."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[{STYLES[style]}m{text}\033[0m"


if __name__ == "__main__":
    sys.exit(main())
