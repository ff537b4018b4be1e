"""A report as people read it: an aligned matrix of plain text, and a page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from string import Template
from typing import Final

from sledsaga.check.report import Coverage, Report, Row

HEAD: Final = ("check", "points", "reached", "passed", "seconds", "")
TOLD: Final = 20
"""How many failures of one check are told in text; JSON and HTML have all of them."""


def to_text(report: Report) -> str:
    """Return the matrix, what was not covered, and what went wrong, as plain text."""
    notes = [f"note: {note}" for note in report.notes]
    lines = [one_line(report), *notes, "", *_table([HEAD, *(_cells(row) for row in report.rows)])]
    lines += [f"{each.kind}: {_reached(each)}" for each in report.coverage]
    lines += [f"  never ran: {name}" for each in report.coverage for name in each.missing]
    for row in report.rows:
        lines += failures_of(row)
    return "\n".join(lines) + "\n"


def one_line(report: Report) -> str:
    """Return the whole report in one line."""
    points, of = sum(len(row.points) for row in report.rows), sum(row.total for row in report.rows)
    of_all = "" if points == of else f", of {of} in all"
    passed = sum(row.passed for row in report.rows)
    covered = ", ".join(f"{each.kind} {_reached(each)}" for each in report.coverage)
    word = "ok" if report.ok else "NOT OK"
    name = f"{report.operation} v{report.version}"
    known = f" ({covered})" if covered else ""
    return f"{name}: {word}, {passed} of {points} points passed{of_all}{known}"


def failures_of(row: Row, *, at_most: int = TOLD) -> list[str]:
    """Return what went wrong in one check, a line for each point, and what never ran."""
    bad = row.failures
    lines = [f"{row.check}: {point.name}: {point.why or 'it was never reached'}" for point in bad[:at_most]]
    lines += [f"{row.check}: and {len(bad) - at_most} points more"] if len(bad) > at_most else []
    return lines + [
        f"{row.check}: never ran: {each.kind}: {name}" for each in row.coverage for name in each.missing
    ]


def _cells(row: Row) -> tuple[str, ...]:
    tried = str(len(row.points)) if len(row.points) == row.total else f"{len(row.points)} of {row.total}"
    word = row.nothing or ("ok" if row.ok else "NOT OK")
    return row.check, tried, str(row.reached), str(row.passed), f"{row.seconds:.1f}", word


def _reached(each: Coverage) -> str:
    return f"{len(each.known) - len(each.missing)}/{len(each.known)}"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align columns: names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_padded(row, widths)).rstrip() for row in rows]


def _padded(row: tuple[str, ...], widths: list[int]) -> Iterable[str]:
    for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.ljust(width) if place in (0, len(row) - 1) else cell.rjust(width)


PAGE: Final = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>$title</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { border-bottom: 1px solid #ccc; padding: .25rem .75rem; text-align: right; vertical-align: top }
th:first-child, td:first-child, .text { text-align: left }
.ok { color: #17692a } .bad { color: #b3261e; font-weight: 600 }
code { font-size: .9em; overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) {
  body { background: #161616; color: #e8e8e8 } .ok { color: #7fd694 } .bad { color: #ff8a80 }
}
</style>
<h1>$name <span class="$css">$word</span></h1>
<p>$summary</p>
$notes
<table>
<tr>$head</tr>
$rows
</table>
$coverage
$failures
</html>
""")


def to_html(report: Report) -> str:
    """Return the matrix as one page that loads nothing; all that came from outside is escaped."""
    rows = "\n".join(_tr(_cells(row), "ok" if row.ok else "bad") for row in report.rows)
    return PAGE.substitute(
        title=escape(f"{report.operation} v{report.version}"),
        name=escape(f"{report.operation} v{report.version}"),
        css="ok" if report.ok else "bad",
        word="ok" if report.ok else "not ok",
        summary=escape(f"{one_line(report)}, in {report.seconds:.1f} s"),
        notes="\n".join(f"<p>note: {escape(note)}</p>" for note in report.notes),
        head="".join(f"<th>{escape(cell)}</th>" for cell in HEAD),
        rows=rows,
        coverage=_html_coverage(report),
        failures=_html_failures(report),
    )


def _tr(cells: Sequence[str], css: str) -> str:
    *most, last = (escape(cell) for cell in cells)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in most) + f'<td class="text {css}">{last}</td></tr>'


def _html_coverage(report: Report) -> str:
    missing = [f"{each.kind}: {name}" for each in report.coverage for name in each.missing]
    return _html_list("Never ran", missing)


def _html_failures(report: Report) -> str:
    bad = [line for row in report.rows for line in failures_of(row, at_most=len(row.points))]
    return _html_list("What went wrong", bad)


def _html_list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "\n".join(f"<li><code>{escape(line)}</code></li>" for line in lines)
    return f"<h2>{escape(title)}</h2>\n<ul>\n{items}\n</ul>"
