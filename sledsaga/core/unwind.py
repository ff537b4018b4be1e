"""What to undo next: the other direction of `ready`, in reverse dependency order.

A step is undone when it may have run, has an undo, and everything that was started on top of it is
undone or needs no undo. An in-doubt step is undone directly, unless its undo needs its output: then
`do` runs once more first.
"""

from __future__ import annotations

from collections.abc import Iterator

from sledsaga.core import events as ev
from sledsaga.core.machine import needs_redo
from sledsaga.core.state import State, Status


def starts(state: State, now: float) -> Iterator[ev.Event]:
    """Yield the undos (and, rarely, the `do`s that an undo needs first) to start now."""
    for step in state.undoable:
        yield _start_of(state, step)
    for step in due(state, now):
        yield _start_of(state, step)


def _start_of(state: State, step: int) -> ev.Event:
    if needs_redo(state, step):
        return ev.StepStarted(step, state.attempts[step])
    again = state.status[step] is Status.UNDO_IN_DOUBT
    return ev.UndoStarted(step, state.undo_attempts.get(step, 0) + (not again))


def due(state: State, now: float) -> Iterator[int]:
    """Yield the steps whose wait is over, by a walk of the heap that sees only them and their children."""
    heap, places = state.backing_off, [0]
    seen: set[int] = set()
    while places:
        place = places.pop()
        if place >= len(heap) or heap[place][0] > now:
            continue
        places += (2 * place + 1, 2 * place + 2)
        next_at, step = heap[place]
        if state.next_at.get(step) == next_at and step not in seen:
            seen.add(step)
            yield step
