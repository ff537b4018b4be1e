"""One saga of 10,000 steps beside chains of 10 steps, so many calls at once in both: the cost of a step.

A chain has one call at a time, so it stands beside chains that run one after the other. The fan-out has
256 at once (the engine's bound), and the layers 100. Planning and submitting are in all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bench.cases import Case, Row, Side, at_most
from bench.child import Place
from bench.drive import engine_on, keep_going
from bench.operations import WIDTH, catalog, chain, layered, limits, made, nothing_async, wide
from sledsaga import Step

TEN: Final = 10
SHAPES: Final[dict[str, tuple[Callable[[int], list[Step]], int]]] = {
    "chain": (lambda size: chain(nothing_async, size), 1),
    "fan-out": (wide, 256),
    "layers": (layered, WIDTH),
}


def large(place: Place, shape: str) -> dict[str, float]:
    """Run one large saga."""
    make, at_once = SHAPES[shape]
    steps = make(place.sizes.large)
    with engine_on(place.own / "log.db", catalog(made("large", steps)), limits(at_once)) as engine:
        seconds = keep_going(engine, "large", 1, 1).seconds
    return {"us/step": seconds / len(steps) * 1e6}


def tens(place: Place, shape: str) -> dict[str, float]:
    """Run chains of ten steps, with as many calls at once."""
    _, at_once = SHAPES[shape]
    sagas = place.sizes.tens if at_once > 1 else max(1, place.sizes.tens // 5)
    with engine_on(place.own / "log.db", catalog(), limits(at_once)) as engine:
        seconds = keep_going(engine, "ten", sagas, at_once).seconds
    return {"us/step": seconds / (sagas * TEN) * 1e6}


def _case(shape: str) -> Case:
    sides = tuple(Side(name, f"bench.large:{name}", {"shape": shape}) for name in ("large", "tens"))
    at_once = SHAPES[shape][1]
    workload = f"10,000 steps, {shape}; chains of 10, {at_once} at once"
    return Case(
        f"large {shape}",
        sides,
        (Row(workload, "large.us/step", "tens.us/step", at_most(1.5), "us/step"),),
        rounds=3,
    )


CASES: Final = tuple(map(_case, SHAPES))
