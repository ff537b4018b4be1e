"""The state diagrams of a step and of a saga, as Mermaid, drawn from the machine and not from memory.

    python -m sledsaga.check.walk.diagram [FILE]

prints both, or puts them into FILE between its marks. That of a step is the table TRANSITIONS as it stands.
That of a saga has no table, for the one word for a saga follows from its steps: it is what a walk of the
real machine saw, over a saga of two steps (one that can be undone, then one that cannot), with its lock, two
crashes, two commands and a claim that parks it.
"""

from __future__ import annotations

import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from sledsaga.check.walk.moves import Bounds
from sledsaga.check.walk.symmetry import Fold
from sledsaga.check.walk.world import World, begin
from sledsaga.core import events as ev
from sledsaga.core.dag import Dag, DagStep, Policy, make_dag
from sledsaga.core.define import Retry
from sledsaga.core.machine import TRANSITIONS
from sledsaga.core.state import Status
from sledsaga.core.view import ENDED, saga_state

START: Final = "[*]"
Edges = Mapping[tuple[str, str], Iterable[str]]


def step_diagram() -> str:
    """Return the states of a step: which event leads from which to which."""
    edges: dict[tuple[str, str], list[str]] = defaultdict(list)
    edges[START, Status.PENDING.value] = []
    for event, table in TRANSITIONS.items():
        for before, after in table.items():
            edges[before.value, after.value].append(event.__name__)
    return _draw(edges)


def saga_diagram() -> str:
    """Return the states of a saga: which event was seen to lead from which to which."""
    edges: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    first = begin(_dag(), has_locks=True, bounds=Bounds(crashes=2, commands=2, parks=1, in_batches=True))
    edges[START, saga_state(first.state)] = {ev.Submitted.__name__: None}
    fold, queue = Fold(), deque([first])
    seen = {(first.left, fold.key(*first.key()))}
    while queue:
        world = queue.popleft()
        for move in world.moves():
            after = _settled(world.take(move))
            _note(edges, world, after)
            key = after.left, fold.key(*after.key())
            if key not in seen:
                seen.add(key)
                queue.append(after)
    edges |= {(end, START): {} for end in sorted(ENDED)}
    return _draw({pair: sorted(names) for pair, names in sorted(edges.items())})


def _dag() -> Dag:
    policy = Policy(retry=Retry(2), undo_retry=Retry(1))
    return make_dag(
        "diagram",
        1,
        (
            DagStep("reversible", (), (), "undo", policy=policy),
            DagStep("pivot", (0,), (), "irreversible", "a pivot", policy=policy),
        ),
    )


def _settled(world: World) -> World:
    """Return the world after the end of a saga that was abandoned: both are in the log at once."""
    is_over = world.state.abandoned and world.state.outcome is None and not world.wrong
    return world.take(world.moves()[0]) if is_over else world


def _note(edges: dict[tuple[str, str], dict[str, None]], before: World, after: World) -> None:
    """Note the change of the saga's word, if any, under the event that made it."""
    pair = saga_state(before.state), saga_state(after.state)
    if pair[0] != pair[1]:
        first, *more = (type(recorded.event).__name__ for recorded in after.log[len(before.log) :])
        edges[pair][more[-1] if more and first == ev.Claimed.__name__ else first] = None


def _draw(edges: Edges) -> str:
    lines = [
        f"    {before} --> {after}" + (f": {', '.join(names)}" if names else "")
        for (before, after), names in edges.items()
    ]
    return "\n".join(["stateDiagram-v2", *lines])


def blocks() -> dict[str, str]:
    """Return both diagrams by the name that marks their place in a document."""
    return {"step": step_diagram(), "saga": saga_diagram()}


def put_into(text: str) -> str:
    """Return a document with both diagrams at their marks; raises ValueError when a mark is missing."""
    for name, diagram in blocks().items():
        opening, closing = f"<!-- diagram: {name} -->", "<!-- end -->"
        before, rest = text.split(opening, 1)
        _, after = rest.split(closing, 1)
        text = f"{before}{opening}\n```mermaid\n{diagram}\n```\n{closing}{after}"
    return text


def main(arguments: list[str]) -> None:
    """Print the diagrams, or put them into the file named."""
    if not arguments:
        sys.stdout.write("\n\n".join(blocks().values()) + "\n")
    for name in arguments:
        path = Path(name)
        path.write_text(put_into(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
