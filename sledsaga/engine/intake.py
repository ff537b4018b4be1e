"""How the loop takes what callers ask: submit, command, wait. Answers are given only after the write.

Rules
- A request is checked before it changes anything: one that is refused leaves no trace.
- What is to be recorded must be storable: this is refused here, not by the store in the middle of a turn.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from sledsaga.core import events as ev
from sledsaga.core.commands import Command
from sledsaga.core.commands import decide as decide_events
from sledsaga.core.machine import new_state
from sledsaga.core.view import view
from sledsaga.engine.adopt import claim, read_live, twin
from sledsaga.engine.live import Live
from sledsaga.engine.messages import Decide, Decision, Idle, Recover, Submit, Submitted, Wait
from sledsaga.engine.perform import OUTPUT_BYTES_MAX
from sledsaga.engine.replies import resolve
from sledsaga.errors import Conflict, KeyConflict, NotFound, SledsagaError, Stopping, TooLarge, UsageError

if TYPE_CHECKING:
    from sledsaga.engine.execute import Executor


def refusal(executor: Executor, asked: Submit | Decide | Wait | Recover | Idle) -> SledsagaError | None:
    """Return why nothing of the kind is taken now, or None."""
    if executor.failure is not None:
        return executor.failure
    if executor.stopping and isinstance(asked, Submit | Recover):
        return Stopping("the executor is stopping and takes nothing new; ask again later")
    if not executor.drive and isinstance(asked, Recover):
        return UsageError("this executor only records and drives nothing; recover with one that drives")
    return None


def submit(executor: Executor, asked: Submit) -> None:
    """Record a new saga and take it over, or answer with the one that the key (or id) stands for."""
    known = _known(executor, asked)
    if known is not None:
        if known[1] != asked.digest:
            what = f"key {asked.key!r}" if asked.key is not None else f"id {asked.id}"
            msg = f"{what} was used for saga {known[0]} with another operation or other params; use a new one"
            raise KeyConflict(msg)
        executor.replies.after_write(known[0], asked.reply, Submitted(known[0]))
        return
    state = new_state(asked.plan.dag, has_locks=bool(asked.plan.locks))
    live = Live(asked.id, asked.plan, state, asked.bound, asked.key, asked.digest, is_new=True)
    live.record([ev.Submitted(asked.by)])
    executor.touch(live)
    if asked.key is not None:
        executor.new_keys[asked.key] = live
    executor.replies.after_write(live.id, asked.reply, Submitted(live.id, live.pending[0]))
    executor.locks.request(live.id, asked.plan.locks)
    if executor.drive and len(executor.live) < executor.limits.live:
        executor.adopt(live)
    elif executor.drive:
        executor.backlog.add(live.id)


def _known(executor: Executor, asked: Submit) -> tuple[str, str] | None:
    """Return id and digest of the saga that was submitted with this key or id, in the log or in this turn."""
    new = executor.new_keys.get(asked.key) if asked.key is not None else None
    new = new or (executor.touched.get(asked.id) if asked.has_own_id else None)
    if new is not None and new.is_new:
        return new.id, new.digest
    row = executor.store.by_key(asked.key) if asked.key is not None else None
    if row is None and asked.has_own_id:
        try:
            row = executor.store.row(asked.id)
        except NotFound:
            return None
    return None if row is None else (row.id, row.digest)


def decide(executor: Executor, asked: Decide) -> None:
    """Let a command become events, or say what it would be."""
    kept = executor.live.get(asked.saga) or executor.touched.get(asked.saga)
    live = kept or read_live(executor.store, asked.saga)
    if asked.expect_seq is not None and asked.expect_seq != live.state.seq:
        stands = f"saga {asked.saga} stands at event {live.state.seq}"
        msg = f"{stands}, not {asked.expect_seq}; look again, then decide"
        raise Conflict(msg)
    if kept is not None and asked.dry_run:
        live = twin(executor.store, kept)
    if kept is None and live.state.parked is None and not live.state.outcome:
        live.record([ev.Claimed(executor.name)])  # nobody sees it if the command is refused
    command = _checked(executor, live, asked.command)
    events = decide_events(live.state, command)
    live.record(events)
    key = live.key if live.is_new else executor.store.row(live.id).key
    decision = Decision(events, view(live.id, live.plan, live.state, key=key))
    if asked.dry_run:
        resolve(asked.reply, decision)
        return
    executor.replies.after_write(live.id, asked.reply, decision)
    executor.touch(live)
    if live.id not in executor.live:
        _take_over(executor, live)


def _take_over(executor: Executor, live: Live) -> None:
    """Drive a saga again that somebody has spoken to, if anything is left to be driven."""
    executor.locks.request(live.id, live.plan.locks, held=live.state.locked)
    if executor.drive and not live.state.abandoned and live.state.parked is None:
        executor.adopt(live)


def _checked(executor: Executor, live: Live, command: Command) -> Command:
    """Refuse a skip whose output is not of the type that the steps after it take, or cannot be stored."""
    step = None if command.step is None else live.plan.dag.index(command.step)
    if command.verb != "skip" or step is None:
        return command
    bound = live.bound
    if bound is None:
        spare = Live(live.id, live.plan, new_state(live.plan.dag))
        spare.record([ev.Submitted("")])
        claim(spare, executor.catalog, executor.name)
        bound = spare.bound
    output = command.output
    try:
        if bound is not None:
            output = bound.steps[step].encode(bound.steps[step].decode(output))
        size = len(json.dumps(output, allow_nan=False))
    except Exception as error:  # a type's validator is users' code, which may raise anything
        msg = f"the output given for {command.step} does not fit its type: {' '.join(str(error).split())}"
        raise UsageError(msg) from error
    if size > OUTPUT_BYTES_MAX:
        msg = (
            f"the output given for {command.step} has {size:,} bytes; at most {OUTPUT_BYTES_MAX:,} are stored"
        )
        raise TooLarge(msg)
    return replace(command, output=output)


def wait(executor: Executor, asked: Wait) -> None:
    """Answer when the saga rests; now, if it does."""
    if asked.saga not in executor.live and asked.saga not in executor.touched:
        if read_live(executor.store, asked.saga).state.at_rest:
            resolve(asked.reply, None)
            return
        if not executor.drive:
            msg = (
                f"saga {asked.saga} does not rest, and this executor drives nothing; wait where it is driven"
            )
            raise UsageError(msg)
    executor.replies.at_rest(asked.saga, asked.reply)
