"""Expansion: inputs find their sources by name, and nested operations get paths and scopes of their own."""

from __future__ import annotations

from typing import Any

import pytest

from sledsaga.core.dag import FromParams, FromStep, FromSteps, Given, Known, Plan
from sledsaga.core.define import (
    Operation,
    Source,
    Steps,
    irreversible,
    nest,
    no_undo,
    operation,
    output_of,
    outputs_of,
    step,
    value,
)
from sledsaga.core.model import Model
from sledsaga.core.plan import plan
from sledsaga.errors import InvalidName, InvalidParams, InvalidPlan

NOTHING = no_undo("a test leaves nothing")


class Params(Model):
    size: int = 1


class Inner(Model):
    size: int = 2


def first() -> int:
    return 1


def second(first: int, params: Params, ctx: Any, sled: Any, more: int = 5) -> str:
    return f"{first} {params} {ctx} {sled} {more}"


def undo_second(first: int, output: str | None) -> None: ...


def op(steps: Steps, name: str = "op", params: type[Model] = Params, **more: Any) -> Operation:
    return operation(name, version=1, params=params, steps=steps, **more)


def inputs(planned: Plan, path: str) -> dict[str, Any]:
    return dict(planned.dag.steps[planned.dag.index(path) or 0].inputs)


def needs(planned: Plan) -> dict[str, list[str]]:
    steps = planned.dag.steps
    return {one.path: [steps[need].path for need in one.needs] for one in steps}


def refusal(steps: Steps, params: dict[str, Any] | None = None) -> str:
    with pytest.raises(InvalidPlan) as caught:
        plan(op(steps), params)
    return str(caught.value)


def test_inputs_come_by_name() -> None:
    """A parameter is a step's output, the params, what the executor gives, or keeps its default."""
    planned = plan(op([step(first, undo=NOTHING), step(second, undo=undo_second)]))
    assert inputs(planned, "second") == {
        "first": FromStep(0),
        "params": FromParams(""),
        "ctx": Given("ctx"),
        "sled": Given("sled"),
        "output": Given("output"),
    }
    assert needs(planned) == {"first": [], "second": ["first"]}


def test_a_default_yields_to_a_step_of_that_name() -> None:
    """A parameter with a default takes the step of its name when there is one."""
    planned = plan(
        op([step(first, undo=NOTHING), step(first, undo=NOTHING, name="more"), step(second, undo=NOTHING)])
    )
    assert inputs(planned, "second")["more"] == FromStep(1)


def test_inputs_can_be_bound_by_hand() -> None:
    """`inputs` binds a parameter to another step's output, to many, or to a value."""

    def sums(one: int, many: list[int], known: int) -> int:
        return one + sum(many) + known

    steps = [step(first, undo=NOTHING, name=name) for name in "abc"]
    bound: dict[str, Source] = {"one": output_of("a"), "many": outputs_of(["b", "c"]), "known": value(7)}
    planned = plan(op([*steps, step(sums, undo=NOTHING, inputs=bound)]))
    assert inputs(planned, "sums") == {"one": FromStep(0), "many": FromSteps((1, 2)), "known": Known(7)}
    assert needs(planned)["sums"] == ["a", "b", "c"]


def test_what_only_an_undo_or_a_probe_takes_makes_an_edge_too() -> None:
    """An input of undo or probe orders the steps as one of do does."""

    def plain() -> None: ...

    def undo_plain(a: int) -> None: ...

    def probe_plain(b: int) -> None: ...

    steps = [step(first, undo=NOTHING, name=name) for name in "ab"]
    planned = plan(op([*steps, step(plain, undo=undo_plain, probe=probe_plain)]))
    assert needs(planned)["plain"] == ["a", "b"]
    assert planned.dag.steps[2].probe


def test_an_unknown_input_is_refused() -> None:
    """A parameter that names nothing is an error that lists the steps there are."""
    assert "takes 'first', which is no step, no input and not given; steps here: second" in refusal(
        [step(second, undo=NOTHING)]
    )


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (lambda: step(first, undo=NOTHING, name="b", inputs={"x": value(1)}), "inputs name 'x', which none"),
        (
            lambda: step(second, undo=NOTHING, inputs={"params": value(1)}),
            "'params', which is given to every",
        ),
        (
            lambda: step(second, undo=NOTHING, inputs={"first": output_of("x")}),
            "output of 'x', which is no step",
        ),
        (lambda: step(first, undo=NOTHING, name="b", after="x"), "after 'x', which is no other step"),
        (lambda: step(first, undo=NOTHING, name="b", after="b"), "after 'b', which is no other step"),
        (lambda: step(first, undo=NOTHING), "two steps are named 'first'"),
        (lambda: step(first, undo=NOTHING, name="params"), "cannot be named 'params'"),
        (lambda: step(first, undo=None, name="b"), "undo is None; give a function"),  # type: ignore[arg-type]  # refused
        (lambda: first, "is no step; make one with step"),
    ],
)
def test_a_bad_step_is_refused(bad: Any, says: str) -> None:
    """Each mistake in a step is one clear line that names the operation."""
    message = refusal([step(first, undo=NOTHING), bad()])
    assert says in message
    assert message.startswith(("operation op: ", "step "))


