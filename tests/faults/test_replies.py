"""Machines that refuse a change, do not answer, or lose the answer: a saga succeeds or is undone, never half.

Each change of an operation is struck once by each fault, forward and while all is undone. Faults are tried
from the first change on, until there is none left to strike. A ledger is good with one copy, and best-effort
means that a dataset may lack: nothing else may.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sledsaga.check.subject import Subject
from sledsaga.core.define import Operation, Retry, Step
from sledsaga.core.view import SagaView
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.engine.limits import Limits
from sledsaga.hosts.keys import KEY_DIR
from sledsaga.hosts.sim import Fault, SimSled
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.step import StepHost
from sledsaga.store.memory import MemoryStore
from tests.faults.scenarios import SCENARIOS, mended
from tests.faults.variants import failing

SOON_S = 60.0
STEP_S = 0.3
"""Time for a step here, so that one that hangs is given up soon; each needs some milliseconds."""
SAGA = "0197a000-0000-7000-8000-000000000001"
QUICK, SLOW = ("error", "error_after", "reply_lost"), ("hang", "hang_after")
TRIED = [
    *((name, action) for name in SCENARIOS for action in QUICK),
    *(("crdb-on-blank-disk", one) for one in SLOW),
]
"""Each fault that waits for the end of a step's time costs that time, at each change."""


def hasty(operation: Operation) -> Operation:
    """Return the operation with steps that are given up soon and tried again at once."""

    def change(step: Step) -> Step:
        return replace(
            step,
            retry=at_once(step.retry),
            undo_retry=at_once(step.undo_retry),
            timeout_s=STEP_S,
            undo_timeout_s=STEP_S,
        )

    def steps(params: Any) -> list[Any]:
        made = operation.steps(params) if callable(operation.steps) else operation.steps
        return [change(step) for step in made if isinstance(step, Step)]

    return replace(operation, steps=steps)


def at_once(retry: Retry) -> Retry:
    return replace(retry, backoff_s=0.01, factor=1.0)


def run(subject: Subject, sim: SimSled, *, fails: bool = False) -> SagaView:
    """Run an operation to rest on a sled, one step at a time."""
    operation = failing(subject.operation) if fails else subject.operation

    def sled(context: Context) -> Sled:
        return Sled(StepHost(sim.host, context.cancelled, context.deadline), context.saga, context.pause)

    catalog, limits = Catalog([hasty(operation)]), Limits(threads=1)
    with Engine(MemoryStore(), catalog, sled=sled, limits=limits) as engine:
        return engine.wait(engine.submit(operation.name, subject.params_in(sim.path), id=SAGA).id, SOON_S)


@dataclass(frozen=True)
class End:
    """How a run ended: the saga's state, the whole sled, and the key files left."""

    state: str
    sled: dict[str, Any]
    keys: tuple[str, ...]


def struck(subject: Subject, place: Path, fault: Fault, *, fails: bool) -> tuple[End, int]:
    """Run on a fresh sled with one fault; return how it ended, and how many changes the fault counted."""
    assert subject.sled is not None
    shutil.copytree(subject.sled, place)
    sim = SimSled.open(place)
    try:
        number = sim.inject(fault)
        view = run(subject, sim, fails=fails)
        return End(view.state, sim.describe(), sim.host.list_dir(KEY_DIR)), sim.matches(number)
    finally:
        sim.close()
        shutil.rmtree(place)


def before_of(subject: Subject) -> dict[str, Any]:
    assert subject.sled is not None
    sim = SimSled.open(subject.sled)
    try:
        return sim.describe()
    finally:
        sim.close()


def strike(subject: Subject, place: Path, action: str, *, fails: bool = False, first: int = 1) -> int:
    """Strike each change once, from the first on, each on a sled of its own; return their number."""
    good, total = struck(subject, place, Fault("delay", mutating=True), fails=fails)
    assert good.state == ("undone" if fails else "succeeded")
    before = before_of(subject)
    for number in range(first, total + 1):
        end, matches = struck(subject, place, Fault(action, nth=number, mutating=True), fails=fails)
        assert matches >= number, f"{action} at change {number} did not come"
        wanted = before if end.state == "undone" else good.sled
        assert end.state in (good.state, "undone"), f"{action} at change {number}: {end}"
        assert end.keys == (), f"{action} at change {number}"
        assert mended(end.sled, wanted, before, subject.params) == wanted, (
            f"{action} at change {number}: {end.state}"
        )
    assert total >= first
    return total


@pytest.mark.parametrize("action", QUICK)
@pytest.mark.parametrize("name", ["format", "datasets", "datasets-best-effort"])
def test_a_fault_at_any_change(
    subjects: Callable[[str], Subject], name: str, action: str, tmp_path: Path
) -> None:
    """Whichever change is refused, or its answer lost, the saga makes one of its two ends."""
    there = strike(subjects(name), tmp_path / "sled", action)
    strike(subjects(name), tmp_path / "sled", action, fails=True, first=there + 1)


@pytest.mark.parametrize("action", SLOW)
def test_no_answer_to_any_change(subjects: Callable[[str], Subject], action: str, tmp_path: Path) -> None:
    """Whichever change is never answered, before or after it was done, the saga makes one of its two ends."""
    strike(subjects("datasets"), tmp_path / "sled", action)


@pytest.mark.campaign
@pytest.mark.parametrize(("name", "action"), TRIED)
def test_all_faults_at_all_changes(
    subjects: Callable[[str], Subject], name: str, action: str, tmp_path: Path
) -> None:
    """The same for every scenario, and on the way forward of sagas that fail in the end."""
    there = strike(subjects(name), tmp_path / "sled", action)
    back = strike(subjects(name), tmp_path / "sled", action, fails=True)
    print(f"{name} {action}: {there} forward, {back} with its undoing")  # noqa: T201 - the campaign's figures
