"""The DAG of a saga or of an operation, for Graphviz, Mermaid, or as an SVG drawn here.

One shape goes in, whatever it was made from: a title, and boxes with a label, a state and what they need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from sledsaga.cli.complete import complete_operation, complete_saga
from sledsaga.cli.desk import Desk, verb
from sledsaga.cli.inputs import read_params
from sledsaga.cli.look import reading, resolve
from sledsaga.cli.root import root
from sledsaga.cli.words import STEPS, one_line
from sledsaga.errors import UnknownOperation

if TYPE_CHECKING:
    from sledsaga.core.dag import Dag
    from sledsaga.core.view import SagaView

FILLS: Final[dict[str, str]] = {
    "pending": "#eceff1",
    "running": "#bbdefb",
    "backing_off": "#ffe0b2",
    "in_doubt": "#e1bee7",
    "succeeded": "#c8e6c9",
    "skipped": "#b2ebf2",
    "failed": "#ffcdd2",
    "failed_clean": "#ffcdd2",
    "undoing": "#ffecb3",
    "undo_backing_off": "#ffe0b2",
    "undo_in_doubt": "#e1bee7",
    "undone": "#fff9c4",
    "undo_failed": "#ef9a9a",
    "undo_skipped": "#b2ebf2",
}
"""A light colour for each state; black text is readable on all of them."""


@dataclass(frozen=True, slots=True)
class Box:
    """One step: its path, its state, whether it can be undone, and the places of the boxes that it needs."""

    path: str
    state: str
    undo: str
    needs: tuple[int, ...]

    @property
    def label(self) -> str:
        """The path on one line, safe to print."""
        return one_line(self.path)

    @property
    def note(self) -> str:
        """The state with its sign; for a step that waits, what is special about its undo."""
        if self.state == "pending" and self.undo != "undo":
            return {"none": "no undo", "irreversible": "cannot be undone"}[self.undo]
        return f"{STEPS[self.state].sign} {self.state.replace('_', ' ')}"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A title and its boxes, in an order in which each stands after all that it needs."""

    title: str
    boxes: tuple[Box, ...]


def of_saga(view: SagaView) -> Drawing:
    """Return the drawing of a saga as it stands."""
    place = {step.path: index for index, step in enumerate(view.steps)}
    boxes = (
        Box(step.path, step.state, step.undo.partition(":")[0], tuple(place[need] for need in step.needs))
        for step in view.steps
    )
    return Drawing(f"{view.operation} {view.id}: {view.state}", tuple(boxes))


def of_dag(dag: Dag) -> Drawing:
    """Return the drawing of a plan, to which nothing has happened yet."""
    boxes = (Box(step.path, "pending", step.undo, step.needs) for step in dag.steps)
    return Drawing(f"{dag.operation} v{dag.version}", tuple(boxes))


def dot(drawing: Drawing) -> str:
    """Return the drawing in Graphviz's language."""
    lines = [f"digraph {_quoted(drawing.title)} {{", "  rankdir=LR;"]
    lines.append('  node [shape=box style="rounded,filled" fontname="sans-serif"];')
    for index, box in enumerate(drawing.boxes):
        edge = ' color="#b71c1c" penwidth=2' if box.undo == "irreversible" else ""
        label = _quoted(f"{box.label}\n{box.note}")
        lines.append(f'  s{index} [label={label} fillcolor="{FILLS[box.state]}"{edge}];')
    lines += [f"  s{need} -> s{index};" for index, box in enumerate(drawing.boxes) for need in box.needs]
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def mermaid(drawing: Drawing) -> str:
    """Return the drawing as a Mermaid flow chart."""
    lines = ["flowchart LR"]
    for index, box in enumerate(drawing.boxes):
        text = box.label.replace('"', "#quot;")
        lines.append(f'  s{index}["{text}<br/>{box.note}"]:::{box.state}')
    lines += [f"  s{need} --> s{index}" for index, box in enumerate(drawing.boxes) for need in box.needs]
    used = sorted({box.state for box in drawing.boxes})
    lines += [f"  classDef {state} fill:{FILLS[state]},stroke:#455a64,color:#000" for state in used]
    return "\n".join(lines)


def svg(drawing: Drawing) -> str:
    """Return the drawing as a picture of its own."""
    from sledsaga.cli.svg import draw

    return draw(drawing, FILLS)


FORMATS: Final[dict[str, Callable[[Drawing], str]]] = {"dot": dot, "mermaid": mermaid, "svg": svg}


def complete_either(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[click.shell_completion.CompletionItem]:
    """Return operations and sagas that begin so."""
    return [
        *complete_operation(context, parameter, begun),
        *complete_saga(context, parameter, begun),
    ]


@verb(root, "graph")
@click.argument("what", metavar="SAGA|OPERATION", shell_complete=complete_either)
@click.option(
    "--format",
    "-t",
    "form",
    type=click.Choice(list(FORMATS)),
    default="mermaid",
    show_default=True,
    help="What to write.",
)
@click.option("-f", "--file", metavar="FILE", help="Params of the operation; - is stdin.")
@click.option(
    "-p", "--param", "pairs", multiple=True, metavar="KEY=VALUE", help="One param of the operation."
)
def graph(desk: Desk, *, what: str, form: str, file: str | None, pairs: tuple[str, ...]) -> None:
    r"""Draw the steps of a saga in the colours of their states, or those that an operation would have.

    \b
        sledsaga graph 0198c2f7-3a5 --format svg > saga.svg
        sledsaga graph provision-crdb -f crdb.yaml --format dot | dot -Tpdf > plan.pdf

    Writes nothing but the drawing.
    """
    drawing = _of_operation(desk, what, file, pairs) or _of_saga(desk, what)
    text = FORMATS[form](drawing)
    if desk.terminal.as_json:
        desk.terminal.json({"v": 1, "title": drawing.title, "format": form, "graph": text})
    else:
        desk.terminal.write(text)


def _of_operation(desk: Desk, name: str, file: str | None, pairs: tuple[str, ...]) -> Drawing | None:
    from sledsaga.core.plan import plan
    from sledsaga.wiring import open_catalog

    try:
        operation = open_catalog(desk.settings).get(name)
    except UnknownOperation:
        return None
    return of_dag(plan(operation, read_params(file, pairs)).dag)


def _of_saga(desk: Desk, text: str) -> Drawing:
    from sledsaga.engine.read import read_view

    with reading(desk) as store:
        return of_saga(read_view(store, resolve(store, text)))
