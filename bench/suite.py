"""All cases of `make bench`, in the order of the table."""

from __future__ import annotations

from typing import Final

from bench import (
    chains,
    clients,
    large,
    latency,
    log_bytes,
    reading,
    recovery,
    sled,
    startup,
    unfinished,
    unwinding,
)

CASES: Final = (
    *chains.CASES,
    *unwinding.CASES,
    *log_bytes.CASES,
    *large.CASES,
    *unfinished.CASES,
    *recovery.CASES,
    *reading.CASES,
    *startup.CASES,
    *clients.CASES,
    *sled.CASES,
    *latency.CASES,
)
