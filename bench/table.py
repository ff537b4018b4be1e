"""What was found, as a table for people and as JSON for programs.

python -m bench.table FILE.json [CASE …]    a table as documents have it, of all cases or of some
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Final

from bench.child import ROOT
from bench.rounds import Found, Measured

RESULTS: Final = ROOT / "bench" / "results"
WIDE: Final = 56
HEADER: Final = (
    f"{'workload; what it is held against':{WIDE}}{'ours':>10} {'against':>10} {'unit':8}"
    f"{'least':>8}{'ratio':>8}{'most':>8}  {'bar':8}holds"
)


def line(found: Found) -> str:
    """Return a row as text."""
    row = found.row
    begin = f"{row.workload:{WIDE}}"
    if found.trouble:
        return f"{begin}{'skipped' if found.skipped else 'failed'}: {found.trouble}"
    figures = f"{number(found.ours, row.digits):>10} {number(found.against, row.digits):>10} {row.unit:8}"
    if not found.ratios:
        return f"{begin}{figures}".rstrip()
    least, middle, most = found.ratios[0], statistics.median(found.ratios), found.ratios[-1]
    ratios = "".join(f"{ratio:8.2f}" for ratio in (least, middle, most))
    bar = "" if row.bar is None else str(row.bar)
    verdict = {True: "yes", False: "NO", None: ""}[found.holds]
    return f"{begin}{figures}{ratios}  {bar:8}{verdict}".rstrip()


def number(value: float | None, digits: int) -> str:
    """Return a figure as text."""
    return "" if value is None else f"{value:,.{digits}f}"


def count(rows: list[Found]) -> str:
    """Return the last line: how many bars hold."""
    verdicts = [found.holds for found in rows if found.holds is not None]
    return f"{sum(verdicts)} of {len(verdicts)} bars hold"


def machine() -> dict[str, Any]:
    """Return what the figures depend on. Which Python it is counts: not all are built to be fast."""
    return {
        "python": platform.python_version(),
        "python_of": sys.base_prefix,
        "sqlite": sqlite3.sqlite_version,
        "cores": os.cpu_count(),
    }


def as_json(measured: list[Measured], summary: str) -> dict[str, Any]:
    """Return all that was found, for programs."""
    return {
        "v": 2,
        "at": time.time(),
        "machine": machine(),
        "summary": summary,
        "cases": [_case(one) for one in measured],
    }


def _case(measured: Measured) -> dict[str, Any]:
    rows = [
        {
            "workload": found.row.workload,
            "ours": found.ours,
            "against": found.against,
            "unit": found.row.unit,
            "digits": found.row.digits,
            "ratios": found.ratios,
            "bar": str(found.row.bar) if found.row.bar else None,
            "holds": found.holds,
            "trouble": found.trouble,
        }
        for found in measured.rows()
    ]
    about = {"name": measured.case.name, "seconds": measured.seconds, "other_cores": measured.other_cores}
    return about | {"rows": rows, "rounds": measured.rounds}


def save(name: str, measured: list[Measured], summary: str) -> Path:
    """Write the JSON file of this run; return where."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps(as_json(measured, summary), indent=1, ensure_ascii=False) + "\n")
    return path


def as_document(saved: dict[str, Any], names: list[str]) -> str:
    """Return the rows of a saved run as a table in Markdown."""
    lines = [
        "| workload; what it is held against | ours | against | unit | ratio | bar | holds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    cases = [case for case in saved["cases"] if not names or case["name"] in names]
    lines += [f"| {' | '.join(_cells(row))} |" for case in cases for row in case["rows"]]
    return "\n".join(lines)


def _cells(row: dict[str, Any]) -> list[str]:
    ratios = row["ratios"]
    spread = f"{ratios[0]:.2f} **{statistics.median(ratios):.2f}** {ratios[-1]:.2f}" if ratios else ""
    verdict = {True: "yes", False: "no", None: ""}[row["holds"]]
    figures = [number(row[side], row["digits"]) for side in ("ours", "against")]
    return [row["workload"], *figures, row["unit"], row["trouble"] or spread, row["bar"] or "", verdict]


if __name__ == "__main__":
    print(as_document(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2:]))
