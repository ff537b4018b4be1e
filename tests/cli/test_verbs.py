"""Each verb, by what it writes, shows and ends with; run within the test's own process."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Line = Callable[..., Any]
REASON = ("--reason", "a test", "--yes")
SAGA_FIELDS = {
    "v", "id", "operation", "version", "state", "direction", "key", "created_at", "updated_at", "epoch",
    "steps", "stuck", "allowed", "locks",
}  # fmt: skip
STEP_FIELDS = {"path", "state", "attempts", "started_at", "ended_at", "output", "error"}


def submitted(line: Line, *words: str) -> str:
    """Submit a saga of `two` and return its id."""
    return str(line("submit", "two", "--json", *words).json["id"])


def state(line: Line, saga: str) -> str:
    return str(line("show", saga, "--json").json["state"])


def test_first_use_needs_no_setting(line: Line, tmp_path: Path) -> None:
    """In an empty folder a saga can be submitted at once; its log is in `.sledsaga`."""
    done = line("submit", "two")
    assert (done.code, (tmp_path / ".sledsaga" / "log.db").exists()) == (0, True)
    assert "succeeded  two v1" in done.out


def test_an_empty_folder_reads_as_empty(line: Line, tmp_path: Path) -> None:
    """Looking at a log that is not there yet shows nothing, and makes nothing."""
    assert line("list", "--json").json == {"v": 1, "sagas": []}
    assert line("locks", "--json").json == {"v": 1, "locks": []}
    assert line("show", "0198").code == 4
    assert not (tmp_path / ".sledsaga").exists()


def test_the_json_of_a_saga(line: Line) -> None:
    """`submit --json` and `show --json` give the same object, with the fields that scripts rely on."""
    made = line("submit", "two", "-p", "name=ann", "--key", "k1", "--json").json
    assert made.keys() >= SAGA_FIELDS
    assert (made["v"], made["operation"], made["state"], made["key"]) == (1, "two", "succeeded", "k1")
    assert [step["path"] for step in made["steps"]] == ["first", "second"]
    assert all(step.keys() >= STEP_FIELDS for step in made["steps"])
    assert made["steps"][1]["output"] == "ANN"
    assert line("show", made["id"], "--json").json == made


def test_the_json_of_events(line: Line) -> None:
    """`events --json` gives one object a line, numbered without a gap, from submitted to ended."""
    saga = submitted(line)
    events = [json.loads(text) for text in line("events", saga, "--json").out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert all({"seq", "at", "epoch", "type", "step"} <= event.keys() for event in events)
    assert (events[0]["type"], events[-1]["type"]) == ("submitted", "ended")
    after = line("events", saga, "--after", str(len(events) - 1), "--json").out.splitlines()
    assert [json.loads(text) for text in after] == events[-1:]


def test_the_json_of_a_plan(line: Line) -> None:
    """`plan --json` gives steps with needs, undo and probe, and the locks."""
    plan = line("plan", "two", "-p", "name=ann", "--json").json
    assert plan["v"] == 1
    assert plan["steps"] == [
        {"path": "first", "needs": [], "undo": "undo", "probe": None},
        {"path": "second", "needs": ["first"], "undo": "none: nothing is left", "probe": None},
    ]
    assert plan["locks"] == [{"resource": "name:ann", "mode": "exclusive"}]
    assert line("plan", "onward", "--json").json["steps"][0]["undo"] == "irreversible: it is sent"


def test_a_plan_changes_nothing(line: Line, place: Any, tmp_path: Path) -> None:
    """Planning runs no step and makes no log."""
    assert line("plan", "two").code == 0
    assert (place.journal(), (tmp_path / ".sledsaga").exists()) == ([], False)


def test_a_plan_that_was_looked_at_is_held_to(line: Line) -> None:
    """`submit --plan` refuses when the plan is another one by now."""
    digest = line("plan", "two", "--json").json["fingerprint"]
    assert line("submit", "two", "--plan", digest).code == 0
    assert line("submit", "two", "-p", "name=other", "--plan", digest).code == 5


@pytest.mark.parametrize("verb", ["list", "locks", "operations", "recover"])
def test_json_everywhere(line: Line, verb: str) -> None:
    """Every verb that lists something gives one object with its version."""
    submitted(line)
    assert line(verb, "--json").json["v"] == 1


def test_shared_options_stand_before_or_after_the_verb(line: Line, tmp_path: Path) -> None:
    """`--db` and `--json` mean the same before and after the verb; the one after wins."""
    other = str(tmp_path / "other.db")
    line("submit", "two", "--db", other)
    assert len(line("--db", other, "--json", "list").json["sagas"]) == 1
    assert len(line("list", "--json", "--db", other).json["sagas"]) == 1
    assert len(line("--db", other, "list", "--json", "--db", str(tmp_path / "third.db")).json["sagas"]) == 0


def test_the_same_key_gives_the_same_saga(line: Line) -> None:
    """A key stands for one saga: the same params find it again, others are a conflict."""
    first = submitted(line, "--key", "k")
    assert submitted(line, "--key", "k") == first
    assert line("submit", "two", "--key", "k", "-p", "name=other").code == 5


def test_an_id_may_be_cut(line: Line) -> None:
    """Any beginning that one saga alone has is its id; one that several have is a conflict."""
    saga = submitted(line)
    assert line("show", saga[:13], "--json").json["id"] == saga
    assert line("show", saga.upper()[:20], "--json").json["id"] == saga
    submitted(line)
    assert line("show", saga[:2]).code == 5
    assert line("show", "ffff").code == 4


def test_a_list_can_be_narrowed(line: Line) -> None:
    """`list` takes states, operations and keys, newest first, and says when there is more."""
    good, bad = submitted(line, "--key", "k"), submitted(line, "-p", "fail=second")

    def ids(*words: str) -> list[str]:
        return [saga["id"] for saga in line("list", "--json", *words).json["sagas"]]

    assert ids() == [bad, good]
    assert ids("--state", "undone") == [bad]
    assert ids("--key", "k") == [good]
    assert ids("--operation", "onward") == []
    assert ids("--unfinished") == []
    assert "more than 1" in line("list", "--limit", "1").err


def test_a_failure_is_undone(line: Line, place: Any) -> None:
    """A saga whose step fails is undone, and the verb ends with 6."""
    done = line("submit", "two", "-p", "fail=second")
    assert (done.code, place.journal()) == (6, ["do first", "do second", "undo first"])


def test_no_message_can_colour_the_terminal(line: Line) -> None:
    """An error's text cannot smuggle a control sequence to the terminal."""
    done = line("submit", "two", "-p", "fail=second")
    assert "second broke" in done.out
    assert "\x1b" not in done.out + done.err


