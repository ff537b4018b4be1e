"""A library says nothing on stderr unless it is asked to."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from sledsaga import Catalog, Engine, Model, no_undo, operation, step
from sledsaga.store.memory import MemoryStore

def loud(ctx: "Context") -> None:
    ctx.log("a line for nobody")

from sledsaga import Context
OPERATION = operation("loud", version=1, params=Model, steps=[step(loud, undo=no_undo("it only speaks"))])
with Engine(MemoryStore(), Catalog([OPERATION])) as engine:
    print(engine.wait(engine.submit("loud").id).state)
"""


def test_the_bare_engine_is_silent() -> None:
    """A program that only uses the engine gets no diagnostics."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("succeeded\n", "")
