"""Faults and delays, kept with the sled, so that they hit whichever process runs the command.

A fault matches a command by the first words of its argv, by a regular expression over the words joined with
blanks, or by both; file changes are matched too, as `("write_file", PATH)` and the like. It fires at its
`nth` match and the `times - 1` matches after that.

    error         not run; the reply is `code` and `text` (for a file change: HostError)
    error_after   run, then the reply is `code` and `text` (for a file change: HostError)
    hang          not run; no answer until the time is over or the step is cancelled
    hang_after    run, then no answer
    reply_lost    run, then HostUnreachable
    crash_before  not run; this process is killed with SIGKILL
    crash_after   run, then this process is killed
    delay         run after `latency_s` more seconds
"""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NoReturn

from sledsaga.errors import UsageError

if TYPE_CHECKING:
    from sledsaga.hosts.sim.state import State, Tx

ACTIONS = ("error", "error_after", "hang", "hang_after", "reply_lost", "crash_before", "crash_after", "delay")


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule: which commands it hits, at which match, and what then happens. `times` 0 is for ever."""

    action: str
    argv: tuple[str, ...] = ()
    pattern: str = ""
    nth: int = 1
    times: int = 1
    code: int = 1
    text: str = "injected fault\n"
    latency_s: float = 0.0
    mutating: bool = False
    """Only commands that change the sled are counted."""

    def __post_init__(self) -> None:
        """Raise UsageError for an action that there is not."""
        if self.action not in ACTIONS:
            raise UsageError(f"there is no fault {self.action!r}: choose one of {', '.join(ACTIONS)}")

    def matches(self, argv: tuple[str, ...], *, mutates: bool) -> bool:
        """Say whether a command is one that this rule counts."""
        words = argv[1:] if argv[:1] == ("pfexec",) and self.argv[:1] != ("pfexec",) else argv
        return (
            words[: len(self.argv)] == self.argv
            and (mutates or not self.mutating)
            and (not self.pattern or re.search(self.pattern, " ".join(argv)) is not None)
        )

    def fires(self, seen: int) -> bool:
        """Say whether the rule fires at its seen-th match."""
        return seen >= self.nth and (self.times == 0 or seen < self.nth + self.times)


def add(tx: Tx, fault: Fault) -> int:
    """Keep a rule; return its id."""
    cursor = tx.db.execute("INSERT INTO faults (doc) VALUES (?)", (json.dumps(asdict(fault)),))
    return int(cursor.lastrowid or 0)


def seen(tx: Tx, number: int) -> int:
    """Return how many commands a rule has counted; 0 when it was forgotten."""
    row = tx.db.execute("SELECT seen FROM faults WHERE id = ?", (number,)).fetchone()
    return 0 if row is None else int(row[0])


def clear(tx: Tx) -> None:
    """Forget all rules."""
    tx.db.execute("DELETE FROM faults")


def struck(state: State, argv: tuple[str, ...], *, mutates: bool) -> list[Fault]:
    """Count this command in each rule that it matches, durably, and return the rules that fire."""
    with state.reading() as tx:
        if not _matching(tx, argv, mutates=mutates):
            return []
    fired = []
    with state.writing() as tx:
        for number, fault, seen in _matching(tx, argv, mutates=mutates):
            tx.db.execute("UPDATE faults SET seen = ? WHERE id = ?", (seen + 1, number))
            if fault.fires(seen + 1):
                fired.append(fault)
    return fired


def die() -> NoReturn:
    """Kill this process as kill -9 would."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL cannot be survived")


def _matching(tx: Tx, argv: tuple[str, ...], *, mutates: bool) -> list[tuple[int, Fault, int]]:
    rows = tx.db.execute("SELECT id, doc, seen FROM faults ORDER BY id").fetchall()
    found = [(number, _loaded(doc), seen) for number, doc, seen in rows]
    return [each for each in found if each[1].matches(argv, mutates=mutates)]


def _loaded(doc: str) -> Fault:
    fields = json.loads(doc)
    return Fault(**{**fields, "argv": tuple(fields["argv"])})
