"""What may be tried again: texts by which a machine says "not now", and replies that were lost.

A lost reply is safe to try again, because every do looks before it acts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sledsaga.core.define import Retry
from sledsaga.errors import CommandFailed, HostUnreachable, Transient

P = ParamSpec("P")
R = TypeVar("R")

NOT_NOW = (
    "dataset is busy",
    "pool is busy",
    "Device busy",
    "link busy",
    "link is busy",
    "database is locked",
)
"""Texts of a command that failed because something else was still at work."""
TRIES = Retry(attempts=5, backoff_s=0.1, factor=4.0, max_backoff_s=5.0)
"""For steps that change the sled: it takes some seconds at most until a zone lets go of a dataset or link."""
KEY_TRIES = Retry(attempts=10, backoff_s=0.5, factor=2.0, max_backoff_s=10.0)
"""For steps that need a secret: early in a rack's boot nobody has it for some tens of seconds."""
PATIENT = Retry(attempts=40, backoff_s=0.5, factor=1.5, max_backoff_s=5.0)
"""For steps that wait for what takes minutes: services of a zone, the sled's time."""


def patient(do: Callable[P, R]) -> Callable[P, R]:
    """Make a step say Transient when the machine said "not now", or when its reply was lost."""

    @functools.wraps(do)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return do(*args, **kwargs)
        except HostUnreachable as error:
            raise Transient(f"the reply was lost ({error}); the next try looks at what is there") from error
        except CommandFailed as error:
            if any(text in str(error) for text in NOT_NOW):
                raise Transient(str(error)) from error
            raise

    return call
