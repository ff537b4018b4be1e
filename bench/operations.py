"""The operations that are measured: their steps do nothing, so that all that is seen is the engine."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any, Final

from sledsaga import Catalog, FailedClean, Limits, Model, Operation, Step, no_undo, operation, step

STEPS: Final = 5
WIDTH: Final = 100
PAYLOAD: Final = 200
NOTHING: Final = no_undo("it changes nothing")
Function = Callable[..., Any]


class Params(Model):
    """What a saga is about: nothing."""

    name: str = "a"


def nothing() -> int:
    """Do nothing, in a thread."""
    return 1


async def nothing_async() -> int:
    """Do nothing, on the loop."""
    return 1


async def undo_nothing() -> None:
    """Undo nothing, on the loop."""


def chain(do: Function, steps: int = STEPS, *, after: str | None = None, undo: Any = NOTHING) -> list[Step]:  # noqa: ANN401 - a function or a reason
    """Return steps that come one after the other."""
    before = [after or (), *(f"s{number}" for number in range(steps - 1))]
    return [step(do, name=f"s{n}", after=before[n], undo=undo) for n in range(steps)]


def wide(steps: int) -> list[Step]:
    """Return a step, all others side by side after it, and one after them all."""
    leaves = [step(nothing_async, name=f"s{n}", after="root", undo=NOTHING) for n in range(steps - 2)]
    last = step(nothing_async, name="join", after=[leaf.name for leaf in leaves], undo=NOTHING)
    return [step(nothing_async, name="root", undo=NOTHING), *leaves, last]


def layered(steps: int) -> list[Step]:
    """Return layers of a hundred steps; each needs up to three steps of the layer before, by chance."""
    chance = random.Random(1)  # noqa: S311 - the same DAG each time
    return [
        step(nothing_async, name=f"s{n}", after=_above(n, chance) if n >= WIDTH else (), undo=NOTHING)
        for n in range(steps)
    ]


def _above(number: int, chance: random.Random) -> set[str]:
    first = (number // WIDTH - 1) * WIDTH
    return {f"s{first + chance.randrange(WIDTH)}" for _ in range(3)}


def made(name: str, steps: Iterable[Step]) -> Operation:
    """Return an operation of these steps."""
    return operation(name, version=1, params=Params, steps=list(steps))


def payloads() -> Operation:
    """Return a chain whose outputs are 200 bytes of JSON that no compression would shrink to nothing."""
    text = "".join(random.Random(1).choices("0123456789abcdefghijklmnopqrstuvwxyz", k=PAYLOAD - 2))  # noqa: S311 - no secret

    async def output() -> str:
        return text

    return made("payload", chain(output))


def failing() -> Operation:
    """Return five steps that can be undone, and a sixth that fails and leaves nothing."""

    async def fail() -> None:
        raise FailedClean("as it should")

    last = step(fail, name="last", after=f"s{STEPS - 1}", undo=NOTHING)
    return made("failing", [*chain(nothing_async, undo=undo_nothing), last])


def catalog(*more: Operation) -> Catalog:
    """Return the operations that many cases use, and those given."""
    plain = {"threads": (nothing, STEPS), "async": (nothing_async, STEPS)}
    plain |= {"four": (nothing_async, 4), "ten": (nothing_async, 10), "one": (nothing_async, 1)}
    chains = (made(name, chain(do, steps)) for name, (do, steps) in plain.items())
    return Catalog([*chains, *more])


def limits(at_once: int, threads: int = 16) -> Limits:
    """Return limits that let so many async calls, and sagas, go on at once."""
    return Limits(threads=threads, async_calls=at_once, live=max(2048, at_once))
