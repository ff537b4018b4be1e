"""Call one step, and say how the call ended. Runs in a worker thread, or on the asyncio loop.

Rules
- Whatever a step does, there is an ending: any exception, also a BaseException, is one.
- What an output is as JSON is decided here, before it is said to have succeeded; an output that cannot be
  stored is a failure.
- An in-doubt `do` asks its probe first: already so and ours means succeeded, without calling `do`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from sledsaga.core.bind import BoundStep, Function
from sledsaga.core.define import Present
from sledsaga.core.endings import CleanFailure, Ending, Failed, Succeeded, TransientFailure, Undone
from sledsaga.core.events import Json
from sledsaga.engine.context import Context
from sledsaga.errors import FailedClean, Transient

OUTPUT_BYTES_MAX = 1024 * 1024
_as_text = json.JSONEncoder(allow_nan=False).encode
SledFactory = Callable[[Context], Any]
Hook = Callable[[str, str | None], None]


class Job(NamedTuple):
    """One call, with all that it needs: functions, stored inputs, context, and what the executor gives."""

    bound: BoundStep
    context: Context
    values: Mapping[str, Json]
    output: Json = None
    has_output: bool = False
    sled: SledFactory | None = None
    hook: Hook | None = None

    @property
    def function(self) -> Function:
        """The function to be called: `do`, or `undo`."""
        if self.context.direction == "do":
            return self.bound.do
        if self.bound.undo is None:
            msg = f"step {self.context.step} has no undo"
            raise AssertionError(msg)
        return self.bound.undo

    def arguments(self, function: Function, context: Context) -> dict[str, Any]:
        """Return the arguments for a function, decoded from what is stored."""
        values: dict[str, Any] = {**self.values, "ctx": context}
        if function.takes("sled") and self.sled is not None:
            values["sled"] = self.sled(context)
        arguments = function.arguments(values)
        if function.takes("output") and context.direction == "undo":
            arguments["output"] = self.bound.decode(self.output) if self.has_output else None
        return arguments

    def reach(self, moment: str) -> None:
        """Pass a crash point: `before-do`, `after-undo`, …."""
        if self.hook is not None:
            self.hook(f"{moment}-{self.context.direction}", self.context.step)


def perform(job: Job) -> Ending:
    """Call a blocking step to its end."""
    try:
        already = _probe(job)
        if already is not None:
            return already
        function = job.function
        arguments = job.arguments(function, job.context)
        job.reach("before")
        output = function.call(**arguments)
        job.reach("after")
        return _ended(job, output)
    except BaseException as error:  # noqa: BLE001 - whatever a step raises is how it ended
        return ending_of(error)


async def perform_async(job: Job) -> Ending:
    """Call an `async def` step to its end, on the loop that it is awaited on."""
    try:
        already = await _probe_in_thread(job) if _must_probe(job) else None
        if already is not None:
            return already
        function = job.function
        arguments = job.arguments(function, job.context)
        job.reach("before")
        output = await function.call(**arguments)
        job.reach("after")
        return _ended(job, output)
    except BaseException as error:  # noqa: BLE001 - whatever a step raises is how it ended
        return ending_of(error)


def _must_probe(job: Job) -> bool:
    return job.context.in_doubt and job.context.direction == "do" and job.bound.probe is not None


def _probe(job: Job) -> Ending | None:
    if not _must_probe(job) or job.bound.probe is None:
        return None
    answer = ask_probe(job.bound.probe, job)
    if isinstance(answer, Present) and answer.ours:
        return _ended(job, answer.output)
    return None


async def _probe_in_thread(job: Job) -> Ending | None:
    """Ask the probe in a daemon thread: one of asyncio's own would keep the process from ending."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Ending | None] = loop.create_future()

    def ask() -> None:
        try:
            found = _probe(job)
        except BaseException as error:  # noqa: BLE001 - whatever a probe raises is how the call ended
            found = ending_of(error)
        with suppress(RuntimeError):  # the loop is gone, and with it who wanted to know
            loop.call_soon_threadsafe(tell, found)

    def tell(found: Ending | None) -> None:
        if not answer.done():
            answer.set_result(found)

    threading.Thread(target=ask, name="sledsaga-probe", daemon=True).start()
    return await answer


def ask_probe(probe: Function, job: Job) -> object:
    """Return what a probe answers, also an `async def` one: it gets a loop of its own, in this thread."""
    answer = probe.call(**job.arguments(probe, replace(job.context, direction="probe")))
    return asyncio.run(answer) if probe.is_async else answer


def _ended(job: Job, output: Any) -> Ending:  # noqa: ANN401 - whatever a step returned
    if job.context.direction == "undo":
        return Undone()
    try:
        stored = job.bound.encode(output)
        size = len(_as_text(stored))
    except (ValueError, TypeError, RecursionError) as error:
        return Failed(f"the output, a {type(output).__name__}, cannot be stored as JSON: {_line(error)}")
    if size > OUTPUT_BYTES_MAX:
        return Failed(
            f"the output has {size:,} bytes; at most {OUTPUT_BYTES_MAX:,} are stored. Return a reference."
        )
    return Succeeded(stored)


def ending_of(error: BaseException) -> Ending:
    """Return what an exception says about how the call ended."""
    if isinstance(error, FailedClean):
        return CleanFailure(describe(error))
    if isinstance(error, Transient):
        return TransientFailure(describe(error))
    return Failed(describe(error))


def describe(error: BaseException) -> str:
    """Return one line for people: the error's kind, unless it is plain from the message, and its text."""
    text = _line(error)
    kind = type(error).__name__
    return (
        text if isinstance(error, FailedClean | Transient) and text else f"{kind}: {text}" if text else kind
    )


def _line(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - an error whose text cannot be had is still an ending
        return "its text cannot be had"