def test_a_step_does_not_take_its_own_output() -> None:
    """A step that asks for itself is refused; its undo gets `output`, its do and probe do not."""

    def own(own: int) -> int:
        return own

    def takes_output(output: int) -> int:
        return output

    assert "takes its own output" in refusal([step(own, undo=NOTHING)])
    assert "takes 'output', given only to an undo" in refusal([step(takes_output, undo=NOTHING)])
    assert "takes 'output'" in refusal([step(first, undo=NOTHING, probe=takes_output)])


def test_a_function_must_name_its_inputs() -> None:
    """*args, **kwargs, positional-only parameters and unreadable annotations are refused."""

    def args(*args: int) -> None: ...

    def kwargs(**kwargs: int) -> None: ...

    def positional(ctx: Any, /) -> None: ...

    def unreadable(ctx: Any) -> None: ...

    unreadable.__annotations__["ctx"] = "int +"
    for function in (args, kwargs, positional):
        assert "name each input" in refusal([step(function, undo=NOTHING)])
    assert "cannot be read at run time" in refusal([step(unreadable, undo=NOTHING)])
    unreadable.__annotations__["ctx"] = "Nowhere"
    other = step(lambda ctx: ctx, undo=unreadable, name="x")
    assert "to_be" not in refusal([step(first, undo=NOTHING, probe=unreadable), other])


def test_types_that_do_not_fit_are_refused() -> None:
    """An output, a fan-in or params of another type than annotated are refused at plan time."""

    def text(first: str) -> None: ...

    def texts(many: list[str]) -> None: ...

    def other(params: Inner) -> None: ...

    one = step(first, undo=NOTHING)
    assert "'text' takes first: str, but gets int from 'first'" in refusal([one, step(text, undo=NOTHING)])
    bound = {"many": outputs_of(["first"])}
    assert "a list that does not fit" in refusal([one, step(texts, undo=NOTHING, inputs=bound)])
    assert "gets Params, the params of the operation" in refusal([step(other, undo=NOTHING)])


def inside(params: Inner) -> int:
    return params.size


def after_inside(inside: int) -> str:
    return str(inside)


INNER = op([step(inside, undo=NOTHING), step(after_inside, undo=NOTHING)], "inner", Inner)


def test_a_nested_operation_has_its_own_path_and_scope() -> None:
    """Inner steps are `name/step`, take the inner params, and run between what is before and behind."""

    def last(n: str) -> None: ...

    nested = nest("n", INNER, params=lambda p: Inner(size=p.size + 1), after="first")
    planned = plan(op([step(first, undo=NOTHING), nested, step(last, undo=NOTHING)]), {"size": 4})
    assert needs(planned) == {
        "first": [],
        "n/inside": ["first"],
        "n/after_inside": ["n/inside"],
        "last": ["n/after_inside"],
    }
    assert planned.scopes == {"": Known({"size": 4}), "n": Known({"size": 5})}
    assert inputs(planned, "n/inside") == {"params": FromParams("n")}
    assert inputs(planned, "last") == {"n": FromStep(2)}


def test_nested_params_may_be_a_steps_output() -> None:
    """The params of a nested operation can be an outer step's output, which then comes first."""

    def made() -> Inner:
        return Inner(size=9)

    planned = plan(op([step(made, undo=NOTHING), nest("n", INNER, params=output_of("made"))]))
    assert planned.scopes["n"] == FromStep(0)
    assert needs(planned)["n/inside"] == ["made"]


def test_nesting_goes_deep() -> None:
    """An operation in an operation in an operation has a path of three names, and edges from the outside."""
    middle = op([nest("m", INNER, params=lambda p: Inner(size=p.size))], "middle")
    outer = op([step(first, undo=NOTHING), nest("n", middle, params=lambda p: p, after="first")])
    planned = plan(outer, {"size": 3})
    assert needs(planned) == {"first": [], "n/m/inside": ["first"], "n/m/after_inside": ["n/m/inside"]}
    assert planned.scopes == {"": Known({"size": 3}), "n": Known({"size": 3}), "n/m": Known({"size": 3})}


