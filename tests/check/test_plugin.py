"""The pytest plugin, as a project outside would use it: fixtures, readable failures, a matrix at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sledsaga.check import CHECKS, pytest_sledsaga
from tests.check.toys import BOX, made_of

OPERATION = '''
"""An operation of somebody else."""

from pathlib import Path

from sledsaga import Model, no_undo, operation, step


class Params(Model):
    """Where."""

    root: Path


def note(params: Params) -> str:
    """Write a note."""
    (params.root / "note").write_text("note")
    return "note"


def undo_note(params: Params) -> None:
    """Take it away."""
    (params.root / "note").unlink(missing_ok=True)


def scraps(params: Params) -> str:
    """Write a note, and lose something on the way."""
    (params.root / "scrap").write_text("scrap")
    return note(params)


GOOD = operation("good", version=1, params=Params, steps=[step(note, undo=undo_note)])
BAD = operation("bad", version=3, params=Params, steps=[step(scraps, undo=undo_note)])
'''
TESTS = '''
"""Its tests."""

import pytest

from theirs import BAD, GOOD


def params(folder):
    """Work in the trial's folder."""
    return {"root": folder}


@pytest.mark.parametrize("name", ["actions_twice", "crash_each_point"])
def test_one(request, name):
    """One check is one fixture."""
    row = request.getfixturevalue(name)(operation=GOOD, params=params)
    assert row.ok and row.check == name


def test_all(check_operation):
    """All checks are one more."""
    assert check_operation(operation=GOOD, params=params, only=["fail_each_step"]).ok


def test_bad(fail_each_step):
    """It leaves a scrap."""
    fail_each_step(operation=BAD, params=params)


def test_sled(simulated_sled, leaves_nothing):
    """A sled is one line, and so is a comparison."""
    sled = simulated_sled(disks=["A0", "A1"])
    with leaves_nothing(lambda: sorted(path.name for path in sled.iterdir())):
        assert (sled / "sled.db").exists()
'''
SETTINGS = """
[pytest]
filterwarnings = error
addopts = --strict-markers --strict-config
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with somebody else's operation, tests and settings."""
    (tmp_path / "theirs.py").write_text(OPERATION)
    (tmp_path / "test_theirs.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    return tmp_path


def ran(project: Path, *options: str) -> str:
    """Run the project's tests as its owner would; they are installed nowhere."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    return done.stdout


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["one process", "in another process"])
def test_another_project_uses_the_fixtures(project: Path, options: tuple[str, ...]) -> None:
    """Fixtures need no import; a mistake is told by its points; the end has a line for each operation."""
    out = ran(project, *options)
    assert "1 failed, 4 passed" in out
    assert "AssertionError: bad v3 is not proven:" in out
    assert "  fail_each_step: the saga that fails at its end: " in out
    assert '+ "scrap": "5 bytes' in out
    assert "checks.py" not in out, "the way through the kit is of no interest"
    assert "= operations put to the proof =" in out
    assert "bad v3: NOT OK: fail_each_step 0/1\n" in out
    (line,) = [line for line in out.splitlines() if line.startswith("good v1: ok: ")]
    told = line.removeprefix("good v1: ok: ").split(", ")
    assert sorted(told) == ["actions_twice 1/1", "crash_each_point 8/8", "fail_each_step 2/2"]


def test_every_check_is_a_fixture() -> None:
    """What `CHECKS` has, the plugin has under the same name."""
    assert [name for name in CHECKS if not hasattr(pytest_sledsaga, name)] == []


def test_the_plugin_costs_nothing_until_it_is_used() -> None:
    """Projects that have nothing to do with it load neither engine nor models."""
    code = "import sys, sledsaga.check.pytest_sledsaga; print(*(m for m in sys.modules if m in NAMES))"
    names = ("pydantic", "sqlalchemy", "networkx", "sledsaga.engine", "sledsaga.hosts", "sledsaga.core")
    command = [sys.executable, "-c", code.replace("NAMES", repr(names))]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "\n"


def test_an_operation_is_named_as_what_it_is(fail_each_step: Any) -> None:
    """An operation alone is no subject; the message says how it is given."""
    with pytest.raises(TypeError, match="give a Subject, or operation="):
        fail_each_step(made_of(BOX))
    with pytest.raises(TypeError, match="give a Subject, or operation="):
        fail_each_step(made_of(BOX), params={})
