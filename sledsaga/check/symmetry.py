"""Which steps of a DAG can change places, and which shapes there are when names do not count.

    orders(dag) -> the automorphisms: each puts steps into places where nothing tells them apart

Rules
- Two steps can change places only when needs, undo, probe and policy stay as they are; names and inputs
  do not count, for the machine does not look at them.
- States that an automorphism turns into each other are one state: whatever can befall the one can befall
  the other, with other names. That holds as long as the parts that are walked look at no names and no
  numbers of steps; who walks a part that does, walks without symmetry.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from operator import itemgetter
from typing import Any

from sledsaga.check.drive import all_shapes
from sledsaga.core.dag import Dag, DagStep

Key = tuple[Hashable, tuple[int, ...]]


def orders(dag: Dag) -> tuple[tuple[int, ...], ...]:
    """Return all automorphisms: `order[place]` is the step that is put there. The first changes nothing."""
    steps = dag.steps
    return tuple(_orders((), [_look(dag, step) for step in range(len(steps))], steps))


def _look(dag: Dag, step: int) -> tuple[Hashable, ...]:
    """Return what of a step must be as at the place where it is put."""
    node = dag.steps[step]
    return node.undo, node.probe, node.policy, len(node.needs), len(dag.children[step])


def _orders(
    begun: tuple[int, ...], looks: Sequence[Hashable], steps: Sequence[DagStep]
) -> Iterator[tuple[int, ...]]:
    """Fill one place after the other; needs stand before their step, so each can be checked at once."""
    place = len(begun)
    if place == len(steps):
        yield begun
        return
    needs = {begun[need] for need in steps[place].needs}
    for step, node in enumerate(steps):
        if step not in begun and looks[step] == looks[place] and set(node.needs) == needs:
            yield from _orders((*begun, step), looks, steps)


@dataclass(slots=True)
class Fold:
    """Gives all states that are one by symmetry the same key: the least of what the automorphisms make.

    What is known of a step is first given a number, so that keys are short and can be compared.
    """

    orders: tuple[tuple[int, ...], ...]
    numbers: dict[Hashable, int] = field(default_factory=dict)
    _pick: list[Callable[[Sequence[int]], Any]] = field(init=False)

    def __post_init__(self) -> None:
        """Make of each automorphism, but the first, which changes nothing, a function."""
        self._pick = [itemgetter(*order) for order in self.orders[1:]]

    def key(self, whole: Hashable, steps: Sequence[Hashable]) -> Key:
        """Return the key of a state: what is known of the saga as a whole, and of each step."""
        numbers = self.numbers
        told = tuple([numbers.setdefault(one, len(numbers)) for one in steps])
        return (whole, min(told, *(pick(told) for pick in self._pick)) if self._pick else told)


def shapes(size: int) -> tuple[dict[str, str], ...]:
    """Return every DAG of `size` steps that no renaming turns into another one: 1, 2, 5, 16, 63 of them."""
    seen: dict[frozenset[tuple[int, int]], dict[str, str]] = {}
    for needs in all_shapes(size):
        seen.setdefault(_least(needs), needs)
    return tuple(seen.values())


def _least(needs: Mapping[str, str]) -> frozenset[tuple[int, int]]:
    """Return the arrows of a shape under that renaming which makes their sorted list least."""
    place = {name: number for number, name in enumerate(needs)}
    arrows = [(place[above], place[name]) for name, direct in needs.items() for above in direct.split()]
    renamed = (sorted((names[a], names[b]) for a, b in arrows) for names in permutations(range(len(needs))))
    return frozenset(min(renamed))
