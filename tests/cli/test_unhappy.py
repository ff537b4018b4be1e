"""What hostile places and people do to the command line: one line, the right code, nothing changed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

Line = Callable[..., Any]


@pytest.fixture
def log(line: Line, tmp_path: Path) -> Path:
    """Make a log with one saga that has succeeded."""
    assert line("submit", "two", "--wait").code == 0
    return tmp_path / ".sledsaga" / "log.db"


def spoil(log: Path, sql: str) -> None:
    """Change a log as no program of ours would."""
    with closing(sqlite3.connect(log)) as db:
        db.execute(sql)
        db.commit()


def one(ended: Any) -> str:
    """Return the one line that stands on stderr."""
    (said,) = ended.err.splitlines()
    return str(said)


def test_what_is_no_log_is_refused_and_nothing_is_left_beside_it(line: Line, tmp_path: Path) -> None:
    """Naming another file as the log neither changes it nor puts a lock beside it."""
    text, other = tmp_path / "notes.txt", tmp_path / "other.db"
    text.write_text("not a database, but somebody's notes of quite some length" * 3)
    spoil(other, "CREATE TABLE theirs (x)")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    for verb in (["submit", "two"], ["recover"], ["list"], ["db", "upgrade"], ["db", "check"]):
        for file in (text, other):
            ended = line(*verb, "--db", str(file))
            assert (ended.code, ended.out) == (9, "")
            assert "it was left as it is" in one(ended)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before


def test_a_pipe_or_a_device_is_no_log(line: Line, tmp_path: Path) -> None:
    """A log that would be waited for without end is refused at once."""
    os.mkfifo(tmp_path / "pipe")
    for file in (str(tmp_path / "pipe"), "/dev/null"):
        for verb in (["list"], ["submit", "two"]):
            ended = line(*verb, "--db", file)
            assert (ended.code, one(ended)) == (
                2,
                f"sledsaga: --db: {file} is a device or a pipe; name a file",
            )
    assert not Path("/dev/null.lock").exists()


def test_an_upgrade_of_no_log_leaves_nothing(line: Line, tmp_path: Path) -> None:
    """Where there is no log to upgrade none is made, nor a lock; an empty file stays empty."""
    empty = tmp_path / "empty.db"
    empty.touch()
    assert line("db", "upgrade", "--db", str(empty)).code == 9
    assert line("db", "upgrade", "--db", "none.db").code == 9
    assert empty.stat().st_size == 0
    assert not list(tmp_path.glob("*.lock"))


def test_a_log_that_nobody_has_begun_reads_as_empty(line: Line, tmp_path: Path) -> None:
    """An empty file, as a full disk leaves it, has no sagas; the next submit makes it a log."""
    (tmp_path / ".sledsaga").mkdir()
    (tmp_path / ".sledsaga" / "log.db").touch()
    assert line("list", "--json").json == {"v": 1, "sagas": []}
    assert line("submit", "two", "--wait").code == 0


def test_a_newer_log_is_not_to_be_upgraded(line: Line, log: Path) -> None:
    """`db current` sends to the newer program, and `db check` says that the schema is another."""
    spoil(log, "UPDATE alembic_version SET version_num = '0999'")
    current = line("db", "current")
    assert (current.code, "a newer program made it" in current.out, "upgrade" in current.out) == (
        0,
        True,
        False,
    )
    check = line("db", "check")
    assert (check.code, "schema 0999" in check.out) == (9, True)
    for verb in (["submit", "two"], ["list"], ["recover"], ["db", "upgrade"]):
        ended = line(*verb)
        assert (ended.code, "0999" in one(ended)) == (9, True)


def test_a_check_finds_damage(line: Line, log: Path) -> None:
    """`db check` reads the whole file: a page that was overwritten, a row that belongs to nothing."""
    spoil(log, "DELETE FROM dag")
    ended = line("db", "check")
    assert (ended.code, "belongs to no dag" in ended.out) == (9, True)
    with log.open("r+b") as file:
        file.seek(12288)
        file.write(os.urandom(4096))
    ended = line("db", "check")
    assert (ended.code, "damaged" in ended.out + ended.err) == (9, True)


@pytest.mark.parametrize(
    ("sql", "verb", "says"),
    [
        ("UPDATE event SET step = 99 WHERE seq = 4", "events", "names step 99; the saga has 2"),
        (
            "UPDATE event SET at = 'yesterday' WHERE seq = 4",
            "events",
            "event 4 cannot be read back: its time is",
        ),
        (
            "UPDATE event SET at = 'yesterday' WHERE seq = 4",
            "show",
            "event 4 cannot be read back: its time is",
        ),
        ("DELETE FROM dag", "show", "its DAG is missing; restore"),
        ("UPDATE dag SET body = 'x'", "graph", "its DAG cannot be read back"),
    ],
)
def test_a_bad_row_is_one_line(line: Line, log: Path, sql: str, verb: str, says: str) -> None:
    """What the log cannot mean is said in one line, with code 9; other sagas go on."""
    saga = line("list", "--json").json["sagas"][0]["id"]
    spoil(log, sql)
    ended = line(verb, saga)
    assert (ended.code, says in one(ended)) == (9, True)
    if "dag" not in sql:
        assert line("submit", "two", "--wait").code == 0


def test_a_bad_column_is_one_line(line: Line, log: Path) -> None:
    """A list that cannot be right is not shown: which saga is wrong stands there instead."""
    spoil(log, "UPDATE saga SET state = 'weird'")
    ended = line("list")
    assert (ended.code, "its state is 'weird'" in one(ended)) == (9, True)
    spoil(log, "UPDATE saga SET state = 'succeeded', updated_at = 'x'")
    ended = line("list")
    assert (ended.code, "its updated_at is 'x'" in one(ended)) == (9, True)


def test_a_sled_that_is_none_is_refused_before_anything_is_recorded(line: Line, tmp_path: Path) -> None:
    """A bad `--sled` is found at once, not by the first step that needs one."""
    ended = line("submit", "two", "--sled", "nonsense")
    assert (ended.code, "--sled: 'nonsense' is no sled" in one(ended)) == (2, True)
    assert not (tmp_path / ".sledsaga").exists()


def test_nothing_on_stdin_is_no_params(place: Any) -> None:
    """When whoever should have written the params failed, no saga starts with defaults in their place."""
    ended = place.run("submit", "two", "-f", "-", stdin="")
    assert (ended.code, "not nothing" in one(ended)) == (2, True)
    assert place.journal() == []


def full(place: Any, file_bytes: int) -> Any:
    """Give the same folder where no file can be longer; `-B` keeps Python from writing half of one."""
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({file_bytes}, {file_bytes}))"
    run = f"import resource; {limit}; from sledsaga.cli.main import main; main()"
    return replace(place, program=(sys.executable, "-B", "-c", run))


@pytest.mark.parametrize("file_bytes", [0, 1024, 20_000])
def test_a_full_disk_is_one_line_whatever_it_hits(place: Any, file_bytes: int) -> None:
    """Lock, log and what follows: where they cannot be written it is said once, and nothing has run."""
    ended = full(place, file_bytes).run("submit", "two", "--wait")
    assert (ended.code, ended.out, "unexpected" in one(ended)) == (9, "", False)
    assert place.journal() == []
    assert place.run("submit", "two", "--wait").code == 0


def shell(place: Any, words: str) -> Any:
    """Run a line of shell in which `$S` is the program."""
    return replace(place, program=("sh", "-c", words.replace("$S", str(place.program[0])))).run()


@pytest.mark.parametrize("verb", ["list", "operations", "--help", "plan two", "submit two"])
def test_a_closed_output_leads_nowhere(place: Any, verb: str) -> None:
    """Who closes stdout, or all streams, wants no output; the verb does what it does all the same."""
    ended = shell(place, f"$S {verb} >&-")
    assert (ended.code, "sledsaga: unexpected" in ended.err) == (0, False)
    assert shell(place, f"$S {verb} <&- >&- 2>&-").code == 0
    if verb == "submit two":
        assert [saga["state"] for saga in place.run("list", "--json").json["sagas"]] == ["succeeded"] * 2


@pytest.mark.parametrize("verb", ["list", "operations --json", "--help", "submit two --wait"])
def test_an_output_that_cannot_be_written_is_one_line(place: Any, verb: str) -> None:
    """A full disk below stdout is said once, with code 1; one below stderr stops no work."""
    place.run("submit", "two")
    ended = shell(place, f"$S {verb} >/dev/full")
    assert (ended.code, "No space left" in one(ended), "unexpected" in ended.err) == (1, True, False)
    assert shell(place, f"$S {verb} 2>/dev/full").code == 0


@pytest.mark.parametrize("words", [["-vv", "show", "nosuch"], ["show", "nosuch", "-v", "-v"]])
def test_a_trace_can_be_asked_for_before_the_verb_and_after(line: Line, words: list[str]) -> None:
    """`-vv` shows where an error came from, wherever it stands on the line."""
    assert "Traceback" in line(*words).err


@pytest.mark.parametrize("verb", ["events 0 --follow", "events 0 --follow --json", "watch 0 --json"])
def test_a_stream_ends_with_its_reader(place: Any, verb: str) -> None:
    """A stream that is quiet sees that nobody reads it any more, and ends with 141."""
    place.run("submit", "two", "--detach")
    ended = shell(place, f"{{ $S {verb}; echo $? >&2; }} | head -n 1")
    assert ended.err.splitlines()[-1] == "141"


def test_a_name_that_no_file_can_have_is_refused(line: Line) -> None:
    """A path that is too long is no log, in one line."""
    ended = line("list", "--db", "n" * 300)
    assert (ended.code, "is no name for a file" in one(ended)) == (2, True)


def test_a_log_in_memory_cannot_be_left_to_others(line: Line) -> None:
    """What is only recorded in memory would be gone at once."""
    ended = line("submit", "two", "--detach", "--db", "memory:")
    assert (ended.code, "leave out --detach" in one(ended)) == (2, True)


@pytest.mark.parametrize("body", ["raise SystemExit(0)", "raise ValueError", "def f(:", "X = 1"])
def test_a_catalog_that_cannot_be_loaded_is_one_line(place: Any, body: str) -> None:
    """Whatever a module of operations does when it is imported, the line names it."""
    (place.path / "theirs.py").write_text(body)
    ended = place.run("operations", SLEDSAGA_CATALOG="theirs:OPERATION")
    assert (ended.code, ended.out) == (2, "")
    assert one(ended).startswith("sledsaga: SLEDSAGA_CATALOG: theirs:OPERATION cannot be loaded: ")


def test_a_sled_on_a_full_disk_is_one_line(place: Any) -> None:
    """A simulated sled that cannot be made says so, and there is no half of one."""
    ended = full(place, 20_000).run("sled", "init", "--disks", "1")
    assert (ended.code, "cannot be used" in one(ended)) == (1, True)
    assert place.run("sled", "init", "--disks", "1").code == 0


def test_an_interrupt_while_the_program_is_loaded_is_one_line(tmp_path: Path) -> None:
    """Who changes their mind at once sees that it was interrupted, and no traceback."""
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    run = "import sys; sys.path.insert(0, ''); from sledsaga.cli.main import main; main(['list'])"
    done = subprocess.run(
        [sys.executable, "-B", "-c", run], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "sledsaga: interrupted\n")
