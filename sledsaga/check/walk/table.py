"""Every DAG up to a number of steps, walked, and a table of what was seen.

    python -m sledsaga.check.explore --steps 4 --crashes 2

Rules
- Shapes that a renaming turns into each other are one; so are mixes of undo kinds.
- The first breach ends it: its transcript is printed, and the status is 1. A walk cut short is no
  proof: 1, too.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

from sledsaga.check.command import count, in_processes
from sledsaga.check.explore import Report, explore
from sledsaga.check.walk.drive import shape
from sledsaga.check.walk.moves import REAL, Parts
from sledsaga.check.walk.symmetry import orders, shapes
from sledsaga.core.dag import UNDO_KINDS, Dag, Policy, UndoKind
from sledsaga.core.define import Retry

MARKS: Mapping[UndoKind, str] = {"undo": "", "none": "-", "irreversible": "!"}
STEPS_MAX = 6  # of seven steps there are too many shapes to tell which are the same
LINE = "{:32} {:>10} {:>11} {:>9}  {}\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One DAG walked, and the CPU seconds that it took."""

    name: str
    report: Report
    seconds: float


def dags(steps: int, policy: Policy, *, mixed: bool = False) -> Iterator[Dag]:
    """Yield every DAG of `steps` steps; `mixed` gives the steps every mix of undo kinds."""
    for needs in shapes(steps):
        plain = shape(needs, policy=policy)
        if not mixed:
            yield plain
            continue
        same = orders(plain)
        for kinds in product(UNDO_KINDS, repeat=steps):
            if kinds == min(tuple(kinds[step] for step in order) for order in same):
                yield shape(needs, undo=dict(zip(needs, kinds, strict=True)), policy=policy)


def name_of(dag: Dag) -> str:
    """Return a DAG as one line: `a b<a c<ab`; `-` marks a step without undo, `!` a pivot."""
    paths = [step.path for step in dag.steps]
    parts = []
    for step in dag.steps:
        needs = "".join(paths[need] for need in step.needs)
        parts.append(f"{step.path}{MARKS[step.undo]}{'<' if needs else ''}{needs}")
    return " ".join(parts)


def walk(dag: Dag, asked: Namespace, parts: Parts) -> Row:
    """Walk one DAG as the command line asks."""
    began = time.process_time()
    report = explore(
        dag,
        crashes=asked.crashes,
        commands=asked.commands,
        parks=asked.parks,
        has_locks=asked.locks,
        in_batches=asked.batches,
        symmetry=not asked.no_symmetry,
        parts=parts,
        states_max=asked.states_max,
    )
    return Row(name_of(dag), report, time.process_time() - began)


def tell(rows: Iterable[Row]) -> int:
    """Print the rows as they come, then the totals; return 1 at a breach, or when a walk was cut short."""
    say = sys.stdout.write
    say(LINE.format("dag", "states", "moves", "seconds", "ends"))
    sys.stdout.flush()
    states, moves, seconds, late, walked = 0, 0, 0.0, 0, 0
    for row in rows:
        report = row.report
        ends = " ".join(sorted(report.ends))
        say(LINE.format(row.name, f"{report.states:,}", f"{report.moves:,}", f"{row.seconds:.1f}", ends))
        sys.stdout.flush()  # the next one may take minutes
        if report.breaches or not report.is_complete:
            say(f"\n{report}\n")
            return 1
        states, moves, seconds = states + report.states, moves + report.moves, seconds + row.seconds
        late, walked = late + report.late_refused, walked + 1
    total = f"{walked} DAGs: no rule is broken; {late:,} late writes refused"
    say(LINE.format("all", f"{states:,}", f"{moves:,}", f"{seconds:.1f}", total))
    return 0


def main(arguments: Sequence[str], *, parts: Parts = REAL) -> int:
    """Walk what the arguments say and print the table; return the exit status."""
    asked = _parser().parse_args(arguments)
    policy = Policy(
        retry=Retry(asked.attempts),
        undo_retry=Retry(asked.undo_attempts),
        cancellable=asked.cancellable,
        undo_needs_output=asked.needs_output,
    )
    all_of_them = (dag for size in range(1, asked.steps + 1) for dag in dags(size, policy, mixed=asked.mixed))
    one = partial(walk, asked=asked, parts=parts)
    return tell(map(one, all_of_them) if asked.jobs == 1 else in_processes(one, all_of_them, jobs=asked.jobs))


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m sledsaga.check.explore", description=__doc__.splitlines()[0])
    counts = {
        "steps": (4, count(1, STEPS_MAX), "walk every DAG of 1 to this many steps"),
        "crashes": (2, count(0), "how many executors are lost on the way"),
        "commands": (0, count(0), "how many commands people give"),
        "parks": (0, count(0), "how many claims park the saga"),
        "attempts": (1, count(1), "how often a do is tried"),
        "undo-attempts": (1, count(1), "how often an undo is tried"),
        "jobs": (1, count(1), "how many processes walk"),
        "states-max": (5_000_000, count(1), "give a DAG up above this many states"),
    }
    for flag, (default, kind, what) in counts.items():
        parser.add_argument(
            f"--{flag}", type=kind, default=default, metavar="N", help=f"{what} (default: {default})"
        )
    switches = {
        "locks": "sagas wait for locks first",
        "cancellable": "steps can be told to stop when the saga unwinds",
        "needs-output": "an undo needs the output of its do",
        "mixed": "every mix of steps with undo, without one, and pivots",
        "batches": "all that is to be recorded at a time is one move",
        "no-symmetry": "walk states apart that differ only by which step is which",
    }
    for flag, what in switches.items():
        parser.add_argument(f"--{flag}", action="store_true", help=what)
    return parser
