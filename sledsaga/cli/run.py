"""Verbs that drive sagas: submit and recover."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from sledsaga.cli import driving
from sledsaga.cli.codes import STATES
from sledsaga.cli.complete import complete_operation
from sledsaga.cli.desk import Desk, verb
from sledsaga.cli.inputs import read_params
from sledsaga.cli.look import reading
from sledsaga.cli.root import root
from sledsaga.cli.show import show_rows, show_saga
from sledsaga.cli.words import one_line
from sledsaga.errors import NotFound, Stopping, UsageError, WaitTimedOut

if TYPE_CHECKING:
    from sledsaga.core.view import SagaView

WORST: Final = ("stuck", "paused", "abandoned", "waiting", "running", "unwinding")


@dataclass(slots=True)
class Wanted:
    """What is to be submitted, and which saga it became."""

    operation: str
    params: dict[str, Any]
    key: str | None = None
    fingerprint: str | None = None
    saga: str | None = None


@verb(root, "submit")
@click.argument("operation", shell_complete=complete_operation)
@click.option("-f", "--file", metavar="FILE", help="Params from a JSON, YAML or TOML file; - is stdin.")
@click.option("-p", "--param", "pairs", multiple=True, metavar="KEY=VALUE", help="One param; KEY:=JSON too.")
@click.option("--key", metavar="TEXT", help="The same key and params give the same saga, however often.")
@click.option("--plan", "fingerprint", metavar="DIGEST", help="Refuse unless this is the plan's fingerprint.")
@click.option("--detach", is_flag=True, help="Only record it; whoever drives sagas takes it from there.")
@click.option("--wait", is_flag=True, help="Wait for it without showing its progress.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait no longer than this.",
)
def submit(
    desk: Desk,
    *,
    operation: str,
    file: str | None,
    pairs: tuple[str, ...],
    key: str | None,
    fingerprint: str | None,
    detach: bool,
    wait: bool,
    timeout_s: float | None,
) -> None:
    r"""Record a saga of OPERATION and drive it until it rests.

    \b
        sledsaga submit provision-crdb -f crdb.yaml
        sledsaga submit ensure-datasets -p pool=oxp_1 --detach --key nightly-7

    Writes to the log, then does what the operation does. `sledsaga plan` shows it first, `sledsaga cancel`
    undoes it. Ends with the code of the saga's state: 0 succeeded, 6 undone, 7 stuck.
    """
    from sledsaga import wiring

    if detach and (wait or timeout_s is not None):
        raise UsageError("--detach does not wait; leave out --wait and --timeout")
    if detach and wiring.log_path(desk.settings) is None:
        raise UsageError("a log in memory ends with this process; leave out --detach, or name a file")
    wanted = Wanted(operation, read_params(file, pairs), key, fingerprint)
    with explained(desk, wanted):
        view = _record(desk, wanted) if detach else _drive(desk, wanted, timeout_s=timeout_s, quiet=wait)
    show_saga(desk, view)
    if not detach:
        raise SystemExit(STATES[view.state])


def _record(desk: Desk, wanted: Wanted) -> SagaView:
    with driving.executor(desk, drive=False) as who:
        view = _submit(desk, who, wanted)
    if who.client is None and view.state == "waiting":
        desk.terminal.say("sledsaga: recorded; nobody drives it now, `sledsaga recover` does")
    return view


def _drive(desk: Desk, wanted: Wanted, *, timeout_s: float | None, quiet: bool) -> SagaView:
    with driving.executor(desk) as who:
        view = _submit(desk, who, wanted)
        return driving.see_through(desk, who, view.id, timeout_s=timeout_s, quiet=quiet)


def _submit(desk: Desk, who: driving.Executor, wanted: Wanted) -> SagaView:
    """Submit under an id of our own, so that an interrupt can say what became of it."""
    from sledsaga.engine.ids import new_id

    if wanted.key is None:
        wanted.saga = new_id()
    view: SagaView
    view, is_new = who.verbs.submitted(
        wanted.operation,
        wanted.params,
        key=wanted.key,
        id=wanted.saga,
        by=driving.whoami(),
        fingerprint=wanted.fingerprint,
    )
    wanted.saga = view.id
    if not is_new:
        desk.terminal.say(f"sledsaga: saga {view.id} has this key already; this is that one")
        if who.engine is not None:
            who.engine.recover()
    return view


@contextmanager
def explained(desk: Desk, wanted: Wanted) -> Iterator[None]:
    """Let an interrupt, or the end of the time to wait, say what became of the saga."""
    with driving.terminated_like_interrupted():
        try:
            yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_what_became(desk, wanted.saga)) from None
        except WaitTimedOut as error:
            what = _what_became(desk, wanted.saga)
            raise WaitTimedOut(f"the time to wait is over: {what}") from error


def _what_became(desk: Desk, saga: str | None) -> str:
    from sledsaga import wiring

    store = desk.reader()
    try:
        state = store.row(saga or "").state
    except NotFound:
        return "nothing was recorded"
    finally:
        store.close()
    if STATES[state] or state == "succeeded":
        return f"saga {saga} is {state}"
    if wiring.holder(desk.settings) is not None:
        return f"saga {saga} goes on with the executor that runs"
    return f"saga {saga} was handed back; `sledsaga recover` goes on with it"


@verb(root, "recover")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait no longer than this.",
)
def recover(desk: Desk, *, timeout_s: float | None) -> None:
    r"""Take over every saga that is unfinished, and drive all of them until they rest.

    \b
        sledsaga recover
        sledsaga recover --json | jq '.sagas[] | select(.state == "stuck")'

    Goes on with what a crash, a kill or an interrupt left. When an executor runs it has them already; then
    this only waits. Ends with 7 when a saga needs a person, 9 when one cannot be read.
    """
    with driving.terminated_like_interrupted():
        found = _rest_all(desk, timeout_s) if _has_log(desk) else driving.Rested((), (), ())
    for saga, why in found.unreadable:
        desk.terminal.say(f"sledsaga: saga {saga} cannot be read: {one_line(why)}")
    unreadable = [{"id": saga, "error": why} for saga, why in found.unreadable]
    if desk.terminal.as_json or found.rows:
        more = {"parked": list(found.parked), "unreadable": unreadable}
        with reading(desk) as store:
            show_rows(desk, store, found.rows, more=more)
    if not found.rows and not unreadable:
        desk.terminal.say(f"sledsaga: nothing is unfinished in {one_line(desk.settings.db.value)}")
    raise SystemExit(_verdict({row.state for row in found.rows}, is_readable=not unreadable))


def _has_log(desk: Desk) -> bool:
    """Say whether there is a log: looking for work in the wrong folder leaves nothing there."""
    from sledsaga import wiring

    path = wiring.log_path(desk.settings)
    return path is None or path.exists()


def _rest_all(desk: Desk, timeout_s: float | None) -> driving.Rested:
    while True:
        with driving.executor(desk) as who:
            if who.engine is None:
                desk.terminal.say("sledsaga: an executor runs and drives them; waiting for them to rest")
            try:
                return driving.rest_all(desk, who, timeout_s=timeout_s)
            except Stopping:
                desk.terminal.say("sledsaga: that executor went away; this process takes over")


def _verdict(states: set[str], *, is_readable: bool) -> int:
    """Return the code of what is worst; sagas that were undone are as wanted."""
    if not is_readable:
        return 9
    return next((STATES[state] for state in WORST if state in states and STATES[state]), 0)
