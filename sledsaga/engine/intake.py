"""How the loop takes what callers ask: submit, command, wait. Answers are given only after the write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sledsaga.core import events as ev
from sledsaga.core.commands import Command
from sledsaga.core.commands import decide as decide_events
from sledsaga.core.define import Lock
from sledsaga.core.machine import new_state
from sledsaga.core.view import view
from sledsaga.engine.adopt import claim, read_live
from sledsaga.engine.live import Live
from sledsaga.engine.messages import Decide, Decision, Submit, Submitted, Wait
from sledsaga.errors import Conflict, KeyConflict, NotFound, UsageError
from sledsaga.store.store import LockRow, SagaRow

if TYPE_CHECKING:
    from sledsaga.engine.execute import Executor


def submit(executor: Executor, asked: Submit) -> None:
    """Record a new saga and take it over, or answer with the one that the key (or id) stands for."""
    known = _known(executor, asked)
    if known is not None:
        if known[1] != asked.digest:
            what = f"key {asked.key!r}" if asked.key is not None else f"id {asked.id}"
            msg = f"{what} was used for saga {known[0]} with another operation or other params; use a new one"
            raise KeyConflict(msg)
        executor.answer(asked.reply, Submitted(known[0], is_new=False))
        return
    state = new_state(asked.plan.dag, has_locks=bool(asked.plan.locks))
    live = Live(asked.id, asked.plan, state, key=asked.key, digest=asked.digest, is_new=True)
    live.record([ev.Submitted(asked.by)])
    executor.touch(live)
    executor.answer(asked.reply, Submitted(live.id, is_new=True))
    executor.locks.request(live.id, asked.plan.locks)
    if executor.drive and len(executor.live) < executor.limits.live:
        executor.adopt(live)
    elif executor.drive:
        executor.backlog.add(live.id)


def _known(executor: Executor, asked: Submit) -> tuple[str, str] | None:
    """Return id and digest of the saga that was submitted with this key or id, in the log or in this turn."""
    for live in executor.touched.values():
        if live.is_new and ((asked.key is not None and live.key == asked.key) or live.id == asked.id):
            return live.id, live.digest
    row: SagaRow | None = executor.store.by_key(asked.key) if asked.key is not None else None
    if row is None and asked.has_own_id:
        try:
            row = executor.store.row(asked.id)
        except NotFound:
            return None
    return None if row is None else (row.id, row.digest)


def decide(executor: Executor, asked: Decide) -> None:
    """Let a command become events, or say what it would be."""
    live = _find(executor, asked.saga) or read_live(executor.store, asked.saga)
    if asked.expect_seq is not None and asked.expect_seq != live.state.seq:
        stands = f"saga {asked.saga} stands at event {live.state.seq}"
        msg = f"{stands}, not {asked.expect_seq}; look again, then decide"
        raise Conflict(msg)
    is_ours = asked.saga in executor.live
    if asked.dry_run and is_ours:
        live = read_live(executor.store, asked.saga)
    if not is_ours and live.state.parked is None and not live.state.outcome:
        live.record([ev.Claimed(executor.name)])
    events = decide_events(live.state, asked.command)
    _check_output(executor, live, asked.command)
    live.record(events)
    row = executor.store.row(asked.saga) if not live.is_new else None
    picture = view(live.id, live.plan, live.state, key=row.key if row else live.key)
    if asked.dry_run:
        asked.reply.set_result(Decision(events, picture))
        return
    executor.answer(asked.reply, Decision(events, picture))
    executor.touch(live)
    if not is_ours:
        _take_over(executor, live)


def _find(executor: Executor, saga: str) -> Live | None:
    return executor.live.get(saga) or executor.touched.get(saga)


def _take_over(executor: Executor, live: Live) -> None:
    """Drive a saga again that somebody has spoken to, if anything is left to be driven."""
    executor.locks.request(live.id, live.plan.locks, held=live.state.locked)
    if executor.drive and not live.state.abandoned and live.state.parked is None:
        executor.adopt(live)


def _check_output(executor: Executor, live: Live, command: Command) -> None:
    """Refuse a skip whose output is not of the type that the steps after it take."""
    step = None if command.step is None else live.plan.dag.index(command.step)
    if command.verb != "skip" or step is None:
        return
    bound = live.bound
    if bound is None:
        spare = Live(live.id, live.plan, new_state(live.plan.dag))
        spare.record([ev.Submitted("")])
        claim(spare, executor.catalog, executor.name)
        bound = spare.bound
    try:
        _ = bound and bound.steps[step].decode(command.output)
    except ValueError as error:
        msg = f"the output given for {command.step} does not fit its type: {' '.join(str(error).split())}"
        raise UsageError(msg) from error


def wait(executor: Executor, asked: Wait) -> None:
    """Answer when the saga rests; now, if it does."""
    live = _find(executor, asked.saga)
    if live is None:
        state = read_live(executor.store, asked.saga).state
        if state.at_rest:
            executor.answer(asked.reply, None)
            return
    executor.waiters.setdefault(asked.saga, []).append(asked.reply)


def lock_requests(rows: tuple[LockRow, ...]) -> list[tuple[str, tuple[Lock, ...], bool]]:
    """Return the lock rows of a log as one request a saga: holders first, then in order of arrival."""
    wants: dict[str, list[LockRow]] = {}
    for row in rows:
        wants.setdefault(row.saga, []).append(row)
    first = sorted(
        wants.items(), key=lambda item: (not item[1][0].held, min(r.since for r in item[1]), item[0])
    )
    return [(saga, tuple(Lock(r.resource, r.mode) for r in rows), rows[0].held) for saga, rows in first]
