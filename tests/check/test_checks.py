"""The checks: silent on good operations, and each mistake is caught by the check that is for it."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sledsaga.check import (
    CHECKS,
    actions_twice,
    check,
    crash_each_point,
    fail_each_step,
    lost_reply_each_command,
    slow_each_command,
    to_text,
)
from sledsaga.check.report import UNSEEN
from sledsaga.core.define import no_undo, step
from sledsaga.engine.context import Context
from sledsaga.errors import UsageError
from sledsaga.hosts.sled import Sled
from tests.check.mistakes import MISTAKES, Mistake, breaks, swallows, undo_nothing
from tests.check.toys import (
    BOX,
    GOOD_ON_FILES,
    OnSled,
    Params,
    dataset,
    looks,
    on_files,
    on_sled,
    other,
    params_in,
    pool_of,
    probe_dataset,
    undo_other,
    zfs,
)

PATIENCE_S = 0.5


@pytest.mark.parametrize("name", GOOD_ON_FILES)
def test_a_good_operation_passes_all(name: str) -> None:
    """Nested, async, with several ends or a pivot: what is right passes, and all of it ran."""
    report = check(GOOD_ON_FILES[name]())
    assert report.ok, to_text(report)
    assert [row.check for row in report.rows if not row.points] == [
        "lost_reply_each_command",
        "slow_each_command",
        "cut_each_command",
    ]


def test_a_good_operation_on_a_sled_passes_all(bare_sled: Path) -> None:
    """Every change of the sled is a point, and each is reached."""
    report = check(on_sled(bare_sled, probe=probe_dataset))
    assert report.ok, to_text(report)
    assert all(row.points for row in report.rows)
    assert [len(each.known) for each in report.coverage if each.kind == "commands"] == [3]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[each.name for each in MISTAKES])
def test_a_mistake_is_caught(mistake: Mistake, bare_sled: Path) -> None:
    """The check that is for it fails, and its reason names what is wrong."""
    row = CHECKS[mistake.check](mistake.subject(bare_sled))
    assert not row.ok
    assert [point for point in row.points if mistake.says in point.why], [p.why for p in row.points]


def test_every_check_has_a_mistake() -> None:
    """No check goes without an operation that it must catch."""
    assert {mistake.check for mistake in MISTAKES} == set(CHECKS)


def test_without_a_good_end_nothing_is_tried() -> None:
    """When the saga does not succeed without mischief, that is the only row, with the step's own error."""
    report = check(on_files(BOX, step(breaks, undo=no_undo("it is not done"), name="third")))
    assert [(row.check, row.ok) for row in report.rows] == [("no_mischief", False)]
    (point,) = report.rows[0].points
    assert point.name == "the saga without mischief"
    assert "third: OSError: no probe today" in point.why


def test_an_undo_that_forgets_is_found_before_all_else() -> None:
    """When something is left of a saga that fails at its end, each check says so and tries nothing more."""
    subject = on_files(step(other, undo=undo_nothing))
    (point,) = fail_each_step(subject).points
    assert (point.name, point.ok) == ("the saga that fails at its end", False)
    assert '+ "root/other"' in point.why
    assert not check(subject).ok


def test_steps_after_one_that_cannot_be_done_twice_are_tried() -> None:
    """What is told of a step is what came of it alone, not that another one ended the saga before it."""

    def strict(params: Params) -> None:
        (params.root / "strict").mkdir()

    def undo_strict(params: Params) -> None:
        if (params.root / "strict").exists():
            (params.root / "strict").rmdir()

    row = actions_twice(
        on_files(step(strict, undo=undo_strict), step(other, undo=undo_other, after="strict"))
    )
    assert [(point.name, point.ok) for point in row.points] == [
        ("strict: do twice", False),
        ("other: do twice", True),
    ]


def test_a_step_that_was_not_tried_alone_is_no_point() -> None:
    """When all in one saga fail, a sample of the steps is tried alone, and the others count as left out."""

    def strict(params: Params, ctx: Context) -> None:
        (params.root / ctx.step).mkdir()

    def undo_strict(params: Params, ctx: Context) -> None:
        if (params.root / ctx.step).exists():
            (params.root / ctx.step).rmdir()

    row = actions_twice(on_files(*(step(strict, name=n, undo=undo_strict) for n in "abcd")), every=4)
    assert len(row.points) < row.total == 4
    assert row.failures == row.points


def test_what_is_not_seen_is_noted(tmp_path: Path) -> None:
    """A saga that works outside of its trials' folders may pass; that nothing of it was seen is said."""
    subject = on_files(step(other, undo=undo_other))
    assert check(subject).notes == ()
    assert check(replace(subject, params={"root": tmp_path})).notes == (UNSEEN,)


