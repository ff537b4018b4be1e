"""The production document is applied, and one step fails after its work is done: nothing is left."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sagas
from sledsaga.check.subject import Subject
from sledsaga.core.define import ONCE, Operation, Step
from sledsaga.core.plan import plan
from sledsaga.engine.catalog import Catalog
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.hosts.sim import SimSled
from sledsaga.hosts.sled import Sled
from sledsaga.hosts.step import StepHost
from sledsaga.store.memory import MemoryStore

SHARES = 10
OPERATION = next(one for one in sagas.CATALOG if one.name == "apply-sled-config")
SOON_S = 120.0


class PlantedError(Exception):
    """What the chosen step raises once its work is done."""


def failing_at(path: str) -> Operation:
    """Return the operation with one step that does its work, then fails for good."""

    def steps(params: Any) -> list[Step]:
        assert callable(OPERATION.steps)
        nodes = [node for node in OPERATION.steps(params) if isinstance(node, Step)]
        return [
            replace(step, do=failing(step.do), retry=ONCE) if step.name == path else step for step in nodes
        ]

    return replace(OPERATION, steps=steps)


def failing(do: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with the same inputs, failing after it."""

    @functools.wraps(do)
    def call(**inputs: Any) -> Any:
        do(**inputs)
        raise PlantedError

    return call


def fail_at(production: Subject, path: str, home: Path) -> None:
    """Let one step fail; the saga must end undone, at that very step, and the sled be what it was."""
    assert production.sled is not None
    shutil.copytree(production.sled, home / "sled")
    sim = SimSled.open(home / "sled")
    before = sim.describe()

    def sled(context: Context) -> Sled:
        return Sled(StepHost(sim.host, context.cancelled, context.deadline), context.saga, context.pause)

    try:
        with Engine(MemoryStore(), Catalog([failing_at(path)]), sled=sled) as engine:
            saga = engine.submit(OPERATION.name, production.params_in(home)).id
            view = engine.wait(saga, SOON_S)
        failed = {step.path: step.error for step in view.steps if step.error}
        assert view.state == "undone", f"{path}: {view.state}: {failed}"
        assert failed.get(path) == "PlantedError"
        assert sim.describe() == before, path
    finally:
        sim.close()
        shutil.rmtree(home)


@pytest.mark.campaign
@pytest.mark.parametrize("share", range(SHARES))
def test_each_step_fails(production: Subject, share: int, tmp_path: Path) -> None:
    """Whichever step fails, the sled is afterwards, byte for byte in its description, what it was before."""
    paths = [step.path for step in plan(OPERATION, production.params_in(tmp_path)).dag.steps]
    for path in paths[share::SHARES]:
        fail_at(production, path, tmp_path / "one")
