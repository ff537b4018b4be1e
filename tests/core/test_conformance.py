"""A peer's published cases in this project's words: names, trees of paths, logs, and recovery from a prefix.

The peer builds stages (`a | b,c | d`: each stage needs all of the one before) and undoes only what
succeeded; so failures here are clean. Its start and end nodes do not exist here, so logs are shorter by
theirs, and begin with Submitted and Claimed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sledsaga.check.walk.drive import Driven, shape
from sledsaga.core import events as ev
from sledsaga.core.dag import Dag, Policy, dag_from_json, dag_to_json
from sledsaga.core.define import (
    Node,
    Operation,
    Retry,
    nest,
    no_undo,
    operation,
    output_of,
    step,
)
from sledsaga.core.endings import CleanFailure, Ending, Failed, Succeeded, Undone
from sledsaga.core.machine import replay
from sledsaga.core.model import Model
from sledsaga.core.plan import plan
from sledsaga.errors import InvalidName, InvalidPlan, LogCorrupt

ONE_UNDO = Policy(undo_retry=Retry(1))


class Params(Model):
    pass


def nop() -> None: ...


def params_step() -> Params:
    return Params()


def node(name: str, after: Iterable[str] = ()) -> Node:
    return step(params_step, name=name, after=tuple(after), undo=no_undo("a case leaves nothing"))


def sub(name: str, inner: Operation, source: str, after: Iterable[str] = ()) -> Node:
    return nest(name, inner, params=output_of(source), after=tuple(after))


def _one(one: Any, before: list[str]) -> Node:
    if isinstance(one, str):
        return node(one, before)
    name, inner, source = one
    return sub(name, inner, source, before)


def stages(*rows: list[Any], name: str = "case") -> Operation:
    """Make an operation of stages: each row's nodes come after all nodes of the row before."""
    nodes: list[Node] = []
    before: list[str] = []
    for row in rows:
        made = [_one(one, before) for one in row]
        nodes += made
        before = [one.name for one in made]
    return operation(name, version=1, params=Params, steps=nodes)


def tree(definition: Operation) -> dict[str, list[str]]:
    steps = plan(definition).dag.steps
    return {one.path: [steps[need].path for need in one.needs] for one in steps}


def test_d1_one_node_has_its_name() -> None:
    """D1: a DAG of one node lists that node by name, and nothing beside it."""
    assert tree(stages(["a"])) == {"a": []}


def test_d2_any_number_of_last_steps_will_do() -> None:
    """D2: the peer refuses an empty DAG and one with two ends; here both are ordinary."""
    assert tree(stages()) == {}
    assert tree(stages(["a", "b"])) == {"a": [], "b": []}


def test_d3_an_empty_stage_changes_nothing() -> None:
    """D3: the peer refuses a stage of no nodes; here `after=()` is simply no order."""
    assert tree(stages(["a"], [])) == {"a": []}


@pytest.mark.parametrize(
    ("rows", "twice"), [([["a"], ["a"]], "a"), ([["a"], ["b", "c"], ["a"]], "a"), ([["a"], ["b", "b"]], "b")]
)
def test_d4_a_name_stands_once(rows: Any, twice: str) -> None:
    """D4: two steps of one name are refused, and the name is told."""
    with pytest.raises(InvalidPlan, match=f"two steps are named '{twice}'"):
        plan(stages(*rows))


def test_d4_a_nested_operation_has_names_of_its_own() -> None:
    """D4: a name inside a nested operation may repeat one outside."""
    assert set(tree(stages(["a"], [("b", stages(["a"]), "a")]))) == {"a", "b/a"}


@pytest.mark.parametrize("source", ["barf", "b"])
def test_d5_nested_params_come_from_a_step_before(source: str) -> None:
    """D5: params of a nested operation from a step that is not there, or from itself, are refused."""
    with pytest.raises(InvalidPlan, match=f"'b' takes .*output|output of '{source}'"):
        plan(stages(["a"], [("b", stages(["x"]), source)]))


def test_d5_a_sibling_that_gives_params_comes_first() -> None:
    """D5: the peer refuses params from a node of the same stage; here taking them is what orders the two."""
    assert tree(stages(["a"], ["c", ("b", stages(["x"]), "c")])) == {"a": [], "c": ["a"], "b/x": ["c"]}


def test_p1_a_chain() -> None:
    """P1: a chain's steps stand in order."""
    assert tree(stages(["a"], ["b"])) == {"a": [], "b": ["a"]}


