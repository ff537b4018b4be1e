"""The wheel, as users get it: built without the network, and complete."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the build backend that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    subprocess.run([*build, "--wheel-dir", str(folder), str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("sledsaga-*.whl")
    return built


def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_every_source_file(wheel: Path) -> None:
    """Each module of the program and each migration is in the wheel, where the program looks for it."""
    sources = {str(p.relative_to(ROOT)) for top in ("sledsaga", "sagas") for p in (ROOT / top).rglob("*.py")}
    moved = {
        f"sledsaga/_migrations/{p.relative_to(ROOT / 'migrations')}"
        for p in (ROOT / "migrations").rglob("*.py")
    }
    assert (sources | moved | {"sledsaga/py.typed"}) - names(wheel) == set()


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    """The wheel installs no tests, examples or stray folders beside the two packages."""
    tops = {name.split("/")[0] for name in names(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sledsaga", "sagas"}


def test_the_wheel_announces_command_and_catalog(wheel: Path) -> None:
    """Installing the wheel gives the `sledsaga` command and puts the catalog where the program finds it."""
    (path,) = (name for name in names(wheel) if name.endswith("entry_points.txt"))
    text = zipfile.ZipFile(wheel).read(path).decode()
    assert "sledsaga = sledsaga.cli.main:main" in text
    assert "[sledsaga.operations]\ncatalog = sagas:CATALOG" in text


def test_importing_the_package_costs_next_to_nothing() -> None:
    """`import sledsaga` loads nothing of it but the names, and no library that is not Python's own."""
    code = "import sys; before = {*sys.modules}; import sledsaga; print(*({*sys.modules} - before))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = set(run.stdout.split())
    assert {name for name in loaded if name.split(".")[0] not in sys.stdlib_module_names} == {"sledsaga"}
    assert "asyncio" not in loaded
