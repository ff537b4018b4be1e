"""What a machine is told when it boots, and what it tells on its console: the words of both sides.

Rules
- A line that begins with `@@ ` and is whole JSON is a message; all else on the console is the kernel's.
- What was told before the cut happened; what was not told may have happened or not.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from sledsaga.core.events import Recorded

PREFIX: Final = "@@ "
Synchronous = Literal["FULL", "NORMAL", "OFF"]


@dataclass(frozen=True, slots=True)
class Orders:
    """How to live: what to do, how the log syncs, and how many rounds to run once the old sagas rest."""

    work: str = "furnish"
    synchronous: Synchronous = "FULL"
    rounds: int = 1000

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def tell(kind: str, **facts: Any) -> None:
    """Say something on the console, at once, in one write."""
    sys.stdout.write(f"\n{PREFIX}{json.dumps({'kind': kind, **facts}, separators=(',', ':'))}\n")
    sys.stdout.flush()


def heard(line: str) -> dict[str, Any] | None:
    """Return what a line of the console tells, or None when it is the kernel's, or not whole."""
    if not line.startswith(PREFIX):
        return None
    try:
        said = json.loads(line.removeprefix(PREFIX))
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def digest(recorded: Recorded) -> str:
    """Return what tells one recorded event from any other at its place."""
    return hashlib.sha256(repr(recorded).encode()).hexdigest()[:12]
