"""Processes that only start: the import, the help, and a list of a small log, beside importing SQLAlchemy.

Wall time of each, from before the process exists to its end, in turn with the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.cases import Case, Row, Side, at_most
from bench.child import Place

PYTHON: Final = sys.executable
PROGRAM: Final = str(Path(sys.executable).with_name("sledsaga"))
COMMANDS: Final[dict[str, list[str]]] = {
    "sqlalchemy": [PYTHON, "-c", "import sqlalchemy"],
    "import": [PYTHON, "-c", "import sledsaga"],
    "help": [PROGRAM, "--help"],
    "list": [PROGRAM, "list"],
    "nothing": [PYTHON, "-c", "pass"],
}
SMALL: Final = 20


def make_log(place: Place) -> None:
    """Make a log with a few sagas, and have Python compile what the commands load."""
    from bench.drive import engine_on, one_by_one
    from bench.operations import catalog

    with engine_on(place.shared / "log.db", catalog()) as engine:
        one_by_one(engine, "async", SMALL)
    for name in COMMANDS:
        wall(place, name)


def wall(place: Place, command: str) -> dict[str, float]:
    """Run one of the commands; return its wall time."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"SLEDSAGA_DB": str(place.shared / "log.db")}
    began = time.perf_counter()
    subprocess.run(COMMANDS[command], check=True, env=environment, capture_output=True)  # noqa: S603 - a program of ours
    return {"ms": (time.perf_counter() - began) * 1e3}


def _row(workload: str, name: str, bound: float) -> Row:
    return Row(f"{workload}; import sqlalchemy", f"{name}.ms", "sqlalchemy.ms", at_most(bound), "ms")


CASES: Final = (
    Case(
        "startup",
        tuple(Side(name, "bench.startup:wall", {"command": name}) for name in COMMANDS),
        (
            _row("import sledsaga", "import", 0.5),
            _row("sledsaga --help", "help", 0.7),
            _row("sledsaga list", "list", 1.5),
            Row("python -c pass", "nothing.ms", None, None, "ms"),
        ),
        prepare=Side("log", "bench.startup:make_log"),
        rounds=15,
    ),
)
