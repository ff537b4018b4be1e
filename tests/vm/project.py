"""The project as a disk of the guest: the working tree, and the packages that its tests need.

Packages come from the Python that runs this. Compiled ones are loaded as they are, so it must be of the same
minor version as the guest's.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from tests.vm.guest import GuestError
from tests.vm.pack import pack_root
from tests.vm.recipe import PYTHON

ROOT: Final = Path(__file__).parents[2]
WANTED: Final = ("sledsaga", "pytest", "pytest-timeout", "hypothesis")
SKIPPED: Final = ("mutants", "build", "dist", "node_modules")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def pack_project(target: Path) -> Path:
    """Write the project's disk. Raises GuestError when this Python's packages are not for the guest."""
    if sys.version_info[:2] != PYTHON:
        have, want = (".".join(map(str, each)) for each in (sys.version_info[:2], PYTHON))
        raise GuestError(f"this is Python {have}, but the guest's is {want}: make .venv with python{want}")
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)
        for path in ROOT.iterdir():
            if path.is_dir() and path.name not in SKIPPED and not path.name.startswith("."):
                shutil.copytree(path, stage / path.name, symlinks=True)
        shutil.copy2(ROOT / "pyproject.toml", stage)
        for found in distributions():
            _copy(found, stage / "site")
        pack_root(stage, target)
    return target


def distributions() -> list[Distribution]:
    """Return the packages that are wanted, with all that they need."""
    found: dict[str, Distribution] = {}
    names = list(WANTED)
    while names:
        name = names.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # needed on another system, or by another Python, only
            continue
        needs = (need for need in found[name].requires or () if "extra ==" not in need)
        names += [match[0] for need in needs if (match := _NAME.match(need)) is not None]
    return list(found.values())


def _copy(found: Distribution, site: Path) -> None:
    for file in found.files or ():
        source = Path(str(file.locate()))
        if file.parts[0] == ".." or not source.is_file() or file.suffix == ".pth":
            continue
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, site / file)