def test_trials_stand_where_tmpdir_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names a place for temporary files gets the trials there, not in memory."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it was read from the environment before
    places = list[Path]()

    def noted(folder: Path) -> dict[str, Any]:
        places.append(folder)
        return params_in(folder)

    assert actions_twice(replace(on_files(BOX), params=noted)).ok
    assert {place.parent for place in places} == {tmp_path}


def test_what_hangs_is_given_up() -> None:
    """A step that never returns when it is called again fails its point; the others are tried."""
    gate, calls = threading.Event(), Counter[str]()

    def once(ctx: Context) -> None:
        calls[str(ctx.attempt)] += 1
        if ctx.attempt > 1:
            gate.wait(PATIENCE_S * 60)

    try:
        subject = on_files(BOX, step(once, undo=no_undo("it leaves nothing")), patience_s=PATIENCE_S)
        row = actions_twice(subject)
    finally:
        gate.set()
    assert {point.name: point.ok for point in row.points} == {"box: do twice": True, "once: do twice": False}
    assert "is still running after 0.5 s" in row.failures[0].why


def test_a_change_that_never_comes_again_is_not_reached(bare_sled: Path) -> None:
    """What was seen once and not in its trial is no proof: the point fails, and is not covered."""
    sagas = Counter[str]()

    def only_at_first(sled: Sled, params: OnSled) -> str:
        sagas["all"] += 1
        if sagas["all"] == 1:
            zfs(sled, "inherit", "atime", pool_of(bare_sled))
        return dataset(sled, params)

    row = lost_reply_each_command(on_sled(bare_sled, only_at_first))
    assert [(point.reached, point.why) for point in row.failures] == [(False, "it was never reached")] * 3
    assert row.coverage[-1].missing == (f"dataset, do, change 1: zfs inherit atime {pool_of(bare_sled)}",)
    assert not row.ok


def test_some_points_are_said_to_be_some(bare_sled: Path) -> None:
    """One point in three: the row says of how many, and what is tried is the same each time."""
    subject, told = on_sled(bare_sled), list[tuple[str, str, int]]()
    rows = [
        crash_each_point(
            subject, every=3, on_point=lambda check, point, of: told.append((check, point.name, of))
        )
        for _ in range(2)
    ]
    whole = crash_each_point(subject)
    assert (rows[0].total, whole.total) == (len(whole.points), len(whole.points))
    assert len(whole.points) / 3 <= len(rows[0].points) < len(whole.points) / 2
    assert rows[0].points == rows[1].points
    assert told[-1] == ("crash_each_point", whole.points[-1].name, len(rows[0].points))


def test_what_there_is_not_is_said() -> None:
    """An operation without probe, undo or sled has nothing to try there, and that is no failure."""
    subject = on_files(step(looks, undo=no_undo("it leaves nothing"), name="look"))
    report = check(subject, only=["probe_truthful", "undo_twice"])
    assert [row.nothing for row in report.rows] == [
        "no step has a probe",
        "no step has an undo that can be called",
    ]
    assert report.ok


def test_a_check_that_there_is_not_is_refused() -> None:
    """The message names those that there are."""
    with pytest.raises(UsageError, match="no check 'luck'; there are: actions_twice"):
        check(on_files(BOX), only=["luck"])
    with pytest.raises(UsageError, match="one point in 0"):
        actions_twice(on_files(BOX), every=0)


def test_good_enough_is_asked_of_machines_in_trouble_only(bare_sled: Path) -> None:
    """What may lack when the machine was in trouble may not lack when a step was only called twice."""
    asked = list[Any]()

    def shrug(seen: Any, wanted: Any, before: Any) -> bool:
        asked.append((seen, wanted, before))
        return True

    subject = replace(on_sled(bare_sled, swallows), good_enough=shrug)
    assert slow_each_command(subject).ok
    assert asked[0][1]["datasets"] != asked[0][2]["datasets"]
    asked.clear()
    assert crash_each_point(subject).ok
    assert asked == []


def hesitant(sled: Sled, ctx: Context, params: OnSled) -> str:
    """Do the same, later, when there is little time: as on a machine that has other work."""
    if ctx.deadline is not None and ctx.deadline - time.monotonic() < PATIENCE_S / 2:
        ctx.pause(PATIENCE_S)
    return dataset(sled, params)


def test_a_step_that_is_late_gets_more_time(bare_sled: Path) -> None:
    """A command that a step did not come to within a short limit is reached under a longer one."""
    row = slow_each_command(on_sled(bare_sled, hesitant))
    assert row.ok, row.failures
