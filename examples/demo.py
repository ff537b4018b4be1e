"""`make demo`: CockroachDB on a simulated sled, by a process that is killed midway, and what becomes of it.

Everything is done by the command line, as a person would, in a temporary folder that is removed at the end.
Every claim is checked against the JSON that the commands print; the demo fails when one does not hold.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from telling import NotAsItShouldBeError, Shell, check, heading, painted, state_of

ZONE = "4f3c1e0a-7d7b-4c8e-9a55-0d2f6b1c9e31"
POOL = "oxp_6340805e-c5af-418d-8bd1-fc0085667f33"
PARAMS = f"""\
pool: {POOL}
zone_id: {ZONE}
address: fd00:1122:3344:101::3
disk: {{vendor: "1b96", model: WUS4C6432DSP3X3, serial: BLANK0}}
"""
CRASH = "after-do:install"


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
        self.shell = Shell(folder)
        (folder / "crdb.yaml").write_text(PARAMS)

    def tell(self) -> None:
        """Tell it from the blank disk to the running database."""
        self._begin()
        saga = self._be_killed()
        self._recover(saga)
        self._do_it_again()

    def _begin(self) -> None:
        heading("1. A simulated sled: one blank U.2 disk, two internal M.2s")
        self.shell.show("sled init --disks 1", keep="DISKS|BLANK0|M2")
        check(self.shell.json("sled show")["zones"] == [], "a new sled has no zones")
        heading("2. What provisioning would do, asked of a host that refuses every change")
        self.shell.show("plan provision-crdb -f crdb.yaml", keep=".")

    def _be_killed(self) -> str:
        heading("3. Do it, and die by SIGKILL: the zone is installed, but nobody has written that down yet")
        env = {"SLEDSAGA_CRASH": CRASH}
        killed = self.shell.run(
            "submit provision-crdb -f crdb.yaml --wait", env=env, shown=f"SLEDSAGA_CRASH={CRASH} "
        )
        check(killed.returncode == -signal.SIGKILL, f"the process was killed, not ended: {killed.returncode}")
        print("Killed\n")
        (saga,) = self.shell.json("list")["sagas"]
        self.shell.show(f"show {saga['id'][:13]}", keep="▶|├|└")
        view, sled = self.shell.json(f"show {saga['id']}"), self.shell.json("sled show")
        check(state_of(view, "install") == "running", "the log says that install was started, and no more")
        check([zone["state"] for zone in sled["zones"]] == ["installed"], "the sled has the zone installed")
        return str(saga["id"])

    def _recover(self, saga: str) -> None:
        heading(
            "4. Another process finds the saga in the log and goes on; what is in doubt is done once more"
        )
        self.shell.show("recover", keep=r"\d\d:\d\d:\d\dZ")
        view = self.shell.json(f"show {saga}")
        check(view["state"] == "succeeded", f"the saga succeeded: {view['state']}")
        check(view["epoch"] == 2, "it was claimed twice")  # noqa: PLR2004 - once by each process
        heading("5. What the sled has now: a running zone, its link, and a record on both internal disks")
        self.shell.show("sled show", keep="ZONES|oxz_|LINKS|oxControl|underlay|LEDGERS|/pool/int.*json")
        self._check_sled(saga)

    def _check_sled(self, saga: str) -> None:
        sled = self.shell.json("sled show")
        check([zone["state"] for zone in sled["zones"]] == ["running"], "there is one zone, and it runs")
        made = [one for one in sled["datasets"] if one["name"].startswith(POOL)]
        check({one["saga"] for one in made} == {saga}, "every dataset on the disk carries the saga's tag")
        check(f"{POOL}/crypt/cockroachdb" in {one["name"] for one in made}, "the node has its dataset")

    def _do_it_again(self) -> None:
        heading("6. Submitted again, it changes nothing")
        before = self.shell.json("sled show")
        view = self.shell.json("submit provision-crdb -f crdb.yaml")
        check(view["state"] == "succeeded", f"the second saga succeeded: {view['state']}")
        check(self.shell.json("sled show") == before, "the sled is byte for byte what it was")
        print("succeeded, and `sled show --json` is byte for byte what it was")


if __name__ == "__main__":
    sys.exit(main())
