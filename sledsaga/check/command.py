"""What the commands `explore` and `simulate` share: counts, processes, and how they end.

Rules
- A proof of nothing is none: a count below what makes sense is refused.
- Ctrl-C, and a reader that went away, end the command with a line at most, and its processes with it.
"""

from __future__ import annotations

import os
import signal
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children
from typing import Final, TypeVar

INTERRUPTED: Final = 130  # as shells say of who ended by Ctrl-C
NOBODY_READS: Final = 141  # and of who ended because nobody reads any more

Item = TypeVar("Item")
Result = TypeVar("Result")


def count(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number within these bounds from the command line."""
    bounds = f"at least {least}" if most is None else f"from {least} to {most}"

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError as error:
            raise ArgumentTypeError(f"{text!r} is no whole number; give one {bounds}") from error
        if number < least or (most is not None and number > most):
            raise ArgumentTypeError(f"{number} is out of bounds; give one {bounds}")
        return number

    return read


def in_processes(work: Callable[[Item], Result], items: Iterable[Item], *, jobs: int) -> Iterator[Result]:
    """Yield what becomes of each item, in order; who looks no further ends the processes at once."""
    others = active_children()
    heard = signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGINT}
    )  # a process half made is one nobody ends
    with ProcessPoolExecutor(
        jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    ) as pool:
        try:
            found = pool.map(work, items)
            signal.pthread_sigmask(signal.SIG_SETMASK, heard)
            yield from found
        except BaseException:
            for child in active_children():
                if child not in others:
                    child.terminate()
            raise


def run_to_end(command: Callable[[], int]) -> int:
    """Run a command and return its exit status, also when it is interrupted or nobody reads what it says."""
    try:
        status = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: what was not reached is not proven\n")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # what is left is written when Python ends
        return NOBODY_READS
    return status
