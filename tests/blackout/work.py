"""What there is to do in a life, and what must be there for each end: the seam between life and judge.

Rules
- A saga is told of as a dict: `operation`, `key`, `params` and, at rest, `state`.
- What is there is told as texts: names of datasets, and files with what is in them (`PATH=TEXT`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sledsaga.core.define import Operation
from sledsaga.engine.context import Context
from sledsaga.engine.engine import Engine
from sledsaga.hosts.sled import Sled

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Work:
    """Sagas to run, one round after the other, and what is expected of them.

    `prepare` makes the machine ready in its first life; `begin` lists what is there before any saga.
    `ends` says how a saga may end, `leaves` what is there once it has succeeded, `made` what a step of
    it makes (nothing for one that makes nothing).
    """

    operations: tuple[Operation, ...]
    prepare: Callable[[], None]
    sled: Callable[[Context], Sled]
    round: Callable[[Engine, int], None]
    files: Callable[[], list[str]]
    begin: frozenset[str]
    ends: Callable[[Told], frozenset[str]]
    leaves: Callable[[Told], frozenset[str]]
    made: Callable[[Told, str], str]


def find_work(name: str) -> Work:
    """Return the work of that name."""
    from tests.blackout import disks, furnish

    return {"furnish": furnish.WORK, "disks": disks.WORK}[name]
