"""Every operation of the catalog passes every check of the kit.

Each scenario is an operation, its params, and the sled that it starts from. What takes long is sampled here;
the campaign takes every point of every scenario.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

import sagas
from sledsaga.check import CHECKS, Row, Subject, to_text
from sledsaga.check.report import Report
from sledsaga.hosts.sim.document import disks_of, make_sled

SCENARIOS: Final = {
    "format-u2": ("format-u2", "format", "blank"),
    "provision-crdb": ("provision-crdb", "provision", "formatted"),
    "provision-crdb on a blank disk": ("provision-crdb", "provision blank", "blank"),
    "provision-clickhouse": ("provision-clickhouse", "provision", "formatted"),
    "ensure-datasets": ("ensure-datasets", "ensure", "formatted"),
    "ensure-datasets best-effort": ("ensure-datasets", "ensure best-effort", "formatted"),
    "rotate-keys": ("rotate-keys", "rotate all-or-nothing", "two epochs"),
    "rotate-keys best-effort": ("rotate-keys", "rotate", "two epochs"),
    "apply-sled-config": ("apply-sled-config", "document 1", "blank"),
    "apply-sled-config again": ("apply-sled-config", "document 2", "applied"),
}
BIG: Final = ("apply-sled-config", "apply-sled-config again")
EVERY: Final = {
    "fail_each_step": (1, 9),
    "undo_fails_each_step": (2, 18),
    "crash_each_point": (7, 97),
    "lost_reply_each_command": (4, 41),
    "slow_each_command": (6, 61),
    "cut_each_command": (7, 97),
}
"""One point in how many is tried, of small and of big operations; the other checks need a saga or two."""

PRODUCTION: Final = 40


def params_of(name: str, library: dict[str, Any]) -> dict[str, Any]:
    """Return the params that a scenario names."""
    what, _, rest = name.partition(" ")
    found = library[what]
    if what == "document":
        return dict(found(int(rest)))
    if rest == "blank":
        return found | {"disk": library["format"]["disk"]}
    return found | ({"policy": rest} if rest else {})


def is_good_enough(params: dict[str, Any], seen: Any, wanted: Any, before: Any) -> bool:
    """Say whether a sled in trouble has what it must.

    A ledger with one copy is good, and best-effort means that a dataset may lack; nothing else may.
    """
    if seen["ledgers"] and all(copy in wanted["ledgers"] for copy in seen["ledgers"]):
        seen = seen | {"ledgers": wanted["ledgers"]}
    allowed = [*wanted["datasets"], *before["datasets"]]
    is_lax = params.get("policy") == "best-effort" or "pools" in params
    if is_lax and all(dataset in allowed for dataset in seen["datasets"]):
        seen = seen | {"datasets": wanted["datasets"]}
    return bool(seen == wanted)


def subject_of(name: str, sleds: Callable[[str], Path], library: dict[str, Any]) -> Subject:
    operation, what, kind = SCENARIOS[name]
    params = params_of(what, library)
    return Subject(
        library["operation_of"](operation),
        params,
        sleds(kind),
        good_enough=functools.partial(is_good_enough, params),
    )


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def subjects(sleds: Callable[[str], Path], library: dict[str, Any]) -> Callable[[str], Subject]:
    """Return the subject of a scenario, the same one each time."""
    return functools.cache(lambda name: subject_of(name, sleds, library))


@pytest.fixture
def subject(scenario: str, subjects: Callable[[str], Subject]) -> Subject:
    return subjects(scenario)


def test_every_operation_has_a_scenario() -> None:
    """No operation of the catalog goes without the suite."""
    assert {scenario[0] for scenario in SCENARIOS.values()} == {each.name for each in sagas.CATALOG}


@pytest.mark.parametrize("check", CHECKS)
def test_an_operation_passes_each_check(
    request: pytest.FixtureRequest, scenario: str, subject: Subject, check: str
) -> None:
    """Whatever is done to a step, a command or the process, the saga has one of its two ends."""
    every = EVERY.get(check, (1, 1))[scenario in BIG]
    row = request.getfixturevalue(check)(subject, every=every)
    assert row.nothing == "" or is_excused(scenario, row)


def is_excused(scenario: str, row: Row) -> bool:
    """Say whether a scenario may have nothing to try: some have no probes."""
    return scenario.endswith(" best-effort") and row.check == "probe_truthful"


@pytest.mark.campaign
@pytest.mark.parametrize("check", CHECKS)
def test_an_operation_passes_each_check_at_every_point(
    request: pytest.FixtureRequest, scenario: str, subject: Subject, check: str
) -> None:
    """The same at every point."""
    row = request.getfixturevalue(check)(subject)
    assert row.total == len(row.points)
    print(to_text(Report(scenario, 1, (row,), row.coverage)))  # noqa: T201 - the campaign's figures


@pytest.mark.campaign
@pytest.mark.parametrize("check", CHECKS)
def test_the_production_document_passes_each_check(
    request: pytest.FixtureRequest,
    production: dict[str, Any],
    library: dict[str, Any],
    check: str,
    tmp_path: Path,
) -> None:
    """A real sled's config, on a sled with its disks, at a good number of its points."""
    make_sled(tmp_path / "sled", disks_of(production), production).close()
    subject = Subject(library["operation_of"]("apply-sled-config"), production, tmp_path / "sled")
    subject = replace(subject, good_enough=functools.partial(is_good_enough, production))
    row = request.getfixturevalue(check)(subject, every=PRODUCTION if check in EVERY else 1)
    print(to_text(Report("production", 1, (row,), row.coverage)))  # noqa: T201 - the campaign's figures


def test_a_second_saga_changes_nothing(
    scenario: str, labs: Callable[[str], Any], library: dict[str, Any]
) -> None:
    """The same operation again, as another saga, succeeds and runs no mutating command."""
    operation, what, kind = SCENARIOS[scenario]
    lab, params = labs(kind), params_of(what, library)
    lab.run(operation, params)
    done, count = lab.seen(), lab.sim.changes()
    assert lab.run(operation, params).state == "succeeded"
    assert [entry.argv for entry in lab.sim.journal(after=count)] == []
    assert lab.seen() == done
