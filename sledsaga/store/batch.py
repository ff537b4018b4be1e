"""What every store asks of a batch before it writes it, and what a token of a list looks like.

Rules
- Events that would leave a gap are a mistake of the caller: LogCorrupt, and nothing is written.
- The fence: an append is written only where its saga stands at the very epoch and number that it believes.
- Several appends to one saga in a batch are one append, or all of them lose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from sledsaga.core.events import Recorded
from sledsaga.errors import LogCorrupt, UsageError
from sledsaga.store.store import Append, NewSaga

TOKEN: Final = re.compile(r"before:([\x21-\x7e]+)")


def check_gapless(new: Iterable[NewSaga], appends: Iterable[Append]) -> None:
    """Refuse events that do not follow one another; raises LogCorrupt."""
    for saga in new:
        _check_places(saga.id, saga.events, 0, saga.index.seq)
    for append in appends:
        _check_places(append.saga, append.events, append.seq, append.index.seq)


def _check_places(saga: str, events: Sequence[Recorded], after: int, last: int) -> None:
    expected = after
    for recorded in events:
        expected += 1
        if recorded.seq != expected:
            raise LogCorrupt(f"saga {saga}: event {recorded.seq} cannot be written where {expected} is due")
    if expected != last:
        raise LogCorrupt(f"saga {saga}: its columns say {last} events, its log would have {expected}")


def merged(appends: Sequence[Append]) -> tuple[dict[str, Append], set[str]]:
    """Return one append a saga, and the sagas whose appends do not follow one another."""
    one = {append.saga: append for append in appends}
    if len(one) == len(appends):
        return one, set()
    one, lost = {}, set()
    for append in appends:
        saga, first = append.saga, one.get(append.saga)
        if first is None:
            one[saga] = append
        elif (first.index.epoch, first.index.seq) == (append.epoch, append.seq):
            one[saga] = replace(first, events=first.events + append.events, index=append.index)
        else:
            lost.add(saga)
    return {saga: append for saga, append in one.items() if saga not in lost}, lost


def lets_through(at: tuple[int, int] | None, believed: tuple[int, int]) -> bool:
    """Say whether the fence is open: `at` is the epoch and last number of the saga (None: there is none).

    The condition of the SQL statements that move a saga is this one; the model checker walks it.
    """
    return at == believed


def in_order(lost: set[str], appends: Iterable[Append]) -> tuple[str, ...]:
    """Return the ids that lost, each once, in the order in which they were asked for."""
    return tuple(dict.fromkeys(append.saga for append in appends if append.saga in lost)) if lost else ()


def token_of(last: str) -> str:
    """Return the token of the page after the saga with this id."""
    return f"before:{last}"


def read_token(token: str | None) -> str | None:
    """Return the id that a page starts below, or None for the first page; raises UsageError."""
    if token is None:
        return None
    if match := TOKEN.fullmatch(token):
        return match[1]
    raise UsageError(f"{token!r} is no page token: take the one that came with the page before")


def check_limit(limit: int) -> int:
    """Return the number of rows asked for, if it is one; raises UsageError."""
    if limit < 1:
        raise UsageError(f"a page has at least 1 row; {limit} were asked for")
    return limit
