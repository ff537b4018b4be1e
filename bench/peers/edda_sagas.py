"""Edda on SQLite: a saga is a workflow of activities that do nothing, started from asyncio tasks."""

from __future__ import annotations

import asyncio
import logging

from edda import EddaApp, WorkflowContext, activity, workflow
from loops import in_tasks, parse

logging.disable(logging.CRITICAL)
ASKED = parse()


@activity
async def nothing(ctx: WorkflowContext, number: int) -> int:  # noqa: ARG001 - every activity has a context
    """Do nothing."""
    return number


@workflow
async def chain(ctx: WorkflowContext) -> None:
    """Run the steps, one after the other."""
    for number in range(ASKED.steps):
        await nothing(ctx, number)


async def main() -> None:
    """Run all sagas."""
    app = EddaApp(service_name="bench", db_url=f"sqlite:///{ASKED.folder}/edda.db", pool_size=20)
    await app.initialize()
    await chain.start()
    times = await in_tasks(chain.start, ASKED.sagas, ASKED.at_once)
    times.report(ASKED.steps)


asyncio.run(main())
