"""Ids of sagas: UUIDv7 (RFC 9562), so that they sort by the time they were made."""

from __future__ import annotations

import os
import re
import time

from sledsaga.errors import InvalidName

FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_id() -> str:
    """Return a fresh UUIDv7: 48 bits of milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(10)) & ((1 << 76) - 1)
    low = tail & ((1 << 62) - 1)
    high = tail >> 62 & 0xFFF
    digits = f"{milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def check_id(text: str) -> str:
    """Return the id if it is a UUIDv7 in lower case; raises InvalidName."""
    if not FORM.fullmatch(text):
        msg = f"{text!r} is no saga id: a UUIDv7 in lower case is expected, such as {new_id()}"
        raise InvalidName(msg)
    return text
