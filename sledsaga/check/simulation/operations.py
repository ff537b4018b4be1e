"""Operations of random shape, the same for the same dice: DAGs, policies, pivots, locks, nesting."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from sledsaga.check.simulation import acts
from sledsaga.check.simulation.weather import happens
from sledsaga.core.define import (
    ONCE,
    UNDO_RETRY,
    Lock,
    Node,
    Operation,
    Retry,
    Step,
    irreversible,
    nest,
    no_undo,
    operation,
    output_of,
    outputs_of,
    step,
)
from sledsaga.core.model import Model

SHAPES = 8
STAYS = no_undo("what it makes may stay")
OUT = irreversible("it is out")
BLOCKING = (acts.do, acts.do_with, acts.undo)
ON_LOOP = (acts.do_slowly, acts.do_slowly_with, acts.undo_slowly)


class Order(Model):
    """What a saga is asked for: which resources it needs, and how wide it is."""

    number: int
    resources: tuple[str, ...] = ()
    is_shared: bool = False
    width: int = 1


def locks(order: Order) -> list[Lock]:
    """Return the resources that an order needs."""
    return [Lock(f"res:{name}", "shared" if order.is_shared else "exclusive") for name in order.resources]


def make_operations(dice: Random) -> tuple[Operation, ...]:
    """Return operations `op-0`, `op-1`, …: some blocking, some on the loop, one wide, one nested."""
    made = [_static(dice, number) for number in range(SHAPES - 2)]
    inner = operation("inner", version=1, params=Order, steps=_steps(dice, 2, 0.0))
    outer: list[Node] = [step(acts.do, name="a", undo=acts.undo)]
    outer.append(nest("in", inner, params=_same, after="a"))
    outer.append(step(acts.do_with, name="z", undo=acts.undo, inputs={"given": output_of("a")}, after="in"))
    made.append(operation(f"op-{SHAPES - 2}", version=1, params=Order, steps=outer, locks=locks))
    made.append(operation(f"op-{SHAPES - 1}", version=1, params=Order, steps=_wide, locks=locks))
    return tuple(made)


def _same(order: Order) -> Order:
    return order


def _static(dice: Random, number: int) -> Operation:
    size = dice.choice((1, 2, 2, 3, 3, 4, 5, 7))
    on_loop = dice.choice((0.0, 0.0, 0.5, 1.0))
    return operation(f"op-{number}", version=1, params=Order, steps=_steps(dice, size, on_loop), locks=locks)


def _steps(dice: Random, size: int, on_loop: float) -> Sequence[Step]:
    names = "abcdefghij"[:size]
    return [_step(dice, name, names[:place], on_loop) for place, name in enumerate(names)]


def _step(dice: Random, name: str, before: str, on_loop: float) -> Step:
    needs = dice.sample(before, min(len(before), dice.choice((0, 1, 1, 2, 3))))
    is_blocking = dice.random() >= on_loop
    plain, with_one, undo = BLOCKING if is_blocking else ON_LOOP
    wired: dict[str, Any] = {"after": needs}
    if needs and happens(dice, 0.5):
        wired = {"after": needs[1:], "inputs": {"given": output_of(needs[0])}}
    if len(needs) > 1 and is_blocking and happens(dice, 0.5):
        wired, with_one = {"inputs": {"given": outputs_of(needs)}}, acts.do_with_all
    return step(
        with_one if "inputs" in wired else plain,
        name=name,
        undo=dice.choices((undo, STAYS, OUT), (80, 12, 8))[0],
        probe=acts.probe if is_blocking and happens(dice, 0.3) else None,
        retry=dice.choice((ONCE, Retry(3, 0.1), Retry(2, 1.0))),
        undo_retry=dice.choice((ONCE, Retry(3, 0.1), UNDO_RETRY)),
        timeout_s=dice.choice((None, None, 1.0, 3.0)),
        undo_timeout_s=dice.choice((None, None, 1.0, 3.0)),
        cancellable=happens(dice, 0.3),
        undo_needs_output=happens(dice, 0.15),
        **wired,
    )


def _wide(order: Order) -> list[Step]:
    branches = [f"b{number}" for number in range(order.width)]
    return [
        step(acts.do, name="a", undo=acts.undo),
        *(step(acts.do, name=one, undo=acts.undo, after="a", retry=Retry(2, 0.1)) for one in branches),
        step(acts.do_with_all, name="z", undo=acts.undo, inputs={"given": outputs_of(branches)}),
    ]
