"""A program of its own: ask the kernel whether its clock is in step, and change nothing.

    python -I -S clock.py

Prints `in step` or `not in step`. The kernel itself counts how far off its clock may be: whoever keeps the
clock tells it that it does (adjtimex(2): the status STA_UNSYNC, the return value TIME_ERROR).
"""

from __future__ import annotations

import ctypes
import sys

IN_STEP, NOT_IN_STEP = "in step", "not in step"
UNSYNC = 0x0040
ERROR = 5
TIMEX_BYTES = 208
"""Size of `struct timex` where a long has 8 bytes; its status is at STATUS_AT."""
STATUS_AT = 40


def main() -> int:
    """Print what the kernel says; exit code 1 when it cannot be asked."""
    timex = ctypes.create_string_buffer(TIMEX_BYTES)
    answer = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    if answer < 0:
        return 1
    status = int.from_bytes(timex.raw[STATUS_AT : STATUS_AT + 4], sys.byteorder)
    sys.stdout.write(f"{NOT_IN_STEP if answer == ERROR or status & UNSYNC else IN_STEP}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
