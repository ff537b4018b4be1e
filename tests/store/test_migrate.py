"""The schema: grown or made, it is the same; and a log of another age is told from a broken one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from sledsaga.check.contract.samples import a_saga, saga_id
from sledsaga.errors import ExecutorBusy, LogUnavailable, SchemaMismatch
from sledsaga.store import migrate
from sledsaga.store.open import open_store
from sledsaga.store.oslock import OsLock
from sledsaga.store.sqlite import make_engine
from sledsaga.store.tables import HEAD, REVISIONS

ROOT = Path(__file__).parent.parent.parent
UPGRADE = """
import sys
from pathlib import Path
from sledsaga.store import migrate
print(migrate.folder(), *migrate.upgrade(Path(sys.argv[1])))
"""
OPEN = """
import sys
from sledsaga.store.open import open_store
open_store(sys.argv[1])
print('alembic' in sys.modules)
"""


def move(path: Path, revision: str) -> None:
    """Take a log up to head, or down to a revision."""
    act = command.upgrade if revision == "head" else command.downgrade
    path.touch()
    with make_engine(path, "rw", foreign_keys=False).connect() as connection, connection.begin():
        act(migrate._config(connection), revision)


def schema(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: " ".join(sql.split()) for name, sql in rows}


def run(path: Path, sql: str) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute(sql)
    db.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.db"
    store = open_store(f"sqlite:///{path}")
    store.write([a_saga(1)], [])
    store.close()
    return path


def test_the_list_of_revisions_is_alembics() -> None:
    """The revisions that the program knows are those in the folder, in one line."""
    scripts = ScriptDirectory(str(migrate.folder()))
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS
    assert scripts.get_heads() == [migrate.head()] == [HEAD]


def test_a_log_that_was_made_equals_one_that_has_grown(log: Path, tmp_path: Path) -> None:
    """Making a log at once and running every revision give the same schema, and it is the tables'."""
    grown = tmp_path / "grown.db"
    move(grown, "head")
    assert schema(grown) == schema(log)
    assert migrate.check(grown) == migrate.check(log) == ()


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_down_and_up_again_changes_nothing(log: Path, revision: str) -> None:
    """Each revision can be taken back and made again, and the sagas stay."""
    before = schema(log)
    move(log, revision)
    assert schema(log) != before
    assert migrate.current(log) == revision
    assert migrate.upgrade(log) == REVISIONS[REVISIONS.index(revision) + 1 :]
    assert schema(log) == before
    with closing(open_store(f"sqlite:///{log}")) as store:
        assert store.find("") == (saga_id(1),)


def test_down_to_nothing_and_up(tmp_path: Path) -> None:
    """All revisions can be taken back."""
    path = tmp_path / "log.db"
    move(path, "head")
    move(path, "base")
    assert set(schema(path)) == {"alembic_version"}
    move(path, "head")
    assert migrate.check(path) == ()


def test_an_older_log_says_how_to_go_on(log: Path) -> None:
    """A log of an older schema is refused with the command that upgrades it, which then works."""
    move(log, "0001")
    with pytest.raises(
        SchemaMismatch, match=r"has schema 0001, this program needs 0002; run: sledsaga db upgrade\Z"
    ):
        open_store(f"sqlite:///{log}")
    migrate.upgrade(log)
    assert migrate.upgrade(log) == ()
    with closing(open_store(f"sqlite:///{log}", read_only=True)) as store:
        assert store.row(saga_id(1)).seq == 1


def test_a_newer_log_is_left_alone(log: Path) -> None:
    """A log of a newer schema is refused, by opening and by upgrading."""
    run(log, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaMismatch, match=r"has schema 9999.*a newer program made it"):
        open_store(f"sqlite:///{log}")
    with pytest.raises(SchemaMismatch, match=r"has schema 9999.*a newer one made it"):
        migrate.upgrade(log)


def test_another_programs_database_is_left_as_it_is(tmp_path: Path) -> None:
    """A SQLite file that is no log is refused and not changed by a byte."""
    path = tmp_path / "other.db"
    run(path, "CREATE TABLE songs (title TEXT)")
    before = path.read_bytes()
    for act in (
        lambda: open_store(f"sqlite:///{path}"),
        lambda: migrate.current(path),
        lambda: migrate.check(path),
    ):
        with pytest.raises(SchemaMismatch, match="is no log of sledsaga: it has the tables songs"):
            act()
    assert path.read_bytes() == before


def test_what_differs_is_named(log: Path) -> None:
    """A schema that somebody changed by hand is told by what differs."""
    run(log, "DROP INDEX ix_saga_state_id")
    run(log, "ALTER TABLE event ADD COLUMN mood TEXT")
    found = migrate.check(log)
    assert any("ix_saga_state_id" in difference for difference in found)
    assert any("mood" in difference for difference in found)


def test_no_upgrade_under_a_running_executor(log: Path) -> None:
    """An upgrade waits for nobody and is refused while a process drives the sagas."""
    with OsLock.acquire(log, executor="other"), pytest.raises(ExecutorBusy, match="has driven the sagas"):
        migrate.upgrade(log)


def test_no_log_is_no_error_of_the_database(tmp_path: Path) -> None:
    """Asking for the schema of a log that is not there says so, and makes none."""
    for ask in (migrate.current, migrate.check):
        with pytest.raises(LogUnavailable, match="there is no log at"):
            ask(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


def test_opening_a_log_does_not_load_alembic(log: Path) -> None:
    """The schema of a log is checked without Alembic."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN, f"sqlite:///{log}"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_a_wheel_brings_its_migrations(log: Path, tmp_path: Path) -> None:
    """The program finds its revisions when it was installed from a wheel, and upgrades with them."""
    move(log, "0001")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    build = [sys.executable, "-m", "pip", "wheel", *options, str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    done = subprocess.run(
        [sys.executable, "-c", UPGRADE, str(log)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed)},
    )
    assert done.stdout.splitlines()[-1] == f"{installed / 'sledsaga' / '_migrations'} 0002"
