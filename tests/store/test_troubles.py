"""What a bad medium does to a log: one clear line each, and nothing that was acknowledged is lost."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sledsaga.check.contract.samples import a_saga, saga_id, then
from sledsaga.core import events as e
from sledsaga.errors import LogCorrupt, LogUnavailable, NotFound, SchemaMismatch, UsageError
from sledsaga.store import migrate
from sledsaga.store.open import log_path, open_store
from sledsaga.store.sql import SqlStore
from sledsaga.store.sqlite import connector
from sledsaga.store.store import Filter
from tests.handles import open_below, tells_open_files

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    opened = SqlStore(path)
    yield opened
    opened.close()


def run(path: Path, sql: str, *values: object) -> None:
    db = sqlite3.connect(path)
    with db:
        assert db.execute(sql, values).rowcount != 0
    db.close()


def large(number: int, *, size: int = 200_000) -> e.StepSucceeded:
    return e.StepSucceeded(number, "x" * size)


def set_room(store: SqlStore, pages: int) -> None:
    """Let the file have so many pages and no more: to SQLite, the disk is full beyond."""
    assert store._writer is not None
    store._writer._open().execute(f"PRAGMA max_page_count={pages}")


@tells_open_files
def test_a_closed_log_is_let_go_of(path: Path) -> None:
    """When a log that was there is opened, asked and closed, none of its files stays open, garbage or not."""
    SqlStore(path).close()
    gc.disable()
    try:
        with contextlib.closing(SqlStore(path)) as store:
            store.list(Filter(), limit=1)
        migrate.check(path)
        assert open_below(path) == []
    finally:
        gc.enable()


@tells_open_files
def test_what_cannot_be_opened_is_let_go_of(path: Path) -> None:
    """A file that is refused does not stay open, not even while the error that says so is kept."""
    run(path, "CREATE TABLE other (name)")
    kept: list[BaseException] = []
    with pytest.raises(SchemaMismatch) as refused:
        SqlStore(path)
    kept.append(refused.value)
    path.write_bytes(b"no database " * 100)
    with pytest.raises(sqlite3.DatabaseError) as not_set_up:
        connector(path)()
    kept.append(not_set_up.value)
    assert open_below(path) == []


def test_a_full_disk_stops_writing_until_there_is_room(store: SqlStore) -> None:
    """On a full disk a write is refused whole, reading goes on, and writing goes on when there is room."""
    saga = a_saga(1)
    store.write([saga], [])
    append = then(saga, large(0))
    set_room(store, 30)
    for _ in range(2):
        with pytest.raises(
            LogUnavailable, match=r"\Alog .*: the disk is full; nothing was recorded: make room.*FULL"
        ):
            store.write([a_saga(2)], [append])
        assert store.row(saga.id).seq == 1
        assert store.list(Filter(), limit=9).next_token is None
    set_room(store, 1_000_000)
    assert store.write([a_saga(2)], [append]) == ()
    assert store.events(saga.id)[1:] == append.events


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let every write beyond so many bytes of a file fail, as a broken disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_commit_of_unknown_end_stops_writing_for_good(path: Path) -> None:
    """When a commit fails without saying how it ended nothing more is written; a new start knows."""
    store = SqlStore(path)
    saga = a_saga(1)
    store.write([saga], [])
    append = then(saga, large(0))
    with (
        files_limited_to(path.with_name("log.db-wal").stat().st_size + 50_000),
        pytest.raises(LogUnavailable, match="reading or writing failed: look at the disk"),
    ):
        store.write([], [append])
    for _ in range(2):
        with pytest.raises(
            LogUnavailable, match="may or may not have been recorded, so nothing more is written"
        ):
            store.write([], [append])
    assert store.row(saga.id).seq == 1
    store.close()
    again = SqlStore(path)
    assert again.write([], [append]) == ()
    assert again.events(saga.id)[1:] == append.events
    again.close()


def test_a_file_that_is_no_database_is_left_as_it_is(path: Path) -> None:
    """A file of something else is refused and not touched."""
    path.write_text("Dear diary, " * 1000)
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(
            LogCorrupt, match=r"it is no SQLite database; it was left as it is: name another file"
        ):
            SqlStore(path, read_only=read_only)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_damaged_file_says_so(path: Path) -> None:
    """A file whose pages were overwritten is corrupt, in one line that names it."""
    store = SqlStore(path)
    sagas = [a_saga(n, events=tuple(e.Parked("x" * 100) for _ in range(50))) for n in range(20)]
    store.write(sagas, [])
    store.close()
    with path.open("r+b") as file:
        size = path.stat().st_size
        file.seek(size // 2)
        file.write(b"\xa5" * (size // 2))
    damaged = SqlStore(path, read_only=True)
    with pytest.raises(
        LogCorrupt, match=rf"\Alog {path}: it is damaged: restore it from a copy.*CORRUPT\)\Z"
    ):
        _ = [damaged.events(saga.id) for saga in sagas]
    damaged.close()


def test_each_question_tells_of_trouble_in_the_same_way(store: SqlStore, path: Path) -> None:
    """Whichever way the log is asked, what SQLite says leaves as one line that names the log."""
    store.write([a_saga(1, key="k")], [])
    assert store.by_key("k") == store.row(saga_id(1))
    run(path, "DROP TABLE plan")
    for ask in (store.row, store.by_key, store.plan):
        with pytest.raises(LogUnavailable, match=rf"\Alog {path}: no such table: plan \(SQLITE_ERROR\)\Z"):
            ask("k")


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("UPDATE saga SET operation = x'00'", "operation"),
        ("UPDATE saga SET version = 'x'", "version"),
        ("UPDATE saga SET state = 'asleep'", "state"),
        ("UPDATE saga SET created_at = 'x'", "created_at"),
    ],
)
def test_a_bad_column_is_corrupt(store: SqlStore, path: Path, sql: str, column: str) -> None:
    """A saga whose columns hold what no store has written is corrupt, however it is asked for."""
    store.write([a_saga(1, key="k")], [])
    run(path, sql)
    asked: tuple[Callable[[], object], ...] = (
        lambda: store.row(saga_id(1)),
        lambda: store.by_key("k"),
        lambda: store.list(Filter(), limit=9),
    )
    for ask in asked:
        with pytest.raises(LogCorrupt, match=rf"saga {saga_id(1)}: its {column} is "):
            ask()


@pytest.mark.parametrize(
    ("sql", "place", "why"),
    [
        ("UPDATE event SET data = '{' WHERE seq = 2", 2, "its data is no JSON"),
        ("UPDATE event SET type = 'dreamt' WHERE seq = 3", 3, "its type 'dreamt' is not known"),
        ("UPDATE event SET step = 'x' WHERE seq = 2", 2, "step is 'x'"),
        ("DELETE FROM event WHERE seq = 2", 2, "it is missing"),
        ("DELETE FROM event WHERE seq = 3", 3, "it is missing"),
        ("DELETE FROM event", 1, "it is missing"),
        ("UPDATE saga SET seq = 2", 3, "it is beyond the end"),
    ],
)
def test_a_bad_row_stops_its_own_saga_only(
    store: SqlStore, path: Path, sql: str, place: int, why: str
) -> None:
    """A bad or missing event is corrupt, naming saga and place; other sagas are read as ever."""
    events = (e.Submitted("me"), e.StepStarted(0, 1), e.StepSucceeded(0, 1))
    store.write([a_saga(1, events=events), a_saga(2, events=events)], [])
    where = "saga_num = 1" if "event" in sql else "num = 1"
    run(path, f"{sql} {'AND' if 'WHERE' in sql else 'WHERE'} {where}")
    with pytest.raises(LogCorrupt, match=rf"saga {saga_id(1)}, event {place}\b.*{why}"):
        store.events(saga_id(1))
    assert len(store.events(saga_id(2))) == 3


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE dag SET body = '{'",
        "UPDATE dag SET body = '[]'",
        """UPDATE dag SET body = replace(body, '"s1"', '"s9"')""",
        "UPDATE plan SET scopes = 'x'",
        "UPDATE plan SET scopes = '[]'",
        """UPDATE plan SET scopes = '{"":{"mood":1}}'""",
        "UPDATE plan SET locks = '[[1]]'",
    ],
)
def test_a_bad_plan_is_corrupt(store: SqlStore, path: Path, sql: str) -> None:
    """A plan or a DAG that was changed is corrupt, naming the saga."""
    store.write([a_saga(1)], [])
    run(path, sql)
    with pytest.raises(LogCorrupt, match=r"saga 01900000|stored DAG"):
        store.plan(saga_id(1))


def test_events_that_the_columns_do_not_tell_are_not_written_over(store: SqlStore, path: Path) -> None:
    """When a saga's columns were set back, what is in the log is not written a second time."""
    saga = a_saga(1, events=(e.Submitted("me"), e.Parked("a")))
    store.write([saga], [])
    run(path, "UPDATE saga SET seq = 1")
    before = a_saga(1)
    with pytest.raises(LogCorrupt, match="holds what its columns do not tell"):
        store.write([a_saga(2)], [then(before, e.Parked("b"))])
    with pytest.raises(NotFound):
        store.row(saga_id(2))


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's way through every door, when the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """Put a closed log with one saga into a folder where nothing can be written."""
    folder = Path(tempfile.mkdtemp())
    store = SqlStore(folder / "log.db")
    store.write([a_saga(1)], [])
    store.close()
    (folder / "log.db").chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_log_can_be_read(read_only_folder: Path) -> None:
    """A log on a read-only disk is read; writing to it is refused in one line."""
    with as_nobody():
        store = SqlStore(read_only_folder / "log.db")
        assert store.find("") == (saga_id(1),)
        with pytest.raises(LogUnavailable, match=r"read-only|cannot be opened"):
            store.write([a_saga(2)], [])
        store.close()
    assert [file.name for file in read_only_folder.iterdir()] == ["log.db"]


