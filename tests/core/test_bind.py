"""A stored plan meets the code of its operation: functions by path, values by annotated type."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticSerializationError

from sledsaga.core.bind import Bound, bind, stored_inputs
from sledsaga.core.dag import DagStep, FromParams, FromStep, FromSteps, Given, Input, Known, Plan, make_dag
from sledsaga.core.define import (
    Node,
    Operation,
    Present,
    irreversible,
    nest,
    no_undo,
    operation,
    output_of,
    outputs_of,
    step,
    value,
)
from sledsaga.core.events import Json
from sledsaga.core.model import Model
from sledsaga.core.plan import plan
from sledsaga.errors import UnknownOperation


class Params(Model):
    size: int = 1
    since: datetime | None = None


class Disk(Model):
    name: str
    made: datetime


def make(ctx: Any, params: Params) -> Disk:
    return Disk(name=f"d{params.size}", made=datetime(2026, 1, 2, tzinfo=UTC))


def undo_make(make: str, output: Disk | None, params: Params) -> None: ...


def undo_disk(ctx: Any, output: Disk | None = None) -> None: ...


async def mount(disk: Disk, *, mode: str = "ro") -> float:
    return 1.5


async def undo_mount(disk: Disk) -> None: ...


def is_mounted(disk: Disk) -> Present:
    return Present()


DISK = step(make, name="disk", undo=undo_disk)
MOUNT = step(mount, undo=undo_mount, probe=is_mounted)
LOOK = step(lambda: None, name="look", undo=no_undo("it looks"))


def an_operation(
    *steps: Node, name: str = "op", version: int = 1, params: type[BaseModel] = Params
) -> Operation:
    return operation(name, version=version, params=params, steps=steps)


def bound(*steps: Node) -> Bound:
    one = an_operation(*steps)
    return bind(one, plan(one, {}))


def test_each_step_is_bound_to_its_functions() -> None:
    """A step has its do, its undo and its probe, each with its colour and the names that it takes."""
    disk, mounted = bound(DISK, MOUNT).steps
    assert (disk.do.call, disk.probe) == (make, None)
    assert disk.undo is not None
    assert (disk.undo.call, disk.undo.is_async, disk.do.is_async) == (undo_disk, False, False)
    assert mounted.undo is not None
    assert mounted.probe is not None
    assert (mounted.do.call, mounted.undo.call, mounted.probe.call) == (mount, undo_mount, is_mounted)
    assert (mounted.do.is_async, mounted.undo.is_async, mounted.probe.is_async) == (True, True, False)
    assert [mounted.do.takes(name) for name in ("disk", "mode", "ctx")] == [True, True, False]


@pytest.mark.parametrize(
    ("undo", "kind"), [(no_undo("it looks"), "none"), (irreversible("it is sent"), "irreversible")]
)
def test_what_has_no_undo_is_bound_without(undo: Any, kind: str) -> None:
    """A step without undo, or a pivot, has no function for it."""
    one = an_operation(step(make, undo=undo))
    planned = plan(one, {})
    assert planned.dag.steps[0].undo == kind
    assert bind(one, planned).steps[0].undo is None


async def nothing() -> None: ...


@pytest.mark.parametrize(
    ("do", "undo", "blocks"),
    [
        (nothing, no_undo("it does nothing"), False),
        (nothing, nothing, False),
        (nothing, undo_disk, True),
        (make, nothing, True),
        (make, no_undo("it looks"), True),
    ],
)
def test_it_is_known_whether_threads_are_needed(do: Any, undo: Any, blocks: bool) -> None:  # noqa: FBT001 - a column
    """An operation whose functions are all async needs no thread; a single blocking one does."""
    assert bool(bound(step(do, name="one", undo=undo)).any_blocking) is blocks
    assert (
        bool(bound(step(nothing, undo=no_undo("-")), step(do, name="one", undo=undo)).any_blocking) is blocks
    )


def test_arguments_become_their_annotated_types() -> None:
    """Stored JSON becomes the type that a parameter has; what is not stored keeps its default."""
    disk, mounted = bound(DISK, MOUNT).steps
    stored = {"name": "d1", "made": "2026-01-02T00:00:00Z"}
    whole = Disk(name="d1", made=datetime(2026, 1, 2, tzinfo=UTC))
    assert mounted.do.arguments({"disk": stored, "strange": 1}) == {"disk": whole}
    assert mounted.do.arguments({"disk": stored, "mode": "rw"}) == {"disk": whole, "mode": "rw"}
    assert disk.do.arguments({"params": {"size": 2}}) == {"params": Params(size=2)}
    assert disk.undo is not None
    assert disk.undo.arguments({"output": None}) == {"output": None}
    assert disk.undo.arguments({"output": stored}) == {"output": whole}


def test_what_the_executor_gives_is_passed_on_as_it_is() -> None:
    """`ctx` and `sled` are never validated, whatever their annotation says."""

    def work(ctx: int, sled: int, other: int) -> None: ...

    do = bound(step(work, undo=no_undo("-"), inputs={"other": value(1)})).steps[0].do
    marker = object()
    assert do.arguments({"ctx": marker, "sled": marker, "other": "3"}) == {
        "ctx": marker,
        "sled": marker,
        "other": 3,
    }


def test_outputs_become_json_and_values_again() -> None:
    """An output is stored by the type that `do` returns, and read back as it."""
    disk, mounted = bound(DISK, MOUNT).steps
    body = disk.encode(Disk(name="x", made=datetime(2026, 1, 2, tzinfo=UTC)))
    assert body == {"name": "x", "made": "2026-01-02T00:00:00Z"}
    assert disk.decode(body) == Disk(name="x", made=datetime(2026, 1, 2, tzinfo=UTC))
    assert mounted.encode(1.5) == mounted.decode(1.5) == 1.5


def test_an_output_of_another_type_is_refused() -> None:
    """What is not of the annotated type is an error, not a warning."""
    disk = bound(DISK).steps[0]
    with pytest.raises(PydanticSerializationError, match="Expected"):
        disk.encode({"name": 1})


def test_functions_that_were_never_seen_are_bound_whole() -> None:
    """Nothing that was bound before helps: functions, colours, arguments and outputs come from the code."""

    def weigh(params: Params) -> Disk: ...  # type: ignore[empty-body]  # it is only bound

    async def unweigh(params: Params, output: Disk | None) -> None: ...

    async def is_weighed(ctx: Any) -> Present: ...  # type: ignore[empty-body]  # the same

    one = bound(step(weigh, undo=unweigh, probe=is_weighed)).steps[0]
    assert one.undo is not None
    assert one.probe is not None
    assert (one.do.call, one.undo.call, one.probe.call) == (weigh, unweigh, is_weighed)
    assert (one.do.is_async, one.undo.is_async, one.probe.is_async) == (False, True, True)
    assert one.do.arguments({"params": {"size": 3}}) == {"params": Params(size=3)}
    whole = Disk(name="x", made=datetime(2026, 1, 2, tzinfo=UTC))
    assert one.decode(one.encode(whole)) == whole
    with pytest.raises(PydanticSerializationError, match="Expected"):
        one.encode({"name": 1})
    bare = bound(step(weigh, undo=no_undo("-"))).steps[0]
    assert (bare.undo, bare.probe) == (None, None)


def test_any_output_is_taken_where_nothing_is_said() -> None:
    """Without an annotation, or with Any, an output is stored as JSON and read back as that."""

    def untold(): ...  # type: ignore[no-untyped-def]  # noqa: ANN202 - that is the point

    def anything() -> Any: ...

    for do in (untold, anything):
        one = bound(step(do, undo=no_undo("-"))).steps[0]
        assert one.encode({"at": datetime(2026, 1, 2, tzinfo=UTC)}) == {"at": "2026-01-02T00:00:00Z"}
        marker = object()
        assert one.decode(marker) is marker  # type: ignore[arg-type]  # it must not even look


class Foreign(BaseModel):
    model_config = ConfigDict(frozen=True)
    size: float


@pytest.mark.parametrize(
    ("returns", "output"), [(float, math.nan), (list[float], [math.inf]), (Any, -math.inf)]
)
def test_numbers_that_json_does_not_have_come_through(returns: Any, output: Any) -> None:
    """NaN and infinity are not stored as null: they come through, and are refused where they are written."""

    def count(): ...  # type: ignore[no-untyped-def]  # noqa: ANN202 - annotated below

    count.__annotations__["return"] = returns
    encoded = bound(step(count, undo=no_undo("-"))).steps[0].encode(output)
    assert repr(encoded) == repr(output)


def test_a_model_with_settings_of_its_own_is_stored() -> None:
    """A foreign pydantic model keeps its own settings."""

    def weigh() -> Foreign: ...  # type: ignore[empty-body]  # it is only bound

    one = bound(step(weigh, undo=no_undo("-"))).steps[0]
    assert one.encode(Foreign(size=2.0)) == {"size": 2.0}
    assert one.decode({"size": 2.0}) == Foreign(size=2.0)


def test_a_static_operation_is_bound_once() -> None:
    """Two sagas with one DAG share what is bound, and another DAG is bound on its own."""
    one = an_operation(DISK, MOUNT)
    first = bind(one, plan(one, {"size": 1}))
    assert bind(one, plan(one, {"size": 2})) is first
    fewer = Plan(make_dag("op", 1, plan(one, {}).dag.steps[:1]), {"": Known({})})
    assert len(bind(one, fewer).steps) == 1


class Sized(Model):
    size: int


def test_a_static_operation_is_bound_without_params() -> None:
    """Params that have no default are not asked for when the steps do not depend on them."""
    one = an_operation(LOOK, params=Sized)
    assert len(bind(one, plan(one, {"size": 1})).steps) == 1


def steps_of(params: Params) -> list[Node]:
    return [step(make, name=f"disk-{i}", undo=undo_disk) for i in range(params.size)]


def test_a_dag_that_depends_on_params_is_bound_by_them() -> None:
    """The code is asked for the steps that the stored params give."""
    one = operation("op", version=1, params=Params, steps=steps_of)
    assert len(bind(one, plan(one, {"size": 3})).steps) == 3
    assert len(bind(one, plan(one, {"size": 2})).steps) == 2


def changed(planned: Plan, **fields: Any) -> Plan:
    """Return the plan with its first step changed."""
    first, *rest = planned.dag.steps
    return replace(planned, dag=make_dag("op", 1, (replace(first, **fields), *rest)))


REFUSED = [
    ({"path": "gone"}, r"op v1: step 'gone' is not in this program's version of the operation"),
    ({"undo": "none"}, r"op v1: step 'disk' was planned with undo 'none', which its code no longer has"),
    (
        {"inputs": (("ctx", Given("ctx")),)},
        r"op v1: step 'disk' now takes 'params' \(ScopeParams\), which the plan does not give",
    ),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=["path", "undo", "input"])
def test_code_that_does_not_fit_the_plan_is_unknown(fields: dict[str, Any], message: str) -> None:
    """A step whose path, undo or inputs the code no longer has is told, and never guessed at."""
    one = an_operation(DISK, MOUNT)
    with pytest.raises(UnknownOperation, match=rf"\A{message}\Z"):
        bind(one, changed(plan(one, {}), **fields))


def test_a_plan_with_an_undo_that_the_code_lost_is_unknown() -> None:
    """A step that was planned with an undo is not run without it."""
    planned = plan(an_operation(DISK), {})
    without = an_operation(step(make, name="disk", undo=no_undo("it stays")))
    with pytest.raises(UnknownOperation, match=r"planned with undo 'undo', which"):
        bind(without, planned)


def test_inputs_that_the_code_dropped_are_fine() -> None:
    """A plan may give more than the code takes."""
    one = an_operation(DISK)
    more = (*plan(one, {}).dag.steps[0].inputs, ("zone", Known(1)))
    assert bind(one, changed(plan(one, {}), inputs=more)).steps[0].do.call is make


def test_params_that_the_code_no_longer_takes_are_unknown() -> None:
    """A saga whose params do not fit any more is parked with the reason, not run."""
    one = operation("op", version=1, params=Params, steps=steps_of)
    planned = replace(plan(one, {"size": 2}), scopes={"": Known({"size": "many"})})
    with pytest.raises(
        UnknownOperation, match=r"\Aop no longer takes the params that the saga was planned with: 1 "
    ):
        bind(one, planned)


def test_params_of_a_nested_operation_that_no_longer_fit_are_unknown() -> None:
    """The same for an operation that is nested in another."""
    inner = operation("inner", version=1, params=Params, steps=steps_of)
    good = operation("op", version=1, params=Params, steps=[nest("in", inner, params=lambda p: p)])
    bad = operation(
        "op", version=1, params=Params, steps=[nest("in", inner, params=lambda _: {"size": "many"})]
    )
    with pytest.raises(UnknownOperation, match=r"nested operation 'in' do not fit inner"):
        bind(bad, plan(good, {"size": 1}))


def test_stored_inputs_come_from_where_the_plan_says() -> None:
    """Inputs are outputs, lists of them, the params of a scope (which may be an output), or known values."""
    scopes: dict[str, Known | FromStep] = {"": Known({"size": 1}), "in": FromStep(1)}
    inputs: tuple[tuple[str, Input], ...] = (
        ("all", FromSteps((1, 0))),
        ("ctx", Given("ctx")),
        ("inner", FromParams("in")),
        ("known", Known([None])),
        ("one", FromStep(0)),
        ("params", FromParams("")),
    )
    node = DagStep("s", (), inputs, "undo")
    assert stored_inputs(node, scopes, {0: "a", 1: {"b": 2}}) == {
        "all": [{"b": 2}, "a"],
        "inner": {"b": 2},
        "known": [None],
        "one": "a",
        "params": {"size": 1},
    }


def test_a_scope_cannot_be_given_by_the_executor() -> None:
    """A plan that says so is a mistake of the program, and says which."""
    node = DagStep("s", (), (("params", FromParams("")),), "undo")
    with pytest.raises(AssertionError, match=r"\AGiven\(name='sled'\) is given by the executor\Z"):
        stored_inputs(node, {"": Given("sled")}, {})  # type: ignore[dict-item]  # no plan has that


def test_an_operation_is_planned_bound_and_fed() -> None:
    """All of it together: a nested operation with the params of a step's output, and a fan-in."""

    def gather(sizes: list[float], inner: Disk) -> int: ...  # type: ignore[empty-body]  # it is only bound

    inner = an_operation(DISK, name="inner")

    def ask() -> Params: ...  # type: ignore[empty-body]  # it is only bound

    one = an_operation(
        step(ask, undo=no_undo("-")),
        DISK,
        MOUNT,
        nest("inner", inner, params=output_of("ask")),
        step(gather, undo=no_undo("-"), inputs={"sizes": outputs_of(["mount"])}),
    )
    planned = plan(one, {})
    steps = bind(one, planned).steps
    at = {path.path: i for i, path in enumerate(planned.dag.steps)}
    outputs: dict[int, Json] = {
        at["ask"]: {"size": 4},
        at["mount"]: 2.5,
        at["inner/disk"]: {"name": "q", "made": "2026-01-02"},
    }
    disk = at["inner/disk"]
    fed = stored_inputs(planned.dag.steps[disk], planned.scopes, outputs)
    assert steps[disk].do.arguments(fed) == {"params": Params(size=4)}
    last = at["gather"]
    fed = stored_inputs(planned.dag.steps[last], planned.scopes, outputs)
    assert steps[last].do.arguments(fed)["sizes"] == [2.5]
    assert steps[last].do.arguments(fed)["inner"].name == "q"
