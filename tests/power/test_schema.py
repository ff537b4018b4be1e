"""Power cuts while a log is brought from an old schema to the new one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from alembic import command

from sledsaga.store import migrate
from sledsaga.store.sql import SqlStore
from sledsaga.store.sqlite import connecting_by, make_engine
from sledsaga.store.tables import HEAD, REVISIONS
from tests.power.cuts import LOG, cuts, judge_log
from tests.power.dbapi import connect_through
from tests.power.vfs import PowerVfs, Tape, lay_out
from tests.power.workload import Picture, look, make_batches


def old_log(path: Path, revision: str, seed: int) -> Picture:
    """Make a log of an old schema, with sagas; return how it looks."""
    store = SqlStore(path)
    for batch in make_batches(seed):
        store.write(batch.new, batch.appends)
    found = look(store)
    store.close()
    with make_engine(path, "rw", foreign_keys=False).connect() as connection, connection.begin():
        command.downgrade(migrate._config(connection), revision)
    return found


def upgraded(path: Path) -> Tape:
    """Upgrade a log on a tape."""
    tape = Tape()
    with connecting_by(connect_through(PowerVfs(tape))):
        assert migrate.upgrade(path) != ()
    return tape


@pytest.mark.parametrize("revision", REVISIONS[:-1])
@pytest.mark.parametrize("seed", range(2))
def test_an_upgrade_is_whole_or_not_at_all(folder: Path, revision: str, seed: int) -> None:
    """Wherever power is lost in an upgrade, the log has the old schema or the new one, and all its sagas."""
    (folder / "log").mkdir()
    found, after = old_log(folder / "log" / LOG, revision, seed), folder / "after"
    tape = upgraded(folder / "log" / LOG)
    places = range(1, len(tape.entries) + 1)
    schemas = set()
    for cut in cuts(tape, places, seed=seed):
        lay_out(cut.disk.after_cut(cut.seed)[1], after)
        schemas.add(migrate.current(after / LOG))
        migrate.upgrade(after / LOG)
        assert judge_log(after / LOG, [found]) == "", cut.place
    print(f"{len(places)} power cuts")  # noqa: T201 - the figure
    assert schemas == {revision, HEAD}
    assert migrate.check(after / LOG) == ()


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(20))
def test_an_upgrade_that_is_cut_twice(folder: Path, seed: int) -> None:
    """An upgrade after a power cut in an upgrade can be cut as well."""
    dice = random.Random(seed)  # noqa: S311 - a dice
    (folder / "log").mkdir()
    found, after = old_log(folder / "log" / LOG, REVISIONS[0], seed), folder / "after"
    for life in range(4):
        tape = upgraded(folder / "log" / LOG)
        for cut in cuts(tape, range(1, len(tape.entries) + 1), seed=seed + life):
            lay_out(cut.disk.after_cut(cut.seed)[1], after)
            if migrate.current(after / LOG) != HEAD and dice.random() < 0.2:
                lay_out(cut.disk.after_cut(cut.seed)[1], folder / "log")
                break
            migrate.upgrade(after / LOG)
            assert judge_log(after / LOG, [found]) == "", cut.place
        else:
            return
