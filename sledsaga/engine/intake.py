"""How the loop takes what callers ask: submit, command, wait. Answers are given only after the write.

Rules
- A request is checked before it changes anything: one that is refused leaves no trace.
- What is to be recorded must be storable: this is refused here, not by the store in the middle of a turn.
"""

from __future__ import annotations

import json
from dataclasses import replace

from sledsaga.core import events as ev
from sledsaga.core.commands import Command
from sledsaga.core.commands import decide as decide_events
from sledsaga.core.machine import new_state
from sledsaga.core.view import view
from sledsaga.engine.adopt import find_code, read_live, twin
from sledsaga.engine.books import Books
from sledsaga.engine.live import Live
from sledsaga.engine.messages import Decide, Decision, Idle, Recover, Submit, Submitted, Wait
from sledsaga.engine.perform import OUTPUT_BYTES_MAX
from sledsaga.engine.read import find_row
from sledsaga.engine.replies import resolve
from sledsaga.errors import (
    Conflict,
    KeyConflict,
    SledsagaError,
    Stopping,
    TooLarge,
    UnknownOperation,
    UsageError,
)


def refusal(books: Books, asked: Submit | Decide | Wait | Recover | Idle) -> SledsagaError | None:
    """Return why nothing of the kind is taken now, or None."""
    if books.failure is not None:
        return books.failure
    if books.stopping and isinstance(asked, Submit | Recover):
        return Stopping("the executor is stopping and takes nothing new; ask again later")
    if not books.drive and isinstance(asked, Recover):
        return UsageError("this executor only records and drives nothing; recover with one that drives")
    return None


def submit(books: Books, asked: Submit) -> None:
    """Record a new saga and take it over, or answer with the one that the key (or id) stands for."""
    known = _known(books, asked)
    if known is not None:
        if known[1] != asked.digest:
            what = f"key {asked.key!r}" if asked.key is not None else f"id {asked.id}"
            msg = f"{what} was used for saga {known[0]} with another operation or other params; use a new one"
            raise KeyConflict(msg)
        books.replies.after_write(known[0], asked.reply, Submitted(known[0]))
        return
    state = new_state(asked.plan.dag, has_locks=bool(asked.plan.locks))
    live = Live(
        asked.id, asked.plan, state, asked.bound, asked.key, asked.digest, is_new=True, clock=books.clock
    )
    live.record([ev.Submitted(asked.by)])
    books.touch(live)
    if asked.key is not None:
        books.new_keys[asked.key] = live
    books.replies.after_write(live.id, asked.reply, Submitted(live.id, live.pending[0]))
    books.locks.request(live.id, asked.plan.locks)
    if books.drive and len(books.live) < books.limits.live:
        books.adopt(live)
    elif books.drive:
        books.backlog.add(live.id)


def _known(books: Books, asked: Submit) -> tuple[str, str] | None:
    """Return id and digest of the saga that was submitted with this key or id, in this turn or in the log."""
    new = books.new_keys.get(asked.key) if asked.key is not None else None
    new = new or books.touched.get(asked.id)
    if new is not None and new.is_new:
        return new.id, new.digest
    row = find_row(books.store, asked.id if asked.has_own_id else None, asked.key)
    return None if row is None else (row.id, row.digest)


def decide(books: Books, asked: Decide) -> None:
    """Let a command become events, or say what it would be."""
    kept = books.live.get(asked.saga) or books.touched.get(asked.saga)
    live = kept or read_live(books.store, asked.saga, books.clock)
    if asked.expect_seq is not None and asked.expect_seq != live.state.seq:
        stands = f"saga {asked.saga} stands at event {live.state.seq}"
        msg = f"{stands}, not {asked.expect_seq}; look again, then decide"
        raise Conflict(msg)
    if kept is not None and asked.dry_run:
        live = twin(books.store, kept)
    if kept is None and live.state.parked is None and not live.state.outcome:
        live.record([ev.Claimed(books.executor)])  # nobody sees it if the command is refused
    command = _checked(books, live, asked.command)
    key = live.key if live.is_new else books.store.row(live.id).key  # may fail, so it comes before all effect
    events = decide_events(live.state, command)
    live.record(events)
    decision = Decision(events, view(live.id, live.plan, live.state, key=key))
    if asked.dry_run:
        resolve(asked.reply, decision)
        return
    books.replies.after_write(live.id, asked.reply, decision)
    books.touch(live)
    if live.id not in books.live:
        _take_over(books, live)


def _take_over(books: Books, live: Live) -> None:
    """Drive a saga again that somebody has spoken to, if anything is left to be driven."""
    books.locks.request(live.id, live.plan.locks, held=live.state.locked)
    if books.drive and not live.state.abandoned and live.state.parked is None:
        books.adopt(live)


def _checked(books: Books, live: Live, command: Command) -> Command:
    """Refuse a skip whose output is not of the type that the steps after it take, or cannot be stored."""
    step = None if command.step is None else live.plan.dag.index(command.step)
    if command.verb != "skip" or step is None:
        return command
    try:
        code = find_code(live, books.catalog).steps[step]
        output = code.encode(code.decode(command.output))
    except UnknownOperation:  # nobody here knows the type; whoever does will say so
        output = command.output
    except Exception as error:  # a type's validator is users' code, which may raise anything
        raise _unfit(command, error) from error
    try:
        size = len(json.dumps(output, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise _unfit(command, error) from error
    if size > OUTPUT_BYTES_MAX:
        msg = (
            f"the output given for {command.step} has {size:,} bytes; at most {OUTPUT_BYTES_MAX:,} are stored"
        )
        raise TooLarge(msg)
    return replace(command, output=output)


def _unfit(command: Command, error: Exception) -> UsageError:
    why = " ".join(str(error).split())
    return UsageError(f"the output given for {command.step} does not fit its type: {why}")


def wait(books: Books, asked: Wait) -> None:
    """Answer when the saga rests; now, if it does."""
    if asked.saga not in books.live and asked.saga not in books.touched:
        if read_live(books.store, asked.saga, books.clock).state.at_rest:
            resolve(asked.reply, None)
            return
        if not books.drive:
            msg = (
                f"saga {asked.saga} does not rest, and this executor drives nothing; wait where it is driven"
            )
            raise UsageError(msg)
    books.replies.at_rest(asked.saga, asked.reply)
