"""Which steps of a DAG can change places, and which shapes there are when names do not count.

    orders(dag) -> the automorphisms: each puts steps into places where nothing tells them apart
    fold_of(dag) -> what gives states the same key that an automorphism turns into each other

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
from itertools import islice, permutations
from operator import itemgetter
from typing import Any, Final

from sledsaga.check.walk.drive import all_shapes
from sledsaga.core.dag import Dag, DagStep

Key = tuple[Hashable, tuple[int, ...]]
ORDERS_MAX: Final = 120  # each costs a look at every state; of five steps side by side there are as many


def orders(dag: Dag, at_most: int | None = None) -> tuple[tuple[int, ...], ...]:
    """Return all automorphisms: `order[place]` is the step that is put there. The first changes nothing."""
    looks = [_look(dag, step) for step in range(len(dag.steps))]
    return tuple(islice(_orders((), looks, dag.steps), at_most))


def alike(dag: Dag) -> tuple[tuple[int, ...], ...]:
    """Return the groups of steps that can change places with each other while all others stay."""
    groups: dict[Hashable, list[int]] = {}
    for step, node in enumerate(dag.steps):
        groups.setdefault((_look(dag, step), node.needs, dag.children[step]), []).append(step)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def fold_of(dag: Dag) -> Fold:
    """Return the fold of a DAG: by all automorphisms, or where they are too many by groups of alike steps."""
    found = orders(dag, ORDERS_MAX + 1)
    return Fold(found) if len(found) <= ORDERS_MAX else Fold(groups=alike(dag))


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

    What is known of a step is first given a number, so that keys are short and can be compared. Without
    any automorphism nothing is folded. In each of `groups` the numbers are put in order.
    """

    orders: tuple[tuple[int, ...], ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()
    numbers: dict[Hashable, int] = field(default_factory=dict)
    _pick: list[Callable[[Sequence[int]], Any]] = field(init=False)

    def __post_init__(self) -> None:
        """Make of each automorphism, but the first, which changes nothing, a function."""
        self._pick = [itemgetter(*order) for order in self.orders[1:]]

    def key(self, whole: Hashable, steps: Sequence[Hashable]) -> Key:
        """Return the key of a state: what is known of the saga as a whole, and of each step."""
        numbers = self.numbers
        told = [numbers.setdefault(one, len(numbers)) for one in steps]
        for group in self.groups:
            for step, number in zip(group, sorted([told[step] for step in group]), strict=True):
                told[step] = number
        first = tuple(told)
        return (whole, min(first, *(pick(first) for pick in self._pick)) if self._pick else first)


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
