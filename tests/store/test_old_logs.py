"""Logs that earlier schemas left are upgraded, read as they were, and driven to their ends."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sledsaga.core.commands import Command, Verb
from sledsaga.core.invariants import breaches, log_breaches
from sledsaga.core.view import ENDED, SagaView, direction, saga_state
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.engine import Engine
from sledsaga.engine.read import load, read_view
from sledsaga.store import migrate
from sledsaga.store.open import open_store
from sledsaga.store.store import Store
from sledsaga.store.tables import REVISIONS
from tests.store.old_sagas import ALL, PATIENCE_S, Wishes

FIXTURES = Path(__file__).parent / "fixtures"
KEPT = tuple(sorted(path.stem for path in FIXTURES.glob("*.sql")))
WAYS_ON: tuple[Verb, ...] = ("resume", "retry", "retry-undo")
STATES = {
    "waiting", "running", "unwinding", "paused", "stuck", "succeeded", "undone", "abandoned",
}  # fmt: skip
STEPS = {
    "pending", "running", "backing_off", "succeeded", "skipped", "failed", "failed_clean",
    "undoing", "undo_backing_off", "undone", "undo_failed", "undo_skipped",
}  # fmt: skip


def restored(revision: str, folder: Path) -> Path:
    """Return the log that is kept for this revision, as a file."""
    path = folder / "log.db"
    with sqlite3.connect(path) as db:
        db.executescript((FIXTURES / f"{revision}.sql").read_text())
    db.close()
    return path


def pictures(revision: str) -> dict[str, Any]:
    """Return what the program that wrote the log saw of each saga."""
    return json.loads((FIXTURES / f"{revision}.json").read_text())


@pytest.fixture(params=KEPT)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, dict[str, Any]]]:
    """Give the log of each kept revision, upgraded, with what was recorded beside it."""
    path = restored(request.param, tmp_path)
    assert migrate.current(path) == request.param
    migrate.upgrade(path)
    store = open_store(f"sqlite:///{path}")
    yield store, pictures(request.param)
    store.close()


def test_each_revision_has_its_log() -> None:
    """A schema that is new must bring a log that its program wrote (see write_old_log.py)."""
    assert KEPT == REVISIONS


@pytest.mark.parametrize("revision", KEPT)
def test_the_kept_logs_hold_all_that_can_be(revision: str) -> None:
    """Each kept log has sagas in every state and steps in every status that a log can end in."""
    seen = pictures(revision).values()
    assert {saga["state"] for saga in seen} == STATES
    assert {step["state"] for saga in seen for step in saga["steps"]} == STEPS
    assert {saga["operation"] for saga in seen} == {"build", "ship", "lend", "gone"}


def test_an_upgraded_log_has_this_schema(old: tuple[Store, dict[str, Any]], tmp_path: Path) -> None:
    """After the upgrade the file is whole, and its tables and indexes are the program's."""
    assert old[0].find("")
    assert migrate.check(tmp_path / "log.db") == ()


def test_sagas_are_seen_as_they_were(old: tuple[Store, dict[str, Any]]) -> None:
    """The picture of every saga is the one that its own program drew."""
    store, seen = old
    assert {saga: read_view(store, saga).to_json() for saga in store.find("", limit=999)} == seen


def test_no_kept_log_breaks_a_rule(old: tuple[Store, dict[str, Any]]) -> None:
    """Every log is replayed without a breach, and its columns are what its events fold to."""
    store, seen = old
    for saga in seen:
        plan, state = load(store, saga)
        assert log_breaches(plan.dag, store.events(saga), has_locks=bool(plan.locks)) == ()
        assert breaches(state) == ()
        row = store.row(saga)
        folded = (saga_state(state), direction(state), state.epoch, state.seq, state.updated_at)
        assert (row.state, row.direction, row.epoch, row.seq, row.updated_at) == folded


def test_old_sagas_are_finished(old: tuple[Store, dict[str, Any]]) -> None:
    """An executor takes all over, persons decide what waits for them, and every saga ends by the rules."""
    store, seen = old
    before = {saga: store.events(saga) for saga in seen}
    plans = {saga: store.plan(saga) for saga in seen}
    assert not Wishes.heard
    with Engine(store, Catalog(ALL)) as engine:
        engine.recover()
        ends = {saga: finished(engine, saga) for saga in seen}
        after = {saga: store.events(saga) for saga in seen}
        assert store.locks() == ()
    assert {view.state for view in ends.values()} == ENDED
    for saga, view in ends.items():
        plan, known = plans[saga], before[saga]
        assert after[saga][: len(known)] == known
        assert len(after[saga]) == len(known) or seen[saga]["state"] not in ENDED
        assert log_breaches(plan.dag, after[saga], has_locks=bool(plan.locks)) == ()
        assert view.leftovers == tuple(seen[saga]["leftovers"] if seen[saga]["state"] in ENDED else ())


def finished(engine: Engine, saga: str) -> SagaView:
    """Return a saga that has ended, after each decision that it waited for."""
    while (view := engine.wait(saga, PATIENCE_S)).state not in ENDED:
        verb = next(verb for verb in WAYS_ON if verb in view.allowed)
        engine.command(saga, Command(verb, "somebody", "go on"))
    return view


def test_keys_of_old_sagas_are_taken(old: tuple[Store, dict[str, Any]]) -> None:
    """The same submission as long ago is the same saga, by its key and its params."""
    store, seen = old
    with Engine(store, Catalog(ALL), drive=False) as engine:
        for saga, picture in seen.items():
            if picture["key"] is not None:
                again = engine.submit(picture["operation"], picture["params"], key=picture["key"])
                assert (again.id, again.fingerprint) == (saga, picture["fingerprint"])
