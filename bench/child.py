"""Runs one measurement in a process of its own, and prints what it found as one line of JSON.

    python -m bench.child module:function '{"shared": …, "own": …, "scale": …, "given": {…}}'

So each has a memory peak, an import and an interpreter of its own, whatever was measured before it.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.sizes import SCALES, Sizes

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a measurement may write: `own` is empty, `shared` is that of its case; and how much it does."""

    own: Path
    shared: Path
    sizes: Sizes


def peak_mb() -> float:
    """Return the most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run what the arguments name."""
    module, _, name = sys.argv[1].partition(":")
    asked = json.loads(sys.argv[2])
    place = Place(Path(asked["own"]), Path(asked["shared"]), SCALES[asked["scale"]])
    found = getattr(importlib.import_module(module), name)(place, **asked["given"])
    print(json.dumps({"peak MB": peak_mb()} | (found or {})), flush=True)


if __name__ == "__main__":
    main()
