"""A catalog and a folder of their own, and the real `sledsaga` as a process, for the tests of the CLI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(sys.executable).with_name("sledsaga")
CATALOG = '''"""Operations that tests steer: steps wait for files, fail as told, and note what they did."""

from pathlib import Path

from sledsaga import Context, Model, Retry, exclusive, irreversible, no_undo, operation, step


class Params(Model):
    """What a step shall do. `gate` is a file that `first` waits for; `fail` is where it goes wrong."""

    name: str = "x"
    gate: str = ""
    fail: str = ""
    blob: str = ""


def note(line: str) -> None:
    with Path("journal").open("a") as journal:
        journal.write(line + "\\n")


def first(ctx: Context, params: Params) -> dict[str, str]:
    note("do first")
    while params.gate and not Path(params.gate).exists():
        ctx.pause(0.01)
    return {"name": params.name}


def undo_first(params: Params) -> None:
    note("undo first")
    if params.fail == "undo" and not Path("mended").exists():
        raise ValueError("the undo broke")


def second(first: dict[str, str], params: Params) -> str:
    note("do second")
    if params.fail and not Path("mended").exists():
        raise ValueError("second broke \\x1b[31mred")
    return first["name"].upper()


def pivot(params: Params) -> None:
    if params.fail == "forward" and not Path("mended").exists():
        raise ValueError("no way on")


def locks(params: Params):
    return [exclusive(f"name:{params.name}")]


TWO = operation("two", version=1, params=Params, locks=locks, summary="do two things", steps=[
    step(first, undo=undo_first, undo_retry=Retry(1), cancellable=True),
    step(second, undo=no_undo("nothing is left")),
])
ONWARD = operation("onward", version=1, params=Params, steps=[step(pivot, undo=irreversible("it is sent"))])
CATALOG = [TWO, ONWARD]
'''


@dataclass(frozen=True, slots=True)
class Ended:
    """What a process left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder to run `sledsaga` in, with the tests' catalog."""

    path: Path
    program: tuple[Path, ...] = (PROGRAM,)

    def env(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "SLEDSAGA_CATALOG": "steered:CATALOG", "TERM": "dumb", **more}

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        """Start `sledsaga` and do not wait for it."""
        return subprocess.Popen(
            [*self.program, *words],
            cwd=self.path,
            env=self.env(**env),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: str, stdin: str = "", **env: str) -> Ended:
        """Run `sledsaga` to its end."""
        done = subprocess.run(
            [*self.program, *words],
            cwd=self.path,
            env=self.env(**env),
            text=True,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert "Traceback" not in done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def journal(self) -> list[str]:
        """Return what the steps have noted."""
        file = self.path / "journal"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give an empty folder with a catalog."""
    (tmp_path / "steered.py").write_text(CATALOG)
    return Place(tmp_path)


@pytest.fixture
def line(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run `sledsaga` within the test's own process: fast, for what needs no process of its own."""
    from sledsaga.cli.line import run_line

    monkeypatch.chdir(place.path)
    monkeypatch.setenv("SLEDSAGA_CATALOG", "steered:CATALOG")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delitem(sys.modules, "steered", raising=False)
    monkeypatch.setattr(sys, "path", [str(place.path), *sys.path])

    def run(*words: str) -> Ended:
        capsys.readouterr()
        code = run_line(list(words))
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run
