"""Tiers of tests: what the machine can run is run; each tier that was skipped gets one line that says why.

- `native`: real ZFS (zfs-fuse), real zones (crun) and a real PostgreSQL, as root, in seconds.
- `vm`: OpenZFS in a guest of our own; `make test-vm` builds it once and runs them.
- `power`: the power is cut under a running saga; `make test-power`.
"""

from __future__ import annotations

from typing import NoReturn

import pytest

REASON = "tier "


def skip_tier(tier: str, why: str) -> NoReturn:
    """Skip a test because its tier cannot run here."""
    pytest.skip(f"{REASON}{tier}: {why}")


def reasons(terminal: pytest.TerminalReporter) -> list[str]:
    """Return one line for each tier that was skipped, and why."""
    told = (report.longrepr for report in terminal.stats.get("skipped", ()))
    texts = (str(where[2]) for where in told if isinstance(where, tuple))
    return sorted({text.partition(REASON)[2] for text in texts if REASON in text})
