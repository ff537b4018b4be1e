"""The mutation score of the core, file by file: `mutmut run && python tests/mutants.py`.

mutmut changes one thing of the core at a time and runs the tests of the core against it. A mutant that no
test notices must stand in `docs/mutants.md`, with the reason why nobody can notice it; any other one fails.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MADE = ROOT / "mutants" / "sledsaga" / "core"
STATS = ROOT / "mutants" / "mutmut-stats.json"
EXPLAINED = ROOT / "docs" / "mutants.md"
LETTERS = re.compile(r"\\u(?!d8)")  # letters beyond Latin, as ids of tests show them
SURVIVED, NOT_RUN, UNTESTED = 0, None, 33  # mutmut's words for how the tests ended


def unnameable() -> list[str]:
    """Return tests that mutmut cannot call by their id: it would take each of their mutants for killed."""
    stats = json.loads(STATS.read_text())
    return sorted(name for name in stats["duration_by_test"] if LETTERS.search(name))


def survivors() -> Iterator[str]:
    """Print the score of each file; yield the names of those that no test noticed."""
    total: Counter[str] = Counter()
    for path in sorted(MADE.glob("*.meta")):
        ends = json.loads(path.read_text())["exit_code_by_key"]
        left = [name for name, code in ends.items() if code in (SURVIVED, UNTESTED)]
        counts = Counter(all=len(ends), left=len(left), waiting=list(ends.values()).count(NOT_RUN))
        if ends:  # a file without functions, or with none that mutmut changes, has no score
            show(path.name.removesuffix(".py.meta"), counts)
        total += counts
        yield from left
    show("core", total)


def show(name: str, counts: Counter[str]) -> None:
    """Print one line of the score."""
    killed = counts["all"] - counts["left"] - counts["waiting"]
    share = 100 * killed / max(counts["all"], 1)
    waiting = f", {counts['waiting']} not run" if counts["waiting"] else ""
    sys.stdout.write(f"{name:<12} {killed:>5} of {counts['all']:>5} killed, {share:5.1f} %{waiting}\n")


def change(name: str) -> str:
    """Return the line that a mutant changes to, as mutmut shows it."""
    mutmut = Path(sys.executable).with_name("mutmut")
    done = subprocess.run([mutmut, "show", name], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line[:1] == "+" and line[:3] != "+++"]
    return lines[0][1:].strip() if lines else "(a line is gone)"


def main() -> int:
    """Return 1 when a mutant survived without being explained, or may have been miscounted; else 0."""
    if not STATS.exists():
        sys.stdout.write(
            "mutmut has made no mutants: run `make mutants`, and `mutmut run` alone to see what stops it\n"
        )
        return 1
    explained = re.findall(r"^\| (\w+) \| `(.+?)` \|", EXPLAINED.read_text(), re.MULTILINE)
    unknown = len(unnameable())
    for name in unnameable():
        sys.stdout.write(f"{name} has an id that mutmut cannot call: give it an ASCII one\n")
    for name in list(survivors()):
        line, file = change(name), name.split(".")[2]
        if not any(file == known and part in line for known, part in explained):
            unknown += 1
            sys.stdout.write(f"{name} survived and is not explained: {line}\n")
    return min(unknown, 1)


if __name__ == "__main__":
    sys.exit(main())
