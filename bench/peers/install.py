"""Puts each peer into a virtual environment of its own, once; Restate's server comes from npm.

Rules
- All of it lies in `~/.cache/sledsaga/peers` (or below `XDG_CACHE_HOME`), outside of the checkout.
- What cannot be installed is told with its reason, and the others are measured without it.
- A folder is whole when its stamp is there: what was cut off is made again.
- All run on the Python that ours runs on: one made with another is made again.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sledsaga" / "peers"
INSTALL_S: Final = 400
NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "dbos": ("dbos",),
    "taskflow": ("taskflow", "sqlalchemy", "sqlalchemy-utils", "alembic"),
    "edda": ("edda-framework",),
    "restate": ("restate-sdk[serde]", "hypercorn"),
}
PYTHON: Final = f"{platform.python_version()} of {sys.base_prefix}"
SERVER: Final = "@restatedev/restate-server"


class NotInstalledError(Exception):
    """A peer could not be installed; the message says why."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A peer's interpreter, its version, and what its process must find in the environment."""

    python: Path
    version: str
    environment: dict[str, str]


def install(peer: str) -> Installed:
    """Install a peer unless it is there; raises NotInstalledError."""
    folder = CACHE / peer
    python = folder / "bin" / "python"
    stamp = folder / "installed.json"
    if not stamp.exists() or json.loads(stamp.read_text()).get("python") != PYTHON:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *NEEDS[peer])
        version = _version(python, NEEDS[peer][0].partition("[")[0])
        stamp.write_text(json.dumps({"version": version, "python": PYTHON}))
    environment = {"RESTATE_SERVER": str(_restate_server())} if peer == "restate" else {}
    return Installed(python, json.loads(stamp.read_text())["version"], environment)


def _restate_server() -> Path:
    """Return the server's program, installed by npm for this kind of machine."""
    folder = CACHE / "npm"
    if not (found := _program(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        _run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), SERVER)
        found = _program(folder)
    if not found:
        raise NotInstalledError(f"npm installed no program of {SERVER} for this machine")
    return found


def _program(folder: Path) -> Path | None:
    found = folder.glob("node_modules/@restatedev/restate-server-*/bin/restate-server")
    return next(found, None)


def _version(python: Path, package: str) -> str:
    return _run(str(python), "-c", f"import importlib.metadata as m; print(m.version({package!r}))").strip()


def _run(*argv: str) -> str:
    try:
        done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=INSTALL_S)  # noqa: S603 - a program of ours
    except FileNotFoundError as error:
        raise NotInstalledError(f"there is no {argv[0]} here") from error
    except subprocess.TimeoutExpired as error:
        raise NotInstalledError(f"{argv[0]} was not done after {INSTALL_S} s") from error
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()] or [str(error)]
        raise NotInstalledError(f"{Path(argv[0]).name}: {lines[-1][:160]}") from error
    return done.stdout