def test_names_inside_may_repeat_names_outside() -> None:
    """A nested operation is a namespace of its own."""
    planned = plan(op([step(first, undo=NOTHING, name="inside"), nest("n", INNER, params=lambda _p: {})]))
    assert set(needs(planned)) == {"inside", "n/inside", "n/after_inside"}
    assert needs(planned)["n/after_inside"] == ["n/inside"]


def test_the_output_of_several_ends_must_be_chosen() -> None:
    """When the inner DAG ends in several steps, `output` chooses the one to take; `after` waits for all."""
    two = op([step(first, undo=NOTHING, name="x"), step(first, undo=NOTHING, name="y")], "two")

    def takes(n: int) -> None: ...

    nested = nest("n", two, params=lambda p: p)
    assert "ends in several steps" in refusal([nested, step(takes, undo=NOTHING)])
    assert "no step 'z'" in refusal([nest("n", two, params=lambda p: p, output="z")])
    chosen = nest("n", two, params=lambda p: p, output="y")
    assert needs(plan(op([chosen, step(takes, undo=NOTHING)])))["takes"] == ["n/y"]
    assert needs(plan(op([nested, step(first, undo=NOTHING, after="n")])))["first"] == ["n/x", "n/y"]


def test_bad_nesting_is_refused() -> None:
    """Empty inner operations, params of no step, and params that are not known in time are refused."""
    empty = op([], "empty")
    dynamic = op(lambda _p: [step(first, undo=NOTHING)], "dynamic", Inner)
    deep = op([nest("m", INNER, params=lambda p: p)], "deep", Inner)
    made = step(first, undo=NOTHING)
    assert "has no steps" in refusal([nest("n", empty, params=lambda p: p)])
    assert "which is no step here" in refusal([nest("n", INNER, params=output_of("x"))])
    assert "DAG depends on its params" in refusal([made, nest("n", dynamic, params=output_of("first"))])
    assert "params that only a step will give" in refusal([made, nest("n", deep, params=output_of("first"))])
    twice = [nest("m", INNER, params=lambda _p: {}), nest("n", INNER, params=output_of("m"))]
    assert "'m' is a nested operation" in refusal(twice)
    assert "(nested at n)" in refusal([nest("n", op([step(second, undo=NOTHING)], "x"), params=lambda p: p)])


def test_inner_params_that_do_not_fit_are_bad_params() -> None:
    """Inner params that the outer ones make, and that the inner operation refuses, are InvalidParams."""
    nested = nest("n", INNER, params=lambda _p: {"size": "many"})
    with pytest.raises(InvalidParams, match="params of the nested operation 'n' do not fit inner"):
        plan(op([nested]))


def test_whatever_a_function_of_the_params_raises_is_one_line() -> None:
    """An error in a function of the params is InvalidPlan, unless it is one of ours already."""

    def fails(params: Params) -> Any:
        return {"1": 1}[str(params.size + 1)]

    def refuses(_params: Params) -> Any:
        raise InvalidName("bad")

    for definition in (op(fails), op([], locks=fails), op([nest("n", INNER, params=fails)])):
        with pytest.raises(InvalidPlan, match="cannot be made from the params: KeyError: '2'"):
            plan(definition)
    with pytest.raises(InvalidName, match="bad"):
        plan(op(refuses))


def test_the_dag_may_depend_on_params() -> None:
    """Steps can be a function of the params, also one that yields: a branch for each."""

    def count(many: list[int]) -> int:
        return len(many)

    def each(params: Params) -> Any:
        for number in range(params.size):
            yield step(first, undo=NOTHING, name=f"disk:{number}")
        yield step(
            count,
            name="all",
            undo=irreversible("it is told"),
            inputs={"many": outputs_of(f"disk:{number}" for number in range(params.size))},
        )

    assert needs(plan(op(each), {"size": 2})) == {"disk:0": [], "disk:1": [], "all": ["disk:0", "disk:1"]}
    assert needs(plan(op(each), {"size": 0})) == {"all": []}
    nested = plan(op([nest("n", op(each, "each"), params=lambda p: p)]), {"size": 1})
    assert needs(nested) == {"n/disk:0": [], "n/all": ["n/disk:0"]}
