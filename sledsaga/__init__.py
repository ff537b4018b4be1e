"""sledsaga: operations on a machine as sagas that finish, are undone, or ask a person; never in between.

Everything public is named here and imported when it is first used, so that importing the package costs
next to nothing. Start with `operation`, `step` and `Engine`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sledsaga.core.commands import Command
    from sledsaga.core.dag import Plan
    from sledsaga.core.define import (
        Absent,
        Conflicting,
        Lock,
        Operation,
        Present,
        Probe,
        Retry,
        Step,
        exclusive,
        irreversible,
        nest,
        no_undo,
        operation,
        output_of,
        outputs_of,
        shared,
        step,
        value,
    )
    from sledsaga.core.model import Model
    from sledsaga.core.plan import plan
    from sledsaga.core.view import SagaView
    from sledsaga.engine.catalog import Catalog
    from sledsaga.engine.context import Context
    from sledsaga.engine.engine import Engine
    from sledsaga.engine.limits import Limits
    from sledsaga.errors import FailedClean, SledsagaError, Transient
    from sledsaga.wiring import open_engine

__version__ = "0.1.0"

_HOMES = {
    "Absent": "core.define",
    "Catalog": "engine.catalog",
    "Command": "core.commands",
    "Conflicting": "core.define",
    "Context": "engine.context",
    "Engine": "engine.engine",
    "FailedClean": "errors",
    "Limits": "engine.limits",
    "Lock": "core.define",
    "Model": "core.model",
    "Operation": "core.define",
    "Plan": "core.dag",
    "Present": "core.define",
    "Probe": "core.define",
    "Retry": "core.define",
    "SagaView": "core.view",
    "SledsagaError": "errors",
    "Step": "core.define",
    "Transient": "errors",
    "exclusive": "core.define",
    "irreversible": "core.define",
    "nest": "core.define",
    "no_undo": "core.define",
    "open_engine": "wiring",
    "operation": "core.define",
    "output_of": "core.define",
    "outputs_of": "core.define",
    "plan": "core.plan",
    "shared": "core.define",
    "step": "core.define",
    "value": "core.define",
}

__all__ = [
    "Absent",
    "Catalog",
    "Command",
    "Conflicting",
    "Context",
    "Engine",
    "FailedClean",
    "Limits",
    "Lock",
    "Model",
    "Operation",
    "Plan",
    "Present",
    "Probe",
    "Retry",
    "SagaView",
    "SledsagaError",
    "Step",
    "Transient",
    "exclusive",
    "irreversible",
    "nest",
    "no_undo",
    "open_engine",
    "operation",
    "output_of",
    "outputs_of",
    "plan",
    "shared",
    "step",
    "value",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever stands under that name
    """Import a public name from its home when it is first used."""
    if name not in _HOMES:
        msg = f"sledsaga has no {name!r}"
        raise AttributeError(msg)
    found = getattr(importlib.import_module(f"sledsaga.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
