"""Exit codes: one literal table from what happened to a number that scripts can rely on."""

from __future__ import annotations

from typing import Final

from sledsaga import errors

OK: Final = 0
ERROR: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141  # what a shell says of a program that wrote to a closed pipe

MEANINGS: Final[dict[int, str]] = {
    OK: "done; the saga succeeded",
    ERROR: "something went wrong; the saga was abandoned; a check failed",
    USAGE: "what was asked for cannot be",
    3: "not authorised",
    4: "not found",
    5: "conflict: the saga's state, its key, or another executor",
    6: "the saga was undone, nothing is left",
    7: "the saga is stuck or paused: a person is needed",
    8: "the time to wait is over; the saga goes on",
    9: "the log or its executor is not available",
    INTERRUPTED: "interrupted",
    PIPE_CLOSED: "whoever read the output went away",
}

ERRORS: Final[dict[type[BaseException], int]] = {
    errors.SledsagaError: ERROR,
    errors.UsageError: USAGE,
    PermissionError: 3,
    errors.NotFound: 4,
    errors.Conflict: 5,
    errors.WaitTimedOut: 8,
    errors.LogUnavailable: 9,
    errors.Stopping: 9,
    KeyboardInterrupt: INTERRUPTED,
    BrokenPipeError: PIPE_CLOSED,
}

STATES: Final[dict[str, int]] = {
    "waiting": OK,
    "running": OK,
    "unwinding": OK,
    "succeeded": OK,
    "abandoned": ERROR,
    "undone": 6,
    "stuck": 7,
    "paused": 7,
}
"""What a verb that waited for a saga ends with; one that did not wait ends with OK."""


MOVING: Final = frozenset({"waiting", "running", "unwinding"})
"""The states in which a saga goes on by itself, if somebody drives it."""


def code_of(error: BaseException) -> int:
    """Return the exit code of an error: its class's, or that of the nearest class above."""
    return next((ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS), ERROR)


def table_of_codes() -> str:
    """Return the table as it stands at the end of `--help`."""
    return "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())
