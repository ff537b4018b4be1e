"""Reports: what counts as proven, and how a report looks as text, JSON and HTML."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from sledsaga.check import Coverage, Point, Report, Row, to_html, to_text
from sledsaga.check.render import one_line

FINE = Point("box: do twice", reached=True, passed=True)
MISSED = Point("note: do twice", reached=False, passed=False)
BROKEN = Point("<b>note</b>", reached=True, passed=False, why='+ "left": "2 < 3 & more"')
UNDOS = Coverage("undos", ("box", "note"), frozenset({"box"}))


def report(*rows: Row, coverage: tuple[Coverage, ...] = ()) -> Report:
    return Report("toy", 2, rows, coverage, 1.5)


def test_what_was_not_tried_is_not_proven() -> None:
    """No check, a check without a point, a point not reached, and what never ran: none of it is ok."""
    assert report(Row("actions_twice", (FINE,))).ok
    assert not report().ok
    assert not report(Row("actions_twice", ())).ok
    assert report(Row("probe_truthful", (), nothing="no step has a probe")).ok
    assert not report(Row("actions_twice", (FINE, MISSED))).ok
    assert not report(Row("undo_twice", (FINE,), coverage=(UNDOS,))).ok
    assert not report(Row("undo_twice", (FINE,)), coverage=(UNDOS,)).ok


def test_a_report_as_text() -> None:
    """An aligned matrix, what was covered, and each failure in a line."""
    rows = (
        Row("actions_twice", (FINE, MISSED), of=20, seconds=0.25),
        Row("probe_truthful", (), nothing="no step has a probe"),
        Row("fail_each_step", (BROKEN,)),
    )
    assert to_text(report(*rows, coverage=(UNDOS,))) == (
        """\
toy v2: NOT OK, 1 of 3 points passed, of 21 in all (undos 1/2)

check            points  reached  passed  seconds
actions_twice   2 of 20        1       1      0.2  NOT OK
probe_truthful        0        0       0      0.0  no step has a probe
fail_each_step        1        1       0      0.0  NOT OK
undos: 1/2
  never ran: note
actions_twice: note: do twice: it was never reached
fail_each_step: <b>note</b>: + "left": "2 < 3 & more"
"""
    )


def test_a_note_is_told_once_and_first() -> None:
    """What weakens several checks alike stands once, before the matrix; it makes nothing fail."""
    noted = report(Row("undo_twice", (FINE,), note="<dark>"), Row("actions_twice", (FINE,), note="<dark>"))
    assert noted.ok
    assert to_text(noted).splitlines()[1:3] == ["note: <dark>", ""]
    assert to_html(noted).count("<p>note: &lt;dark&gt;</p>") == 1
    assert noted.to_json()["notes"] == ["<dark>"]


def test_many_failures_are_counted() -> None:
    """Text tells the first twenty of a check's failures; JSON and HTML tell all."""
    many = report(Row("fail_each_step", (BROKEN,) * 25))
    assert to_text(many).endswith("fail_each_step: and 5 points more\n")
    assert to_html(many).count("2 &lt; 3") == 25
    assert len(many.to_json()["checks"][0]["failures"]) == 25


def test_a_report_as_json() -> None:
    """Scripts read the same, and what was sampled is said."""
    body = report(Row("fail_each_step", (FINE, BROKEN), of=9, coverage=(UNDOS,)), coverage=(UNDOS,)).to_json()
    (row,) = json.loads(json.dumps(body))["checks"]
    assert row | {"failures": len(row["failures"])} == {
        "check": "fail_each_step",
        "ok": False,
        "points": 2,
        "of": 9,
        "reached": 2,
        "passed": 1,
        "nothing": "",
        "seconds": 0.0,
        "missing": ["undos: note"],
        "failures": 1,
    }
    assert (body["ok"], body["coverage"]["undos"]["missing"]) == (False, ["note"])


class Tags(HTMLParser):
    """Collects the tags of a page, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href")]


def test_a_report_as_html() -> None:
    """One page that loads nothing; what comes from outside cannot become markup."""
    page, tags = to_html(report(Row("fail_each_step", (FINE, BROKEN)), coverage=(UNDOS,))), Tags()
    tags.feed(page)
    assert "b" not in tags.tags
    assert tags.tags.count("tr") == 2
    assert tags.loads == []
    assert "&lt;b&gt;note&lt;/b&gt;: + &quot;left&quot;" in page
    assert page.startswith("<!doctype html>")


def test_one_line_says_it_all() -> None:
    """The name, the word, and the figures."""
    assert one_line(report(Row("actions_twice", (FINE,)))) == "toy v2: ok, 1 of 1 points passed"
