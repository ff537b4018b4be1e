"""What a saga would do, without doing it: its steps, their undos, its locks, and what its probes see now.

Probes run in dependency order against a host that refuses every change. A probe runs only when all that it
takes is known, that is when every step whose output it takes is already so; the others say None.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sledsaga.core.bind import BoundStep, Function, bind, stored_inputs
from sledsaga.core.dag import DagStep, FromParams, FromStep, FromSteps, Input, Plan
from sledsaga.core.define import Absent, Conflicting, Operation, Present
from sledsaga.core.events import Json
from sledsaga.engine.context import Context
from sledsaga.engine.perform import Job, SledFactory, ask_probe, describe

NOBODY = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Preview:
    """A plan, and by step what its probe says: `present`, `absent`, `conflict: why`, `error: why` or None."""

    plan: Plan
    probes: tuple[str | None, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as scripts read it, version 1."""
        dag = self.plan.dag
        steps = [
            {
                "path": step.path,
                "needs": [dag.steps[need].path for need in step.needs],
                "undo": step.undo if step.undo == "undo" else f"{step.undo}: {step.why}",
                "probe": probe,
            }
            for step, probe in zip(dag.steps, self.probes, strict=True)
        ]
        locks = [{"resource": lock.resource, "mode": lock.mode} for lock in self.plan.locks]
        body = {
            "v": 1,
            "operation": dag.operation,
            "version": dag.version,
            "fingerprint": self.plan.fingerprint,
        }
        return {**body, "steps": steps, "locks": locks}


def preview(plan: Plan, operation: Operation, sled: SledFactory | None) -> Preview:
    """Ask the probes of a plan how things stand. `sled` must make sleds whose host refuses changes.

    With no sled no probe is asked.
    """
    if sled is None:
        return Preview(plan, (None,) * len(plan.dag.steps))
    bound = bind(operation, plan)
    outputs: dict[int, Json] = {}
    probes: list[str | None] = []
    for index, one in enumerate(bound.steps):
        probes.append(_ask(plan, index, one, outputs, sled=sled))
    return Preview(plan, tuple(probes))


def _ask(
    plan: Plan, index: int, bound: BoundStep, outputs: dict[int, Json], *, sled: SledFactory
) -> str | None:
    if bound.probe is None:
        return None
    step = _taken(plan.dag.steps[index], bound.probe)
    if not _known(plan, step, outputs):
        return None
    context = Context(NOBODY, plan.dag.operation, step.path, "probe")
    job = Job(bound, context, stored_inputs(step, plan.scopes, outputs), sled=sled)
    try:
        answer = ask_probe(bound.probe, job)
        if isinstance(answer, Present):
            outputs[index] = bound.encode(answer.output)
    except Exception as error:  # noqa: BLE001 - a probe is users' code; what it raises is its answer
        return f"error: {describe(error)}"
    return _word(answer)


def _taken(step: DagStep, probe: Function) -> DagStep:
    """Return the step with only those inputs that its probe takes."""
    return replace(step, inputs=tuple((name, source) for name, source in step.inputs if probe.takes(name)))


def _known(plan: Plan, step: DagStep, outputs: dict[int, Json]) -> bool:
    return all(_has(source, plan, outputs) for _, source in step.inputs)


def _has(source: Input, plan: Plan, outputs: dict[int, Json]) -> bool:
    match source:
        case FromStep(step):
            return step in outputs
        case FromSteps(steps):
            return outputs.keys() >= set(steps)
        case FromParams(scope):
            return _has(plan.scopes[scope], plan, outputs)
    return True


def _word(answer: object) -> str:
    match answer:
        case Present():
            return "present"
        case Absent():
            return "absent"
        case Conflicting(why):
            return f"conflict: {why}"
    return f"error: a probe answers Present, Absent or Conflicting, not {type(answer).__name__}"
