"""What is on an internal disk of every new sled, virtual or simulated.

The datasets and quotas are those of omicron's sled-storage: installed software, crash dumps, backing files,
rack membership, ledgers, debug data and artifacts.
"""

from __future__ import annotations

import hashlib
import uuid

GIB = 2**30
M2_SLOTS = (17, 18)
M2_DATASETS: tuple[tuple[str, dict[str, str]], ...] = (
    ("install", {}),
    ("crash", {}),
    ("backing", {}),
    ("cluster", {}),
    ("config", {}),
    ("debug", {"quota": str(100 * GIB), "compression": "gzip-9"}),
    ("update", {"quota": str(40 * GIB)}),
)
"""Each dataset of an internal pool, with what is set on it; sizes in bytes."""


def steady_uuid(text: str) -> uuid.UUID:
    """Return a version 4 UUID that is the same each time for the same text."""
    return uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4)
