"""What holds for every operation: twice is once, whatever fails leaves no trace, a stuck undo goes on.

Each scenario is an operation, its params, and the sled that it starts from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import sagas
from sledsaga.core.define import Step
from sledsaga.errors import CommandFailed, Transient

Labs = Callable[[str], Any]
Change = Callable[[Step], Step]
SCENARIOS = {
    "format-u2": ("format-u2", "format", "blank"),
    "provision-crdb": ("provision-crdb", "provision", "formatted"),
    "provision-crdb on a blank disk": ("provision-crdb", "provision blank", "blank"),
    "ensure-datasets": ("ensure-datasets", "ensure", "formatted"),
    "ensure-datasets best-effort": ("ensure-datasets", "ensure best-effort", "formatted"),
    "apply-sled-config": ("apply-sled-config", "document 1", "blank"),
    "apply-sled-config again": ("apply-sled-config", "document 2", "applied"),
}
BIG = ("apply-sled-config", "apply-sled-config again")


class Case:
    """One scenario, run as often as needed, each time on a fresh sled."""

    def __init__(self, name: str, labs: Labs, library: dict[str, Any]) -> None:
        self.operation, params, self.kind = SCENARIOS[name]
        self.labs = labs
        self.library = library
        self.params = self._params(params)
        self.stride = 9 if name in BIG else 1

    def _params(self, name: str) -> dict[str, Any]:
        what, _, rest = name.partition(" ")
        found = self.library[what]
        if what == "document":
            return dict(found(int(rest)))
        if rest == "blank":
            return found | {"disk": self.library["format"]["disk"]}
        return found | ({"policy": rest} if rest else {})

    def lab(self) -> Any:
        lab = self.labs(self.kind)
        lab.start = lab.seen()
        return lab

    def run(self, lab: Any, **options: Any) -> Any:
        return lab.run(self.operation, self.params, **options)

    def steps(self) -> list[Step]:
        operation = self.library["operation_of"](self.operation)
        model = operation.params.model_validate(self.params)
        return list(operation.steps(model))

    def some(self) -> list[str]:
        """Name the steps to try: all of them, or of a long operation every few and the first and last."""
        names = [step.name for step in self.steps()]
        return sorted({*names[:: self.stride], names[-1]}, key=names.index)

    def at(self, name: str, part: str, act: Callable[[Callable[[], Any]], Any]) -> Callable[[Step], Step]:
        """Return the change by which one function of one step is called by `act`."""

        def change(step: Step) -> Step:
            step = self.library["once_only"](step)
            function = getattr(step, part)
            if step.name != name or not callable(function):
                return step
            return replace(step, **{part: self.library["wrapped"](function, act)})

        return change


@pytest.fixture(params=SCENARIOS)
def case(request: pytest.FixtureRequest, labs: Labs, library: dict[str, Any]) -> Case:
    return Case(request.param, labs, library)


def twice(call: Callable[[], Any]) -> Any:
    call()
    return call()


def late(call: Callable[[], Any]) -> Any:
    call()
    raise CommandFailed("injected after the work was done")


def early(_call: Callable[[], Any]) -> Any:
    raise CommandFailed("injected before anything was done")


def both(one: Change, other: Change) -> Change:
    return lambda step: other(one(step))


def told(view: Any) -> str:
    return "; ".join(f"{step.path}: {step.error}" for step in view.steps if step.error)


def test_every_operation_has_a_scenario() -> None:
    """No operation of the catalog goes without the suite."""
    assert {scenario[0] for scenario in SCENARIOS.values()} == {each.name for each in sagas.CATALOG}


def test_every_step_may_be_done_twice(case: Case) -> None:
    """A saga whose every step is called twice leaves the same sled as one whose steps are called once."""
    plain, doubled = case.lab(), case.lab()

    def change(step: Step) -> Step:
        return replace(step, do=case.library["wrapped"](step.do, twice))

    assert case.run(plain).state == "succeeded", told(plain.views[-1])
    view = case.run(doubled, change=change)
    assert view.state == "succeeded", told(view)
    assert doubled.seen() == plain.seen()


def test_a_second_saga_changes_nothing(case: Case) -> None:
    """The same operation again, as another saga, succeeds and runs no mutating command."""
    lab = case.lab()
    case.run(lab)
    done, count = lab.seen(), lab.sim.changes()
    view = case.run(lab)
    assert view.state == "succeeded", told(view)
    assert [entry.argv for entry in lab.sim.journal(after=count)] == []
    assert lab.seen() == done


@pytest.mark.parametrize("act", [early, late])
def test_a_failure_at_any_step_leaves_no_trace(case: Case, act: Callable[..., Any]) -> None:
    """When a step fails, before or after its work, the sled is what it was, and no key is left."""
    for name in case.some():
        lab = case.lab()
        view = case.run(lab, change=case.at(name, "do", act))
        assert (view.state, name) == ("undone", name), told(view)
        assert lab.seen() == lab.start, name
        assert lab.sim.host.list_dir("/var/run/oxide") == (), name


def test_every_undo_may_be_run_twice(case: Case) -> None:
    """A saga that fails at its end, and whose every undo is called twice, leaves no trace."""
    lab, last = case.lab(), case.steps()[-1].name
    fail = case.at(last, "do", late)

    def change(step: Step) -> Step:
        step = fail(step)
        return replace(step, undo=case.library["wrapped"](step.undo, twice)) if callable(step.undo) else step

    view = case.run(lab, change=change)
    assert view.state == "undone", told(view)
    assert lab.seen() == lab.start


@pytest.mark.parametrize("act", [early, late])
def test_a_stuck_undo_goes_on_when_told_to(case: Case, act: Callable[..., Any]) -> None:
    """When an undo fails for good the saga is stuck; told to retry, it goes on and leaves no trace."""
    last = case.steps()[-1].name
    with_undo = [step.name for step in case.steps() if callable(step.undo)]
    for name in with_undo[:: case.stride * 2]:
        lab, failures = case.lab(), iter([act])

        def first_time(call: Callable[[], Any], failures: Any = failures) -> Any:
            return next(failures, lambda call: call())(call)

        fail, stick = case.at(last, "do", late), case.at(name, "undo", first_time)
        view = case.run(lab, change=both(fail, stick), retry_undo=True)
        assert (lab.views[-1].state, name) == ("stuck", name), told(lab.views[-1])
        assert (view.state, name) == ("undone", name), told(view)
        assert lab.seen() == lab.start, name


def counted(lab: Any) -> int:
    """Return how many changes a whole run makes."""
    return int(lab.sim.changes())


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_step_cut_off_at_any_command_leaves_no_trace(case: Case, moment: str) -> None:
    """When a step ends at any change that it makes, and the saga unwinds, the sled is what it was."""
    whole = case.lab()
    start = counted(whole)
    case.run(whole)
    total = counted(whole) - start
    for number in range(1, total + 1, max(1, total // 8)):
        lab = case.lab()
        seen: list[str] = []
        cut = _cut(seen, number, KeyboardInterrupt("cut off"))
        setattr(lab, moment, cut)
        view = case.run(lab, change=case.library["once_only"])
        if len(seen) < number:
            continue
        setattr(lab, moment, None)
        if view.state == "stuck":
            pytest.fail(f"{number} {seen[number - 1]}: {told(view)}")
        assert (view.state, lab.seen()) == ("undone", lab.start), (
            f"{number}: {seen[number - 1]}: {told(view)}"
        )
        assert lab.sim.host.list_dir("/var/run/oxide") == (), seen[number - 1]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_step_cut_off_at_any_command_may_be_done_again(case: Case, moment: str) -> None:
    """When a step ends at any change that it makes, and is called again, the end is the same."""
    whole = case.lab()
    start = counted(whole)
    case.run(whole)
    total, wanted = counted(whole) - start, whole.seen()
    for number in range(1, total + 1, max(1, total // 8)):
        lab = case.lab()
        seen: list[str] = []
        setattr(lab, moment, _cut(seen, number, Transient("cut off")))
        view = case.run(lab)
        assert view.state == "succeeded", f"{number}: {told(view)}"
        assert lab.seen() == wanted, f"{number}: {seen[number - 1 : number]}"
        assert lab.sim.host.list_dir("/var/run/oxide") == (), seen[number - 1 : number]


def _cut(seen: list[str], number: int, error: BaseException) -> Callable[[Any], None]:
    def tell(command: Any) -> None:
        seen.append(" ".join(command.argv))
        if len(seen) == number:
            raise error

    return tell
