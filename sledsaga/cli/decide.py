"""Verbs that tell a saga something: pause, resume, cancel, retry, skip, retry-undo, skip-undo, abandon.

Rules
- Each needs a reason, which stands in the log for good, with the name of who gave it.
- `-n` shows what would be recorded and what would follow, by the log alone; nothing is written.
- Each asks before it does anything; the dangerous ones want the saga's short id typed. Where nobody can be
  asked, `--yes` must be given.
- Nothing is ever unwritten: what a verb recorded can only be followed by another verb.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from sledsaga.cli import driving
from sledsaga.cli.codes import MOVING, STATES
from sledsaga.cli.complete import complete_saga, complete_step
from sledsaga.cli.desk import Desk, verb
from sledsaga.cli.draw import change_line, headline, stuck_lines
from sledsaga.cli.inputs import parse_value
from sledsaga.cli.look import reading, resolve
from sledsaga.cli.root import root
from sledsaga.cli.run import Wanted, explained
from sledsaga.cli.show import short_id, show_saga
from sledsaga.cli.words import clean
from sledsaga.errors import UsageError

if TYPE_CHECKING:
    from sledsaga.core.commands import Command, Verb
    from sledsaga.core.view import SagaView
    from sledsaga.store.store import Store


class Row(NamedTuple):
    """One verb: its help, whether it is for a step (`None`: it may be), is dangerous, takes an output."""

    help: str
    step: bool | None = False
    is_dangerous: bool = False
    has_output: bool = False


ROWS: Final[dict[Verb, Row]] = {
    "pause": Row(
        """Let what runs finish and start nothing more; it survives a crash.

        \b
            sledsaga pause 0198c2f7-3a5 --reason "disk swap"

        Reversible: `sledsaga resume`.""",
    ),
    "resume": Row(
        """Go on after a pause, or try again to run a saga that no executor knew.

        \b
            sledsaga resume 0198c2f7-3a5 --reason "disk is in"

        Reversible: `sledsaga pause`.""",
    ),
    "cancel": Row(
        """Stop going forward, then undo what was done.

        \b
            sledsaga cancel 0198c2f7-3a5 -n --reason "wrong pool"

        Not reversible: submit again instead. Refused once a step that cannot be undone has started.""",
    ),
    "retry": Row(
        """Try a failed step again, with a fresh budget of attempts; without STEP all that failed.

        \b
            sledsaga retry 0198c2f7-3a5 announce --reason "DNS is back"

        What the step did stays; the saga goes on from there.""",
        step=None,
    ),
    "skip": Row(
        """Vouch for a failed STEP and give its output; the saga goes on as if it had succeeded.

        \b
            sledsaga skip 0198c2f7-3a5 announce --output '{"ok": true}' --reason "done by hand"

        Not reversible. A skipped step is not undone either: what it left is yours.""",
        step=True,
        has_output=True,
    ),
    "retry-undo": Row(
        """Try an undo that is stuck again, with a fresh budget of attempts; without STEP all that are.

        \b
            sledsaga retry-undo 0198c2f7-3a5 dataset --reason "the dataset is free now"

        The saga goes on unwinding from there.""",
        step=None,
    ),
    "skip-undo": Row(
        """Take upon yourself what a stuck undo leaves; unwinding goes on; without STEP all that are stuck.

        \b
            sledsaga skip-undo 0198c2f7-3a5 dataset --reason "kept for the inquiry, ticket 4711"

        Dangerous, not reversible: what the step made stays on the sled and belongs to nobody.""",
        step=None,
        is_dangerous=True,
    ),
    "abandon": Row(
        """End a saga as it stands: nothing more is done, nothing is undone, its resources are free.

        \b
            sledsaga abandon 0198c2f7-3a5 --reason "the sled was scrapped"

        Dangerous, not reversible: whatever the saga made stays on the sled and belongs to nobody.""",
        is_dangerous=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a verb is carried out, beside what it says."""

    preview: bool
    yes: bool
    wait: bool
    timeout_s: float | None


