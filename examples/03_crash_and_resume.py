"""A process is killed by SIGKILL in the middle of a step; the next process carries its saga on."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sledsaga import Context, Model, no_undo, open_engine, operation, step


class Params(Model):
    """Where the steps write down that they were called."""

    journal: Path


def first(ctx: Context, params: Params) -> str:
    """Be done before the crash."""
    return write(ctx, params)


def second(ctx: Context, params: Params, first: str) -> str:
    """Be killed midway, unless this is the call after the crash."""
    line = write(ctx, params)
    if not ctx.in_doubt:
        time.sleep(600)
    return f"{first} {line}"


def third(ctx: Context, params: Params, second: str) -> str:
    """Come after it."""
    return f"{second} {write(ctx, params)}"


def write(ctx: Context, params: Params) -> str:
    """Append this call to the journal."""
    line = f"{ctx.step}(epoch {ctx.epoch}{', in doubt' if ctx.in_doubt else ''})"
    with params.journal.open("a") as journal:
        journal.write(line + "\n")
    return line


NOTHING = no_undo("the journal is only for show")
OPERATION = operation(
    "three-steps", version=1, params=Params, steps=[step(one, undo=NOTHING) for one in (first, second, third)]
)


def child(folder: Path) -> None:
    """Run the saga; this process will not live to see its end."""
    with open_engine(db=f"sqlite:///{folder}/log.db", operations=[OPERATION]) as engine:
        engine.run("three-steps", {"journal": str(folder / "journal")}, key="demo")


def main() -> None:
    """Start a child, kill it in its second step, and recover what it left."""
    with tempfile.TemporaryDirectory() as name:
        folder, journal = Path(name), Path(name) / "journal"
        running = subprocess.Popen([sys.executable, __file__, name])  # noqa: S603 - this very file
        while not journal.exists() or "second" not in journal.read_text():
            time.sleep(0.01)
        running.kill()
        print(f"the child was killed by signal {-running.wait()} in its second step")
        with open_engine(db=f"sqlite:///{folder}/log.db", operations=[OPERATION]) as engine:
            print(f"sagas taken over: {engine.recover().claimed}")
            saga = engine.run("three-steps", {"journal": str(journal)}, key="demo")
        print(f"the same key is the same saga: {saga.state}\ncalls, in order:")
        print("".join(f"  {line}\n" for line in journal.read_text().splitlines()), end="")


if __name__ == "__main__":
    child(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
