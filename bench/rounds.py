"""Measures a case: every side in a process of its own, in turn, several rounds; medians and their spread.

Rules
- The order of the sides turns from round to round, so that a slow spell of the machine hits all alike.
- A side that fails or says that it was skipped leaves its rows without a ratio; the others go on.
- What anything else used of the processors meanwhile is noted: a ratio from a busy machine is worth less.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.cases import Case, Row, Side
from bench.child import ROOT

TIMEOUT_S: Final = 240
SCRATCH: Final = ROOT / "bench" / "cache"
"""On the disk that is to be measured, and ignored by git. Temporary folders are often in memory."""
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """One row with what was found: each side's median, and least, median and largest ratio."""

    row: Row
    ours: float | None = None
    against: float | None = None
    ratios: tuple[float, ...] = ()
    trouble: str | None = None
    skipped: bool = False

    @property
    def holds(self) -> bool | None:
        """Say whether the bar holds; None when there is none, or nothing was measured on purpose."""
        if self.row.bar is None or self.skipped:
            return None
        return bool(self.ratios) and self.row.bar.holds(statistics.median(self.ratios))


@dataclass(slots=True)
class Measured:
    """All figures of a case, by round, and how many cores something else used."""

    case: Case
    rounds: list[Figures] = field(default_factory=list)
    other_cores: float | None = None
    seconds: float = 0.0

    def rows(self) -> list[Found]:
        """Return its rows with their ratios."""
        return [find(row, self.rounds) for row in self.case.rows]


def measure(case: Case, scale: str, rounds: int | None = None) -> Measured:
    """Measure a case."""
    measured = Measured(case)
    number = rounds or (1 if scale == "tiny" else case.rounds)
    began, noise = time.perf_counter(), Noise()
    with folder() as shared:
        bad = in_child(case.prepare, shared, scale).get("trouble") if case.prepare else None
        for turn in range(0 if bad else number):
            at = turn % len(case.sides)
            order = (*case.sides[at:], *case.sides[:at])
            measured.rounds.append({side.name: in_child(side, shared, scale) for side in order})
        if bad:
            measured.rounds.append({side.name: {"trouble": bad} for side in case.sides})
    measured.seconds, measured.other_cores = time.perf_counter() - began, noise.cores()
    return measured


def in_child(side: Side, shared: Path, scale: str) -> Figures:
    """Run one side in a process of its own; what went wrong is among the figures, as `trouble`."""
    with folder() as own:
        asked = {"own": str(own), "shared": str(shared), "scale": scale, "given": dict(side.given)}
        return run_child([sys.executable, "-m", "bench.child", side.place, json.dumps(asked)])


def run_child(
    argv: list[str], timeout_s: float = TIMEOUT_S, environment: Mapping[str, str] | None = None
) -> Figures:
    """Run a process whose last line is JSON; return that, or the trouble."""
    with subprocess.Popen(  # noqa: S603 - programs of ours
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | (environment or {}),
        start_new_session=True,
    ) as child:
        try:
            out, err = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, 9)
            return {"trouble": f"not done after {timeout_s:g} s"}
    if child.returncode:
        lines = err.strip().splitlines() or [f"exit code {child.returncode}"]
        return {"trouble": lines[-1][:200]}
    found: Figures = json.loads(out.splitlines()[-1])
    return found


def find(row: Row, rounds: list[Figures]) -> Found:
    """Compare the two figures of a row in each round."""
    against = row.against if isinstance(row.against, tuple) else (row.against,)
    troubles = {name: trouble(name, rounds) for name in (row.ours, *against) if isinstance(name, str)}
    usable = [name for name in against if name is not None and not troubles.get(str(name))]
    needed = (row.ours, *(against if row.against is not None and not usable else ()))
    if bad := next(filter(None, (troubles.get(str(name)) for name in needed)), None):
        return Found(row, trouble=bad[1], skipped=bad[0] == "skipped")
    ours = [figure(row.ours, figures) for figures in rounds]
    if row.against is None:
        return Found(row, statistics.median(ours))
    others = [max(figure(name, figures) for name in usable) for figures in rounds]
    ratios = sorted(one / other for one, other in zip(ours, others, strict=True))
    return Found(row, statistics.median(ours), statistics.median(others), tuple(ratios))


def trouble(name: str, rounds: list[Figures]) -> tuple[str, str] | None:
    """Return why a figure is not there in every round: the word `skipped` or `trouble`, and the reason."""
    side = name.partition(".")[0]
    found = (
        (word, figures[side][word])
        for word in ("skipped", "trouble")
        for figures in rounds
        if word in figures[side]
    )
    return next(found, None)


def figure(name: str | float, figures: Figures) -> float:
    """Return a figure of a round by its name, or the number itself."""
    if not isinstance(name, str):
        return name
    side, _, what = name.partition(".")
    return float(figures[side][what])


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder on the disk that is measured, and remove it."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH, ignore_cleanup_errors=True) as name:
        yield Path(name)


class Noise:
    """What other processes use of the processors, from here on."""

    def __init__(self) -> None:
        self._began, self._all, self._own = time.perf_counter(), _all_cpu_s(), _own_cpu_s()

    def cores(self) -> float | None:
        """Return how many cores they used on average; None where the kernel does not say."""
        now = _all_cpu_s()
        if now is None or self._all is None:
            return None
        others = now - self._all - (_own_cpu_s() - self._own)
        return max(0.0, others / (time.perf_counter() - self._began))


def _own_cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _all_cpu_s() -> float | None:
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _idle, _wait, *rest = map(int, stat.read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")