def test_a_new_log_in_a_read_only_folder_is_refused(read_only_folder: Path) -> None:
    """Where no log can be made the message says so."""
    with as_nobody(), pytest.raises(LogUnavailable, match="it cannot be made: Permission denied"):
        SqlStore(read_only_folder / "new.db")


def test_a_log_opened_for_reading_is_not_written(path: Path, store: SqlStore) -> None:
    """A store for reading sees what another one writes, and refuses to write."""
    reader = open_store(f"sqlite:///{path}", read_only=True)
    store.write([a_saga(1)], [])
    assert reader.row(saga_id(1)).id == saga_id(1)
    with pytest.raises(LogUnavailable, match="opened for reading only"):
        reader.write([a_saga(2)], [])
    reader.close()


def test_a_log_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    """Reading where there is no log says so and makes nothing."""
    url = f"sqlite:///{tmp_path}/sub/log.db"
    for options in ({"read_only": True}, {"create": False}):
        with pytest.raises(LogUnavailable, match="there is no log at"):
            open_store(url, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_new_log_is_its_owners(tmp_path: Path) -> None:
    """A new log and its folder can be used by their owner alone; odd names are fine."""
    path = tmp_path / ".sledsaga" / "what? 100%#.db"
    store = open_store(f"sqlite:///{path}")
    store.write([a_saga(1)], [])
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files = list(path.parent.iterdir())
    assert {file.name.removeprefix(path.name) for file in files} == {"", "-wal", "-shm"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    store.close()


def test_a_closed_store_says_so(store: SqlStore) -> None:
    """After close, reading and writing are refused."""
    store.close()
    acts: tuple[Callable[[], object], ...] = (
        lambda: store.find(""),
        lambda: store.row(saga_id(1)),
        lambda: store.by_key("k"),
        lambda: store.write([], []),
    )
    for act in acts:
        with pytest.raises(LogUnavailable, match="it was closed; open it again"):
            act()


def test_text_that_is_none_is_refused(store: SqlStore) -> None:
    """An id or key with half a character, as a terminal may give, is refused in one line."""
    for ask in (store.find, store.by_key, store.row):
        with pytest.raises(UsageError, match="is not valid text"):
            ask("\udcff")


@pytest.mark.parametrize(
    "url", ["", "log.db", "sqlite:///", "sqlite:///:memory:", "postgresql://h/d", "memory"]
)
def test_what_is_no_url_of_a_log_is_refused(url: str) -> None:
    """A URL of no store says what one looks like."""
    with pytest.raises(UsageError, match=r"is no log: write sqlite:///PATH .* or memory:"):
        open_store(url)


def test_the_path_of_a_log() -> None:
    """A URL names the file beside which lock and socket stand."""
    assert log_path("sqlite:///a/b.db") == Path("a/b.db")
    assert log_path("sqlite:////a/b.db") == Path("/a/b.db")
    assert log_path("sqlite:///~/b.db") == Path.home() / "b.db"
    assert log_path("memory:") is None
