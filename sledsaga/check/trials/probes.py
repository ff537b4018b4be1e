"""The check of probes: they say how things are, before a step, after it and after its undo, and only look."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sledsaga.check.trials.series import Sheet
from sledsaga.check.trials.suite import check_of
from sledsaga.check.trials.trial import NONE, ONE_AT_A_TIME, SAGA, Mischief, Trial, several
from sledsaga.core import events as ev
from sledsaga.core.bind import Bound, bind, stored_inputs
from sledsaga.core.dag import Plan
from sledsaga.core.define import Absent, Conflicting, Present
from sledsaga.core.events import Json
from sledsaga.engine.context import Context
from sledsaga.engine.perform import Job, ask_probe, describe
from sledsaga.errors import SledsagaError

BEFORE, AFTER, UNDONE = "before its step", "after its step", "after its undo"
MOMENTS = {"before-do": BEFORE, "after-do": AFTER, "after-undo": UNDONE}


@check_of("steps", "undos", "do", "undo", nothing="no step has a probe")
def probe_truthful(sheet: Sheet) -> None:
    """Ask each probe: absent before its step, present after it, absent after its undo; nothing changes.

    What was present before must be left alone by the step, and still be present after its undo.
    """
    trials = sheet.trials
    probed = {step.path for step in trials.plan.dag.steps if step.probe}
    undoable = [path for path in trials.undoable if path in probed]
    forward = [path for path in trials.paths if path in probed]
    points = [(path, moment) for path in forward for moment in (BEFORE, AFTER)]
    points += [(path, UNDONE) for path in undoable]
    if not points:
        return
    asked = Asked(frozenset(probed))
    with sheet.trial() as trial, suppress(SledsagaError):  # what does not come to rest was not all asked
        planned = trials.forward(trial)
        trial.run(planned, asked.of(trial, planned), limits=ONE_AT_A_TIME)
        asked.compare_outputs(trial, planned)
    back = Asked(frozenset(undoable))
    with sheet.trial() as trial, suppress(SledsagaError):
        planned = trials.unwinding(trial)
        trial.run(planned, several(back.of(trial, planned), trials.failing()), limits=ONE_AT_A_TIME)
    for path, moment in sheet.some(points):
        found = (back if moment == UNDONE else asked).reasons
        sheet.add(f"{path}: {moment}", found.get((path, moment), ""), reached=(path, moment) in found)


@dataclass(slots=True)
class Asked:
    """Ask these probes round each call of their steps; `reasons` says what was wrong, "" when nothing was."""

    paths: frozenset[str]
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)
    before: dict[str, object] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    ours: dict[str, Any] = field(default_factory=dict)

    def of(self, trial: Trial, planned: Plan) -> Mischief:
        """Return mischief that asks them in one trial."""
        bound = bind(trial.subject.operation, planned)

        def call(moment: str, path: str) -> None:
            when = MOMENTS.get(moment)
            if when is None or path not in self.paths or (path, when) in self.reasons:
                return
            text = trial.text()
            answer = _answer(trial, planned, bound, path)
            changed = "" if trial.text() == text else "asked, it changed something"
            self.reasons[path, when] = changed or self._judged(path, when, answer, text)

        return Mischief(call)

    def _judged(self, path: str, when: str, answer: object, text: str) -> str:
        if not isinstance(answer, Present | Absent | Conflicting):
            return f"it did not answer: {answer}"
        if when == BEFORE:
            self.before[path], self.texts[path] = answer, text
            return f"it says {answer}, yet the step succeeds" if isinstance(answer, Conflicting) else ""
        was = self.before.get(path)
        if when == UNDONE:
            is_same = isinstance(answer, type(was))
            return "" if is_same else f"it says {answer}; before the step it said {was}"
        if not isinstance(answer, Present):
            return f"it says {answer} when the step has just succeeded"
        if isinstance(was, Present) and self.texts[path] != text:
            return f"it said {was} before the step, which changed something all the same"
        if answer.ours:
            self.ours[path] = answer.output
        return ""

    def compare_outputs(self, trial: Trial, planned: Plan) -> None:
        """Hold the output of each probe that said "ours" against its step's: it would be taken for it."""
        bound, outputs = bind(trial.subject.operation, planned), _outputs(trial)
        for path, output in self.ours.items():
            index = _index(planned, path)
            if bound.steps[index].encode(output) != outputs.get(index):
                self.reasons[path, AFTER] = (
                    f"it says {output!r} is ours; the step returned {outputs.get(index)!r}"
                )


def _answer(trial: Trial, planned: Plan, bound: Bound, path: str) -> object:
    """Ask in a thread of its own: an async probe gets a loop, which the caller's thread may have."""
    answers: list[object] = []
    thread = threading.Thread(
        target=lambda: answers.append(_ask(trial, planned, bound, path)), name="trial-probe", daemon=True
    )
    thread.start()
    thread.join(trial.subject.patience_s)
    return answers[0] if answers else f"it still goes on after {trial.subject.patience_s:g} s"


def _ask(trial: Trial, planned: Plan, bound: Bound, path: str) -> object:
    index = _index(planned, path)
    probe = bound.steps[index].probe
    assert probe is not None, "only steps with probes are asked"
    context = Context(SAGA, planned.dag.operation, path, "probe")
    values: dict[str, Any] = stored_inputs(planned.dag.steps[index], planned.scopes, _outputs(trial))
    job = Job(bound.steps[index], context, values, sled=lambda context: trial.sled(context, NONE))
    try:
        return ask_probe(probe, job)
    except BaseException as error:  # noqa: BLE001 - whatever a probe raises is its answer
        return describe(error)


def _index(planned: Plan, path: str) -> int:
    return next(i for i, step in enumerate(planned.dag.steps) if step.path == path)


def _outputs(trial: Trial) -> dict[int, Json]:
    return {event.step: event.output for event in trial.events() if isinstance(event, ev.StepSucceeded)}
