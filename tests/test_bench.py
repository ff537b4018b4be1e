"""The bench still runs, each case with a handful of sagas; and what is made of figures. Nothing is timed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from bench import floor, reading
from bench.cases import Bar, Case, Row, Side, at_least, at_most
from bench.child import Place
from bench.rounds import Figures, Measured, find, measure
from bench.sizes import TINY
from bench.suite import CASES
from bench.table import as_document, as_json, count, line

STEPS = Row("steps", "ours.steps/s", "floor.steps/s", at_least(0.5))


def run(side: Side, own: Path, shared: Path) -> Figures:
    """Run a side in this process, as a child would."""
    module, _, name = side.place.partition(":")
    found: Figures = getattr(import_module(module), name)(Place(own, shared, TINY), **side.given) or {}
    return json.loads(json.dumps(found))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_each_case_gives_every_figure_of_its_rows(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run with a handful of sagas, a case finds all that its rows compare, and nothing fails."""
    monkeypatch.setattr(reading, "SCRATCH", tmp_path)
    figures: dict[str, Figures] = {}
    for number, side in enumerate(filter(None, (case.prepare, *case.sides))):
        own = tmp_path / str(number)
        own.mkdir()
        figures[side.name] = run(side, own, tmp_path)
    found = [find(row, [figures]) for row in case.rows]
    assert [one.trouble for one in found if one.trouble] == []
    assert all(one.ratios or one.row.against is None for one in found)


def test_each_figure_of_a_bar_is_named_once() -> None:
    """No two rows of the table say the same in the same case, and no two cases have the same name."""
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert len({(row.workload, row.ours) for row in case.rows}) == len(case.rows)


def test_the_median_of_the_ratios_is_held_against_the_bar() -> None:
    """One slow round does not break a bar, and one fast round does not reach it."""
    rounds: list[Any] = [
        {"ours": {"steps/s": ours}, "floor": {"steps/s": 100.0}} for ours in (10.0, 60.0, 70.0)
    ]
    found = find(STEPS, rounds)
    assert (found.ratios, found.holds) == ((0.1, 0.6, 0.7), True)
    assert line(found).split()[-2:] == ["0.5", "yes"]


@pytest.mark.parametrize(
    ("bar", "reached", "missed"),
    [(at_least(2.0), 2.0, 1.9), (at_most(2.0), 2.0, 2.1), (Bar("<", 2.0), 1.9, 2.0)],
)
def test_a_bar_says_which_side_of_it_is_good(bar: Bar, reached: float, missed: float) -> None:
    """A bar is reached at its bound, unless it says less."""
    assert (bar.holds(reached), bar.holds(missed)) == (True, False)


def test_what_failed_does_not_hold_and_what_was_skipped_does_not_count() -> None:
    """A side that failed in any round breaks its bar; one that could not be installed is left out."""
    good = {"ours": {"steps/s": 60.0}, "floor": {"steps/s": 100.0}}
    failed = find(STEPS, [good, good | {"floor": {"trouble": "it broke"}}])
    skipped = find(STEPS, [good | {"floor": {"skipped": "not installed"}}])
    assert (failed.holds, skipped.holds) == (False, None)
    assert "failed: it broke" in line(failed)
    assert count([failed, skipped, find(STEPS, [good])]) == "1 of 2 bars hold"


def test_the_best_of_several_counts() -> None:
    """Against several figures the largest of each round counts, and those that failed do not."""
    row = Row("steps", "ours.x", ("one.x", "two.x", "three.x"), at_least(20))
    rounds: list[Any] = [
        {"ours": {"x": 100.0}, "one": {"x": 2.0}, "two": {"x": 5.0}, "three": {"trouble": "no"}},
        {"ours": {"x": 100.0}, "one": {"x": 4.0}, "two": {"x": 1.0}, "three": {"x": 99.0}},
    ]
    assert find(row, rounds).ratios == (20.0, 25.0)


def test_a_side_that_dies_is_told_with_its_last_words() -> None:
    """What a measurement raises in its process stands in the table, and the others are measured."""
    case = Case("broken", (Side("ours", "bench.nowhere:at_all"),), (Row("steps", "ours.x", None),))
    assert "bench.nowhere" in line(measure(case, "tiny").rows()[0])


def test_a_saved_run_becomes_a_table_of_a_document() -> None:
    """The rows of a run are lines of Markdown, each with its ratios, bar and verdict."""
    rounds: list[Figures] = [{"ours": {"steps/s": 60.0}, "floor": {"steps/s": 100.0}}]
    measured = Measured(Case("one", (), (STEPS,)), rounds)
    saved = json.loads(json.dumps(as_json([measured], "1 of 1 bars hold")))
    assert as_document(saved, ["one"]).splitlines()[2:] == [
        "| steps | 60 | 100 |  | 0.60 **0.60** 0.60 | ≥ 0.5 | yes |"
    ]


@pytest.mark.parametrize(("name", "batches"), [("one", floor.by_step), ("many", floor.by_size)])
def test_the_floor_writes_the_very_rows_of_the_engine(name: str, batches: Any, tmp_path: Path) -> None:
    """What bare sqlite3 writes again is the log that the engine wrote, row by row."""
    floor.make_logs(Place(tmp_path, tmp_path, TINY))
    log, again = tmp_path / f"{name}.db", tmp_path / "again.db"
    floor.replay(again, list(batches(floor.writes(log))))
    assert rows(log) == rows(again)


def rows(log: Path) -> dict[str, list[Any]]:
    """Return all that a log holds."""
    with closing(sqlite3.connect(log)) as db:
        return {
            table: sorted(db.execute(f"SELECT * FROM {table}"), key=str)  # noqa: S608 - names of ours
            for table in ("dag", "saga", "plan", "event", "saga_lock")
        }
