"""The operations of the kept logs: their steps go wrong as their params wish, while wishes are heard.

Rules
- A kept log names these operations and steps, so nothing here may change but how it is written.
- Only what every program since the first schema has is used: older programs import this file too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pydantic import Field

from sledsaga.core.define import (
    Lock,
    Node,
    Operation,
    Retry,
    exclusive,
    irreversible,
    nest,
    no_undo,
    operation,
    output_of,
    outputs_of,
    shared,
    step,
    value,
)
from sledsaga.core.model import Model
from sledsaga.errors import FailedClean, Transient

PATIENCE_S = 60.0
LATER = Retry(3, backoff_s=30.0)


class Wishes:
    """Whether wishes are heard, who came to the gate, and the gate."""

    heard = False
    arrivals = threading.Semaphore(0)
    gate = threading.Event()


class Params(Model):
    """`wish` says by call (`do make`, `undo make`) how it goes wrong."""

    name: str = "x"
    disks: int = 2
    wish: dict[str, str] = Field(default_factory=dict)


class Inner(Model):
    size: int
    label: str = "ä b"
    wish: dict[str, str] = Field(default_factory=dict)


def act(ctx: Any, params: Params | Inner) -> None:
    """Go wrong as it was wished."""
    wish = params.wish.get(f"{ctx.direction} {ctx.step}", "") if Wishes.heard else ""
    match wish, ctx.attempt:
        case ("fail", _) | ("fail once", 1):
            raise RuntimeError(f"{ctx.step} said no: ✗")
        case "clean", _:
            raise FailedClean("there was nothing to begin with")
        case ("later", _) | ("later once", 1):
            raise Transient("not yet")
        case "gate", _:
            Wishes.arrivals.release()
            assert Wishes.gate.wait(PATIENCE_S)
        case "hang", _:
            Wishes.arrivals.release()
            threading.Event().wait()


def fetch(ctx: Any, params: Params) -> dict[str, Any]:
    act(ctx, params)
    return {"etag": 'W/"1\\\n"', "parts": [1, 2.5, None, True], "größe": 2**60}


def make(ctx: Any, params: Params, fetch: dict[str, Any]) -> str:
    act(ctx, params)
    return f"made of {len(fetch)}"


def undo_make(ctx: Any, params: Params, output: str | None) -> None:
    act(ctx, params)


def report(ctx: Any, params: Params, disks: list[int], tune: int) -> str:
    act(ctx, params)
    return f"{disks} {tune}"


def wipe(ctx: Any, params: Params, number: int) -> int:
    act(ctx, params)
    return number * 10


def undo_wipe(ctx: Any, params: Params, number: int) -> None:
    act(ctx, params)


def measure(ctx: Any, params: Params) -> Inner:
    act(ctx, params)
    return Inner(size=7, wish=params.wish)


def turn(ctx: Any, params: Inner) -> int:
    act(ctx, params)
    return params.size


def undo_turn(ctx: Any, params: Inner) -> None:
    act(ctx, params)


def prepare(ctx: Any, params: Params) -> None:
    act(ctx, params)


def send(ctx: Any, params: Params) -> None:
    act(ctx, params)


def confirm(ctx: Any, params: Params) -> str:
    act(ctx, params)
    return "confirmed"


TUNE = operation(
    "tune",
    version=3,
    params=Inner,
    locks=[shared("tuner:all")],
    steps=[step(turn, undo=undo_turn), step(turn, name="check", undo=no_undo("it looks"), after="turn")],
)
LOOSE = operation("loose", version=1, params=Inner, steps=[step(turn, undo=undo_turn, cancellable=True)])


def locks_of_build(params: Params) -> list[Lock]:
    return [exclusive(f"pool:{params.name}")]


def steps_of_build(params: Params) -> list[Node]:
    """Return a branch for each disk, between what makes and what reports."""
    wipes = [
        step(
            wipe,
            name=f"wipe-{i}",
            undo=undo_wipe,
            after="make",
            inputs={"number": value(i)},
            retry=Retry(2, backoff_s=0.01) if i else LATER,
            undo_retry=Retry(1) if i else LATER,
            timeout_s=120,
        )
        for i in range(params.disks)
    ]
    return [
        step(fetch, undo=no_undo("it reads")),
        step(make, undo=undo_make, undo_needs_output=True, undo_retry=Retry(1)),
        *wipes,
        nest("tune", TUNE, params=tune_of, after="make"),
        step(
            report,
            undo=no_undo("it tells"),
            inputs={"disks": outputs_of([one.name for one in wipes])},
        ),
    ]


def tune_of(params: Params) -> Inner:
    return Inner(size=params.disks, wish=params.wish)


def _chain(name: str, *steps: Node, locks: Callable[[Any], list[Lock]] | tuple[Lock, ...] = ()) -> Operation:
    return operation(name, version=1, params=Params, steps=steps, locks=locks)


BUILD = operation("build", version=2, params=Params, steps=steps_of_build, locks=locks_of_build)
SHIP = _chain(
    "ship",
    step(prepare, undo=undo_wipe, inputs={"number": value(1)}),
    step(send, undo=irreversible("what is sent is sent"), after="prepare"),
    step(confirm, undo=no_undo("it asks"), after="send"),
)
LEND = _chain("lend", step(measure, undo=no_undo("it reads")), nest("in", LOOSE, params=output_of("measure")))
GONE = _chain("gone", step(prepare, undo=no_undo("it reads"), retry=LATER))
ALL = (BUILD, SHIP, LEND, GONE)
