"""`sledsaga check`: a sound operation passes, planted mistakes are named, and nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from sledsaga.check.kills.matrix import CHECKS as KILLS
from sledsaga.check.leaves import files_below
from sledsaga.check.trials.checks import CHECKS
from sledsaga.hosts.sim import DiskSpec, SimSled
from sledsaga.store.oslock import OsLock
from tests.cli.test_terminal import Person

Line = Callable[..., Any]
PATIENCE_S: Final = 30.0
HERE: Final = ("-p", "folder={folder}")
HANDBOOK = Path(__file__).parents[2] / "docs" / "command-line.md"
CATALOG = '''"""A letter that is written, well and badly."""

import os
import time
from pathlib import Path

from sledsaga import Model, no_undo, operation, step
from sledsaga.hosts.sled import Sled


class Params(Model):
    """Where the letter goes. `gate` is a file that `wait` waits for."""

    folder: str = "letters"
    gate: str = ""


def letter(params: Params) -> str:
    Path(params.folder, "letter").write_text("dear")
    return "dear"


def undo_letter(params: Params) -> None:
    Path(params.folder, "letter").unlink(missing_ok=True)


def seal(letter: str) -> str:
    return letter.upper()


def append(params: Params) -> None:
    with Path(params.folder, "letter").open("a") as file:
        file.write("dear")


def tear(params: Params) -> None:
    Path(params.folder, "letter").unlink()


def wait(params: Params) -> None:
    Path(params.folder, str(os.getpid())).touch()
    while not Path(params.gate).exists():
        time.sleep(0.01)


def look(sled: Sled) -> int:
    return len(sled.disks.list())


def made(name, do, undo):
    last = step(seal, undo=no_undo("it is only said")) if do is letter else ()
    steps = [step(do, name="letter", undo=undo), *([last] if last else [])]
    return operation(name, version=1, params=Params, steps=steps)


CATALOG = [
    made("sound", letter, undo_letter),
    made("twice", append, undo_letter),
    made("torn", letter, tear),
    made("endless", wait, undo_letter),
    operation("looking", version=1, params=Params, steps=[step(look, undo=no_undo("it looks"))]),
]
'''


@pytest.fixture(autouse=True)
def _letters(place: Any) -> None:
    """Have the catalog of letters, and a folder for them."""
    (place.path / "steered.py").write_text(CATALOG)
    (place.path / "letters").mkdir()


def test_a_sound_operation_passes(place: Any) -> None:
    """Every check of a sound operation passes, killed processes included: code 0, one matrix, no talk."""
    done = place.run("check", "sound", *HERE, "--real-kills", "--every", "3")
    rows = {line.split()[0]: line for line in done.out.splitlines() if line.split()[:1]}
    assert (done.code, done.err) == (0, "")
    assert [name for name in (*CHECKS, *KILLS) if name not in rows] == []
    assert "NOT OK" not in done.out
    assert re.match(r"sound v1: ok, (\d+) of \1 points passed", done.out)


def test_only_what_is_wanted_is_checked(line: Line) -> None:
    """`--only` leaves out the others; without `--real-kills` no process is killed."""
    only = line("check", "sound", *HERE, "--only", "undo_twice", "--json").json
    assert [row["check"] for row in only["checks"]] == ["undo_twice"]
    every = line("check", "sound", *HERE, "--json").json
    assert [row["check"] for row in every["checks"]] == list(CHECKS)
    assert every["ok"]


@pytest.mark.parametrize(
    ("operation", "check", "point"),
    [
        ("twice", "kill_at_calls", "after-do 1: letter"),
        ("torn", "kill_at_calls_unwinding", "after-undo 1: letter"),
    ],
)
def test_a_planted_mistake_is_named(place: Any, operation: str, check: str, point: str) -> None:
    """A step that is not the same twice, an undo that is not: red, the point named, in all three forms."""
    page = place.path / "matrix.html"
    words = ("check", operation, *HERE, "--only", check, "--html", str(page))
    done = place.run(*words, "--json")
    [row] = done.json["checks"]
    failures = {failure["point"]: failure["why"] for failure in row["failures"]}
    named = [name for name in failures if name.startswith(point)]
    assert (done.code, done.json["ok"], row["ok"]) == (1, False, False)
    assert named, failures
    told = place.run(*words)
    assert told.code == 1
    assert f"{check}: {named[0]}: {failures[named[0]]}" in told.out
    assert "NOT OK" in told.out
    assert f"<code>{check}: {named[0]}" in page.read_text()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("nope",), 2, "there is no operation 'nope'"),
        (("sound", "-p", "colour=red"), 2, "colour"),
        (("sound", "-f", "nope.yaml"), 2, "nope.yaml"),
        (("sound", "--only", "luck"), 2, "--only luck: there is no such check"),
        (("sound", "--html", "nope/page.html"), 2, "--html nope/page.html"),
        (("looking", "--sled", "sim:nope"), 1, "nope"),
        (("looking", "--sled", "local:"), 2, "'local:' cannot be copied"),
    ],
)
def test_what_cannot_be_checked_is_one_line(line: Line, words: tuple[str, ...], code: int, told: str) -> None:
    """Unknown names, params that do not fit, a sled that is none: one line that says so, before any work."""
    done = line("check", *words)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert told in done.err


def test_a_sled_in_use_is_not_copied(line: Line, place: Any) -> None:
    """While a process drives the log's sagas the sled is not at rest: a conflict, and who it is."""
    SimSled.create(place.path / ".sledsaga" / "sled").close()
    with OsLock.acquire(place.path / ".sledsaga" / "log.db", executor="another"):
        done = line("check", "looking")
    assert (done.code, done.err.count("\n")) == (5, 1)
    assert f"process {os.getpid()} drives" in done.err