def test_a_stuck_undo_asks_for_a_person(line: Line) -> None:
    """An undo that fails for good leaves the saga stuck: 7, what is stuck, and the lines to type."""
    done = line("submit", "two", "-p", "fail=undo")
    assert done.code == 7
    assert "undo of first is stuck" in done.out
    assert "sledsaga skip-undo" in done.out
    assert line("recover").code == 7


def test_retry_undo_goes_on(line: Line, tmp_path: Path) -> None:
    """Once the cause is mended, `retry-undo --wait` drives the saga until it is undone."""
    saga = submitted(line, "-p", "fail=undo")
    (tmp_path / "mended").touch()
    assert line("retry-undo", saga, "first", *REASON, "--wait").code == 6
    assert state(line, saga) == "undone"


def test_skip_undo_says_what_is_left(line: Line) -> None:
    """`skip-undo` ends the unwinding, and the saga names what may be left on the sled."""
    saga = submitted(line, "-p", "fail=undo")
    assert line("skip-undo", saga, *REASON).code == 0
    shown = line("show", saga, "--json").json
    assert (shown["state"], shown["leftovers"]) == ("undone", ["first"])


def test_a_pivot_is_retried_or_skipped(line: Line) -> None:
    """After a step that cannot be undone the saga is stuck forward, and `skip` gives its output."""
    saga = line("submit", "onward", "-p", "fail=forward", "--json").json["id"]
    assert state(line, saga) == "stuck"
    assert line("cancel", saga, *REASON).code == 5
    assert line("retry", saga, "pivot", *REASON, "--wait").code == 7
    assert line("skip", saga, "pivot", "--output", "null", *REASON, "--wait").code == 0
    assert state(line, saga) == "succeeded"


