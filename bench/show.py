"""What can be asked for on the command line, and showing what was found as it comes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Final

from bench.cases import Case
from bench.rounds import Measured, measure
from bench.sizes import SCALES
from bench.table import HEADER, count, line, machine, save

BUSY: Final = 0.3
"""Cores used by something else from which on a run is called busy."""


def options(program: str, about: str) -> argparse.ArgumentParser:
    """Return what can be asked for."""
    parser = argparse.ArgumentParser(prog=program, description=about)
    parser.add_argument("--scale", choices=SCALES, default="full", help="how much is measured")
    parser.add_argument("--rounds", type=int, help="instead of each case's own number")
    parser.add_argument(
        "--only", default="", metavar="REGEX", help="cases (or peers) that have it in their name"
    )
    return parser


def show(name: str, cases: Iterable[Case], asked: argparse.Namespace) -> None:
    """Measure cases, printing rows as they come; then where all figures are, and how many bars hold."""
    here = machine()
    print(f"Python {here['python']} of {here['python_of']}, SQLite {here['sqlite']}, {here['cores']} cores")
    print(HEADER)
    measured: list[Measured] = []
    for case in cases:
        measured.append(measure(case, asked.scale, asked.rounds))
        for found in measured[-1].rows():
            print(line(found), flush=True)
    summary = count([found for one in measured for found in one.rows()])
    busy = max((one.other_cores or 0.0 for one in measured), default=0.0)
    if busy > BUSY:
        print(f"something else used up to {busy:.1f} cores meanwhile: measure again when it is quiet")
    print(f"all figures: {save(name, measured, summary)}")
    print(summary)
