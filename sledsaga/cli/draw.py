"""Pictures of sagas for people: a tree of steps, tables, and one line for each change.

Everything here takes values and returns what rich can draw; nothing here prints.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sledsaga.cli.tables import Table, labelled
from sledsaga.cli.words import EVENTS, STATES, STEPS, clean, duration, moment, one_line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from sledsaga.core.view import SagaView, StepView, StuckView

DONE: Final = frozenset({"succeeded", "skipped"})
QUIET: Final = frozenset({"pending", "succeeded", "undone", "skipped", "undo_skipped"})
ERROR_CHARS: Final = 300
PARAMS_CHARS: Final = 600


def headline(view: SagaView, short: str, now: float) -> Text:
    """Return the one line that says how a saga stands."""
    from rich.text import Text

    line = Text(*labelled(STATES[view.state], view.state))
    done = sum(step.state in DONE for step in view.steps)
    since = duration((view.updated_at if view.state in STATES and _ended(view) else now) - view.created_at)
    line.append(
        f"  {view.operation} v{view.version}  {short}  {done}/{len(view.steps)} steps  {since}",
        style="default",
    )
    return line


def _ended(view: SagaView) -> bool:
    return view.state in ("succeeded", "undone", "abandoned", "stuck")


def tree(view: SagaView, short: str, now: float, *, most: int | None = None) -> RenderableType:
    """Return a saga as a tree of its steps; `most` leaves out quiet steps when there are more than that."""
    from rich.tree import Tree

    root = Tree(headline(view, short, now), guide_style="dim")
    branches: dict[str, Tree] = {"": root}
    shown = _worth_showing(view.steps, most)
    for step in shown:
        _branch(branches, step.path.rpartition("/")[0]).add(step_line(step, now))
    if len(shown) < len(view.steps):
        root.add(f"… and {len(view.steps) - len(shown):,} more steps", style="dim")
    return root


def _worth_showing(steps: Sequence[StepView], most: int | None) -> Sequence[StepView]:
    if most is None or len(steps) <= most:
        return steps
    loud = [step for step in steps if step.state not in QUIET]
    recent = sorted((s for s in steps if s.state in QUIET and s.ended_at), key=lambda s: s.ended_at or 0)
    kept = {step.path for step in [*loud, *reversed(recent)][: max(1, most - 1)]}
    return [step for step in steps if step.path in kept]


def _branch(branches: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - rich's tree
    if path not in branches:
        above, _, name = path.rpartition("/")
        branches[path] = _branch(branches, above).add(clean(name))
    return branches[path]


def step_line(step: StepView, now: float) -> Text:
    """Return one step as a line: sign, name, state, attempts, how long, and what went wrong."""
    from rich.text import Text

    look = STEPS[step.state]
    line = Text(f"{look.sign} ", style=look.colour)
    line.append(clean(step.path.rpartition("/")[2]), style="default")
    line.append(f"  {step.state.replace('_', ' ')}", style=look.colour)
    line.append("".join(f"  {note}" for note in _notes(step, now)), style="dim")
    if step.error and step.state not in ("succeeded", "pending"):
        line.append(f"  {both_ends(one_line(step.error), ERROR_CHARS)}", style="default")
    if step.state in DONE and (told := _told(step.output)):
        line.append(f"  {both_ends(one_line(told), ERROR_CHARS)}", style="default")
    return line


def both_ends(text: str, most: int) -> str:
    """Return a text without its middle when it is too long: what a tool said of its failure comes last."""
    if len(text) <= most:
        return text
    first = most // 3
    return f"{text[:first]} … {text[first + 3 - most :]}"


def _told(output: object) -> str:
    """Return what the output of a step tells of a failure that did not fail its saga, in its field `why`."""
    if not isinstance(output, dict) or not output.get("why"):
        return ""
    return ": ".join(str(output[name]) for name in ("state", "why") if output.get(name))


def failure_lines(view: SagaView) -> Iterable[Text]:
    """Yield a line when steps tell of failures that failed no saga: how many, of those that tell."""
    from rich.text import Text

    outputs = [step.output for step in view.steps if step.state in DONE and isinstance(step.output, dict)]
    telling = [output for output in outputs if {"state", "why"} <= output.keys()]
    failed = sum(output["state"] == "failed" for output in telling)
    if failed:
        yield Text(f"! {failed} of {len(telling)} failed; why stands beside each", style="bold red")


def _notes(step: StepView, now: float) -> Iterable[str]:
    if step.attempts > 1:
        yield f"{step.attempts} attempts"
    if step.undo_attempts > 1:
        yield f"{step.undo_attempts} undo attempts"
    if step.next_at is not None and step.next_at > now:
        yield f"again in {duration(step.next_at - now)}"
    elif step.started_at is not None:
        running = step.ended_at is None or step.ended_at < step.started_at
        yield duration((now if running else step.ended_at or now) - step.started_at)


def details(view: SagaView, now: float, *, is_driven: bool) -> Table:
    """Return what else is to be known of a saga, one fact a line; `is_driven`: its executor lives."""
    facts = Table(None)
    for name, value in _facts(view, now, is_driven=is_driven).items():
        facts.add_row(name, clean(value))
    return facts


def _facts(view: SagaView, now: float, *, is_driven: bool) -> dict[str, str]:
    facts = {"id": view.id, "created": moment(view.created_at, now), "updated": moment(view.updated_at, now)}
    facts["direction"] = view.direction
    if view.key is not None:
        facts["key"] = view.key
    gone = "" if is_driven or _ended(view) else ", which does not run now"
    facts["executor"] = f"{view.executor or 'none yet'} (epoch {view.epoch}){gone if view.executor else ''}"
    if view.params:
        facts["params"] = _cut(one_line(as_text(view.params)))
    for resource, mode, held in view.locks:
        facts[f"lock {resource}"] = f"{mode}, {'held' if held else 'waited for'}"
    if view.leftovers:
        facts["may be left"] = ", ".join(view.leftovers)
    if view.allowed:
        facts["you may"] = ", ".join(view.allowed)
    return facts


def _cut(text: str) -> str:
    return text if len(text) <= PARAMS_CHARS else f"{text[:PARAMS_CHARS]}… (all of it: --json)"


def stuck_lines(stuck: Sequence[StuckView], short: str, now: float) -> Iterable[Text]:
    """Yield what needs a person: where, why, since when, and what may be done."""
    from rich.text import Text

    for one in stuck:
        where = f"{one.direction} of {one.step}" if one.step else "the saga"
        line = Text(f"! {clean(where)} is stuck", style="bold red")
        tried = f" after {one.attempts} attempts" if one.attempts > 1 else ""
        line.append(
            f"{tried}, {moment(one.since, now)}\n  {both_ends(clean(one.error), 4 * ERROR_CHARS)}",
            style="default",
        )
        for verb in one.allowed if one.step else ():
            output = " --output JSON" if verb == "skip" else ""
            line.append(
                f"\n  sledsaga {verb} {short} {clean(one.step)}{output} --wait --reason TEXT", style="default"
            )
        yield line


def event_line(event: Mapping[str, Any]) -> str:
    """Return one event (as JSON has it) as a line of text."""
    at = str(event["at"])[:19].replace("T", " ") + "Z"
    where = f"{event['step']} " if event.get("step") else "saga "
    what = EVENTS.get(event["type"], event["type"])
    return one_line(f"{event['seq']:>4}  {at}  {where}{what}{_tail(event)}").replace("  ", " ")


def change_line(event: Mapping[str, Any], short: str) -> str:
    """Return one change of a saga as a line, for whoever watches without a terminal."""
    where = f"{event['step']}: " if event.get("step") else ""
    what = EVENTS.get(event["type"], event["type"])
    return one_line(f"{str(event['at'])[11:19]}Z {short} {where}{what}{_tail(event)}")


TAILS: Final = ("error", "why", "outcome", "executor")


def _tail(event: Mapping[str, Any]) -> str:
    parts = [f": {event[name]}" for name in TAILS if event.get(name)]
    if event.get("attempt", 1) > 1:
        parts.append(f" (attempt {event['attempt']})")
    if event.get("next_at"):
        parts.append(f" at {str(event['next_at'])[11:19]}Z")
    if event.get("by"):
        parts.append(f" by {event['by']}")
    if event.get("reason"):
        parts.append(f": {event['reason']}")
    return "".join(parts)


def as_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a JSON value on one line, for a table."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