def test_abandon_ends_it_as_it_stands(line: Line) -> None:
    """`abandon` ends a stuck saga and frees its resources."""
    saga = submitted(line, "-p", "fail=undo")
    assert len(line("locks", "--json").json["locks"]) == 1
    line("abandon", saga, *REASON)
    assert state(line, saga) == "abandoned"
    assert line("locks", "--json").json["locks"] == []
    assert line("watch", saga).code == 1


def test_pause_and_resume_without_an_executor(line: Line) -> None:
    """Verbs work when nobody drives: they record, and a paused saga is left alone until `resume`."""
    saga = submitted(line, "--detach")
    assert state(line, saga) == "waiting"
    line("pause", saga, *REASON)
    assert line("recover").code == 7
    assert state(line, saga) == "paused"
    assert line("resume", saga, *REASON, "--wait").code == 0
    assert state(line, saga) == "succeeded"


def test_cancel_before_the_start_leaves_nothing(line: Line, place: Any) -> None:
    """A saga that was recorded and cancelled before anybody drove it ends undone, and no step ran."""
    saga = submitted(line, "--detach")
    line("cancel", saga, *REASON)
    assert line("recover").code == 0
    assert (state(line, saga), place.journal()) == ("undone", [])


@pytest.mark.parametrize("verb", ["skip-undo", "retry-undo", "abandon", "pause"])
def test_a_preview_changes_nothing(line: Line, verb: str) -> None:
    """`-n` shows what would be recorded and how the saga would stand, and records nothing."""
    saga = submitted(line, "-p", "fail=undo")
    before = line("events", saga, "--json").out
    seen = line(verb, saga, "-n", "--reason", "only looking", "--json").json
    assert (seen["dry_run"], len(seen["events"])) == (True, 1)
    assert seen["events"][0]["reason"] == "only looking"
    assert "would be recorded" in line(verb, saga, "-n", "--reason", "x").out
    assert line("events", saga, "--json").out == before


@pytest.mark.parametrize("verb", ["pause", "cancel", "abandon"])
def test_a_decision_needs_a_reason_and_a_yes(line: Line, verb: str) -> None:
    """Where nobody can be asked, a verb without `--reason` or without `--yes` is refused."""
    saga = submitted(line, "--detach")
    assert line(verb, saga, "--yes").code == 2
    assert line(verb, saga, "--reason", "why").code == 2
    assert state(line, saga) == "waiting"


def test_a_decision_that_does_not_fit_says_what_does(line: Line) -> None:
    """A verb that does not fit how the saga stands is a conflict, and the line says what fits."""
    saga = submitted(line, "-p", "fail=undo")
    done = line("retry", saga, "first", *REASON)
    assert done.code == 5
    assert "retry-undo" in done.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nosuch",), 2, "No such command 'nosuch'"),
        (("list", "--limit", "0"), 2, "--limit"),
        (("submit", "nosuch"), 2, "there is no operation 'nosuch'"),
        (("submit", "two", "-p", "nme=x"), 2, "nme"),
        (("submit", "two", "-f", "gone.yaml"), 2, "gone.yaml: No such file"),
        (("submit", "two", "--detach", "--wait"), 2, "--detach does not wait"),
        (("show", "ffff"), 4, "there is no saga 'ffff'"),
        (("db", "current"), 9, "there is no log"),
        (("list", "--db", "postgres://x"), 2, "--db"),
        (("list", "--db", "."), 2, "is a folder"),
        (("sled", "show"), 1, "sled init"),
        (("sled", "reboot", "--sled", "local:"), 2, "--sled"),
        (("sled", "remove", "--sled", "local:/nowhere/sled.json"), 2, "--yes"),
        (("submit", "two", "-p", "blob=x", "--key", " "), 2, "key"),
    ],
)
def test_every_refusal_is_one_line_with_its_code(
    line: Line, words: tuple[str, ...], code: int, said: str
) -> None:
    """What cannot be done ends with its code and one line on stderr, and nothing on stdout."""
    done = line(*words)
    assert (done.code, done.out, len(done.err.splitlines())) == (code, "", 1)
    assert done.err.startswith("sledsaga: ")
    assert said in done.err


def test_malformed_yaml_is_refused_by_line(line: Line, tmp_path: Path) -> None:
    """A YAML file with a mistake is refused with file, line and column."""
    (tmp_path / "bad.yaml").write_text("name: [x")
    done = line("submit", "two", "-f", "bad.yaml")
    assert done.code == 2
    assert "bad.yaml: line" in done.err


