"""TaskFlow on SQLite: a saga is a linear flow of tasks that do nothing, each flow on a serial engine.

Threads load and run flows; with many at once some are lost to `database is locked`, and counted.
"""

from __future__ import annotations

import logging

from loops import in_threads, parse
from taskflow import engines, task
from taskflow.patterns import linear_flow
from taskflow.persistence import backends

logging.disable(logging.CRITICAL)
ASKED = parse()
BACKEND = backends.fetch({"connection": f"sqlite:///{ASKED.folder}/taskflow.db"})
BACKEND.get_connection().upgrade()


class Nothing(task.Task):
    """A step that does nothing, and has nothing to undo."""

    def execute(self) -> int:
        """Do nothing."""
        return 1

    def revert(self, *_found: object, **_more: object) -> None:
        """Undo nothing."""


def chain(steps: int) -> linear_flow.Flow:
    """Return the steps, one after the other."""
    flow = linear_flow.Flow("chain")
    flow.add(*(Nothing(f"s{number}") for number in range(steps)))
    return flow


def run() -> None:
    """Run one saga to its end."""
    engines.load_from_factory(chain, factory_args=(ASKED.steps,), backend=BACKEND, engine="serial").run()


run()
in_threads(run, ASKED.sagas, ASKED.at_once).report(ASKED.steps)
