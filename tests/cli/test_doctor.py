"""`sledsaga doctor`: what is fit, what is not, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Line = Callable[..., Any]


def found(done: Any) -> dict[str, str]:
    return {one["what"]: one["verdict"] for one in done.json["findings"]}


def test_all_is_well_on_a_simulated_sled(line: Line) -> None:
    """With a sled there, nothing is missing; a log that nobody has begun is no fault."""
    line("sled", "init", "--disks", "1")
    done = line("doctor", "--json")
    assert (done.code, done.json["ok"], found(done)["sled"], found(done)["log"]) == (0, True, "ok", "ok")


def test_a_sled_that_is_not_there_is_missing(line: Line) -> None:
    """Without a sled the doctor says so, tells all else, and ends with 1."""
    done = line("doctor", "--json")
    assert (done.code, found(done)["sled"], found(done)["operations"]) == (1, "missing", "ok")
    assert "MISSING" in line("doctor").out


def test_a_broken_catalog_and_a_broken_log_are_findings(
    line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """What cannot be loaded or opened is one line of the table, not the end of the look."""
    line("sled", "init", "--disks", "1")
    monkeypatch.setenv("SLEDSAGA_CATALOG", "no_such_module:X")
    (tmp_path / "bad.db").write_text("this is no database, but long enough to be taken for one" * 20)
    done = line("doctor", "--json", "--db", str(tmp_path / "bad.db"))
    assert (done.code, found(done)["operations"], found(done)["log"]) == (1, "missing", "missing")
    assert "no_such_module" in next(
        one["found"] for one in done.json["findings"] if one["what"] == "operations"
    )