def _register(name: Verb, row: Row) -> None:
    options: list[Callable[[Any], Any]] = [click.argument("saga", shell_complete=complete_saga)]
    if row.step is not False:
        options.append(click.argument("step", required=bool(row.step), shell_complete=complete_step))
    if row.has_output:
        options.append(click.option("--output", metavar="JSON", help="What the step would have returned."))
    options += [
        click.option("--reason", metavar="TEXT", help="Why; it stands in the log for good."),
        click.option("-n", "--dry-run", "preview", is_flag=True, help="Only show what it would do."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
        click.option("--wait", is_flag=True, help="Then drive or follow the saga until it rests."),
        click.option(
            "--timeout", "timeout_s", type=click.FloatRange(min=0), metavar="SECONDS", help="With --wait."
        ),
    ]

    def run(desk: Desk, **given: Any) -> None:  # noqa: ANN401 - click's
        manner = Manner(*(given.pop(one) for one in ("preview", "yes", "wait", "timeout_s")))
        carry_out(desk, name, given, manner)

    for option in reversed(options):
        run = option(run)
    verb(root, name, help=row.help)(run)


for _name, _row in ROWS.items():
    _register(_name, _row)


def carry_out(desk: Desk, name: Verb, given: dict[str, Any], manner: Manner) -> None:
    """Tell a saga something, after a look and a question."""
    from sledsaga.core.commands import Command
    from sledsaga.engine.read import read_view

    output = given.get("output")
    value = None if output is None else parse_value(output, is_json=True, name="--output")
    with reading(desk) as store:
        saga = resolve(store, given["saga"])
        view = read_view(store, saga)
    reason = given["reason"] or _ask_reason(desk, name)
    command = Command(name, driving.whoami(), reason, given.get("step"), value)
    if manner.preview:
        show_preview(desk, saga, command)
        return
    if not manner.yes:
        _confirm(desk, view, command)
    with explained(desk, Wanted(view.operation, {}, saga=saga)):
        after = _send(desk, view, command, manner)
    if desk.terminal.as_json or manner.wait:
        show_saga(desk, after)
    else:
        desk.terminal.show(headline(after, short_id(desk, saga), time.time()))
    if manner.wait:
        raise SystemExit(STATES[after.state])


def _send(desk: Desk, view: SagaView, command: Command, manner: Manner) -> SagaView:
    from sledsaga.engine.read import read_view

    with driving.executor(desk, drive=manner.wait) as who:
        who.verbs.command(view.id, command)
        if manner.wait:
            return driving.see_through(desk, who, view.id, timeout_s=manner.timeout_s, after=view.seq)
    with reading(desk) as store:
        after = read_view(store, view.id)
    if who.engine is not None and after.state in MOVING:
        desk.terminal.say("sledsaga: recorded; nobody drives it now, `sledsaga recover` does")
    return after


def _ask_reason(desk: Desk, name: str) -> str:
    if not desk.terminal.can_ask:
        raise UsageError(f"{name} needs --reason TEXT; it stands in the log for good")
    answer: str = click.prompt(f"why {name}", err=True)
    return answer


def _confirm(desk: Desk, view: SagaView, command: Command) -> None:
    """Ask whether it is meant; raises UsageError where nobody can be asked, Abort for a no."""
    if not desk.terminal.can_ask:
        raise UsageError(
            f"{command.verb} changes a saga and nobody can be asked here; give --yes, or -n to look"
        )
    short = short_id(desk, view.id)
    what = f"{command.verb} {command.step or ''}".strip()
    question = f"{clean(what)} of saga {short} ({view.operation}, {view.state})"
    if not ROWS[command.verb].is_dangerous:
        click.confirm(f"{question}?", abort=True, err=True)
        return
    desk.terminal.say(f"{question}: this cannot be taken back, and what it leaves on the sled is yours")
    if click.prompt(f"type {short} to do it", err=True).strip() != short:
        raise click.Abort("that was not its id, so nothing was done")


class Foreseen(NamedTuple):
    """What a command would record, what would follow from it at once, and the saga as it would stand."""

    events: list[dict[str, Any]]
    then: list[dict[str, Any]]
    view: SagaView


def show_preview(desk: Desk, saga: str, command: Command) -> None:
    """Show what a command would record and what would follow, by the log alone."""
    with reading(desk) as store:
        found = foresee(desk, store, saga, command)
    if desk.terminal.as_json:
        body = {"v": 1, "dry_run": True, "events": found.events, "then": found.then}
        desk.terminal.json(body | {"saga": found.view.to_json()})
        return
    short, now = short_id(desk, saga), time.time()
    for title, events in (("would be recorded:", found.events), ("and then:", found.then)):
        for place, event in enumerate(events):
            desk.terminal.show(*([] if place else [title]), f"  {change_line(event, short)}")
    desk.terminal.show(headline(found.view, short, now), *stuck_lines(found.view.stuck, short, now))
    if found.view.leftovers:
        desk.terminal.show(f"may be left on the sled: {clean(', '.join(found.view.leftovers))}")


def foresee(desk: Desk, store: Store, saga: str, command: Command) -> Foreseen:
    """Return what a command would do. Raises Refused, NotFound."""
    from sledsaga import wiring
    from sledsaga.core.commands import decide
    from sledsaga.core.events import Claimed, Event, Recorded
    from sledsaga.core.machine import apply
    from sledsaga.core.ready import ready
    from sledsaga.core.view import event_to_json, view
    from sledsaga.engine.read import load

    plan, state = load(store, saga)

    def record(events: Iterable[Event]) -> list[dict[str, Any]]:
        made = []
        for event in events:
            epoch = state.epoch + isinstance(event, Claimed)
            recorded = Recorded(state.seq + 1, time.time(), epoch, event)
            apply(state, recorded)
            made.append(event_to_json(recorded, plan.dag))
        return made

    if wiring.holder(desk.settings) is None and state.parked is None and not state.outcome:
        record([Claimed("whoever drives it next")])
    events = record(decide(state, command))
    then = record(ready(state, time.time()).record)
    return Foreseen(events, then, view(saga, plan, state, key=store.row(saga).key))