def test_the_sled_is_left_as_it_was(line: Line, place: Any) -> None:
    """Whatever the trials do, the sled that was named keeps every byte."""
    SimSled.create(place.path / "sled", [DiskSpec("v", "m", "s")]).close()
    before = files_below(place.path / "sled")
    done = line("check", "looking", "--sled", "sim:sled")
    assert done.code == 0, done
    assert files_below(place.path / "sled") == before
    params = ("-p", 'disk={"vendor": "v", "model": "m", "serial": "s"}')
    words = ("-p", "pool_id=11111111-1111-4111-8111-111111111111", "--sled", "sim:sled")
    done = line("check", "format-u2", *params, *words, "--only", "crash_each_point", "--every", "40")
    assert done.code == 0, done
    assert files_below(place.path / "sled") == before


def test_a_page_that_cannot_be_written_does_not_take_the_matrix_along(place: Any) -> None:
    """When the disk is full at the end, the matrix has been told, and the page's trouble is one line."""
    done = place.run("check", "sound", *HERE, "--only", "undo_twice", "--html", "/dev/full")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "No space left" in done.err
    assert done.out.startswith("sound v1: ok")


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """Make a folder for temporary files whose name leaves room for the name of a socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_folder_that_is_too_deep_for_sockets_is_one_line(place: Any) -> None:
    """Where no process can be started, for the length of TMPDIR, that is said."""
    deep = place.path / ("d" * 100)
    deep.mkdir()
    done = place.run("check", "sound", *HERE, "--only", "kill_at_calls", TMPDIR=str(deep))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "set a shorter TMPDIR" in done.err


@pytest.mark.parametrize(
    "end", [lambda pid: os.killpg(pid, signal.SIGINT), lambda pid: os.kill(pid, signal.SIGTERM)]
)
def test_an_interrupt_leaves_nothing(place: Any, end: Callable[[int], None], short_tmp: Path) -> None:
    """Ctrl-C, which all processes of a terminal hear, ends all and removes all, with one line and 130."""
    (place.path / "gate").touch()
    words = ("check", "endless", "-p", "gate=gate", "--only", "kill_at_calls")
    process = subprocess.Popen(
        [*place.program, *words],
        cwd=place.path,
        env=place.env(TMPDIR=str(short_tmp)),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    letters = place.path / "letters"
    while not any(letters.iterdir()):
        assert process.poll() is None
    (place.path / "gate").unlink()
    end(process.pid)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, err) == (130, "", "sledsaga: interrupted\n")
    assert list(short_tmp.iterdir()) == []
    alive = [file.name for file in letters.iterdir() if Path("/proc", file.name).exists()]
    assert alive == []


def test_a_person_sees_a_bar(place: Any) -> None:
    """On a terminal a bar moves for each check, and the matrix stands below it."""
    person = Person(place, "check", "sound", *HERE, "--only", "fail_each_step")
    assert person.ends() == 0
    before, _, matrix = person.seen.partition("sound v1: ok")
    assert "fail_each_step" in before
    assert "fail_each_step" in matrix


def test_the_handbook_names_every_check() -> None:
    """docs/command-line.md has a row for each check, and for no other."""
    section = HANDBOOK.read_text(encoding="utf-8").partition("## Checks")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert rows == [*CHECKS, *(name for name in KILLS if not name.endswith("_unwinding"))]