def test_p2_a_diamond() -> None:
    """P2: parallel steps share what they need and what needs them."""
    assert tree(stages(["a"], ["b", "c"], ["d"])) == {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def test_p3_nests_in_nests() -> None:
    """P3: nests within nests have paths of all names, and edges only through first and last steps."""
    inner = stages(["a"], ["b", "c"], ["d"])
    middle = stages(["a"], ["b", "c"], ["d"], [("e", inner, "d")], ["f", ("g", inner, "e_out"), "h"], ["i"])
    with pytest.raises(InvalidPlan, match="e_out"):
        plan(middle)
    middle = stages(["a"], ["b", "c"], ["d"], [("e", inner, "d")], ["f", ("g", inner, "d"), "h"], ["i"])
    top = tree(stages(["a"], ["b", "c"], ["d"], [("e", middle, "d")]))
    assert top["e/a"] == ["d"]
    assert top["e/e/a"] == ["e/d"]
    assert (top["e/f"], top["e/g/a"], top["e/h"]) == (["e/e/d"],) * 3
    assert set(top["e/i"]) == {"e/f", "e/g/d", "e/h"}
    assert len(top) == 4 + 4 + 4 + 2 + 4 + 1


@given(st.recursive(st.just("step"), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=12))
def test_p4_every_step_of_every_nest_has_one_path(shape_of: Any) -> None:
    """P4: however operations are nested, each step stands once, one name deeper for each nest around it."""

    def count(part: Any) -> int:
        return 1 if part == "step" else sum(map(count, part))

    def build(parts: list[Any]) -> Operation:
        nodes: list[Node] = []
        for i, part in enumerate(parts):
            before = [nodes[-1].name] if nodes else []
            here = nest(f"n{i}", build(part), params=lambda p: p, after=before) if part != "step" else None
            nodes.append(here or node(f"s{i}", before))
        return operation("case", version=1, params=Params, steps=nodes)

    parts = [shape_of] if shape_of == "step" else shape_of
    paths = tree(build(parts))
    assert len(paths) == count(parts)
    assert all(one.split("/")[-1].startswith("s") for one in paths)
    assert sum(not needs for needs in paths.values()) == 1


DEMO = {
    "instance_id": "",
    "alloc_params": "instance_id",
    "instance_ip": "alloc_params",
    "volume_id": "alloc_params",
    "server/id": "alloc_params",
    "server/reserve": "server/id",
    "configure": "instance_ip volume_id server/reserve",
    "attach": "configure",
    "boot": "attach",
    "print": "boot",
}
FORWARD = list(DEMO)


def demo(policy: Policy = ONE_UNDO) -> Driven:
    saga = Driven(shape(DEMO, policy=policy))
    saga.claim()
    return saga


def finished(how: dict[str, Ending]) -> Driven:
    saga = demo()
    saga.go(how)
    return saga


def recovered(saga: Driven, drop: int) -> tuple[Driven, list[ev.Event]]:
    """Return a saga replayed from a log without its last events, and what is recorded at its claim."""
    again = Driven(saga.dag, log=saga.log[: len(saga.log) - drop])
    return again, again.claim()


GOOD: dict[str, Ending] = {}
BAD: dict[str, Ending] = {"do boot": CleanFailure("error injected")}
STUCK: dict[str, Ending] = BAD | {"undo instance_id": Failed("undo action attempt 1: error injected")}


def test_i2_what_may_start_and_what_waits() -> None:
    """I2: before its start, only the first step may start, and all others wait for their needs."""
    saga = Driven(shape(DEMO))
    assert list(saga.state.startable) == [0]
    assert set(saga.status.values()) == {"pending"}


def test_i3_the_edges() -> None:
    """I3: the demo has these steps and edges, and no other."""
    dag = shape(DEMO)
    assert len(dag.steps) == 10
    assert sum(len(one.needs) for one in dag.steps) == 11


def test_i4_a_good_run() -> None:
    """I4: each step starts and succeeds once, no step before its needs, and the saga succeeds."""
    saga = finished(GOOD)
    lines = saga.transcript()
    assert len(lines) == 2 + 2 * 10 + 1
    assert set(saga.status.values()) == {"succeeded"}
    for path, needs in DEMO.items():
        for need in needs.split():
            assert lines.index(f"StepSucceeded {need}") < lines.index(f"StepStarted {path}")
    assert lines[-1] == "Ended"


def test_i5_an_error_unwinds() -> None:
    """I5: what succeeded is undone in reverse order; what failed clean or never ran is left as it is."""
    saga = finished(BAD)
    lines = saga.transcript()
    assert len(lines) == 2 + 2 * 9 + 2 * 8 + 1
    assert saga.status == dict.fromkeys(FORWARD, "undone") | {"boot": "failed_clean", "print": "pending"}
    for path, needs in DEMO.items():
        for need in needs.split():
            if path not in ("boot", "print"):
                assert lines.index(f"UndoSucceeded {path}") < lines.index(f"UndoStarted {need}")
    assert saga.state.errors == {saga.index("boot"): "error injected"}
    assert saga.state.outcome == "undone"


def test_i6_an_undo_that_fails_is_stuck() -> None:
    """I6: both failures are on show, what was undone stays undone, and the saga waits for a person."""
    saga = finished(STUCK)
    assert saga.state.at_rest
    assert saga.status["instance_id"] == "undo_failed"
    assert [saga.dag.steps[i].path for i in saga.state.stuck] == ["instance_id"]
    assert set(saga.state.errors.values()) == {"error injected", "undo action attempt 1: error injected"}
    assert saga.status["alloc_params"] == "undone"


@pytest.mark.parametrize("how", [GOOD, BAD], ids=["I7", "I9"])
def test_i7_i9_a_whole_log_runs_nothing(how: dict[str, Ending]) -> None:
    """I7, I9: replayed from its whole log, a saga stands as it ended, and nothing may be added."""
    saga = finished(how)
    again = replay(saga.dag, saga.log)
    assert (again.outcome, again.status, again.outputs) == (
        saga.state.outcome,
        saga.state.status,
        saga.state.outputs,
    )
    assert not again.run
    with pytest.raises(LogCorrupt, match="has ended"):
        Driven(saga.dag, log=saga.log).claim()


def test_i8_recovery_in_the_middle() -> None:
    """I8: with the start of a step as last event, that step runs again, then the rest, and nothing else."""
    saga, told = recovered(finished(GOOD), 4)
    assert told == [ev.StepStarted(8, 1)]
    assert saga.running == ["do boot"]
    saga.go()
    assert saga.transcript()[-4:] == [
        "StepSucceeded boot",
        "StepStarted print",
        "StepSucceeded print",
        "Ended",
    ]
    assert saga.state.outcome == "succeeded"


def test_i10_recovery_in_the_middle_of_unwinding() -> None:
    """I10: with the start of an undo as last event, that undo runs again, and nothing else."""
    saga, told = recovered(finished(BAD), 2)
    assert told == [ev.UndoStarted(0, 1)]
    assert saga.running == ["undo instance_id"]
    assert saga.end("instance_id", Undone()) == [ev.Ended("undone")]


def test_i11_a_stuck_log_runs_nothing() -> None:
    """I11: replayed, a stuck saga is stuck with the same errors, and runs nothing, also after a claim."""
    saga, told = recovered(finished(STUCK), 0)
    assert (told, saga.running, saga.state.at_rest) == ([], [], True)
    assert "undo action attempt 1: error injected" in saga.state.errors.values()


@pytest.mark.parametrize("how", [GOOD, BAD, STUCK], ids=["good", "bad", "stuck"])
def test_every_prefix_of_a_log_can_be_recovered(how: dict[str, Ending]) -> None:
    """From every prefix of these logs recovery goes on, and the saga ends as it would have ended."""
    whole = finished(how)
    for drop in range(1, len(whole.log) - 1):
        saga, _ = recovered(whole, drop)
        saga.go(how)
        assert saga.state.outcome == whole.state.outcome
        # what a crash puts in doubt is undone, also the step that would have failed clean
        assert {p: s for p, s in saga.status.items() if p != "boot"} == {
            p: s for p, s in whole.status.items() if p != "boot"
        }


def test_i12_what_cannot_be_planned_is_never_recorded() -> None:
    """I12: what cannot be run is refused when it is planned, before there is a saga."""
    with pytest.raises(InvalidPlan, match="is no step"):
        plan(operation("case", version=1, params=Params, steps=["my_node"]))  # type: ignore[list-item]  # refused
    with pytest.raises(InvalidName):
        node("my node")


# Where the peer goes wrong, these go right.


def test_b_a_step_above_is_found_when_planned() -> None:
    """A step that asks for the output of one that is no ancestor: here asking is what makes it one."""

    def late(early: None) -> None: ...

    def circular(late: None) -> None: ...

    made = operation(
        "case",
        version=1,
        params=Params,
        steps=[step(late, undo=no_undo("nothing")), step(nop, name="early", undo=no_undo("nothing"))],
    )
    assert tree(made) == {"early": [], "late": ["early"]}
    with pytest.raises(InvalidPlan, match="cycle"):
        plan(
            operation(
                "case",
                version=1,
                params=Params,
                steps=[step(late, undo=no_undo("x")), step(circular, name="early", undo=no_undo("x"))],
            )
        )


def test_b_two_failures_are_shown_in_time_not_by_index() -> None:
    """With several failures all are kept, each at its step, and their order is that of the log."""
    saga = Driven(shape({"a": "", "b": ""}))
    saga.claim()
    saga.tell(ev.StepFailedClean(1, "second"), ev.StepFailedClean(0, "first"))
    assert saga.settle() == [ev.Ended("undone")]
    assert saga.state.errors == {0: "first", 1: "second"}
    assert saga.transcript()[-3:] == ["StepFailedClean b", "StepFailedClean a", "Ended"]


def test_b_an_inner_output_never_shadows_an_outer_one() -> None:
    """Outputs are kept by step, so a nested step of the same name has its own."""
    saga = Driven(plan(stages(["a"], [("b", stages(["a"]), "a")])).dag)
    saga.claim()
    saga.end("a", Succeeded({"outer": 1}))
    saga.end("b/a", Succeeded({"inner": 1}))
    assert saga.state.outputs == {0: {"outer": 1}, 1: {"inner": 1}}


def test_b_a_log_of_several_failures_replays() -> None:
    """A log in which two siblings failed, or two undos did, is recovered like any other."""
    saga = Driven(shape({"a": "", "b": "", "c": "a b"}, policy=ONE_UNDO))
    saga.claim()
    saga.tell(ev.StepFailed(0, "no"), ev.StepFailed(1, "no"))
    saga.settle()
    saga.tell(ev.UndoFailed(0, "no"), ev.UndoFailed(1, "no"))
    again, told = recovered(saga, 0)
    assert (told, sorted(again.state.stuck)) == ([], [0, 1])
    again.say("skip-undo")
    assert again.state.outcome == "undone"


def test_b_a_join_that_never_began_below_a_half_undone_branch_replays() -> None:
    """A step that never started below ones that are being undone is an ordinary state of a log."""
    saga = Driven(shape({"a": "", "b": "", "x": "", "c": "a b"}))
    saga.claim()
    saga.end("a", Succeeded(1))
    saga.end("x", CleanFailure("no"))
    assert (saga.status["a"], saga.status["c"]) == ("undoing", "pending")
    again, told = recovered(saga, 0)
    assert told == [ev.UndoStarted(1, 1), ev.UndoStarted(0, 1)] or told == [
        ev.UndoStarted(0, 1),
        ev.UndoStarted(1, 1),
    ]
    again.go()
    assert again.state.outcome == "undone"


def test_b_what_waited_in_a_queue_does_not_start_after_the_decision_to_unwind() -> None:
    """A step that was about to start when another failed does not start any more."""
    saga = Driven(shape({"a": "", "b": ""}))
    saga.tell(ev.Claimed("x"), ev.StepStarted(0, 1), ev.StepFailedClean(0, "no"))
    assert saga.settle() == [ev.Ended("undone")]
    assert saga.status["b"] == "pending"


def test_b_siblings_of_a_stuck_step_go_on() -> None:
    """When one undo is stuck the others go on, and only what it stands on waits."""
    saga = Driven(shape({"a": "", "b": "", "c": "a", "d": "b", "e": ""}, policy=ONE_UNDO))
    saga.claim()
    saga.go({"do e": CleanFailure("no"), "undo a": Failed("no")}, order=("do a", "do b", "do c", "do d"))
    assert saga.status["b"] == "undone"
    assert saga.status["a"] == "undo_failed"


def test_the_stored_plan_is_what_recovery_uses() -> None:
    """Recovery needs the stored DAG alone: read back from JSON it carries a log as the first one did."""
    saga = finished(BAD)
    stored: Dag = dag_from_json(dag_to_json(saga.dag))
    assert replay(stored, saga.log).outcome == "undone"
