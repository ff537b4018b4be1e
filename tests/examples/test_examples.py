"""The examples, run as a reader would run them: what they print is compared word for word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sledsaga.check.room import missing
from tests.tiers import skip_tier

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
LINES_MAX = 80
LONGER = {"demo.py", "demo_real.py", "telling.py"}

TRANSCRIPTS = {
    "01_hello.py": """\
hello v1: succeeded
  greeting: succeeded, output 'Hello, sled'
  letters: succeeded, output 11
  event 1: Submitted
  event 2: Claimed
  event 3: StepStarted
  event 4: StepSucceeded
  event 5: StepStarted
  event 6: StepSucceeded
  event 7: Ended
""",
    "02_undo.py": """\
room: False, saga: undone, left: []
  box: undone
  note: undone
  shipped: failed_clean (the lorry is full)
room: True, saga: succeeded, left: ['box']
  box: succeeded
  note: succeeded
  shipped: succeeded
""",
    "03_crash_and_resume.py": """\
the child was killed by signal 9 in its second step
sagas taken over: 1
the same key is the same saga: succeeded
calls, in order:
  first(epoch 1)
  second(epoch 1)
  second(epoch 2, in doubt)
  third(epoch 2)
""",
    "04_own_operation_async_http.py": """\
succeeded in attempt 2: sled-7 has ticket T-1
  PUT /sled-7, the key ends in /ticket
  PUT /sled-7, the key ends in /ticket
""",
    "05_prove_it.py": """\
journal v1 is proven: False
  actions_twice: 1 of 2
    not at: journal: do twice
  fail_each_step: 4 of 4
  undo_twice: 1 of 1
  undo_fails_each_step: 2 of 2
  crash_each_point: 9 of 10
    not at: forward, before write 2 of the log
  probe_truthful: 0 of 0, no step has a probe
  lost_reply_each_command: 0 of 0, the operation changes no sled
  slow_each_command: 0 of 0, the operation changes no sled
  cut_each_command: 0 of 0, the operation changes no sled
journal v2 is proven: True
  actions_twice: 2 of 2
  fail_each_step: 4 of 4
  undo_twice: 1 of 1
  undo_fails_each_step: 2 of 2
  crash_each_point: 10 of 10
  probe_truthful: 0 of 0, no step has a probe
  lost_reply_each_command: 0 of 0, the operation changes no sled
  slow_each_command: 0 of 0, the operation changes no sled
  cut_each_command: 0 of 0, the operation changes no sled
""",
}


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_an_example_prints_what_it_promises(name: str, tmp_path: Path) -> None:
    """Each example ends well, says nothing on stderr, prints its transcript, and leaves no file behind."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout, ran.stderr, ran.returncode) == (TRANSCRIPTS[name], "", 0)
    assert list(tmp_path.iterdir()) == []


def test_examples_are_short() -> None:
    """Every example but the demos has fewer than 80 lines, and none is left out here."""
    lengths = {
        path.name: len(path.read_text().splitlines())
        for path in EXAMPLES.glob("*.py")
        if path.name not in LONGER
    }
    assert set(lengths) == set(TRANSCRIPTS)
    assert [name for name, lines in lengths.items() if lines >= LINES_MAX] == []


def run_demo(folder: Path, name: str = "demo.py", **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name)]
    own = {**os.environ, "TMPDIR": str(folder), **env}
    return subprocess.run(
        command, cwd=folder, env=own, capture_output=True, text=True, timeout=240, check=False
    )


def test_the_demo_shows_a_killed_process_recovered(tmp_path: Path) -> None:
    """The demo tells its whole story, without colour off a terminal, and leaves nothing behind."""
    ran = run_demo(tmp_path)
    assert (ran.stderr, ran.returncode) == ("", 0)
    headings = [line for line in ran.stdout.splitlines() if re.match(r"\d\. ", line)]
    assert len(headings) == 6
    assert "\nKilled\n" in ran.stdout
    assert "├── ▶ install  running" in ran.stdout
    assert " ended: succeeded\n" in ran.stdout
    assert "\033" not in ran.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_demo_fails_when_a_claim_does_not_hold(tmp_path: Path) -> None:
    """A program without operations cannot tell the story: the demo says so in one line and ends with 1."""
    stub = tmp_path / "stub" / "sagas"
    stub.mkdir(parents=True)
    (stub / "__init__.py").write_text("CATALOG = ()\n")
    ran = run_demo(tmp_path, PYTHONPATH=str(stub.parent))
    assert ran.returncode == 1
    assert "not as it should be: `sledsaga plan provision-crdb -f crdb.yaml` ended with 2" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["stub"]


def test_the_real_demo_kills_a_database_and_leaves_nothing(tmp_path: Path) -> None:
    """On real ZFS a killed process and a killed zone lose nothing, and all of it can be taken away again."""
    if why := missing() or ("" if shutil.which("crun") else "install crun"):
        skip_tier("native", why)
    ran = run_demo(tmp_path, "demo_real.py")
    assert (ran.stderr, ran.returncode) == ("", 0)
    headings = [line for line in ran.stdout.splitlines() if re.match(r"\d\. ", line)]
    assert len(headings) == 7
    assert ran.stdout.count("written before the zone was killed\n") == 2
    assert ran.stdout.endswith("No pool, mount, network, cgroup, process or file is left.\n")
    assert list(tmp_path.iterdir()) == []
