"""The machine walked through all that can happen to small sagas, and at random through bigger ones.

That the walk can see a breach is shown by the broken twins in tests/twins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas import CATALOG
from sledsaga.check.explore import explore, stroll
from sledsaga.check.walk.drive import shape
from sledsaga.check.walk.moves import REAL, Bounds, Parts
from sledsaga.check.walk.symmetry import shapes
from sledsaga.check.walk.table import main
from sledsaga.check.walk.world import begin
from sledsaga.core import machine
from sledsaga.core.dag import UNDO_KINDS, Dag, Plan, Policy
from sledsaga.core.define import Lock, Retry
from sledsaga.core.endings import conclude
from sledsaga.core.plan import plan
from sledsaga.core.ready import ready
from sledsaga.engine.flights import judged
from sledsaga.store.batch import lets_through

RETRIES = Policy(retry=Retry(2), undo_retry=Retry(1))
BOTH_RETRIES = Policy(retry=Retry(2), undo_retry=Retry(2))
PLAIN = Policy(undo_retry=Retry(1))
CHAIN = {"a": "", "b": "a"}
PAIR = {"a": "", "b": ""}
CAMPAIGNS = (
    ("--steps=4", "--crashes=2", "--mixed"),
    ("--steps=4", "--crashes=2", "--commands=1", "--batches"),
    ("--steps=3", "--crashes=1", "--commands=1", "--mixed"),
    ("--steps=3", "--crashes=1", "--commands=2"),
    ("--steps=3", "--crashes=1", "--commands=1", "--parks=1", "--locks"),
    ("--steps=3", "--crashes=2", "--attempts=2", "--undo-attempts=2"),
    ("--steps=4", "--crashes=2", "--cancellable", "--needs-output"),
    ("--steps=2", "--crashes=2", "--commands=3", "--attempts=2", "--batches"),
)
WAYS = frozenset({"succeeded", "undone", "stuck"})
WIDE = (
    {"a": "", "b": "", "c": "", "d": ""},
    {"a": "", "b": "", "c": "", "d": "a"},
    {"a": "", "b": "", "c": "", "d": "a b"},
    {"a": "", "b": "", "c": "a", "d": "a"},
)
UP_TO_3 = [needs for size in (1, 2, 3) for needs in shapes(size)]


def arrows(needs: dict[str, str]) -> str:
    """Name a shape for the list of tests: `a b<a c<ab`."""
    return " ".join(f"{name}<{above.replace(' ', '')}" if above else name for name, above in needs.items())


@pytest.mark.parametrize("needs", shapes(4), ids=arrows)
def test_every_dag_of_four_is_sound(needs: dict[str, str]) -> None:
    """Whatever its steps do, with two crashes between any events, a saga of 4 steps keeps every rule."""
    report = explore(shape(needs, policy=PLAIN), crashes=2)
    assert report.breaches == (), report
    assert report.is_complete
    assert report.ends == WAYS
    assert report.late_refused > 100


@pytest.mark.parametrize("needs", [*UP_TO_3, *(one for one in shapes(4) if one not in WIDE)], ids=arrows)
def test_every_dag_is_sound_with_retries(needs: dict[str, str]) -> None:
    """The same holds when every step may be tried again; the widest DAGs are for the campaign."""
    report = explore(shape(needs, policy=RETRIES), crashes=2)
    assert report.breaches == (), report
    assert report.ends == WAYS


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("needs", WIDE, ids=arrows)
def test_wide_dags_are_sound_with_retries(needs: dict[str, str]) -> None:
    """The same holds of the widest DAGs of 4 steps."""
    report = explore(shape(needs, policy=RETRIES), crashes=2)
    assert report.breaches == (), report


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("needs", shapes(5), ids=arrows)
def test_every_dag_of_five_is_sound(needs: dict[str, str]) -> None:
    """Whatever its steps do, with two crashes between any events, a saga of 5 steps keeps every rule."""
    report = explore(shape(needs, policy=PLAIN), crashes=2)
    assert report.breaches == (), report
    assert report.is_complete


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("more", CAMPAIGNS, ids=" ".join)
def test_more_of_everything_is_sound(more: tuple[str, ...]) -> None:
    """Every mix of undo kinds, more commands, claims that park, locks and retries break no rule."""
    assert main(more) == 0


@pytest.mark.parametrize("needs", UP_TO_3, ids=arrows)
def test_a_person_may_say_anything_that_is_allowed(needs: dict[str, str]) -> None:
    """Any one command that is allowed, at any moment, with two crashes anywhere, breaks no rule."""
    report = explore(shape(needs, policy=PLAIN), crashes=2, commands=1, in_batches=True)
    assert report.breaches == (), report
    assert report.ends == WAYS | {"abandoned", "paused"}


def test_more_commands_may_follow_each_other() -> None:
    """Any two commands, one after the other, break no rule; nor do three on a single step."""
    assert explore(shape(CHAIN, policy=PLAIN), commands=2).breaches == ()
    assert explore(shape(PAIR, policy=PLAIN), commands=2, in_batches=True).breaches == ()
    assert explore(shape({"a": ""}, policy=BOTH_RETRIES), commands=3).breaches == ()


@pytest.mark.parametrize("first", UNDO_KINDS)
@pytest.mark.parametrize("second", UNDO_KINDS)
@pytest.mark.parametrize("needs", [CHAIN, PAIR], ids=arrows)
def test_every_kind_of_undo_is_sound(first: Any, second: Any, needs: dict[str, str]) -> None:
    """Pivots, steps without undo and steps with one keep every rule beside each other."""
    dag = shape(needs, undo={"a": first, "b": second}, policy=PLAIN)
    assert explore(dag, commands=1, in_batches=needs is PAIR).breaches == ()


@pytest.mark.parametrize("policy", [Policy(cancellable=True), Policy(undo_needs_output=True)])
@pytest.mark.parametrize("needs", [CHAIN, PAIR], ids=arrows)
def test_every_policy_is_sound(policy: Policy, needs: dict[str, str]) -> None:
    """Steps that can be cancelled and undos that need an output keep every rule."""
    dag = shape(needs, policy=replace(policy, undo_retry=Retry(1)))
    assert explore(dag, crashes=2, commands=1, verbs=("cancel",), in_batches=True).breaches == ()


def test_undos_that_are_tried_again_are_sound() -> None:
    """Retries of do and of undo keep every rule beside each other."""
    assert explore(shape(CHAIN, policy=BOTH_RETRIES), crashes=2).breaches == ()
    assert explore(shape(PAIR, policy=BOTH_RETRIES), crashes=1).breaches == ()


def test_locks_and_parking_are_sound() -> None:
    """A plan whose saga waits for its locks, or is parked as unknown, keeps every rule."""
    planned = Plan(shape(CHAIN, policy=PLAIN), {}, (Lock("pool:tank", "exclusive"),))
    report = explore(planned, crashes=1, commands=1, parks=1, in_batches=True)
    assert report.breaches == ()
    assert report.ends == WAYS | {"abandoned", "paused", "parked"}


def test_the_plan_of_a_real_operation_is_sound() -> None:
    """A plan of the catalog is walked to the end, with its locks and policies, each step tried once."""
    operation = next(each for each in CATALOG if each.name == "format-u2")
    disk = {"vendor": "1b96", "model": "WUS4", "serial": "A0"}
    planned = plan(operation, {"disk": disk, "pool_id": "11111111-1111-4111-8111-111111111111"})
    report = explore(planned, crashes=2, attempts_max=1)
    assert report.breaches == (), report
    assert report.is_complete
    assert report.ends == WAYS
    assert explore(planned, attempts_max=2, states_max=2_000).states > report.states


def test_a_saga_without_steps_is_sound() -> None:
    """A saga of no step at all keeps every rule and ends, as one does that is cancelled before its claim."""
    assert explore(shape({}), crashes=2, commands=1).ends == {"succeeded", "undone", "abandoned"}


def test_a_walk_can_be_cut_short() -> None:
    """A walk stops above the number of states that it may see, and says so."""
    report = explore(shape(PAIR, policy=RETRIES), states_max=20)
    assert 20 < report.states < 40
    assert not report.is_complete
    assert "so far" in str(report)


@st.composite
def sagas(draw: st.DrawFn) -> Dag:
    """Draw a DAG of up to 9 steps with every kind of undo and policy."""
    names = "abcdefghi"[: draw(st.integers(1, 9))]
    needs = {
        name: " ".join(other for other in names[:i] if draw(st.booleans())) for i, name in enumerate(names)
    }
    policies = st.builds(
        Policy,
        st.builds(Retry, st.integers(1, 3)),
        st.builds(Retry, st.integers(1, 3)),
        cancellable=st.booleans(),
        undo_needs_output=st.booleans(),
    )
    kinds = st.sampled_from(UNDO_KINDS)
    return shape(
        {name: " ".join(_reduced(above.split(), needs)) for name, above in needs.items()},
        undo={name: draw(kinds) for name in names},
        policy={name: draw(policies) for name in names},
    )


def _reduced(direct: list[str], needs: dict[str, str]) -> list[str]:
    above: set[str] = set()
    todo = [far for near in direct for far in needs[near].split()]
    while todo:
        one = todo.pop()
        if one not in above:
            above.add(one)
            todo += needs[one].split()
    return [one for one in direct if one not in above]


@settings(max_examples=80, deadline=None)
@given(sagas(), st.booleans(), st.randoms(use_true_random=False))
def test_a_random_walk_through_a_bigger_dag_is_sound(
    dag: Dag,
    has_locks: bool,  # noqa: FBT001 - it is drawn
    chance: Any,
) -> None:
    """On any DAG, with crashes, commands and parking in any order, no rule is broken, and the saga rests."""
    world = begin(dag, has_locks=has_locks, bounds=Bounds(crashes=3, commands=6, parks=1))
    report = stroll(world, chance.randrange, moves_max=150)
    assert (report.breaches, report.transcript if report.breaches else ()) == ((), ())
    assert "on its way" not in report.ends


def test_the_table_counts_all_that_was_walked(capsys: pytest.CaptureFixture[str]) -> None:
    """The command walks every DAG up to the size asked for, prints a line each, and the totals."""
    assert main(["--steps", "2", "--crashes", "1", "--mixed"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 3 + 6 + 9 + 1  # heading, one step, side by side, one after the other, totals
    assert lines[-1].endswith("late writes refused")
    assert "18 DAGs: no rule is broken" in lines[-1]


def test_the_table_ends_with_a_counterexample(capsys: pytest.CaptureFixture[str]) -> None:
    """A breach is told as a transcript of numbered moves, and the command fails; so does a walk cut short."""
    assert main(["--steps", "1"], parts=Parts(fence=lambda at, believed: at[0] >= believed[0])) == 1
    told = capsys.readouterr().out
    assert "  1. claim\n  2. StepStarted a\n  3. crash, and another claims\n  4. late, from" in told
    assert "\nbreach: " in told
    assert main(["--steps", "2", "--states-max", "20"]) == 1
    assert "so far: the walk was cut short" in capsys.readouterr().out


def test_the_real_parts_are_the_default() -> None:
    """Without other parts the real functions are walked."""
    machines: tuple[Callable[..., Any], ...] = (REAL.apply, REAL.ready, REAL.conclude)
    others: tuple[Callable[..., Any], ...] = (REAL.judged, REAL.fence)
    assert (machines, others) == ((machine.apply, ready, conclude), (judged, lets_through))
