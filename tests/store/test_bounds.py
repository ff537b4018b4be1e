"""What a store keeps in memory has a bound, whatever is in the log."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

from sledsaga.check.contract.samples import a_saga, saga_id
from sledsaga.core.dag import Dag, DagStep, make_dag
from sledsaga.store.sql import SqlStore


def wide(name: str, size: int) -> Dag:
    return make_dag(name, 1, tuple(DagStep(f"s{n}", (), (), "undo") for n in range(size)))


def kept(name: str) -> int:
    """Count the steps of all DAGs with such a name that are in memory."""
    gc.collect()
    return sum(
        len(one.steps) for one in gc.get_objects() if isinstance(one, Dag) and one.operation.startswith(name)
    )


def test_dags_that_were_read_are_kept_up_to_a_number_of_steps(tmp_path: Path) -> None:
    """Sagas that each have a large DAG of their own can all be read without holding all of their DAGs."""
    store = SqlStore(tmp_path / "log.db")
    for number in range(30):
        saga = a_saga(number)
        store.write([replace(saga, plan=replace(saga.plan, dag=wide(f"kept-by-store{number}", 10_000)))], [])
    for number in range(30):
        assert len(store.plan(saga_id(number)).dag.steps) == 10_000
    assert 0 < kept("kept-by-store") <= 100_000
    store.close()
