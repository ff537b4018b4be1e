"""Operations that write letters into a folder, for trials without a sled; children find them here."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from sledsaga import (
    Context,
    FailedClean,
    Model,
    Retry,
    Transient,
    irreversible,
    nest,
    no_undo,
    operation,
    step,
)


class Params(Model):
    """Where letters go, and where it is noted that one was late."""

    folder: str
    notes: str = ""


def letter(params: Params) -> str:
    Path(params.folder, "letter").write_text("dear")
    return "dear"


def undo_letter(params: Params) -> None:
    Path(params.folder, "letter").unlink(missing_ok=True)


def _stamp(params: Params) -> Path:
    return Path(params.folder, "stamp")


async def stamp(params: Params) -> None:
    await asyncio.to_thread(_stamp(params).write_text, "1")


async def undo_stamp(params: Params) -> None:
    await asyncio.to_thread(_stamp(params).unlink, missing_ok=True)


def send(params: Params) -> None:
    sys.stdout.write("sent\n")
    Path(params.folder, "sent").write_text("gone")


def late(params: Params) -> None:
    if not Path(params.notes).exists():
        Path(params.notes).touch()
        raise Transient("the first time ever")


def careful(ctx: Context, params: Params) -> None:
    if ctx.in_doubt:
        undo_letter(params)
        raise FailedClean("whether it was written is not known")
    letter(params)


def sleep() -> None:
    time.sleep(3600)


INNER = operation("inner", version=1, params=Params, steps=[step(stamp, undo=undo_stamp)])
MIXED = operation(
    "mixed",
    version=1,
    params=Params,
    steps=[
        step(letter, undo=undo_letter),
        nest("inner", INNER, params=lambda params: params, after="letter"),
        step(send, undo=irreversible("it is gone"), after="inner"),
    ],
)
LATE = operation(
    "late", version=1, params=Params, steps=[step(late, undo=no_undo("only a note"), retry=Retry(2, 0.01))]
)
CAREFUL = operation("careful", version=1, params=Params, steps=[step(careful, undo=undo_letter)])
ENDLESS = operation("endless", version=1, params=Params, steps=[step(sleep, undo=no_undo("it sleeps"))])