def test_a_param_of_two_mebibytes_is_refused(line: Line, tmp_path: Path) -> None:
    """Params that are too large are refused at submit, and nothing is recorded."""
    (tmp_path / "big.json").write_text(json.dumps({"blob": "x" * 2 * 1024 * 1024}))
    (tmp_path / "less.json").write_text(json.dumps({"blob": "x" * 1024 * 1024}))
    assert line("submit", "two", "-f", "big.json").code == 2
    assert line("submit", "two", "-f", "less.json").code == 2
    assert line("list", "--json").json["sagas"] == []


def test_watching_a_saga_that_rests_ends_at_once(line: Line) -> None:
    """`watch` ends with the code of the state; with --json it gives pictures, one a line."""
    good, bad = submitted(line), submitted(line, "-p", "fail=second")
    assert (line("watch", good).code, line("watch", bad).code) == (0, 6)
    (picture,) = line("watch", bad, "--json").out.splitlines()
    assert json.loads(picture)["state"] == "undone"


def test_watching_has_an_end(line: Line) -> None:
    """`watch --timeout` of a saga that nobody drives says so and ends with 8."""
    done = line("watch", submitted(line, "--detach"), "--timeout", "0.05")
    assert done.code == 8
    assert "nobody drives it" in done.err


def test_an_unknown_operation_is_parked(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A saga whose operation is not known any more is stuck, and goes on when it is known again."""
    saga = submitted(line, "--detach")
    with monkeypatch.context() as without:
        without.delenv("SLEDSAGA_CATALOG")
        assert line("recover").code == 7
        assert "unknown" in line("show", saga).out
    assert line("recover").code == 0
    assert state(line, saga) == "succeeded"


def test_operations_are_listed_with_their_params(line: Line) -> None:
    """`operations` lists what can be done, and with a name what it takes."""
    names = [one["name"] for one in line("operations", "--json").json["operations"]]
    assert {"two", "onward"} <= set(names)
    shown = line("operations", "two").out
    assert "gate" in shown
    assert "string" in shown


@pytest.mark.parametrize("value", ["nocolon", "steered:GONE", "gone:CATALOG", ":x"])
def test_a_catalog_that_cannot_be_loaded_is_named(
    line: Line, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """A wrong SLEDSAGA_CATALOG is refused by a line that names the variable and the value."""
    monkeypatch.setenv("SLEDSAGA_CATALOG", value)
    done = line("operations")
    assert done.code == 2
    assert f"SLEDSAGA_CATALOG: {value}" in done.err


def test_the_log_is_kept_in_order(line: Line) -> None:
    """`db current`, `db check` and `db upgrade` agree that a new log is as it should be."""
    submitted(line)
    current = line("db", "current", "--json").json
    assert current["current"] == current["head"]
    assert line("db", "check", "--json").json["differences"] == []
    assert line("db", "upgrade", "--json").json["upgraded"] == []
    assert (line("db", "check").code, line("db", "upgrade").code) == (0, 0)


def test_an_unreadable_saga_stops_no_other(line: Line, tmp_path: Path) -> None:
    """One damaged event makes its own saga unreadable (9, one line); all others are recovered."""
    bad, good = submitted(line, "--detach"), submitted(line, "--detach", "-p", "name=other")
    with closing(sqlite3.connect(tmp_path / ".sledsaga" / "log.db")) as db, db:
        (number,) = db.execute("SELECT num FROM saga WHERE id = ?", [bad]).fetchone()
        db.execute("UPDATE event SET data = 'garbage' WHERE seq = 1 AND saga_num = ?", [number])
    done = line("recover")
    assert (done.code, bad in done.err) == (9, True)
    assert state(line, good) == "succeeded"
    shown = line("show", bad)
    assert (shown.code, len(shown.err.splitlines())) == (9, 1)
    assert len(line("list", "--json").json["sagas"]) == 2


def test_a_newer_log_is_refused_with_a_way_on(line: Line, tmp_path: Path) -> None:
    """A log of a schema that this program does not know is refused in one line that says what to do."""
    submitted(line)
    with closing(sqlite3.connect(tmp_path / ".sledsaga" / "log.db")) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    done = line("list")
    assert (done.code, len(done.err.splitlines()), "9999" in done.err) == (9, 1, True)
