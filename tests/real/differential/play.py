"""Playing a sequence on two sides, and saying where they first differ.

- After each line the exit code, what was said and all that can be observed must agree; `allowed.py` has what
  may differ and why.
- Sizes are compared as relations (`sizes.py`), which also leaves out writes whose end would be a toss-up.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sledsaga.hosts.host import Completed
from tests.real.differential.allowed import allowing, allowing_all
from tests.real.differential.plain import plain
from tests.real.differential.side import Side, to_side
from tests.real.differential.sizes import is_near, too_different
from tests.real.differential.state import differing, observe

FILE_LINES: Final = ("write", "mkdir", "rm")


@dataclass(frozen=True, slots=True)
class Difference:
    """The first line after which two sides differed, and how."""

    line: str
    place: int
    how: str

    def __str__(self) -> str:
        return f"line {self.place}: {self.line}\n{self.how}"


@dataclass(frozen=True, slots=True)
class Played:
    """How many lines were compared, which rows of the table were needed, and the difference, if any."""

    compared: int
    used: frozenset[str]
    difference: Difference | None = None


def play(lines: Sequence[str], sim: Side, real: Side) -> Played:
    """Play a sequence on both sides until they differ, or part for an allowed reason."""
    sim.renew()
    real.renew()
    used: set[str] = set()
    seen = observe(sim), observe(real)
    for place, line in enumerate(lines, 1):
        words = line.split()
        if words[0] == "write" and is_near(words[1], int(words[2]), *seen):
            continue
        simulated, happened = once(sim, line), once(real, line)
        row = allowing(real.name, line, simulated, happened) if simulated != happened else None
        if row is None and simulated != happened:
            how = f"  sim : {simulated!r}\n  real: {happened!r}"
            return Played(place, frozenset(used), Difference(line, place, how))
        parted = row is not None and row.parts
        seen = observe(sim), observe(real)
        found = [] if parted else [*differing(*seen), *too_different(line, happened, *seen)]
        rows = allowing_all(real.name, line, found)
        if rows is None:
            how = "\n    ".join((f"  said {happened!r}; sim | real:", *found))
            return Played(place, frozenset(used), Difference(line, place, how))
        rows += [row] if row else []
        used |= {each.name for each in rows}
        if any(each.parts for each in rows):
            return Played(place, frozenset(used))
    return Played(len(lines), frozenset(used))


def once(side: Side, line: str) -> str:
    """Play one line on a side, and return its exit code and what it said, in plain form."""
    words = [to_side(side, word) for word in line.split(" ")]
    if words[0] in FILE_LINES:
        return plain(side, line, Completed((), 0, _filed(side, words)))
    return plain(side, line, side.run(_with_disks(side, words)))


def shortest(lines: Sequence[str], fails: Callable[[Sequence[str]], bool]) -> list[str]:
    """Leave out lines, from the end, as long as the rest still fails."""
    kept = list(lines)
    again = True
    while again:
        again = False
        for place in reversed(range(len(kept))):
            fewer = kept[:place] + kept[place + 1 :]
            if fewer and fails(fewer):
                kept, again = fewer, True
    return kept


def _with_disks(side: Side, words: list[str]) -> list[str]:
    return [posixpath.dirname(side.disks[0]) if word == "DISKS" else word for word in words]


def _filed(side: Side, words: list[str]) -> str:
    verb, path, *rest = words
    if verb == "write":
        return side.write(path, int(rest[0]))
    return side.make_dir(path) if verb == "mkdir" else side.remove(path)
