"""What a look at a machine's fitness finds: one line for each thing that sledsaga needs of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "missing"]
"""`note` is no obstacle, but worth knowing; with `missing` some operation cannot run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: what was found of it, and what to do about it (empty when nothing is to be done)."""

    what: str
    verdict: Verdict
    found: str
    todo: str = ""
